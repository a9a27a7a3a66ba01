"""Starts a model from the weights of another, as Torabi and Sigal do for Hollywood2."""

import pathlib

from glimpse.models import C3D, C3DClassifier, VideoClassifier, list_models, load_model

# By its name, the layer whose size is the number of classes.
_CLASSES = "classes"


def find_initial_model(source):
    """Returns the path or the name under which `load_model` finds what `source` names.

    Args:
        source: A run's folder, a `.keras` file or trained weights by name.

    Raises:
        FileNotFoundError: If there is no such folder, file or name, or a folder holds no
            `best.keras`.
    """
    path = pathlib.Path(source)
    if not path.is_dir():
        if not path.is_file() and str(source) not in list_models(pretrained=True):
            raise FileNotFoundError(
                f"--initialize_from={source}: no such run folder, .keras file or weights by name "
                "(`glimpse models --pretrained`)."
            )
        return str(source)
    if not (path / "best.keras").is_file():
        raise FileNotFoundError(f"--initialize_from={source}: no best.keras in this folder.")
    return str(path / "best.keras")


def take_initial_weights(model, source):
    """Gives a built classifier the weights of a trained one of the same make.

    The classes' layer stays as it was drawn where it has another size or the classes other names.
    A `C3DClassifier` may begin as well with the backbone `C3D`, as `glimpse convert` writes it.

    Args:
        model: A built classifier.
        source: As in `find_initial_model`.

    Returns:
        Whether the classes' layer was taken too.

    Raises:
        ValueError: If the two models differ in more than their classes.
    """
    found = load_model(find_initial_model(source))
    if isinstance(found, VideoClassifier):
        found = found.classifier
    if isinstance(found, C3D) and isinstance(model, C3DClassifier):
        try:
            model.load_backbone(found)
        except ValueError as error:
            raise ValueError(f"--initialize_from={source}: {error}") from error
        return False
    if type(found) is not type(model):
        raise ValueError(
            f"--initialize_from={source} is a {type(found).__name__}, not a "
            f"{type(model).__name__}: name a run of the same model."
        )
    own = {id(weight) for weight in _classes_weights(model)}
    pairs = _pair(model, found, source)
    same_classes = found.label_names == model.label_names and all(
        weight.shape == other.shape for weight, other in pairs
    )
    for weight, other in pairs:
        if same_classes or id(weight) not in own:
            if weight.shape != other.shape:
                raise ValueError(
                    f"--initialize_from={source}: {other.path} is {tuple(other.shape)} there and "
                    f"{tuple(weight.shape)} here: only the classes' layer may differ."
                )
            weight.assign(other)
    return same_classes


def _pair(model, found, source):
    """The weights of both models, in order."""
    names, others = ([weight.name for weight in each.weights] for each in (model, found))
    if names != others:
        raise ValueError(
            f"--initialize_from={source} has {len(others)} weights, {', '.join(others[:4])}, ...; "
            f"the model has {len(names)}, {', '.join(names[:4])}, ...: give it the same options."
        )
    return list(zip(model.weights, found.weights, strict=True))


def _classes_weights(model):
    layers = [layer for layer in model._flatten_layers() if layer.name == _CLASSES]
    return [weight for layer in layers for weight in layer.weights]

"""A model to export taken apart, and put together again without what training left in it."""

import keras


def split_model(model, backbone, outer_class, inner_class, inner_name):
    """Returns the model on features and its backbone, or None where it has none.

    Args:
        model: An `inner_class` on features, or an `outer_class` around one and its backbone.
        backbone: The backbone of an `inner_class`, or None.
        outer_class: Such as `VideoClassifier`.
        inner_class: Such as `StepClassifier`.
        inner_name: The name by which an `outer_class` holds the model on features.

    Raises:
        ValueError: If it is something else, has no weights yet, or Keras is not on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"A SavedModel is made by TensorFlow, but Keras runs on {keras.backend.backend()}; "
            "start again with KERAS_BACKEND=tensorflow (a .keras file loads on every backend)."
        )
    on_features = model
    if isinstance(model, outer_class):
        if backbone is not None:
            raise ValueError(
                f"`backbone` must be None: `model` is a {outer_class.__name__} and has one."
            )
        on_features, backbone = getattr(model, inner_name), model.backbone
    if not isinstance(on_features, inner_class):
        raise ValueError(
            f"`model` must be a {inner_name} or a {outer_class.__name__}, got {model!r}."
        )
    for part in [on_features] if backbone is None else [on_features, backbone]:
        if not part.built:
            raise ValueError(
                f"{type(part).__name__} {part.name!r} has no weights yet: load a trained file, or "
                "call the model once."
            )
    return on_features, backbone


def features_shape(on_features):
    """Returns the shape of features that a model was built for, five axes.

    Raises:
        ValueError: If it reads something else, or any size of feature map.
    """
    config = on_features.get_build_config()
    shape = config.get("input_shape") or config.get("shapes_dict", {}).get("features_shape", ())
    if isinstance(shape, dict):
        shape = shape.get("features", ())
    if len(shape) != 5 or None in shape[2:]:
        raise ValueError(
            f"{type(on_features).__name__} was built for inputs of shape {tuple(shape)}; only "
            "models on (batch, frames, height, width, features) can be exported."
        )
    return tuple(shape)


def without_optimizer(model):
    """Returns a copy that was never compiled: an optimizer's state would triple both files."""
    copy = type(model).from_config(model.get_config())
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy

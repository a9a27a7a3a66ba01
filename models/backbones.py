"""Backbones by name: models that turn frames into features."""

import difflib
import fnmatch
import inspect
import os

from glimpse.models.application_backbone import ApplicationBackbone, list_applications
from glimpse.models.c3d import C3D
from glimpse.models.googlenet import GoogLeNet
from glimpse.models.hub_backbone import HubBackbone
from glimpse.models.keras_file import load_keras_file
from glimpse.models.pixels_backbone import PixelsBackbone
from glimpse.models.resnet152 import ResNet152
from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.vgg19 import VGG19
from glimpse.models.weights_card import read_cards

# Each name's class and the arguments that it stands for. Every class is called on RGB frames 0-255,
# and tells its `feature_shape`, `input_size` and `frames_per_input`.
_BACKBONES = {
    "c3d": (C3D, {}),
    "googlenet": (GoogLeNet, {}),
    "googlenet_slim": (GoogLeNet, {"family": "slim"}),
    "googlenet_torchvision": (GoogLeNet, {"family": "torchvision"}),
    "pixels": (PixelsBackbone, {}),
    "resnet152": (ResNet152, {}),
    "small": (SmallBackbone, {}),
    "vgg19": (VGG19, {}),
    **{
        f"applications/{name}": (ApplicationBackbone, {"application": name})
        for name in list_applications()
    },
}
_HUB = "hub/"
_DOWNLOADS = {(ApplicationBackbone, "imagenet"), (HubBackbone, "preset")}


def list_backbones():
    """Returns the names of the backbones, sorted.

    Beside these there is `hub/PRESET` for each image preset of KerasHub.

    >>> "small" in list_backbones()
    True
    """
    return sorted(_BACKBONES)


def create_backbone(name="small", weights="default", **options):
    """Returns a backbone, ready to call on frames.

    Args:
        name: A name from `list_backbones()`, or `hub/PRESET`.
        weights: "default" for the shipped file, whose SHA-256 is compared with its card; None for
            random weights; the path of a `.keras` file of the same backbone, such as `glimpse
            convert` writes; "imagenet" for `applications/...` and "preset" for `hub/...`, which
            download.
        **options: Arguments of the backbone's class. With a path they must agree with the file's.

    Raises:
        FileNotFoundError: If the weights are missing.
        ValueError: If the name or an option is unknown, the weights are damaged or another
            model's, or an option contradicts the name or the file.
    """
    model_class, arguments = _described(name)
    _refuse_contradiction(f"The backbone {name!r}", arguments, options)
    options = {**arguments, **options}
    if model_class is PixelsBackbone and weights == "default":
        weights = None
    if weights is None or (model_class, weights) in _DOWNLOADS:
        return _created(model_class, weights, options)
    path = _default_path(name, model_class) if weights == "default" else os.fspath(weights)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"No such weights file: {path}.")
    backbone = load_keras_file(path, compile=False)
    if type(backbone) is not model_class:
        raise ValueError(
            f"{path} holds a {type(backbone).__name__}, not the backbone {name!r} "
            f"({model_class.__name__})."
        )
    options.pop("preset", None)
    config = backbone.get_config()
    if unknown := set(options) - set(config):
        raise ValueError(f"{model_class.__name__} has no option {', '.join(sorted(unknown))}.")
    _refuse_contradiction(path, config, options)
    return backbone


def describe_backbones(pattern="*"):
    """Returns one dict a backbone that matches a shell-style pattern, for tables."""
    ours_first = sorted(list_backbones(), key=lambda name: "/" in name)
    cards, rows = read_cards(), []
    for name in fnmatch.filter(ours_first, pattern):
        model_class, arguments = _BACKBONES[name]
        weights = {PixelsBackbone: "none", ApplicationBackbone: "imagenet"}
        rows.append(
            {
                "name": name,
                "class": model_class.__name__,
                "weights": weights.get(
                    model_class, "shipped" if name in cards else "glimpse convert"
                ),
                "options": ", ".join(
                    f"{option.name}={option.default!r}"
                    for option in inspect.signature(model_class).parameters.values()
                    if option.name not in ("weights", "kwargs", *arguments)
                ),
            }
        )
    return rows


def _described(name):
    """The class that a name stands for, and its arguments."""
    if str(name).startswith(_HUB):
        return HubBackbone, {"preset": name.removeprefix(_HUB)}
    if name not in _BACKBONES:
        near = difflib.get_close_matches(str(name), _BACKBONES, n=3, cutoff=0.4)
        near = near or [known for known in list_backbones() if "/" not in known]
        raise ValueError(f"Unknown backbone {name!r}. Nearest: {', '.join(near)}.")
    return _BACKBONES[name]


def _created(model_class, weights, options):
    if model_class is HubBackbone:
        return HubBackbone.from_preset(weights=weights, **options)
    if model_class is ApplicationBackbone:
        return ApplicationBackbone(weights=weights, **options)
    backbone = model_class(**options)
    if not backbone.built:
        backbone.build((None, *backbone.input_size, 3))
    return backbone


def _default_path(name, model_class):
    cards = read_cards()
    if name in cards:
        return cards[name].verified_path()
    advice = {
        ApplicationBackbone: 'pass weights="imagenet" to download Keras\'s',
        HubBackbone: 'pass weights="preset" to download the preset\'s',
    }.get(model_class, "convert published ones with `glimpse convert` and pass the file's path")
    raise FileNotFoundError(
        f"No weights of backbone {name!r} ship with glimpse: {advice}, or weights=None for random "
        "ones."
    )


def _refuse_contradiction(what, known, options):
    for key, value in options.items():
        if key in known and _plain(known[key]) != _plain(value):
            raise ValueError(
                f"{what} has `{key}` = {known[key]!r}, and `{key}` = {value!r} is asked for."
            )


def _plain(value):
    """Tuples as lists, as files have them."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value

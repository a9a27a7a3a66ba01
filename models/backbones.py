"""Backbones by name: models that turn frames into feature maps."""

import difflib
import os

import keras

from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.weights_card import read_cards

# Every class takes no arguments, calls on (batch, height, width, 3) RGB frames 0-255 and tells its
# `feature_shape` and `input_size`.
_BACKBONES = {"small": SmallBackbone}


def list_backbones():
    """Returns the names of the backbones, sorted.

    >>> "small" in list_backbones()
    True
    """
    return sorted(_BACKBONES)


def create_backbone(name="small", weights="default"):
    """Returns a backbone, ready to call on frames.

    Args:
        name: A name from `list_backbones()`.
        weights: "default" for the shipped file, whose SHA-256 is compared with its card; None for
            random weights; or the path of a `.keras` file of the same backbone.

    Raises:
        FileNotFoundError: If the weights are missing.
        ValueError: If the name is unknown, or the weights are damaged or another model's.
    """
    if name not in _BACKBONES:
        near = difflib.get_close_matches(str(name), _BACKBONES, n=3, cutoff=0.4)
        raise ValueError(
            f"Unknown backbone {name!r}. Nearest: {', '.join(near or list_backbones())}."
        )
    if weights is None:
        backbone = _BACKBONES[name]()
        backbone.build((None, *backbone.input_size, 3))
        return backbone
    if weights == "default":
        cards = read_cards()
        if name not in cards:
            raise FileNotFoundError(
                f"No weights of backbone {name!r} ship with glimpse; pass weights=None or a path."
            )
        path = cards[name].verified_path()
    else:
        path = os.fspath(weights)
        if not os.path.isfile(path):
            raise FileNotFoundError(f"No such weights file: {path}.")
    backbone = keras.saving.load_model(path, compile=False, safe_mode=True)
    if type(backbone) is not _BACKBONES[name]:
        raise ValueError(
            f"{path} holds a {type(backbone).__name__}, not the backbone {name!r} "
            f"({_BACKBONES[name].__name__})."
        )
    return backbone

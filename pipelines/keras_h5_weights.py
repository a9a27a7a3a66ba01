"""Reads the weights that keras.applications publishes: HDF5 files with one group a layer."""

import h5py
import numpy as np


def read_keras_h5_weights(path):
    """Returns the weights of a legacy Keras `.h5` file by name, `layer/weight`.

    A file that holds a whole model is read as well. Names are the file's own, such as
    `block1_conv1/block1_conv1_W_1:0` or `conv1_bn/gamma:0`.

    Raises:
        ValueError: If the file is of another layout or damaged, naming the weight.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(
            f"{path}: truncated, damaged or not an HDF5 file, so no weight of it can be read: "
            f"{' '.join(str(error).split())[:200]}"
        ) from error
    with file:
        group = file["model_weights"] if "model_weights" in file else file
        if "layer_names" not in group.attrs:
            raise ValueError(
                f"{path}: no attribute 'layer_names': not a .h5 file as keras.applications "
                "publishes them (a .weights.h5 file of Keras 3 has another layout)."
            )
        weights = {}
        for layer in _texts(group.attrs["layer_names"]):
            if layer not in group:
                raise ValueError(f"{path}: the layer {layer} is listed but missing.")
            for weight in _texts(group[layer].attrs.get("weight_names", ())):
                name = weight if weight.startswith(f"{layer}/") else f"{layer}/{weight}"
                weights[name] = _read(path, name, group[layer], weight)
    if not weights:
        raise ValueError(f"{path}: none of its layers has weights.")
    return weights


def _read(path, name, layer, weight):
    if weight not in layer:
        raise ValueError(f"{path}: {name} is listed but missing.")
    try:
        return np.asarray(layer[weight], "float32")
    except (OSError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: cannot read {name}: {reason}") from error


def _texts(values):
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]

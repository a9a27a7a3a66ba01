"""Reads TF-slim's checkpoints."""

import pathlib

import numpy as np
import tensorflow as tf


def read_slim_weights(path):
    """Returns the variables of a TensorFlow checkpoint by name, as NumPy arrays.

    Args:
        path: A checkpoint of one file (`inception_v1.ckpt`), or the common start of the names of
            one of several files (`model.ckpt` for `model.ckpt.index`, ...).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no checkpoint or is damaged, naming the variable.
    """
    path = str(path).removesuffix(".index")
    checkpoint_files(path)
    # TensorFlow's reader turns what it meets into many types of error, IndexError among them.
    try:
        reader = tf.train.load_checkpoint(path)
        names = sorted(reader.get_variable_to_shape_map())
    except Exception as error:
        raise ValueError(
            f"{path}: not a TensorFlow checkpoint, or damaged before its list of variables: "
            f"{_first_line(error)}"
        ) from error
    weights = {}
    for name in names:
        try:
            value = np.asarray(reader.get_tensor(name))
        except Exception as error:
            raise ValueError(
                f"{path}: truncated or damaged: cannot read {name}: {_first_line(error)}"
            ) from error
        weights[name] = value
    return weights


def checkpoint_files(path):
    """Returns the paths of a checkpoint's files.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = pathlib.Path(str(path).removesuffix(".index"))
    if path.is_file():
        return [path]
    files = sorted(path.parent.glob(f"{path.name}.data-*")) if path.parent.is_dir() else []
    index = path.with_name(path.name + ".index")
    if not files or not index.is_file():
        raise FileNotFoundError(f"No such checkpoint: {path} (nor {index.name} with its data).")
    return [index, *files]


def _first_line(error):
    return " ".join(str(error).split())[:200] or type(error).__name__

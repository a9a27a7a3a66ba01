"""Reads `.keras` files, and says what is wrong with a file that is none."""

import os
import zipfile

import keras


def load_keras_file(path, **options):
    """Returns the model in a `.keras` file. Keras's safe mode: nothing in the file is executed.

    Args:
        path: The file.
        **options: Passed on to `keras.saving.load_model`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a whole `.keras` file.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise ValueError(
            f"{path} is a folder, not a .keras file. A SavedModel is read with "
            "tf.saved_model.load or keras.layers.TFSMLayer."
        )
    if not os.path.exists(path):
        raise FileNotFoundError(f"No such model file: {path}.")
    if not (zipfile.is_zipfile(path) and _has_config(path)):
        raise ValueError(f"{path} is not a .keras file, or it is truncated: make or fetch it anew.")
    return keras.saving.load_model(path, safe_mode=True, **options)


def _has_config(path):
    with zipfile.ZipFile(path) as file:
        return "config.json" in file.namelist()

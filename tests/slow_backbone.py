"""A small backbone that takes its time, so that a test can end its process amid a video."""

import functools
import os
import pathlib
import time

import keras
import tensorflow as tf


def conv_backbone(filters=8):
    """Two convolutions with the same random weights each time."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None, None, 3), dtype="uint8")
    outputs = keras.layers.Rescaling(1 / 255)(inputs)
    outputs = keras.layers.Conv2D(filters, 5, strides=4, activation="relu")(outputs)
    outputs = keras.layers.Conv2D(filters, 3, strides=2)(outputs)
    return keras.Model(inputs, outputs, name="conv")


class SlowBackbone:
    """Gives the features of `conv_backbone`, after a while for each batch.

    Args:
        folder: Where the process of each that was made leaves a file with its number; None: none.
        seconds: What a batch takes.
    """

    name = "conv"
    fingerprint = "conv 3"

    def __init__(self, folder=None, seconds=0.0):
        self._backbone = conv_backbone()
        self._seconds = seconds
        if folder is not None:
            (pathlib.Path(folder) / str(os.getpid())).touch()

    def __call__(self, frames):
        wait = tf.py_function(functools.partial(time.sleep, self._seconds), [], [])
        with tf.control_dependencies([wait] if wait is not None else []):
            return self._backbone(tf.identity(frames), training=False)

"""Runs a backbone over frames in batches of one size."""

import numpy as np
import tensorflow as tf


class BackboneFunction:
    """A backbone as a graph function: frames in, features out.

    Batches are filled up to `batch_size` with black frames, so that one graph
    serves all batches of a frame size and a frame's features do not depend on how
    many frames came with it.

    Args:
        backbone: A `keras.Model` or other callable: uint8 RGB frames `(batch, height,
            width, 3)` to features `(batch, ...)`.
        dtype: "float16" or "float32", of the features.
        batch_size: Frames per call, at least 1.
    """

    def __init__(self, backbone, dtype="float32", batch_size=64):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}.")
        self.backbone = backbone
        self.dtype = dtype
        self.batch_size = batch_size
        self._graphs = {}

    def __call__(self, frames):
        """Features of at most `batch_size` frames, a tensor `(frames, ...)`.

        Args:
            frames: uint8 `(frames, height, width, 3)`.
        """
        count = len(frames)
        if not 0 < count <= self.batch_size:
            raise ValueError(f"frames must hold 1 to {self.batch_size} frames, got {count}.")
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *frames.shape[1:]), np.uint8)
            padded[:count] = frames
            frames = padded
        return self._graph(frames.shape[1:3])(tf.constant(frames))[:count]

    def _graph(self, size):
        if size not in self._graphs:
            is_keras = hasattr(self.backbone, "get_config")

            @tf.function(input_signature=[tf.TensorSpec((None, *size, 3), tf.uint8)])
            def run(frames):
                features = (
                    self.backbone(frames, training=False) if is_keras else self.backbone(frames)
                )
                return tf.cast(features, self.dtype)

            self._graphs[size] = run.get_concrete_function()
        return self._graphs[size]

"""Runs a backbone over frames in batches of one size."""

import numpy as np
import tensorflow as tf


class BackboneFunction:
    """A backbone as a graph function: frames in, features out.

    Batches are filled up to `batch_size` with black frames, so that one graph
    serves all batches of a frame size and an input's features do not depend on how
    many inputs came with it.

    Args:
        backbone: A `keras.Model` or other callable: uint8 RGB frames `(batch, height,
            width, 3)` to features `(batch, ...)`. One with an attribute
            `frames_per_input` above 1 reads chunks `(batch, frames_per_input, height,
            width, 3)`.
        dtype: "float16" or "float32", of the features.
        batch_size: Frames per call, at least 1; at least one input is read.

    Attributes:
        frames_per_input: Frames that the backbone reads for one step of the features.
        batch_size: Inputs per call.
    """

    def __init__(self, backbone, dtype="float32", batch_size=64):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size!r}.")
        self.backbone = backbone
        self.dtype = dtype
        self.frames_per_input = int(getattr(backbone, "frames_per_input", 1))
        self.batch_size = max(1, batch_size // self.frames_per_input)
        self._graphs = {}

    def __call__(self, frames):
        """Features of at most `batch_size` inputs, a tensor `(inputs, ...)`.

        Args:
            frames: uint8 `(inputs, height, width, 3)`, or `(inputs, frames_per_input, height,
                width, 3)` for a backbone that reads chunks.
        """
        count = len(frames)
        if not 0 < count <= self.batch_size:
            raise ValueError(f"frames must hold 1 to {self.batch_size} inputs, got {count}.")
        if count < self.batch_size:
            padded = np.zeros((self.batch_size, *frames.shape[1:]), np.uint8)
            padded[:count] = frames
            frames = padded
        return self._graph(frames.shape[1:])(tf.constant(frames))[:count]

    def chunks(self, frames):
        """Groups frames `(frames, height, width, 3)` into the backbone's inputs.

        Returns:
            The inputs, and the frames at the end that do not fill one.
        """
        whole = len(frames) // self.frames_per_input * self.frames_per_input
        inputs = frames[:whole]
        if self.frames_per_input > 1:
            inputs = inputs.reshape((-1, self.frames_per_input, *frames.shape[1:]))
        return inputs, frames[whole:]

    def _graph(self, shape):
        if shape not in self._graphs:
            is_keras = hasattr(self.backbone, "get_config")

            @tf.function(input_signature=[tf.TensorSpec((None, *shape), tf.uint8)])
            def run(frames):
                features = (
                    self.backbone(frames, training=False) if is_keras else self.backbone(frames)
                )
                return tf.cast(features, self.dtype)

            self._graphs[shape] = run.get_concrete_function()
        return self._graphs[shape]

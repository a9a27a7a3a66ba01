"""Small backbones for videos: one on frames, one on chunks of them."""

import keras
from keras import ops

CHUNK = 4


class Corners(keras.Model):
    """The mean colours of the quarters of a frame, `(2, 2, 3)`."""

    def call(self, frames, training=None):
        return ops.image.resize(ops.cast(frames, "float32") / 255.0, (2, 2), antialias=True)


class Chunks(keras.Model):
    """The mean colours of the eighths of each of four frames, one vector."""

    frames_per_input = CHUNK

    def call(self, frames, training=None):
        _, chunk, height, width, channels = frames.shape
        flat = ops.cast(ops.reshape(frames, (-1, height, width, channels)), "float32") / 255.0
        return ops.reshape(ops.image.resize(flat, (1, 8), antialias=True), (-1, chunk * 24))

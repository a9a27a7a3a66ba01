"""The inputs on which written files are compared with the model: the same ones every time."""

import numpy as np
import tensorflow as tf

_BATCH, _FRAMES, _HEIGHT, _WIDTH = 2, 3, 72, 96
_SEED = 0


def random_inputs(sizes):
    """Returns a dict of random `features`, `frames` and `jpeg_bytes`, two clips of each.

    Args:
        sizes: Sizes of the axes `map_height`, `map_width` and `features`, and of `frames` where
            the model takes only so many.
    """
    generator = np.random.default_rng(_SEED)
    count = sizes.get("frames", _FRAMES)
    maps = (_BATCH, count, sizes["map_height"], sizes["map_width"], sizes["features"])
    features = generator.normal(size=maps).astype("float32")
    # Smooth pictures: JPEG would leave little of white noise.
    coarse = generator.integers(0, 256, (_BATCH * count, 6, 8, 3)).astype("float32")
    with tf.device("CPU:0"):
        smooth = tf.image.resize(coarse, (_HEIGHT, _WIDTH), method="bicubic")
        frames = tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8).numpy()
        files = [tf.io.encode_jpeg(frame, quality=90).numpy() for frame in frames]
    return {
        "features": features,
        "frames": frames.reshape(_BATCH, count, _HEIGHT, _WIDTH, 3),
        "jpeg_bytes": np.array(files).reshape(_BATCH, count),
    }


def decode_clips(jpeg_bytes):
    """Returns the frames of JPEG files `(batch, frames)`, as the exported graph decodes them."""
    return np.stack([[_decode(file) for file in clip] for clip in jpeg_bytes])


def _decode(file):
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE").numpy()

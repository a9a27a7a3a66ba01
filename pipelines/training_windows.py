"""The windows that training takes in an epoch, drawn with TensorFlow operations alone."""

import numpy as np
import tensorflow as tf


class TrainingWindows:
    """Draws the windows of each epoch from the seed and the epoch's number.

    Args:
        sampling: A `WindowSampling`.
        counts: Steps of each clip, `(clips,)`.
        strides: Steps from one step of a window to the next, of each clip, `(clips,)`.
    """

    def __init__(self, sampling, counts, strides):
        self._sampling = sampling
        self._counts = np.array(counts, "int32")
        self._strides = np.array(strides, "int32")
        is_blocks = sampling.sampling_rule == "blocks"
        # Windows begin at whole multiples of this, and so many of these fit into each clip.
        self._unit = sampling.block_stride if is_blocks else 1
        lengths = sampling.num_frames * self._strides
        self._reach = -(-np.maximum(self._counts - lengths + 1, 1) // self._unit).astype("int32")
        self._takes_all = is_blocks

    def number(self, per_clip=None):
        """Returns the windows in an epoch."""
        if per_clip is None and self._takes_all:
            return int(self._reach.sum())
        return (per_clip or 1) * len(self._counts)

    def epoch(self, epoch, seed, per_clip=None):
        """Returns the dataset of an epoch's windows, in the epoch's order.

        Args:
            epoch: int64 tensor.
            seed: Integer.
            per_clip: Windows taken from each clip, at random and with replacement; None: every
                block once, or one random window.

        Returns:
            Elements {"clip", "steps" `(num_frames,)`, "mirrored": int32; "start", "end": float64}.
        """
        draw, order = tf.stack([seed, 2 * epoch]), tf.stack([seed, 2 * epoch + 1])
        if per_clip is None and self._takes_all:
            clips = np.repeat(np.arange(len(self._counts), dtype="int32"), self._reach)
            firsts = np.cumsum(self._reach) - self._reach
            places = tf.constant((np.arange(len(clips)) - firsts[clips]).astype("int32"))
        else:
            clips = np.tile(np.arange(len(self._counts), dtype="int32"), per_clip or 1)
            share = tf.random.stateless_uniform([per_clip or 1, len(self._counts)], draw)
            place = tf.cast(share * self._reach.astype("float32"), tf.int32)
            places = tf.reshape(tf.minimum(place, self._reach - 1), [-1])
        chosen = tf.random.experimental.stateless_shuffle(tf.range(len(clips)), order)
        rows = {
            "clip": tf.gather(tf.constant(clips), chosen),
            "first": tf.gather(places, chosen) * self._unit,
            "mirrored": self._mirrored(draw, len(clips)),
        }
        if self._sampling.sampling_rule == "random_frames":
            seeds = tf.random.experimental.stateless_fold_in(draw, 2)
            rows["seed"] = tf.random.stateless_uniform(
                [len(clips), 2], seeds, minval=None, maxval=None, dtype=tf.int32
            )
        windows = tf.data.Dataset.from_tensor_slices(rows)
        return windows.map(self._window, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _mirrored(self, draw, count):
        if not self._sampling.flips:
            return tf.zeros([count], tf.int32)
        seed = tf.random.experimental.stateless_fold_in(draw, 1)
        return tf.cast(tf.random.stateless_uniform([count], seed) < 0.5, tf.int32)

    def _window(self, row):
        count, stride = (tf.gather(each, row["clip"]) for each in (self._counts, self._strides))
        last = (count - 1) // stride
        if "seed" in row:
            start, end = tf.zeros_like(count), count
            steps = self._random_steps(last + 1, row["seed"])
        else:
            start, end = row["first"], row["first"] + self._sampling.num_frames * stride
            steps = tf.range(self._sampling.num_frames)
            # A clip that is long enough never reaches its end; a short one begins at 0.
            steps = tf.where(end > count, tf.minimum(steps, last), steps)
        return {
            "clip": row["clip"],
            "steps": steps * stride + start,
            "start": tf.cast(start, tf.float64),
            "end": tf.cast(end, tf.float64),
            "mirrored": row["mirrored"],
        }

    def _random_steps(self, count, seed):
        """Steps below `count` at random, in order; all, then the last again, if there are few."""
        wanted = self._sampling.num_frames
        order = tf.argsort(tf.random.stateless_uniform([count], seed))
        drawn = tf.sort(order[:wanted])
        return tf.concat([drawn, tf.fill([tf.maximum(wanted - count, 0)], count - 1)], axis=0)

"""The windows that training takes in an epoch, drawn with TensorFlow operations alone."""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.sampling import first_of_parts
from glimpse.pipelines.step_clock import STEP_ROUNDING, TIME_ROUNDING
from glimpse.pipelines.window_sampling import BLACK_STEP


class TrainingWindows:
    """Draws the windows of each epoch from the seed and the epoch's number.

    Args:
        sampling: A `WindowSampling`.
        clocks: The `StepClock` of each clip.
    """

    def __init__(self, sampling, clocks):
        self._sampling = sampling
        self._clocks = list(clocks)
        frames = sampling.num_frames
        self._counts = np.array([clock.num_steps for clock in clocks], "int32")
        self._num_ticks = np.array([clock.num_ticks for clock in clocks], "int32")
        self._ratios = np.array([clock.ratio for clock in clocks], "float64")
        # The last tick that a window may show: a clip that is too short repeats its last.
        self._last_ticks = np.where(
            [clock.is_short(frames) for clock in clocks], self._num_ticks - 1, frames - 1
        ).astype("int32")
        self._takes_all = sampling.sampling_rule == "blocks"
        # Windows begin at whole multiples of this, and so many of these fit into each clip.
        self._unit = sampling.block_stride if self._takes_all else 1
        starts = np.array([clock.num_starts(frames) for clock in clocks])
        self._reach = -(-starts // self._unit).astype("int32")
        # Where the windows end of the rules that give all windows of a clip one span.
        first = np.zeros([1, frames], "int32")
        self._ends = np.array([sampling.spans(first, clock)[1][0] for clock in clocks])
        self._tables = self._time_tables()

    def _time_tables(self):
        """The times of all uneven clips in a row, and the ends of the windows that begin there."""
        uneven = [number for number, clock in enumerate(self._clocks) if clock.times is not None]
        if not uneven:
            return None
        times = [self._clocks[number].times for number in uneven]
        ends = [
            self._clocks[number].ends(np.arange(len(each)), self._sampling.num_frames)
            for number, each in zip(uneven, times, strict=True)
        ]
        places = np.full(len(self._clocks), -1, "int32")
        places[uneven] = np.cumsum([0, *map(len, times[:-1])])
        return {"place": places, "times": np.concatenate(times), "ends": np.concatenate(ends)}

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
                block once, or one window.

        Returns:
            Elements {"clip", "steps" `(num_frames,)` with -1 for a black frame, "mirrored": int32;
            "start", "end": float64}.
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
        firsts = tf.gather(places, chosen) * self._unit
        return self._windows(tf.gather(tf.constant(clips), chosen), firsts, draw)

    def of_clips(self, clips, draw):
        """Returns the dataset of one window of each clip, by a rule that gives one a clip.

        Args:
            clips: int32 tensor `(windows,)`, numbers of clips; a clip may come again.
            draw: Seed, an integer tensor of two.

        Returns:
            Elements as of `epoch`, in the order of `clips`.
        """
        return self._windows(clips, tf.zeros_like(clips), draw)

    def _windows(self, clips, firsts, draw):
        count = tf.size(clips)
        rows = {"clip": clips, "first": firsts, "mirrored": self._mirrored(draw, count)}
        if self._sampling.sampling_rule == "random_frames":
            seeds = tf.random.experimental.stateless_fold_in(draw, 2)
            rows["seed"] = tf.random.stateless_uniform(
                [count, 2], seeds, minval=None, maxval=None, dtype=tf.int32
            )
        windows = tf.data.Dataset.from_tensor_slices(rows)
        return windows.map(self._window, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _mirrored(self, draw, count):
        if not self._sampling.flips:
            return tf.zeros([count], tf.int32)
        seed = tf.random.experimental.stateless_fold_in(draw, 1)
        return tf.cast(tf.random.stateless_uniform([count], seed) < 0.5, tf.int32)

    def _window(self, row):
        clip, sampling = row["clip"], self._sampling
        if sampling.sampling_rule == "random_frames":
            num_ticks = tf.gather(self._num_ticks, clip)
            steps = self._steps(clip, 0, self._random_ticks(num_ticks, row["seed"]))
            start, end = tf.zeros([], tf.float64), tf.gather(self._ends, clip)
        elif sampling.sampling_rule == "first_frames":
            ticks = first_of_parts(sampling.spread_over, sampling.num_frames).astype("int32")
            num_ticks = tf.gather(self._num_ticks, clip)
            steps = self._steps(clip, 0, tf.minimum(ticks, num_ticks - 1))
            steps = tf.where(ticks < num_ticks, steps, BLACK_STEP)
            start, end = tf.zeros([], tf.float64), tf.gather(self._ends, clip)
        else:
            ticks = tf.minimum(tf.range(sampling.num_frames), tf.gather(self._last_ticks, clip))
            steps = self._steps(clip, row["first"], ticks)
            start, end = tf.cast(row["first"], tf.float64), self._end(clip, row["first"])
        return {
            "clip": clip,
            "steps": steps,
            "start": start,
            "end": end,
            "mirrored": row["mirrored"],
        }

    def _steps(self, clip, first, ticks):
        """The steps on show at ticks after the step `first`, as `StepClock.steps` has them."""
        ticks = tf.cast(ticks, tf.float64)

        def even():
            passed = tf.floor(ticks * tf.gather(self._ratios, clip) + STEP_ROUNDING)
            return first + tf.cast(passed, tf.int32)

        if self._tables is None:
            return even()

        def uneven():
            place, count = tf.gather(self._tables["place"], clip), tf.gather(self._counts, clip)
            times = tf.constant(self._tables["times"])[place : place + count]
            period = 1 / self._sampling.frames_per_second
            instants = times[first] + ticks * period + TIME_ROUNDING
            return tf.searchsorted(times, instants, side="right") - 1

        return tf.cond(self._is_uneven(clip), uneven, even)

    def _end(self, clip, first):
        """Where a window that begins at the step `first` ends, as `StepClock.ends` has it."""

        def even():
            length = self._sampling.num_frames * tf.gather(self._ratios, clip)
            return tf.cast(first, tf.float64) + length

        if self._tables is None:
            return even()

        def uneven():
            return tf.gather(self._tables["ends"], tf.gather(self._tables["place"], clip) + first)

        return tf.cond(self._is_uneven(clip), uneven, even)

    def _is_uneven(self, clip):
        return tf.gather(self._tables["place"], clip) >= 0

    def _random_ticks(self, count, seed):
        """Ticks below `count` at random, in order; all, then the last again, if there are few."""
        wanted = self._sampling.num_frames
        order = tf.argsort(tf.random.stateless_uniform([count], seed))
        drawn = tf.sort(order[:wanted])
        return tf.concat([drawn, tf.fill([tf.maximum(wanted - count, 0)], count - 1)], axis=0)

"""The sampled features of clips, one window each, for models that describe whole clips."""

import dataclasses

import numpy as np
import tensorflow as tf

from glimpse.pipelines.feature_source import FeatureSource
from glimpse.pipelines.training_windows import TrainingWindows
from glimpse.pipelines.window_plan import WindowPlan


class ClipFeatures:
    """Gives each clip's window of features as often as it is asked for.

    Where all clips show the same steps in every epoch (`first_frames`), the windows of a split that
    fits are read into memory once, and nothing of the clips but these steps; else each window reads
    its own steps from the disk. The features of a clip are not copied for each of its captions but
    in the batches.

    Args:
        index: The `FeatureIndex`.
        clips: `IndexedClip`s, numbered from 0.
        sampling: A `WindowSampling` of a rule that gives one window a clip; its `flips` mirror the
            windows of training alone.
        memory_bytes: Largest size of all windows to hold in memory.

    Attributes:
        shape: Of one clip's features, `(num_frames, height, width, features)`.
        steps: The step numbers of each clip's window in evaluation, -1 for a black frame.
        sampling_counts: What was repeated or black, as `WindowPlan.counts` has it.

    Raises:
        ValueError: If the features are no maps, or missing or damaged, or there is no black frame
            where one is needed, or the rule gives several windows a clip.
    """

    def __init__(self, index, clips, sampling, memory_bytes=4 * 2**30):
        shape = tuple(index.feature_shape)
        if len(shape) != 3:
            raise ValueError(
                f"A captioner reads features (height, width, features), those in {index.folder} "
                f"are {shape} a frame: extract the maps of a backbone."
            )
        self._clips = clips
        self._sampling = sampling
        plan = WindowPlan(clips, dataclasses.replace(sampling, flips=False))
        self.steps, self.sampling_counts = plan.steps, plan.counts
        if len(self.steps) != len(clips):
            raise ValueError(
                f"--sampling_rule={sampling.sampling_rule}: gives several windows a clip; a "
                "captioner reads one. Take first_frames or random_frames."
            )
        if plan.counts["black_steps"] and index.black_key is None:
            raise ValueError(
                f"The features in {index.folder} hold no black frame, with which "
                "--sampling_rule=first_frames pads short clips: extract them again."
            )
        self._source = FeatureSource(index, clips, flips=sampling.flips)
        self._training = TrainingWindows(sampling, plan.clocks)
        self.shape = (sampling.num_frames, *shape)
        self._dtype = index.dtype
        sides = 1 + sampling.flips
        size = sides * len(clips) * int(np.prod(self.shape)) * np.dtype(index.dtype).itemsize
        # A random window needs other steps in each epoch.
        self._fits = sampling.sampling_rule == "first_frames" and size <= memory_bytes
        self._held = None

    def in_order(self, batch_size):
        """Returns the windows of evaluation of all clips in order, batches of float32 features."""
        clips = tf.data.Dataset.range(len(self._clips), output_type=tf.int32).batch(batch_size)
        gather = self.gather()
        batches = clips.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return batches.prefetch(2)

    def gather(self):
        """Returns the function (clips, draw=None) -> float32 features `(clips, *shape)`.

        `clips` are int32 numbers; with `draw`, a seed of two integers, the windows are those of
        training. It consists of TensorFlow operations alone.

        Raises:
            ValueError: If a feature that is to be held is NaN or infinite.
        """
        if self._fits and self._held is None:
            self._held = self._hold()

        def read(clips, draw=None):
            features = self._from_memory if self._fits else self._from_files
            return tf.ensure_shape(tf.cast(features(clips, draw), "float32"), (None, *self.shape))

        return read

    def check_finite(self, number):
        """Raises ValueError if a feature of the clip of this number is NaN or infinite."""
        self._source.check_finite(number)

    def _hold(self):
        sides = 1 + self._sampling.flips
        held = np.empty((sides, len(self._clips), *self.shape), self._dtype)
        for side in range(sides):
            for number, steps in enumerate(self.steps):
                held[side, number] = self._source.read(number, steps, side)
        # Outside of whatever graph is being traced, so that it is captured and not copied in.
        with tf.init_scope(), tf.device("CPU"):
            return tf.constant(held.reshape((-1, *self.shape)))

    def _from_memory(self, clips, draw):
        if draw is not None and self._sampling.flips:
            windows = self._training.of_clips(clips, draw).batch(tf.size(clips, tf.int64))
            clips = clips + windows.get_single_element()["mirrored"] * len(self._clips)
        return tf.gather(self._held, clips)

    def _from_files(self, clips, draw):
        gather = self._source.gather()
        if draw is None:
            rows = {"clip": clips, "steps": tf.gather(self.steps, clips)}
            windows = tf.data.Dataset.from_tensor_slices(rows | {"mirrored": tf.zeros_like(clips)})
        else:
            windows = self._training.of_clips(clips, draw)
        found = windows.map(lambda w: gather(w["clip"], w["steps"], w["mirrored"]))
        return found.batch(tf.size(clips, tf.int64)).get_single_element()

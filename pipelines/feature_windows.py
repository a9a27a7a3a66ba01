"""From cached features to batches of windows, with TensorFlow operations alone.

No Python runs per element, so the same dataset works on one machine, under tf.data service and
under a distribution strategy, and an epoch depends on the seed and the epoch's number only.
"""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.feature_source import FeatureSource
from glimpse.pipelines.training_windows import TrainingWindows
from glimpse.pipelines.window_plan import WindowPlan
from glimpse.pipelines.window_sampling import WindowSampling

# What a model may read of a window's steps, and whether it reads maps or vectors of them.
READS_VECTORS = {"features": False, "frames": False, "inputs": True}


class FeatureWindows:
    """The windows of one split of a feature index, as tf.data datasets.

    An element is `(x, label)`: x is the tensor where there is one input name, else a dict of
    tensors by these names. A split that fits is read into memory once and its windows are gathered
    there. For a larger one each window reads its own steps from the disk, ahead of training.

    The datasets depend on the seed alone, however many threads read them. Under a tf.data service
    they give the same elements; there `memory_bytes=0` keeps the features out of the graph that is
    sent to its workers, which must see the files by the same paths.

    Args:
        index: A `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling`.
        input_names: What the model reads (its attribute `input_names`): "features" (maps), "frames"
            (pictures, from the `pixels` backbone) and "inputs" (vectors) are the steps of a
            window, "attended" is the vectors of the frames attended to.
        attended_index: The `FeatureIndex` of "attended"; default: `index`. For an ensemble whose
            members attend to different features, {input name: its index}. Clips belong together
            by their `clip_id`; the rates of the indices may differ.
        seed: Of the random windows of evaluation.
        memory_bytes: Largest size of a split to hold in memory.

    Attributes:
        clips: The split's clips, in order.
        left_out: The clips that are shorter than `sampling.min_video_frames`.
        sampling_counts: What was repeated or black in evaluation, as `WindowPlan.counts` has it.
        labels: int32 `(clips,)`; with several labels a clip float32 `(clips, classes)` of 0 and 1.
        window_clips: The clip's number of each window of evaluation, `(windows,)`.
        window_mirrored: Whether it is a mirrored one, bool `(windows,)`.
        input_shapes: {input name: shape of one window's input}.

    Raises:
        ValueError: If the split has no clip, a clip's features are missing or damaged, a name is
            unknown or does not fit the features, or the two indices do not hold the same clips.
    """

    def __init__(
        self,
        index,
        split,
        sampling,
        input_names=("features",),
        attended_index=None,
        seed=0,
        memory_bytes=4 * 2**30,
    ):
        found = index.clips(split)
        if not found:
            raise ValueError(f"The features in {index.folder} have no clip of split {split!r}.")
        least = sampling.min_video_frames or 0
        self.clips = [clip for clip in found if clip.video_frames >= least]
        self.left_out = tuple(clip for clip in found if clip.video_frames < least)
        if not self.clips:
            raise ValueError(
                f"--min_video_frames={least}: all {len(found)} clips of split {split!r} in "
                f"{index.folder} are shorter."
            )
        self.index = index
        if not isinstance(attended_index, dict):
            attended_index = {"attended": attended_index or index}
        self.attended_indices = attended_index
        self.split = split
        self.sampling = sampling
        self.input_names = tuple(input_names)
        self.labels = self._labels()
        self._plan_windows(seed)
        self._sources = self._make_sources(memory_bytes)

    def _labels(self):
        if not self.index.multi_label:
            return np.array([clip.label for clip in self.clips], "int32")
        labels = np.zeros((len(self.clips), len(self.index.label_names)), "float32")
        for row, clip in zip(labels, self.clips, strict=True):
            row[list(clip.labels)] = 1.0
        return labels

    def _plan_windows(self, seed):
        """Decides every window of evaluation, and what the windows of training are drawn from."""
        plan = WindowPlan(self.clips, self.sampling, seed)
        self._training = TrainingWindows(self.sampling, plan.clocks)
        self._frames, self._spans = plan.steps, plan.spans
        self.window_clips, self.window_mirrored = plan.clip_numbers, plan.mirrored
        self.sampling_counts = plan.counts
        if plan.counts["black_steps"] and self.index.black_key is None:
            raise ValueError(
                f"The features in {self.index.folder} hold no black frame, with which "
                "--sampling_rule=first_frames pads short clips: extract them again."
            )

    def _make_sources(self, memory_bytes):
        known = (*READS_VECTORS, *self.attended_indices)
        if not self.input_names or not set(self.input_names) <= set(known):
            raise ValueError(
                f"input_names must be of {', '.join(known)}, got {self.input_names}: give the "
                "attended features that the model reads by name."
            )
        sources, sampling = {}, self.sampling
        self._in_time, self.input_shapes = {}, {}
        for name in self.input_names:
            index, clips, count = self.index, self.clips, sampling.num_frames
            if name in self.attended_indices:
                index, count = self.attended_indices[name], sampling.num_attended
                clips = self._attended_clips(index)
                self._in_time[name] = self._relate(index, clips)
            shape = tuple(index.feature_shape)
            reads_vectors = READS_VECTORS.get(name, True)
            if name == "frames" and (len(shape) != 3 or shape[-1] != 3):
                raise ValueError(
                    f"The model reads frames (height, width, 3), but the features in "
                    f"{index.folder} are {shape} a frame: extract with --backbone=pixels."
                )
            if not reads_vectors and len(shape) != 3:
                raise ValueError(
                    f"The model reads {name} (height, width, features), but the features in "
                    f"{index.folder} are {shape} a frame: extract the maps of a backbone."
                )
            pooling = sampling.pooling if reads_vectors else None
            sources[name] = FeatureSource(index, clips, pooling, sampling.flips)
            self.input_shapes[name] = (count, *sources[name].step_shape)
        self._fits = sum(source.held_bytes for source in sources.values()) <= memory_bytes
        return sources

    def _attended_clips(self, index):
        """The clips of an attended index, in the order of this split's."""
        known = {clip.clip_id: clip for clip in index.clips(self.split)}
        missing = [clip.clip_id for clip in self.clips if clip.clip_id not in known]
        wanted = {clip.clip_id for clip in (*self.clips, *self.left_out)}
        least = self.sampling.min_video_frames or 0
        extra = [
            clip.clip_id
            for clip in known.values()
            if clip.clip_id not in wanted and clip.video_frames >= least
        ]
        for ids, folder in ((missing, index.folder), (extra, self.index.folder)):
            if ids:
                raise ValueError(
                    f"{len(ids)} clips of split {self.split!r} are missing in {folder}, such as "
                    f"{', '.join(ids[:3])}: extract both features from the same clips, or leave "
                    "out those that are too short for one by --min_video_frames."
                )
        return [known[clip.clip_id] for clip in self.clips]

    def _relate(self, index, attended):
        """Attended frames to a step, and the last attended frame, of each clip."""
        for clip, other in zip(self.clips, attended, strict=True):
            seconds = clip.num_frames / clip.frames_per_second
            others = other.num_frames / other.frames_per_second
            # A chunk that is not whole is dropped from the features of chunks.
            if abs(seconds - others) > 1 / clip.frames_per_second + 1 / other.frames_per_second:
                raise ValueError(
                    f"{clip.clip_id} takes {seconds:.2f} s in {self.index.folder} and {others:.2f} "
                    f"s in {index.folder}: extract both from the same video files."
                )
        ratios = [
            other.frames_per_second / clip.frames_per_second
            for clip, other in zip(self.clips, attended, strict=True)
        ]
        return np.array(ratios), np.array([clip.num_frames - 1 for clip in attended], "float64")

    def check_finite(self, number):
        """Raises ValueError if a feature of the clip of this number is NaN or infinite."""
        for source in self._sources.values():
            source.check_finite(number)

    @property
    def num_windows(self):
        """Windows in evaluation."""
        return len(self._frames)

    @property
    def attended_names(self):
        """Names of the inputs that are attended frames."""
        return tuple(self._in_time)

    def frame_numbers(self, window):
        """Returns the steps of one window of evaluation, -1 for a black frame, `(num_frames,)`."""
        return self._frames[window]

    def attended_numbers(self, window, name="attended"):
        """Returns the numbers of the attended frames of one window of evaluation."""
        clip, (start, end) = self.window_clips[window], self._spans[window]
        ratio, last = (each[clip] for each in self._in_time[name])
        numbers = self.sampling.attended(start * ratio, end * ratio)
        return np.minimum(numbers, last).astype("int32")

    def in_order(self, batch_size, shard=None):
        """Returns every window of evaluation once, in order: batches of `(x, label)`.

        Args:
            batch_size: Windows in a batch of all workers together; the last may hold fewer.
            shard: As in `shuffled`.

        Raises:
            ValueError: If `shard` is no such pair, or a feature of a split that is held in memory
                is NaN or infinite.
        """
        _check_shard(shard)
        self._hold()
        windows = {
            "clip": self.window_clips.astype("int32"),
            "steps": self._frames,
            "start": self._spans[:, 0],
            "end": self._spans[:, 1],
            "mirrored": self.window_mirrored.astype("int32"),
        }
        windows = tf.data.Dataset.from_tensor_slices(windows)
        batches = self._batches(windows, self.num_windows, batch_size, shard)
        return batches.prefetch(tf.data.AUTOTUNE)

    def shuffled(self, batch_size, seed, first_epoch=0, per_clip=None, shard=None):
        """Returns endless epochs of shuffled batches; each depends on its number and the seed only.

        Args:
            batch_size: Windows in a batch of all workers together; an epoch's last batch may hold
                fewer.
            seed: Integer.
            first_epoch: Number of the first epoch that the dataset yields.
            per_clip: Windows taken from each clip in an epoch, at random and with replacement;
                None takes every block of every clip once, as Sharma et al. do, or one random
                window of each.
            shard: `(worker, workers)`: gives this worker's rows of each batch, from worker * n //
                workers up to (worker + 1) * n // workers of its n rows, and no other is read. So
                the workers' batches of a step are, one after the other, the batch of one process.
                A last batch of fewer rows than there are workers leaves some of them an empty one:
                weigh a worker's mean by its rows. None: all rows.

        Raises:
            ValueError: As `in_order`.
        """
        _check_shard(shard)
        # Here and not where epochs are traced: there TensorFlow wraps errors in its own words.
        self._hold()

        def epoch_windows(epoch):
            windows = self._training.epoch(epoch, seed, per_clip)
            return self._batches(windows, self._training.number(per_clip), batch_size, shard)

        epochs = tf.data.Dataset.counter(start=first_epoch)
        return epochs.flat_map(epoch_windows).prefetch(tf.data.AUTOTUNE)

    def batches_per_epoch(self, batch_size, per_clip=None):
        """Returns the number of batches in one epoch of `shuffled`."""
        return -(-self._training.number(per_clip) // batch_size)

    def _hold(self):
        if self._fits:
            for source in self._sources.values():
                source.hold()

    def _batches(self, windows, count, batch_size, shard):
        """Batches of what `count` windows hold, or of a worker's rows of each batch."""
        if shard is None:
            return self._read(windows).batch(batch_size)
        worker, workers = shard
        full, rest = divmod(count, batch_size)
        parts = []
        for rows, batches, before in ((batch_size, full, 0), (rest, 1, full * batch_size)):
            if not rows * batches:
                continue
            start, stop = worker * rows // workers, (worker + 1) * rows // workers
            part = windows.skip(before).take(rows * batches)
            part = part.batch(rows)
            part = part.map(lambda all_rows, mine=slice(start, stop): _rows(all_rows, mine))
            part = self._read(part.unbatch())
            # A batch of no rows cannot be made of elements.
            empty = tf.data.Dataset.from_tensors(_no_rows(part.element_spec)).repeat(batches)
            parts.append(part.batch(stop - start) if stop > start else empty)
        return parts[0] if len(parts) == 1 else parts[0].concatenate(parts[1])

    def _read(self, windows):
        """Reads the features and labels of windows, elements as of `TrainingWindows.epoch`."""
        labels = tf.constant(self.labels)
        gathers = {name: source.gather() for name, source in self._sources.items()}

        def read(window):
            clip, found = window["clip"], {}
            for name, gather in gathers.items():
                steps = window["steps"]
                if name in self._in_time:
                    steps = self._attended(window, *self._in_time[name])
                inputs = gather(clip, steps, window["mirrored"])
                found[name] = tf.ensure_shape(inputs, self.input_shapes[name])
            only = next(iter(found.values()))
            return only if len(found) == 1 else found, labels[clip]

        return windows.map(read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def _attended(self, window, ratios, lasts):
        ratio, last = (tf.gather(each, window["clip"]) for each in (ratios, lasts))
        numbers = self.sampling.attended(window["start"] * ratio, window["end"] * ratio)
        return tf.cast(tf.minimum(numbers, last), tf.int32)


def _check_shard(shard):
    if shard is None:
        return
    worker, workers = shard
    if not 0 <= worker < workers:
        raise ValueError(
            f"shard must be (worker, workers) with 0 <= worker < workers, got {shard!r}."
        )


def _rows(tensors, rows):
    return tf.nest.map_structure(lambda tensor: tensor[rows], tensors)


def _no_rows(element_spec):
    return tf.nest.map_structure(lambda spec: tf.zeros((0, *spec.shape), spec.dtype), element_spec)


__all__ = ["FeatureWindows", "WindowSampling"]

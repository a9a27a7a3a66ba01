"""The stored features of some clips, ready to be gathered inside a TensorFlow graph."""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.feature_writer import count_not_finite, record_dtype
from glimpse.pipelines.vector_pooling import pool_to_vectors, vector_shape

# Where a window spreads over more than this many times its steps, each is read for itself.
_SPREAD = 2


class FeatureSource:
    """Gives any steps of any of its clips, with TensorFlow operations alone.

    Features that several clips share, as parts of one video, are held in memory once; from the
    disk a window reads its own steps and not the rest of the video.

    Args:
        index: A `FeatureIndex`.
        clips: The `IndexedClip`s, numbered from 0.
        pooling: How maps become vectors, as in `pool_to_vectors`; None leaves maps as they are.
        flips: Whether the features of mirrored frames are needed too.

    Attributes:
        step_shape: Shape of one step's features, pooled.
        held_bytes: Size of all of them in memory.

    Raises:
        ValueError: If a clip's features are missing or damaged, or there are no mirrored ones.
    """

    def __init__(self, index, clips, pooling=None, flips=False):
        self._index = index
        self._clips = clips
        self._pooling = pooling
        # Row 0: the clips' features; row 1: those of the mirrored frames.
        self._keys = [[clip.key for clip in clips]]
        if flips:
            self._keys.append([clip.flipped_key for clip in clips])
        self._starts = np.array([clip.start for clip in clips], "int32")
        self._spans = {}
        self._find_spans()
        stored = tuple(index.feature_shape)
        self.step_shape = vector_shape(stored, pooling) if pooling else stored
        # Means are kept as they were computed; everything else is exact in its stored type.
        self._held_dtype = "float32" if pooling == "average" else index.dtype
        each = int(np.prod(self.step_shape)) * np.dtype(self._held_dtype).itemsize
        self.held_bytes = sum(stop - start for start, stop in self._spans.values()) * each
        self._held = None

    def _find_spans(self):
        """{key: the stored steps (start, stop) that the clips take of it}, checked on the disk."""
        index = self._index
        stored = {}
        for clip, *keys in zip(self._clips, *self._keys, strict=True):
            if None in keys:
                raise ValueError(
                    f"--flips: the features of {clip.path} in {index.folder} hold no mirrored "
                    "frames: extract them with --flips."
                )
            stop = clip.start + clip.num_frames
            for key in keys:
                if key not in stored:
                    stored[key] = index.store.shape(key)
                shape = stored[key]
                if shape is None or shape[0] < stop or shape[1:] != tuple(index.feature_shape):
                    raise ValueError(
                        f"The features of {clip.path} are missing or damaged in {index.folder}: "
                        "extract them again."
                    )
                known = self._spans.get(key, (clip.start, stop))
                self._spans[key] = min(clip.start, known[0]), max(stop, known[1])
        black = index.black_key
        if black is not None:
            shape = index.store.shape(black)
            if shape is None or shape[1:] != tuple(index.feature_shape):
                raise ValueError(
                    f"The features of a black frame are missing or damaged in {index.folder}: "
                    "extract them again."
                )
            self._spans[black] = 0, 1

    def hold(self):
        """Reads everything into memory.

        Raises:
            ValueError: If a feature is NaN or infinite, or not what was written.
        """
        if self._held is not None:
            return
        total = sum(stop - start for start, stop in self._spans.values())
        held = np.empty((total, *self.step_shape), self._held_dtype)
        paths = {}
        for keys in self._keys:
            paths.update(zip(keys, [clip.path for clip in self._clips], strict=True))
        # Outside of whatever graph is being traced, so that it is captured and not copied in.
        with tf.init_scope(), tf.device("CPU"):
            filled, origins = 0, {}
            for key, (start, stop) in self._spans.items():
                path = paths.get(key, "a black frame")
                # Nothing compares checksums later.
                features = self._read(key, start, stop, path, checked=True)
                origins[key] = filled - start
                held[filled : filled + stop - start] = self._pooled(features)
                filled += stop - start
            rows = np.array([[origins[key] for key in keys] for keys in self._keys]) + self._starts
            black = origins.get(self._index.black_key, -1)
            self._held = tf.constant(held), tf.constant(rows, tf.int32), black

    def gather(self):
        """Returns the function (clip, steps, mirrored) -> float32 `(steps, *step_shape)`.

        Its arguments are int32 tensors, the steps rising but for -1, which gives the features of a
        black frame; `mirrored` is 0 or 1.
        """
        gather = self._gather_from_files() if self._held is None else self._gather_from_memory()

        def read(clip, steps, mirrored):
            features = tf.cast(gather(clip, steps, mirrored), tf.float32)
            return tf.ensure_shape(features, (None, *self.step_shape))

        return read

    def read(self, number, steps, mirrored=0):
        """Returns the features of some steps of a clip, compared with their checksum.

        Args:
            number: The clip's.
            steps: Rising step numbers; -1 for a black frame.
            mirrored: 1 for the features of the mirrored frames.

        Returns:
            An array `(steps, *step_shape)`, of the stored type unless pooled.

        Raises:
            ValueError: If a feature is NaN or infinite, or not what was written.
        """
        clip, steps, black = self._clips[number], np.asarray(steps), self._index.black_key
        found = np.empty((len(steps), *self._index.feature_shape), self._index.dtype)
        shown = steps >= 0
        if shown.any():
            first, stop = clip.start + steps[shown].min(), clip.start + steps.max() + 1
            key = self._keys[mirrored][number]
            features = self._read(key, int(first), int(stop), clip.path, checked=True)
            found[shown] = features[steps[shown] + clip.start - first]
        if not shown.all():
            found[~shown] = self._read(black, 0, 1, "a black frame", checked=True)
        return self._pooled(found)

    def check_finite(self, number):
        """Raises ValueError if a feature of the clip of this number is NaN or infinite."""
        clip = self._clips[number]
        for keys in self._keys:
            self._read(keys[number], clip.start, clip.start + clip.num_frames, clip.path)

    def _read(self, key, start, stop, path, checked=False):
        try:
            features = self._index.store.read(key, start, stop, checked)
        except ValueError as error:
            raise ValueError(
                f"The features of {path} are damaged: {error} Remove that file and extract again; "
                f"`glimpse cache verify --index={self._index.folder}` looks for more."
            ) from error
        if count_not_finite(features):
            what = "NaN" if np.isnan(features).any() else "infinite numbers"
            raise ValueError(
                f"The features of {path} in {self._index.folder} hold {what}: remove "
                f"{self._index.store.path(key)} and extract again."
            )
        return features

    def _pooled(self, features):
        if self._pooling is None:
            return features
        features = tf.cast(features, tf.float32)
        return pool_to_vectors(features, self._pooling).numpy()

    def _gather_from_memory(self):
        held, rows, black = self._held

        def gather(clip, steps, mirrored):
            return tf.gather(held, tf.where(steps < 0, black, rows[mirrored, clip] + steps))

        return gather

    def _gather_from_files(self):
        store, shape = self._index.store, tuple(self._index.feature_shape)
        paths = tf.constant([[store.path(key) for key in keys] for keys in self._keys])
        black = self._index.black_key
        black_path = tf.constant("" if black is None else store.path(black))
        dtype, starts = tf.as_dtype(self._index.dtype), tf.constant(self._starts)
        record_bytes = record_dtype(self._index.dtype, shape).itemsize

        def read_range(path, first, count):
            """The features of `count` stored steps; of the file only these are read."""
            count = tf.cast(count, tf.int64)
            records = tf.raw_ops.TFRecordDatasetV2(
                filenames=path[None],
                compression_type="",
                buffer_size=count * record_bytes,
                byte_offsets=tf.cast(first, tf.int64)[None] * record_bytes,
            )
            records = tf.data.experimental.from_variant(records, tf.TensorSpec([], tf.string))
            records = records.take(count).batch(count).get_single_element()
            return tf.reshape(tf.io.decode_raw(records, dtype), (-1, *shape))

        def read_steps(path, steps):
            """The features of stored steps, each read for itself."""

            def read(step):
                is_black = step < 0
                features = read_range(
                    tf.where(is_black, black_path, path), tf.where(is_black, 0, step), 1
                )
                return features[0]

            found = tf.data.Dataset.from_tensor_slices(steps).map(read)
            return found.batch(tf.size(steps, tf.int64)).get_single_element()

        def gather(clip, steps, mirrored):
            path = paths[mirrored, clip]
            stored = tf.where(steps < 0, -1, steps + starts[clip])
            first, reach = stored[0], stored[-1] - stored[0] + 1
            found = tf.cond(
                (tf.reduce_min(steps) >= 0) & (reach <= _SPREAD * tf.size(steps)),
                lambda: tf.gather(read_range(path, first, reach), stored - first),
                lambda: read_steps(path, stored),
            )
            if self._pooling is None:
                return found
            return pool_to_vectors(tf.cast(found, tf.float32), self._pooling)

        return gather

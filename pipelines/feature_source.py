"""The stored features of some clips, ready to be gathered inside a TensorFlow graph."""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.feature_store import count_not_finite
from glimpse.pipelines.vector_pooling import pool_to_vectors, vector_shape


class FeatureSource:
    """Gives any steps of any of its clips, with TensorFlow operations alone.

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
        for clip, *keys in zip(clips, *self._keys, strict=True):
            if None in keys:
                raise ValueError(
                    f"--flips: the features of {clip.path} in {index.folder} hold no mirrored "
                    "frames: extract them with --flips."
                )
            shape = (clip.num_frames, *index.feature_shape)
            if any(index.store.shape(key) != shape for key in keys):
                raise ValueError(
                    f"The features of {clip.path} are missing or damaged in {index.folder}: "
                    "extract them again."
                )
        self._counts = np.array([clip.num_frames for clip in clips], "int32")
        stored = tuple(index.feature_shape)
        self.step_shape = vector_shape(stored, pooling) if pooling else stored
        # Means are kept as they were computed; everything else is exact in its stored type.
        self._held_dtype = "float32" if pooling == "average" else index.dtype
        each = int(np.prod(self.step_shape)) * np.dtype(self._held_dtype).itemsize
        self.held_bytes = int(self._counts.sum()) * len(self._keys) * each
        self._held = None

    def hold(self):
        """Reads everything into memory.

        Raises:
            ValueError: If a feature is NaN or infinite.
        """
        if self._held is not None:
            return
        held = np.empty((len(self._keys), self._counts.sum(), *self.step_shape), self._held_dtype)
        ends = np.cumsum(self._counts)
        # Outside of whatever graph is being traced, so that it is captured and not copied in.
        with tf.init_scope(), tf.device("CPU"):
            for row, keys in zip(held, self._keys, strict=True):
                for clip, key, end in zip(self._clips, keys, ends, strict=True):
                    features = self._read(clip, key)
                    row[end - len(features) : end] = self._pooled(features)
            starts = np.stack([ends - self._counts + i * ends[-1] for i in range(len(self._keys))])
            self._held = (
                tf.constant(held.reshape((-1, *self.step_shape))),
                tf.constant(starts.astype("int32")),
            )

    def gather(self):
        """Returns the function (clip, steps, mirrored) -> float32 `(steps, *step_shape)`.

        Its arguments are int32 tensors, the steps rising; `mirrored` is 0 or 1.
        """
        gather = self._gather_from_files() if self._held is None else self._gather_from_memory()

        def read(clip, steps, mirrored):
            features = tf.cast(gather(clip, steps, mirrored), tf.float32)
            return tf.ensure_shape(features, (None, *self.step_shape))

        return read

    def check_finite(self, number):
        """Raises ValueError if a feature of the clip of this number is NaN or infinite."""
        for keys in self._keys:
            self._read(self._clips[number], keys[number])

    def _read(self, clip, key):
        features = self._index.store.read(key)
        if count_not_finite(features):
            what = "NaN" if np.isnan(features).any() else "infinite numbers"
            raise ValueError(
                f"The features of {clip.path} in {self._index.folder} hold {what}: remove "
                f"{self._index.store.path(key)} and extract again."
            )
        return features

    def _pooled(self, features):
        if self._pooling is None:
            return features
        features = tf.cast(features, tf.float32)
        return pool_to_vectors(features, self._pooling).numpy()

    def _gather_from_memory(self):
        held, starts = self._held
        return lambda clip, steps, mirrored: tf.gather(held, starts[mirrored, clip] + steps)

    def _gather_from_files(self):
        paths = [[self._index.store.path(key) for key in keys] for keys in self._keys]
        headers = tf.constant([[_header_bytes(path) for path in row] for row in paths], tf.int64)
        paths = tf.constant(paths)
        dtype = tf.as_dtype(self._index.dtype)
        shape = tuple(self._index.feature_shape)
        step_bytes = int(np.prod(shape)) * dtype.size

        def gather(clip, steps, mirrored):
            first, last = steps[0], steps[-1]
            content = tf.io.read_file(paths[mirrored, clip])
            start = headers[mirrored, clip] + tf.cast(first, tf.int64) * step_bytes
            length = tf.cast(last - first + 1, tf.int64) * step_bytes
            raw = tf.io.decode_raw(tf.strings.substr(content, start, length), dtype)
            found = tf.gather(tf.reshape(raw, (-1, *shape)), steps - first)
            if self._pooling is None:
                return found
            return pool_to_vectors(tf.cast(found, tf.float32), self._pooling)

        return gather


def _header_bytes(path):
    """Returns the number of bytes before the data of an .npy file."""
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            np.lib.format.read_array_header_1_0(file)
        else:
            np.lib.format.read_array_header_2_0(file)
        return file.tell()

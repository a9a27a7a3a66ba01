"""Writes the features of one video, frame by frame, into a file that appears when it is whole."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import socket
import uuid

import numpy as np
import tensorflow as tf

FEATURE_DTYPES = ("float16", "float32")
PARTIAL_SUFFIX = ".partial"
_EXPONENTS = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}


def checked_dtype(dtype):
    """Returns `dtype`. Raises ValueError if features cannot be stored in it."""
    if dtype not in FEATURE_DTYPES:
        raise ValueError(f"dtype must be one of {FEATURE_DTYPES}, got {dtype!r}.")
    return dtype


def record_dtype(dtype, frame_shape):
    """The numpy type of a TFRecord that holds the features of one frame.

    Args:
        dtype: "float16" or "float32".
        frame_shape: Shape of one frame's features.
    """
    features = ("features", np.dtype(dtype).newbyteorder("<"), tuple(frame_shape))
    return np.dtype([("length", "<u8"), ("length_crc", "<u4"), features, ("crc", "<u4")])


def count_not_finite(features):
    """Returns how many values of a float16 or float32 array are NaN or infinite."""
    # Told by the bits of the exponent, in little more time than reading them takes.
    features = np.ascontiguousarray(features)
    bits, exponent = _EXPONENTS[features.dtype.name]
    return int(np.count_nonzero((features.view(bits) & bits(exponent)) == exponent))


def host_name():
    """This machine's name as it stands in the names of temporary files."""
    return re.sub(r"[^\w.-]", "_", socket.gethostname())


class FeatureWriter:
    """Appends features to a temporary file; `commit` gives it its name.

    The temporary file's name ends in this machine's name, and it is locked while it is written, so
    that others can tell it from what a dead writer left.

    Args:
        store: The FeatureStore.
        key: From `feature_key`.
        dtype: "float16" or "float32".

    Attributes:
        metadata: A dict that JSON can hold, to be stored beside the features.
        num_frames: Frames appended so far.
    """

    def __init__(self, store, key, dtype):
        self.metadata = {}
        self.num_frames = 0
        self._store = store
        self._key = key
        self._dtype = np.dtype(checked_dtype(dtype))
        self._frame_shape = None
        self._file = self._records = None
        self._sha256 = hashlib.sha256()

    @property
    def shape(self):
        """`(frames, ...)` of what was appended; None before the first."""
        return None if self._frame_shape is None else (self.num_frames, *self._frame_shape)

    def append(self, features):
        """Appends `(frames, ...)`, all of one shape but the first axis.

        Raises:
            ValueError: If they are of another type or shape, or one is not finite.
            OSError: If they cannot be written.
        """
        features = np.ascontiguousarray(features)
        if features.dtype != self._dtype:
            raise ValueError(f"Features must be {self._dtype.name}, got {features.dtype.name}.")
        infinite = count_not_finite(features)
        if infinite:
            cure = ' or are above 65504; use dtype="float32"' if self._dtype.itemsize == 2 else ""
            raise ValueError(f"{infinite} features of {features.size} are not finite{cure}.")
        if self._file is None:
            os.makedirs(self._store.folder, exist_ok=True)
            self._frame_shape = features.shape[1:]
            self._file = self._temporary_file()
            with self._os_errors():
                self._records = tf.io.TFRecordWriter(self._file.name)
        if features.shape[1:] != self._frame_shape:
            raise ValueError(
                f"Features of a frame are {features.shape[1:]}, those before {self._frame_shape}."
            )
        with self._os_errors():
            for frame in features:
                self._records.write(frame.tobytes())
        self._sha256.update(features)
        self.num_frames += len(features)

    def commit(self):
        """Gives the file its name.

        Raises:
            ValueError: If no frame was appended.
            OSError: If the disk is full.
        """
        if not self.num_frames:
            raise ValueError(f"No features were appended for {self._key}.")
        with self._os_errors():
            self._records.close()
        os.fsync(self._file.fileno())
        values = {
            "shape": list(self.shape),
            "dtype": self._dtype.name,
            "sha256": self._sha256.hexdigest(),
            "metadata": self.metadata,
        }
        # The metadata first: features under their final name are always complete. After a power cut
        # the metadata may be lost, as nobody waits for the disk to have them: features without
        # them count as absent, and a second wait for each video would cost more than the rest.
        temporary = self._temporary_file()
        try:
            temporary.write(json.dumps(values).encode())
            temporary.flush()
            os.replace(temporary.name, self._store.metadata_path(self._key))
            temporary.close()
        except BaseException:
            _remove(temporary)
            raise
        os.replace(self._file.name, self._store.path(self._key))
        self._file.close()
        self._file = None

    def discard(self):
        """Removes the temporary file; after `commit` it does nothing."""
        if self._file is not None:
            with contextlib.suppress(tf.errors.OpError):
                self._records.close()
            _remove(self._file)
            self._file = None

    def _temporary_file(self):
        name = f".{uuid.uuid4().hex}@{host_name()}{PARTIAL_SUFFIX}"
        file = open(os.path.join(self._store.folder, name), "xb")
        # Not every file system can lock; there the file's age tells.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    @contextlib.contextmanager
    def _os_errors(self):
        """Turns TensorFlow's errors of writing into the usual ones."""
        try:
            yield
        except tf.errors.ResourceExhaustedError as error:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        except tf.errors.OpError as error:
            raise OSError(errno.EIO, error.message, self._file.name) from error


def _remove(file):
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file.name)

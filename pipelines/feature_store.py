"""Keeps the features of videos on disk under names that say all that made them."""

import contextlib
import hashlib
import json
import math
import os
import uuid

import numpy as np
from absl import logging

FEATURE_DTYPES = ("float16", "float32")
_EXPONENTS = {"float16": (np.uint16, 0x7C00), "float32": (np.uint32, 0x7F800000)}


def feature_key(video_sha256, backbone_sha256, dtype, decoder, mirrored=False, segment=None):
    """The name under which the features of a video are stored, 64 hexadecimal digits.

    Args:
        video_sha256: Hash of the video file's bytes (`file_sha256`).
        backbone_sha256: Hash of the backbone's config and weights (`backbone_fingerprint`).
        dtype: "float16" or "float32".
        decoder: Name and version of the video decoder (`decoder_version`).
        mirrored: Whether they are the features of the frames mirrored left to right.
        segment: The part of the video, as the text of a `Segment`; None: the whole video.

    Raises:
        ValueError: If `dtype` is another, or `segment` is neither None nor a text that says
            something.
    """
    parts = [video_sha256, backbone_sha256, _checked_dtype(dtype), decoder]
    parts += ["mirrored"] if mirrored else []
    if segment is not None:
        if not isinstance(segment, str) or not segment:
            raise ValueError(f"segment must be the text of a Segment or None, got {segment!r}.")
        # Apart from the text "mirrored", whatever a segment's text says.
        parts.append({"segment": segment})
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def backbone_fingerprint(backbone):
    """SHA-256 of a backbone's class, config and weights, in hexadecimal.

    Names of layers do not count, because Keras numbers them anew each time a
    model is built.

    Args:
        backbone: A built `keras.Model` with `get_config`, or any object with a
            string attribute `fingerprint`, whose hash is taken instead.

    Raises:
        ValueError: If `backbone` is neither, or has no weights yet because it was
            never called.
    """
    digest = hashlib.sha256()
    if isinstance(getattr(backbone, "fingerprint", None), str):
        digest.update(backbone.fingerprint.encode())
        return digest.hexdigest()
    if not hasattr(backbone, "get_config") or not hasattr(backbone, "weights"):
        raise ValueError(
            f"backbone must be a keras.Model or have a string attribute `fingerprint`, got "
            f"{backbone!r}."
        )
    if not getattr(backbone, "built", True):
        raise ValueError(f"backbone {backbone.name!r} is not built; call it once on a frame.")
    config = backbone.get_config()
    names = {}
    _collect_names(config, names)
    digest.update(type(backbone).__name__.encode())
    digest.update(json.dumps(_renamed(config, names), sort_keys=True, default=repr).encode())
    for weight in backbone.weights:
        array = np.ascontiguousarray(_as_numpy(weight))
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _as_numpy(weight):
    import keras

    return keras.ops.convert_to_numpy(weight)


def _collect_names(config, names):
    if isinstance(config, dict):
        if isinstance(config.get("name"), str):
            names.setdefault(config["name"], f"name {len(names)}")
        for key in sorted(config):
            _collect_names(config[key], names)
    elif isinstance(config, list | tuple):
        for value in config:
            _collect_names(value, names)


def _renamed(config, names):
    if isinstance(config, dict):
        return {str(key): _renamed(value, names) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [_renamed(value, names) for value in config]
    return names.get(config, config) if isinstance(config, str) else config


def _checked_dtype(dtype):
    if dtype not in FEATURE_DTYPES:
        raise ValueError(f"dtype must be one of {FEATURE_DTYPES}, got {dtype!r}.")
    return dtype


def count_not_finite(features):
    """Returns how many values of a float16 or float32 array are NaN or infinite."""
    # Told by the bits of the exponent, in little more time than reading them takes.
    features = np.ascontiguousarray(features)
    bits, exponent = _EXPONENTS[features.dtype.name]
    return int(np.count_nonzero((features.view(bits) & bits(exponent)) == exponent))


class FeatureStore:
    """A folder with one .npy file per video, `(frames, ...)`, named by `feature_key`.

    A file gets its name only when it is whole, by renaming; writers of the same
    key in several threads, processes or machines each write their own temporary
    file and the last one stays, with the same content.

    Args:
        folder: The folder; it is made on the first write.
    """

    def __init__(self, folder):
        self.folder = os.path.abspath(os.fsdecode(folder))

    def path(self, key):
        """The file of a key, whether it exists or not."""
        return os.path.join(self.folder, f"{key}.npy")

    def contains(self, key):
        """Whether the features of a key are stored whole.

        A file whose header is unreadable or whose size is not what its header says
        counts as absent, and a notice is logged.
        """
        return self.shape(key) is not None

    def shape(self, key):
        """`(frames, ...)` of a key's features, or None where `contains` is False."""
        path = self.path(key)
        try:
            with open(path, "rb") as file:
                shape, _, dtype = _read_header(file)
                expected = file.tell() + math.prod(shape) * dtype.itemsize
                found = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        except ValueError as error:
            logging.warning("%s: damaged, will be made again (%s).", ascii(path), error)
            return None
        if found != expected:
            logging.warning(
                "%s: damaged, will be made again (%d bytes, not %d).", ascii(path), found, expected
            )
            return None
        return shape

    def write(self, key, array, metadata=None):
        """Stores the features of a video.

        Args:
            key: From `feature_key`.
            array: `(frames, ...)`, float16 or float32.
            metadata: A dict that JSON can hold, for `metadata`.

        Raises:
            ValueError: If a value is not finite.
            OSError: If the disk is full; nothing is left under the key.
        """
        array = np.asarray(array)
        with self.writer(key, array.dtype.name) as writer:
            writer.append(array)
            writer.metadata = metadata or {}

    @contextlib.contextmanager
    def writer(self, key, dtype):
        """A FeatureWriter for a video of unknown length; stored when the block ends well."""
        writer = FeatureWriter(self, key, dtype)
        try:
            yield writer
            writer.commit()
        finally:
            writer.discard()

    def read(self, key, start=0, stop=None):
        """Features of the frames start to stop, reading only these from the disk.

        Args:
            key: From `feature_key`.
            start: First frame.
            stop: Frame after the last; None: to the end.

        Returns:
            An array of its own, `(stop - start, ...)`.

        Raises:
            KeyError: If the key is not stored (or its file is damaged).
            IndexError: If the range is not inside the video.
        """
        shape = self.shape(key)
        if shape is None:
            raise KeyError(f"{self.path(key)}: no such features; extract them again.")
        stop = shape[0] if stop is None else stop
        if not 0 <= start <= stop <= shape[0]:
            raise IndexError(
                f"Frames {start} to {stop} of {self.path(key)} were asked for; it has {shape[0]}."
            )
        return np.array(np.load(self.path(key), mmap_mode="r", allow_pickle=False)[start:stop])

    def metadata(self, key):
        """The dict stored beside the features, or None where there is none."""
        try:
            with open(self._metadata_path(key), encoding="utf-8") as file:
                return json.load(file)
        except (FileNotFoundError, ValueError):
            return None

    def _metadata_path(self, key):
        return os.path.join(self.folder, f"{key}.json")


class FeatureWriter:
    """Appends features to a temporary file; `commit` gives it its name.

    Args:
        store: The FeatureStore.
        key: From `feature_key`.
        dtype: "float16" or "float32".
    """

    def __init__(self, store, key, dtype):
        self.metadata = {}
        self.num_frames = 0
        self._store = store
        self._key = key
        self._dtype = np.dtype(_checked_dtype(dtype))
        self._frame_shape = None
        self._file = None

    def append(self, features):
        """Appends `(frames, ...)`, all of one shape but the first axis."""
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
            self._write_header()
        if features.shape[1:] != self._frame_shape:
            raise ValueError(
                f"Features of a frame are {features.shape[1:]}, those before {self._frame_shape}."
            )
        self._file.write(features.data if features.size else b"")
        self.num_frames += len(features)

    def commit(self):
        """Gives the file its name. Raises ValueError where nothing was appended."""
        if self._file is None:
            raise ValueError(f"No features were appended for {self._key}.")
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        # The metadata first: features under their final name are always complete.
        text = json.dumps(self.metadata).encode()
        temporary = self._temporary_file()
        try:
            temporary.write(text)
            temporary.close()
            os.replace(temporary.name, self._store._metadata_path(self._key))
        except BaseException:
            _remove(temporary)
            raise
        os.replace(self._file.name, self._store.path(self._key))
        self._file = None

    def discard(self):
        """Removes the temporary file; after `commit` it does nothing."""
        if self._file is not None:
            _remove(self._file)
            self._file = None

    def _temporary_file(self):
        return open(os.path.join(self._store.folder, f".{uuid.uuid4().hex}.partial"), "xb")

    def _write_header(self):
        # numpy pads this header so that the first axis can grow without moving the data.
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self.num_frames, *self._frame_shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


def _remove(file):
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file.name)


def _read_header(file):
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"header version {version}, not (1, 0)")
    return np.lib.format.read_array_header_1_0(file)

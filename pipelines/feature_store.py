"""Keeps the features of videos on disk under names that say all that made them."""

import contextlib
import hashlib
import json
import os
import re
import typing

import numpy as np
import tensorflow as tf
from absl import logging

from glimpse.pipelines.feature_writer import FeatureWriter, checked_dtype, record_dtype

_OTHER_FEATURES = "the features are not those that were written: their SHA-256 differs"
# How TensorFlow's messages begin with the place in its graph, which says nothing to a reader.
_NODE = re.compile(r"\{\{function_node [^}]*\}\}|\[Op:[^\]]*\](?: name:\s*)?")


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
    parts = [video_sha256, backbone_sha256, checked_dtype(dtype), decoder]
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


class StoredFeatures(typing.NamedTuple):
    """What is known of the features of one key without reading them.

    Args:
        shape: `(frames, ...)`.
        dtype: "float16" or "float32".
        sha256: Of the bytes of all frames one after the other.
        metadata: What their writer had to say of them.
        num_bytes: Size of both files.
    """

    shape: tuple
    dtype: str
    sha256: str
    metadata: dict
    num_bytes: int


class FeatureStore:
    """A folder with the features of videos, two files for each, named by `feature_key`.

    KEY.tfrecord holds one record for each frame, the bytes of its features, all of one length:
    frame n begins at n times a record's length, so that TensorFlow and numpy alike read any range
    without the rest. KEY.json says the shape, the type and the SHA-256 of the features.

    A file gets its name only when it is whole, by renaming, the features after all else; writers
    of the same key in several threads, processes or machines each write their own temporary
    file and the last one stays, with the same content.

    Args:
        folder: The folder; it is made on the first write.
    """

    def __init__(self, folder):
        self.folder = os.path.abspath(os.fsdecode(folder))

    def path(self, key):
        """The file of a key's features, whether it exists or not."""
        return os.path.join(self.folder, f"{key}.tfrecord")

    def metadata_path(self, key):
        """The file of what is known of a key's features, whether it exists or not."""
        return os.path.join(self.folder, f"{key}.json")

    def contains(self, key):
        """Whether the features of a key are stored whole.

        Features without their metadata, or of another size than it says, count as absent, and a
        notice is logged. Damage that leaves the size as it was is found by `verify` alone.
        """
        return self.shape(key) is not None

    def shape(self, key):
        """`(frames, ...)` of a key's features, or None where `contains` is False."""
        stored = self._stored(key)
        return stored and stored.shape

    def metadata(self, key):
        """The dict stored beside the features, or None where `contains` is False."""
        stored = self._stored(key)
        return stored and stored.metadata

    def stored(self, key):
        """The StoredFeatures of a key.

        Raises:
            KeyError: If nothing is stored under the key.
            ValueError: If it is damaged; it says how.
        """
        path, metadata_path = self.path(key), self.metadata_path(key)
        try:
            found = os.stat(path).st_size
        except FileNotFoundError:
            raise KeyError(f"{path}: no such features; extract them again.") from None
        try:
            with open(metadata_path, encoding="utf-8") as file:
                values = json.load(file)
            size = os.stat(metadata_path).st_size
            shape, dtype = tuple(values["shape"]), checked_dtype(values["dtype"])
            expected = shape[0] * record_dtype(dtype, shape[1:]).itemsize
            stored = StoredFeatures(
                shape, dtype, values["sha256"], values["metadata"], found + size
            )
        except FileNotFoundError:
            raise ValueError(f"{os.path.basename(metadata_path)} beside it is missing") from None
        except (ValueError, KeyError, TypeError, IndexError) as error:
            name = os.path.basename(metadata_path)
            raise ValueError(f"{name} beside it is damaged: {error}") from error
        if found != expected:
            raise ValueError(f"{found} bytes, not {expected}")
        return stored

    def _stored(self, key):
        try:
            return self.stored(key)
        except KeyError:
            return None
        except ValueError as error:
            logging.warning("%s: damaged, will be made again (%s).", ascii(self.path(key)), error)
            return None

    def verify(self, key, progress=lambda num_bytes: None):
        """Reads all features of a key and compares them with what was written.

        Args:
            key: From `feature_key`.
            progress: Called with the bytes of each frame that was read.

        Raises:
            KeyError: If nothing is stored under the key.
            ValueError: If it is damaged; it says how.
        """
        stored = self.stored(key)
        digest, steps = hashlib.sha256(), 0
        try:
            # Compares the checksum of each record, too.
            for record in tf.data.TFRecordDataset(self.path(key)).as_numpy_iterator():
                digest.update(record)
                progress(len(record))
                steps += 1
        except tf.errors.OpError as error:
            reason = _NODE.sub("", error.message).strip()
            raise ValueError(
                f"a record is damaged, that of step {steps} of {stored.shape[0]}: {reason}"
            ) from error
        if digest.hexdigest() != stored.sha256:
            raise ValueError(_OTHER_FEATURES)

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

    def read(self, key, start=0, stop=None, checked=False):
        """Features of the frames start to stop, reading only these from the disk.

        Args:
            key: From `feature_key`.
            start: First frame.
            stop: Frame after the last; None: to the end.
            checked: Whether to read all frames and compare them with their SHA-256.

        Returns:
            An array of its own, `(stop - start, ...)`.

        Raises:
            KeyError: If the key is not stored (or its file is damaged).
            IndexError: If the range is not inside the video.
            ValueError: If `checked` and the features are not those that were written.
        """
        stored = self._stored(key)
        if stored is None:
            raise KeyError(f"{self.path(key)}: no such features; extract them again.")
        count, *frame_shape = stored.shape
        stop = count if stop is None else stop
        if not 0 <= start <= stop <= count:
            raise IndexError(
                f"Frames {start} to {stop} of {self.path(key)} were asked for; it has {count}."
            )
        records = np.memmap(self.path(key), record_dtype(stored.dtype, frame_shape), mode="r")
        if not checked:
            return np.array(records["features"][start:stop])
        features = np.array(records["features"])
        if hashlib.sha256(features).hexdigest() != stored.sha256:
            raise ValueError(f"{self.path(key)}: {_OTHER_FEATURES}.")
        return features if len(features) == stop - start else features[start:stop].copy()

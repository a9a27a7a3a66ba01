"""A folder of made features in which the label can be learnt, without any video."""

import collections
import hashlib
import json
import pathlib

import numpy as np
import tensorflow as tf

from glimpse.pipelines.feature_index import FEATURES_FOLDER, FeatureIndex, IndexedClip
from glimpse.pipelines.feature_store import FeatureStore

LABEL_NAMES = ("left", "right", "still")
SHAPE = (2, 3, 4)


def make_features(folder, counts=(12, 6, 6), lengths=(9, 12), seed=0, dtype="float16"):
    """Writes features whose values tell clip, frame and class; returns the `FeatureIndex`.

    features[t, i, j, 0] = the clip's number / 64, [..., 1] = t / 64, both exact in float16,
    [..., 3] = 1 in one region alone, whose [..., 2] = label - 1; the others' are random classes'.
    So the label can be told only by a model that looks at the marked region.
    """
    rng = np.random.default_rng(seed)
    store = FeatureStore(folder / FEATURES_FOLDER)
    entries = []
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        for number in range(count):
            label, frames = number % len(LABEL_NAMES), int(rng.integers(lengths[0], lengths[1] + 1))
            features = np.zeros((frames, *SHAPE), dtype)
            features[..., 0] = len(entries) / 64
            features[..., 1] = np.arange(frames)[:, None, None] / 64
            features[..., 2] = rng.integers(-1, 2, SHAPE[:2])
            marked = rng.integers(SHAPE[0]), rng.integers(SHAPE[1])
            features[:, *marked, 2:] = label - 1, 1
            clip_id = f"{split}_{number}"
            store.write(clip_id, features)
            path = f"/videos/{clip_id}.mp4"
            entries.append(IndexedClip(clip_id, path, label, split, clip_id, frames, 30.0))
    index = FeatureIndex(
        folder=str(folder),
        dataset="synthetic",
        split_hash="5" * 64,
        label_names=LABEL_NAMES,
        backbone="none",
        backbone_fingerprint="0" * 64,
        dtype=dtype,
        feature_shape=SHAPE,
        decoder="none",
        limit=None,
        expected=len(entries),
        expected_in=dict(collections.Counter(clip.split for clip in entries)),
        failed=(),
        warnings=(),
        entries=tuple(entries),
    )
    index.save()
    return FeatureIndex.load(folder)


def make_numbered_features(
    folder, lengths, rate=30.0, frames_per_input=1, shape=(3,), flips=False, labels=None, offset=0
):
    """Writes features that tell clip, step and side; returns the `FeatureIndex`.

    features[..., 0] = the clip's number, [..., 1] = the step's number + `offset`, [..., 2] = 0, or
    1 for the mirrored frames.

    Args:
        folder: Where to write.
        lengths: {split: frames of each of its videos}; a step is `frames_per_input` of them.
        rate: Of the videos, or {clip number: rate}.
        frames_per_input: Frames in a step.
        shape: Of one step's features; three on the last axis.
        flips: Whether there are mirrored ones.
        labels: Of the clips, in turn; default: 0, 1, 2, 0, ...
        offset: Added to the step's number.
    """
    store = FeatureStore(folder / FEATURES_FOLDER)
    labels = labels or range(len(LABEL_NAMES))
    entries = []
    for split, counts in lengths.items():
        for number, frames in enumerate(counts):
            steps, clip_id = frames // frames_per_input, f"{split}_{number}"
            for side in range(1 + flips):
                features = np.zeros((steps, *shape), "float32")
                features[..., 0] = len(entries)
                features[..., 1] = (offset + np.arange(steps)).reshape((-1, *[1] * len(shape[1:])))
                features[..., 2] = side
                store.write(clip_id + "m" * side, features)
            each = rate[len(entries)] if isinstance(rate, dict) else rate
            entries.append(
                IndexedClip(
                    clip_id=clip_id,
                    path=f"/videos/{clip_id}.mp4",
                    label=labels[len(entries) % len(labels)],
                    split=split,
                    key=clip_id,
                    num_frames=steps,
                    frames_per_second=each / frames_per_input,
                    flipped_key=clip_id + "m" if flips else None,
                    num_video_frames=frames,
                )
            )
    index = FeatureIndex(
        folder=str(folder),
        dataset="numbered",
        split_hash="6" * 64,
        label_names=LABEL_NAMES,
        backbone="none",
        backbone_fingerprint="0" * 64,
        dtype="float32",
        feature_shape=shape,
        decoder="none",
        limit=None,
        expected=len(entries),
        expected_in=dict(collections.Counter(clip.split for clip in entries)),
        failed=(),
        warnings=(),
        entries=tuple(entries),
        frames_per_input=frames_per_input,
    )
    index.save()
    return FeatureIndex.load(folder)


def spoil_stored(index, key, step, value):
    """Puts a value into a stored step, in a file that is whole, though no writer would."""
    features = index.store.read(key)
    features[step].flat[1] = value
    with tf.io.TFRecordWriter(index.store.path(key)) as records:
        for frame in features:
            records.write(frame.tobytes())
    path = pathlib.Path(index.store.metadata_path(key))
    sha256 = hashlib.sha256(features.tobytes()).hexdigest()
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256": sha256}))

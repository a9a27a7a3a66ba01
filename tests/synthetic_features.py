"""A folder of made features in which the label can be learnt, without any video."""

import numpy as np

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
        failed=(),
        warnings=(),
        entries=tuple(entries),
    )
    index.save()
    return FeatureIndex.load(folder)

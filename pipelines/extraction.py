"""Sends each frame of a data set through a backbone once and keeps the features."""

import collections
import os

import tqdm
from absl import logging

from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.clips import SPLITS
from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.extraction_run import ExtractionJob, ExtractionRun
from glimpse.pipelines.feature_index import FEATURES_FOLDER, FeatureIndex, IndexedClip
from glimpse.pipelines.feature_store import (
    FEATURE_DTYPES,
    FeatureStore,
    backbone_fingerprint,
    feature_key,
)
from glimpse.pipelines.video_reader import VideoError, decoder_version, display_name


def extract_features(
    clip_set,
    backbone,
    folder,
    dtype="float16",
    batch_size=64,
    limit=None,
    progress=True,
    on_error="fail",
    decode_threads=None,
    backbone_name=None,
):
    """Extracts the features of all clips into a folder, going on where an earlier call stopped.

    Decoding runs in threads beside the backbone, and batches reach across videos
    as long as the frame size stays the same. A clip whose features are in the
    folder already is hashed and not decoded again.

    Args:
        clip_set: From `read_clips`.
        backbone: A `keras.Model` (or other callable with a string attribute
            `fingerprint`): uint8 RGB frames `(batch, height, width, 3)` to features
            `(batch, height, width, features)`. Or a BackboneFunction, whose dtype and
            batch size then hold.
        folder: Where to write: `features/KEY.npy` per video, and `index.json`.
        dtype: "float16" or "float32".
        batch_size: Frames per call of the backbone.
        limit: Clips per split, taken from its classes in turn; None: all.
        progress: Whether to show a progress bar.
        on_error: "fail": raise at the end, when all readable clips are stored, if a
            clip could not be decoded; "report": count it in the index.
        backbone_name: How the index calls the backbone; default: the model's own name.
        decode_threads: Videos decoded at a time; None: 1 for up to 3 processors, else 2.

    Returns:
        The FeatureIndex.

    Raises:
        VideoError: If clips could not be decoded and `on_error` is "fail"; it lists
            all of them.
        ValueError: If an argument is wrong, a feature is not finite in `dtype`, or
            two clips give features of different shapes.
    """
    function = _function(backbone, dtype, batch_size)
    backbone, dtype = function.backbone, function.dtype
    _check_arguments(clip_set, dtype, limit, on_error)
    clips = _select(clip_set.clips, limit)
    decoder = decoder_version()
    fingerprint = backbone_fingerprint(backbone)
    store = FeatureStore(os.path.join(folder, FEATURES_FOLDER))
    jobs = [ExtractionJob(clip) for clip in clips]

    def needs_decoding(job):
        job.key = feature_key(_hash(job.clip.path), fingerprint, dtype, decoder)
        metadata = store.metadata(job.key)
        shape = store.shape(job.key) if metadata else None
        if shape is None:
            return True
        job.metadata, job.shape = metadata, shape
        return False

    run = ExtractionRun(function, store)
    threads = decode_threads or (2 if (os.cpu_count() or 1) > 3 else 1)
    bar = tqdm.tqdm(total=len(jobs), desc="features", unit="clip", disable=not progress)
    with (
        bar,
        run,
        DecodedClips(jobs, lambda job: job.clip.path, needs_decoding, threads) as decoded,
    ):
        for job, chunks in decoded:
            for chunk in chunks:
                run.add(job, chunk)
            run.finish(job, chunks)
            bar.set_postfix(frames=run.num_frames, refresh=False)
            bar.update()
    failed = tuple(
        {"path": job.clip.path, "reason": job.error} for job in jobs if job.error is not None
    )
    if failed and on_error == "fail":
        reasons = "\n".join(f"  {entry['reason']}" for entry in failed)
        raise VideoError(
            f"{len(failed)} of {len(jobs)} clips could not be decoded, the others are stored:\n"
            f'{reasons}\nRepair or remove them, or use on_error="report" to go on without them.'
        )
    stored = [job for job in jobs if job.error is None]
    index = FeatureIndex(
        folder=os.path.abspath(os.fsdecode(folder)),
        dataset=clip_set.name,
        split_hash=clip_set.split_hash,
        label_names=tuple(clip_set.label_names),
        backbone=str(backbone_name or getattr(backbone, "name", type(backbone).__name__)),
        backbone_fingerprint=fingerprint,
        dtype=dtype,
        feature_shape=_feature_shape(stored),
        decoder=decoder,
        limit=limit,
        expected=len(jobs),
        failed=failed,
        warnings=tuple(
            {"path": job.clip.path, "reason": warning}
            for job in stored
            for warning in job.metadata["warnings"]
        ),
        entries=tuple(_entry(job) for job in stored),
    )
    index.save()
    for title, entries in (("could not be decoded", failed), ("lack frames", index.warnings)):
        if entries:
            logging.warning("%d clips %s, such as: %s", len(entries), title, entries[0]["reason"])
    return index


def _function(backbone, dtype, batch_size):
    if isinstance(backbone, BackboneFunction):
        return backbone
    return BackboneFunction(backbone, dtype, batch_size)


def _check_arguments(clip_set, dtype, limit, on_error):
    if dtype not in FEATURE_DTYPES:
        raise ValueError(f"dtype must be one of {FEATURE_DTYPES}, got {dtype!r}.")
    if on_error not in ("fail", "report"):
        raise ValueError(f'on_error must be "fail" or "report", got {on_error!r}.')
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 or None, got {limit!r}.")
    if not clip_set.clips:
        raise ValueError("clip_set holds no clips.")


def _select(clips, limit):
    """The first `limit` clips of each split, taken from its classes in turn."""
    if limit is None:
        return list(clips)
    rank = collections.Counter()
    ranks = []
    for number, clip in enumerate(clips):
        ranks.append((rank[clip.split, clip.label], number))
        rank[clip.split, clip.label] += 1
    chosen = []
    for split in SPLITS:
        chosen += sorted(r for r, c in zip(ranks, clips, strict=True) if c.split == split)[:limit]
    return [clips[number] for number in sorted(number for _, number in chosen)]


def _hash(path):
    try:
        return file_sha256(path)
    except OSError as error:
        raise VideoError(f"{display_name(path)}: cannot be read ({error.strerror}).") from error


def _feature_shape(jobs):
    shapes = {}
    for job in jobs:
        shapes.setdefault(tuple(job.shape[1:]), job.clip.path)
    if len(shapes) > 1:
        examples = ", ".join(f"{shape} ({display_name(path)})" for shape, path in shapes.items())
        raise ValueError(
            f"The clips give features of {len(shapes)} shapes: {examples}; use a backbone that "
            "resizes its frames."
        )
    return next(iter(shapes), ())


def _entry(job):
    clip = job.clip
    return IndexedClip(
        clip_id=clip.clip_id,
        path=clip.path,
        label=clip.label,
        split=clip.split,
        key=job.key,
        num_frames=job.shape[0],
        frames_per_second=job.metadata["frames_per_second"],
    )

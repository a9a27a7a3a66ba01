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
from glimpse.pipelines.video_error import VideoError, display_name
from glimpse.pipelines.video_reader import decoder_version


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
    backbone_options=None,
    flips=False,
):
    """Extracts the features of all clips into a folder, going on where an earlier call stopped.

    Decoding runs in threads beside the backbone, and batches reach across videos
    as long as the frame size stays the same. A clip whose features are in the
    folder already is hashed and not decoded again.

    A backbone with an attribute `frames_per_input` of, say, 16 reads consecutive chunks of
    16 frames that do not overlap, as C3D's own tools do: the features are then at 1/16 of
    the video's rate, the frames after the last whole chunk are dropped (and counted in the
    index), and a clip of fewer frames counts as one that could not be decoded.

    Args:
        clip_set: From `read_clips`.
        backbone: A `keras.Model` (or other callable with a string attribute
            `fingerprint`): uint8 RGB frames `(batch, height, width, 3)`, or chunks of frames,
            to features `(batch, height, width, features)` or `(batch, features)`. Or a
            BackboneFunction, whose dtype and batch size then hold.
        folder: Where to write: `features/KEY.npy` per video, and `index.json`.
        dtype: "float16" or "float32".
        batch_size: Frames per call of the backbone.
        limit: Clips per split, taken from its classes in turn; None: all.
        progress: Whether to show a progress bar.
        on_error: "fail": raise at the end, when all readable clips are stored, if a
            clip could not be decoded; "report": count it in the index.
        backbone_name: How the index calls the backbone; default: the model's own name.
        backbone_options: Options that the backbone was made with, for the index.
        flips: Whether to extract the features of the mirrored frames as well.
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
    sides = (False, True) if flips else (False,)
    jobs = [[ExtractionJob(clip, mirrored) for mirrored in sides] for clip in clips]

    def needs_decoding(pair):
        video = _hash(pair[0].clip.path)
        for job in pair:
            job.key = feature_key(video, fingerprint, dtype, decoder, job.mirrored)
            metadata = store.metadata(job.key)
            shape = store.shape(job.key) if metadata else None
            if shape is not None:
                job.metadata, job.shape = metadata, shape
        return any(job.shape is None for job in pair)

    run = ExtractionRun(function, store)
    threads = decode_threads or (2 if (os.cpu_count() or 1) > 3 else 1)
    bar = tqdm.tqdm(total=len(jobs), desc="features", unit="clip", disable=not progress)
    with (
        bar,
        run,
        DecodedClips(jobs, lambda pair: pair[0].clip.path, needs_decoding, threads) as decoded,
    ):
        for pair, chunks in decoded:
            wanted = None
            for chunk in chunks:
                # Known since the first chunk: what was stored before is left alone.
                wanted = wanted or [job for job in pair if job.shape is None]
                for job in wanted:
                    run.add(job, chunk)
            for job in wanted or pair:
                run.finish(job, chunks)
            bar.set_postfix(frames=run.num_frames, refresh=False)
            bar.update()
    errors = [next((job.error for job in pair if job.error is not None), None) for pair in jobs]
    failed = tuple(
        {"path": pair[0].clip.path, "reason": error}
        for pair, error in zip(jobs, errors, strict=True)
        if error is not None
    )
    if failed and on_error == "fail":
        reasons = "\n".join(f"  {entry['reason']}" for entry in failed)
        raise VideoError(
            f"{len(failed)} of {len(jobs)} clips could not be decoded, the others are stored:\n"
            f'{reasons}\nRepair or remove them, or use on_error="report" to go on without them.'
        )
    stored = [pair for pair, error in zip(jobs, errors, strict=True) if error is None]
    frames_per_input = function.frames_per_input
    index = FeatureIndex(
        folder=os.path.abspath(os.fsdecode(folder)),
        dataset=clip_set.name,
        split_hash=clip_set.split_hash,
        label_names=tuple(clip_set.label_names),
        backbone=str(backbone_name or getattr(backbone, "name", type(backbone).__name__)),
        backbone_fingerprint=fingerprint,
        dtype=dtype,
        feature_shape=_feature_shape([pair[0] for pair in stored]),
        decoder=decoder,
        limit=limit,
        expected=len(jobs),
        failed=failed,
        warnings=tuple(
            {"path": job.clip.path, "reason": warning}
            for job, *_ in stored
            for warning in job.metadata["warnings"]
        ),
        entries=tuple(_entry(*pair, frames_per_input=frames_per_input) for pair in stored),
        backbone_options=dict(backbone_options or {}),
        frames_per_input=frames_per_input,
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


def _entry(job, mirrored=None, frames_per_input=1):
    clip, frames = job.clip, job.metadata["num_frames"]
    return IndexedClip(
        clip_id=clip.clip_id,
        path=clip.path,
        label=clip.label,
        split=clip.split,
        key=job.key,
        num_frames=job.shape[0],
        frames_per_second=job.metadata["frames_per_second"] / frames_per_input,
        flipped_key=mirrored.key if mirrored else None,
        num_video_frames=frames if frames_per_input > 1 else None,
    )

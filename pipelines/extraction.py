"""Sends each frame of a data set through a backbone once and keeps the features."""

import collections
import os

import tqdm
from absl import logging

from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.clips import SPLITS
from glimpse.pipelines.extraction_run import ExtractionRun
from glimpse.pipelines.extraction_step import ExtractionStep
from glimpse.pipelines.feature_index import FEATURES_FOLDER, FeatureIndex, IndexedClip
from glimpse.pipelines.feature_store import FeatureStore, backbone_fingerprint
from glimpse.pipelines.feature_writer import FEATURE_DTYPES
from glimpse.pipelines.planned_video import plan_videos
from glimpse.pipelines.video_error import VideoError, display_name


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
    cache=None,
    allow_missing=0,
    manifest_sha256=None,
    checked=None,
    runner=None,
):
    """Extracts the features of all clips into a folder, going on where an earlier call stopped.

    Decoding runs in threads beside the backbone, and batches reach across videos
    as long as the frame size stays the same. A clip whose features are in the
    cache already is hashed and not decoded again.

    Each video file is read once, and each frame goes through the backbone once: clips that are
    overlapping segments of one video share what is stored. A backbone that reads several frames
    at a time counts them from the clip's first; overlapping segments then have their own.

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
        folder: Where to write `index.json`, and the features unless `cache` says otherwise.
        dtype: "float16" or "float32".
        batch_size: Frames per call of the backbone.
        limit: Clips per split, taken from its classes in turn; None: all.
        progress: Whether to show a progress bar.
        on_error: "fail": raise at the end, when all readable clips are stored, if more clips than
            `allow_missing` could not be decoded; "report": count them in the index.
        backbone_name: How the index calls the backbone; default: the model's own name.
        backbone_options: Options that the backbone was made with, for the index.
        flips: Whether to extract the features of the mirrored frames as well.
        decode_threads: Videos decoded at a time; None: 1 for up to 3 processors, else 2.
        cache: Folder of the features, which several indices may share; None: `features` in
            `folder`.
        allow_missing: Clips of the data set's splits that may be missing or could not be decoded.
        manifest_sha256: Hash of the manifest by which the clips were chosen, for the index.
        checked: {path: SHA-256 that its video must have}, from `Manifest.hashes`; a clip of
            another video counts as one that could not be decoded. None: any.
        runner: Where to extract: None: here; or a function (`ExtractionStep`, list of
            `PlannedVideo`) to the step's outcomes, such as a `BeamExtraction`.

    Returns:
        The FeatureIndex.

    Raises:
        VideoError: If clips could not be decoded and `on_error` is "fail"; it lists
            all of them.
        ValueError: If an argument is wrong, more clips are missing than allowed, a feature is not
            finite in `dtype`, or two clips give features of different shapes.
    """
    function = _function(backbone, dtype, batch_size)
    backbone, dtype = function.backbone, function.dtype
    _check_arguments(clip_set, dtype, limit, on_error, allow_missing)
    folder = os.path.abspath(os.fsdecode(folder))
    cache = os.path.abspath(os.fsdecode(cache or os.path.join(folder, FEATURES_FOLDER)))
    clips = _select(clip_set.clips, limit)
    step = ExtractionStep(
        fingerprint=backbone_fingerprint(backbone),
        dtype=dtype,
        batch_size=function.batch_size * function.frames_per_input,
        cache=cache,
        flips=flips,
        threads=decode_threads or (2 if (os.cpu_count() or 1) > 3 else 1),
    )
    videos = plan_videos(clips, function.frames_per_input, checked)
    if runner is None:
        outcomes = _extract_here(step, videos, function, progress)
    else:
        outcomes = runner(step, videos)
    failed = tuple(
        {"path": clip.path, "reason": outcomes[number]["error"], "clip_id": clip.clip_id}
        for number, clip in enumerate(clips)
        if "error" in outcomes[number]
    )
    if on_error == "fail" and failed and len(failed) + len(clip_set.missing) > allow_missing:
        raise VideoError(_failure(failed, len(clips), allow_missing))
    stored = [(clip, outcomes[number]) for number, clip in enumerate(clips)]
    stored = [(clip, outcome) for clip, outcome in stored if "error" not in outcome]
    index = FeatureIndex(
        folder=folder,
        dataset=clip_set.name,
        split_hash=clip_set.split_hash,
        label_names=tuple(clip_set.label_names),
        backbone=str(backbone_name or getattr(backbone, "name", type(backbone).__name__)),
        backbone_fingerprint=step.fingerprint,
        dtype=dtype,
        feature_shape=_feature_shape(stored),
        decoder="; ".join(sorted({outcome["decoder"] for _, outcome in stored})),
        limit=limit,
        expected=len(clips),
        failed=failed,
        warnings=_warnings(stored),
        entries=tuple(_entry(*pair) for pair in stored),
        backbone_options=dict(backbone_options or {}),
        frames_per_input=function.frames_per_input,
        protocol=clip_set.protocol,
        split_name=clip_set.split_name,
        missing=tuple(clip_set.missing),
        left_out=dict(clip_set.left_out),
        expected_in=dict(clip_set.expected),
        manifest_sha256=manifest_sha256,
        cache=_inside(folder, cache),
        black_key=_store_black(step, function, outcomes),
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


def _check_arguments(clip_set, dtype, limit, on_error, allow_missing):
    if dtype not in FEATURE_DTYPES:
        raise ValueError(f"dtype must be one of {FEATURE_DTYPES}, got {dtype!r}.")
    if on_error not in ("fail", "report"):
        raise ValueError(f'on_error must be "fail" or "report", got {on_error!r}.')
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1 or None, got {limit!r}.")
    if allow_missing < 0:
        raise ValueError(f"allow_missing must be at least 0, got {allow_missing!r}.")
    if not clip_set.clips:
        raise ValueError("clip_set holds no clips.")
    missing = clip_set.missing
    if len(missing) > allow_missing:
        raise ValueError(
            f"{len(missing)} clips of the data set {clip_set.name} are missing, such as "
            f"{missing[0]['clip_id']} ({missing[0]['reason']}); get them, or allow "
            f"allow_missing={len(missing)}."
        )


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


def _extract_here(step, videos, function, progress):
    frames = 0
    total = sum(len(video.clips) for video in videos)
    with tqdm.tqdm(total=total, desc="features", unit="clip", disable=not progress) as bar:

        def on_video(video, new_frames):
            nonlocal frames
            frames += new_frames
            bar.set_postfix(frames=frames, refresh=False)
            bar.update(len(video.clips))

        return step.run(videos, function, on_video, black=True)


def _failure(failed, total, allow_missing):
    reasons = "\n".join(f"  {reason}" for reason in dict.fromkeys(e["reason"] for e in failed))
    allowed = f" (allow_missing={allow_missing})" if allow_missing else ""
    return (
        f"{len(failed)} of {total} clips could not be decoded{allowed}, the others are stored:\n"
        f'{reasons}\nRepair or remove them, or use on_error="report" to go on without them.'
    )


def _feature_shape(stored):
    shapes = {}
    for clip, outcome in stored:
        shapes.setdefault(tuple(outcome["feature_shape"]), clip.path)
    if len(shapes) > 1:
        examples = ", ".join(f"{shape} ({display_name(path)})" for shape, path in shapes.items())
        raise ValueError(
            f"The clips give features of {len(shapes)} shapes: {examples}; use a backbone that "
            "resizes its frames."
        )
    return next(iter(shapes), ())


def _warnings(stored):
    found = dict.fromkeys(
        (clip.path, text) for clip, outcome in stored for text in outcome["warnings"]
    )
    return tuple({"path": path, "reason": reason} for path, reason in found)


def _entry(clip, outcome):
    times = outcome["frame_times"]
    return IndexedClip(
        clip_id=clip.clip_id,
        path=clip.path,
        label=clip.label,
        split=clip.split,
        key=outcome["key"],
        num_frames=outcome["num_frames"],
        frames_per_second=outcome["frames_per_second"],
        flipped_key=outcome["flipped_key"],
        num_video_frames=outcome["num_video_frames"],
        start=outcome["start"],
        group=clip.group,
        video_id=clip.video_id,
        frame_times=None if times is None else tuple(times),
        captions=tuple((clip.truth or {}).get("captions", ())),
    )


def _inside(folder, cache):
    """The cache as the index names it: relative where it is inside of the index's folder."""
    inside = os.path.commonpath([folder, cache]) == folder
    return os.path.relpath(cache, folder) if inside else cache


def _store_black(step, function, outcomes):
    store = FeatureStore(step.cache)
    with ExtractionRun(function, store) as run:
        return step.store_black(outcomes, function, run, store)

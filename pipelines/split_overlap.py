"""Refuses clips that stand in two splits, under one name or another."""

import collections
import os

from glimpse.pipelines.video_source import video_sha256

_SHARED = {
    "clip_id": "the clip",
    "group": "clips of the group",
    "video_id": "parts of the video",
    "key": "the features",
}


def refuse_overlap(clips, content=True):
    """Raises if anything is in two splits that must be in one.

    Compared are the names of clips, their groups and videos where these are known, and what they
    show: the keys of features, or the bytes of video files of one size. Nothing is decoded.

    Args:
        clips: `Clip`s or `IndexedClip`s of all splits.
        content: Whether to compare the bytes of files.

    Raises:
        ValueError: If a clip, group, video or file is in two splits, and so too if the validation
            set is the test set.
    """
    _refuse_validation_on_test(clips)
    for attribute, words in _SHARED.items():
        seen = {}
        for clip in clips:
            value = getattr(clip, attribute, None)
            if value is None:
                continue
            other = seen.setdefault(value, clip)
            if other.split != clip.split:
                raise ValueError(
                    f"{words} {ascii(value)} stand in {other.split} ({ascii(other.clip_id)}) and "
                    f"in {clip.split} ({ascii(clip.clip_id)}); leave them in one of the two."
                )
    if content and clips and not hasattr(clips[0], "key"):
        _refuse_same_content(clips)


def _refuse_validation_on_test(clips):
    ids = {split: {c.clip_id for c in clips if c.split == split} for split in ("val", "test")}
    if ids["val"] and ids["val"] == ids["test"]:
        raise ValueError(
            f"val is test: the same {len(ids['val'])} clips. What picks the best epoch on the test "
            "set reports it too high; take val from train."
        )


def _refuse_same_content(clips):
    splits_of = {}
    for clip in clips:
        splits_of.setdefault(os.path.realpath(clip.path), clip)
    by_size = collections.defaultdict(list)
    for path, clip in splits_of.items():
        size = _size(path)
        if size:
            by_size[size].append(clip)
    # One file under two names, and one that two splits list, are found by its real path.
    for clip in clips:
        _refuse_pair(splits_of[os.path.realpath(clip.path)], clip)
    for same_size in by_size.values():
        if len({clip.split for clip in same_size}) < 2:
            continue
        seen = {}
        for clip in same_size:
            _refuse_pair(seen.setdefault(video_sha256(clip.path), clip), clip)


def _refuse_pair(one, other):
    if one.split != other.split:
        raise ValueError(
            f"{one.path!a} is in {one.split} and {other.path!a}, the same video, in "
            f"{other.split}; remove it from one of them."
        )


def _size(path):
    """Bytes of a file or of each file in a folder; None where there are none to be read."""
    if os.path.isdir(path):
        return tuple(sorted(entry.stat().st_size for entry in os.scandir(path) if entry.is_file()))
    return os.path.getsize(path) if os.path.isfile(path) else None

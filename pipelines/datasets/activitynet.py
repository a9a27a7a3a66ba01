"""ActivityNet, any release: untrimmed videos from YouTube, and where in them is which activity.

What:    FOLDER/.../v_<id>.mp4 (or .mkv, .webm, ...; or <id>.mp4), and the release's JSON
Splits:  the JSON's subsets: training is train, of which a seeded part by whole videos becomes val;
         validation is test, as in Torabi et al.; the labels of testing are withheld
Clips:   trimmed, one for each annotated segment, <id>_<number>; untrimmed, one for each video with
         the tuple of its labels, <id>

The classes are the leaves of the JSON's taxonomy, or without one the labels that occur, sorted by
name and spelt as there. An end beyond that of the video is left to the reader of the video.
"""

import collections
import json
import math
import os

from glimpse.pipelines.clips import VIDEO_SUFFIXES, Clip, ClipSet
from glimpse.pipelines.group_split import carve_validation
from glimpse.pipelines.linked_folders import walk_with_links
from glimpse.pipelines.listed_clips import separate_missing
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.utf8_file import read_utf8

_SPLITS = {"training": "train", "validation": "test"}


def read_activitynet(
    folder,
    annotations=None,
    untrimmed=False,
    val_fraction=0.15,
    val_count=None,
    seed=0,
    min_seconds=0.1,
    blocked=None,
):
    """Reads a release of ActivityNet.

    Args:
        folder: The folder of the videos, in folders as deep as they are.
        annotations: The release's JSON file; None: the only activity_net*.json in the folder or in
            the one around it.
        untrimmed: Whether a clip is a whole video with all its labels, as the official task of
            classification has it, or one segment with its label.
        val_fraction: Share of the training clips that becomes val, by whole videos; 0: none.
        val_count: The same as a number of clips, reached as nearly as whole videos allow.
        seed: Seed of the choice of val.
        min_seconds: Shorter segments are left out ([0, 0] occurs), and counted.
        blocked: A file of video ids that are left out: a JSON list, or one on each line.

    Returns:
        A ClipSet; `group` and `video_id` of each clip are its video's id.

    Raises:
        ValueError: If there is no such JSON file, or it is none of a release.
    """
    path = annotations or _find_annotations(folder)
    release = _read_json(path)
    label_names, database = _read_classes(path, release), release["database"]
    paths, unknown, left_out = _find_videos(folder, database)
    skipped = _read_blocked(blocked)
    clips = []
    for video_id, entry in database.items():
        split = _SPLITS.get(entry["subset"])
        if video_id in skipped:
            left_out["videos on the blocked list"] += 1
        elif split is None:
            left_out["videos of the subset testing, whose labels are withheld"] += 1
        elif not entry["annotations"]:
            left_out["videos without annotations"] += 1
        else:
            video = paths.get(video_id, os.path.join(folder, f"v_{video_id}.mp4"))
            known = {"group": video_id, "video_id": video_id}
            if untrimmed:
                labels = {label_names.index(a["label"]) for a in entry["annotations"]}
                clips.append(Clip(video_id, video, tuple(sorted(labels)), split, **known))
                continue
            for number, annotation in enumerate(entry["annotations"]):
                segment = _segment(annotation, entry, min_seconds, left_out)
                label, clip_id = label_names.index(annotation["label"]), f"{video_id}_{number}"
                if segment is not None:
                    clips.append(Clip(clip_id, video, label, split, segment=segment, **known))
    total = sum(clip.split == "train" for clip in clips)
    if val_count is not None:
        if not 0 <= val_count < total:
            raise ValueError(f"val_count must be in [0, {total}), got {val_count!r}.")
        val_fraction = val_count / total
    clips = carve_validation(clips, label_names, val_fraction, seed)
    count = sum(clip.split == "val" for clip in clips)
    clips, missing = separate_missing(clips)
    carved = f"val {count} of {total} training clips by video, seed {seed}" if count else "no val"
    kind = "untrimmed" if untrimmed else "trimmed"
    version = str(release.get("version", "")).removeprefix("VERSION").strip() or "unknown"
    return ClipSet(
        "ActivityNet",
        label_names,
        clips,
        unknown,
        "activitynet",
        f"release {version}, {kind}, training/validation, {carved}",
        missing,
        dict(left_out),
    )


def _find_annotations(folder):
    found = []
    for place in (folder, os.path.dirname(folder)):
        found += [
            os.path.join(place, name)
            for name in sorted(os.listdir(place))
            if name.startswith("activity_net") and name.endswith(".json")
        ]
        if found:
            break
    if len(found) != 1:
        what = f"has {len(found)} files" if found else "has no file"
        raise ValueError(f"{folder}: {what} activity_net*.json; name one by `annotations`.")
    return found[0]


def _read_json(path):
    if not os.path.isfile(path):
        raise ValueError(f"annotations={path}: no such file; give the release's JSON file.")
    text = read_utf8(path)
    try:
        release = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); fetch it again.") from error
    if not isinstance(release, dict) or not isinstance(release.get("database"), dict):
        raise ValueError(f"{path}: has no object `database`; give a release of ActivityNet.")
    if not release["database"]:
        raise ValueError(f"{path}: `database` describes no video; fetch it again.")
    for video_id, entry in release["database"].items():
        place = f"{path}: the video {video_id!r}"
        try:
            subset, annotations = entry["subset"], entry["annotations"]
            for annotation in annotations:
                start, end = annotation["segment"]
                if not (math.isfinite(start) and math.isfinite(end)) or start < 0:
                    raise ValueError(f"has the segment {annotation['segment']}")
                str.strip(annotation["label"])
            if not math.isfinite(entry.get("duration", 0.0)):
                raise ValueError(f"has the duration {entry['duration']}")
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{place} is not described as in a release ({error!r}).") from error
        if subset not in (*_SPLITS, "testing"):
            raise ValueError(f"{place} is in the unknown subset {subset!r}.")
    return release


def _read_classes(path, release):
    """The leaves of the taxonomy: the nodes that are no node's parent."""
    nodes = release.get("taxonomy") or []
    try:
        parents = {node["parentId"] for node in nodes}
        leaves = {node["nodeName"] for node in nodes if node["nodeId"] not in parents}
        for name in leaves:
            str.strip(name)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: `taxonomy` must be a list of objects with nodeName, nodeId and parentId "
            f"({error!r}); fetch it again."
        ) from error
    used = {
        annotation["label"]: video_id
        for video_id, entry in release["database"].items()
        for annotation in entry["annotations"]
    }
    for label, video_id in used.items():
        if nodes and label not in leaves:
            raise ValueError(
                f"{path}: the label {label!r} of the video {video_id!r} is no leaf of the taxonomy."
            )
    if not leaves and not used:
        raise ValueError(f"{path}: has no taxonomy and no labels.")
    return tuple(sorted(leaves or used))


def _find_videos(folder, database):
    """Returns {video id: path}, the files that are no videos, and counts of what is left out."""
    paths, unknown, left_out = {}, [], collections.Counter()
    for parent, folders, files in walk_with_links(folder):
        folders.sort()
        for file in sorted(files):
            stem, suffix = os.path.splitext(file)
            video_id = stem[2:] if stem.startswith("v_") and stem[2:] in database else stem
            if suffix.lower() not in VIDEO_SUFFIXES:
                if not file.startswith("activity_net"):
                    unknown.append(os.path.relpath(os.path.join(parent, file), folder))
            elif video_id not in database:
                left_out["videos that the JSON does not list"] += 1
            elif video_id in paths:
                left_out["second files of a video"] += 1
            else:
                paths[video_id] = os.path.join(parent, file)
    return paths, tuple(sorted(unknown)), left_out


def _segment(annotation, entry, min_seconds, left_out):
    """Returns the `Segment` of an annotation, or None for one that is left out and counted."""
    start, end = annotation["segment"]
    if end - start < min_seconds:
        left_out[f"segments shorter than {min_seconds:g} s"] += 1
    elif "duration" in entry and start >= entry["duration"]:
        left_out["segments that begin at the video's end or after"] += 1
    else:
        return Segment(float(start), float(end))
    return None


def _read_blocked(path):
    if path is None:
        return frozenset()
    if not os.path.isfile(path):
        raise ValueError(f"blocked={path}: no such file; give a list of video ids.")
    text = read_utf8(path)
    try:
        ids = json.loads(text)
    except ValueError:
        ids = text.split()
    if not isinstance(ids, list) or not all(isinstance(video_id, str) for video_id in ids):
        raise ValueError(f"blocked={path}: must be a JSON list of video ids, or one on each line.")
    return frozenset(ids)

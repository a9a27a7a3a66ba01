"""A CSV file that lists clips.

What:    columns path,label, and of start,end (seconds) or start_frame,end_frame, split, group any;
         the first line names them; paths are relative to the file's folder
Splits:  the column split (train, val or test) in every line; else at random by group
Clips:   one for each line: the whole video, or the part [start, end) of it, where an empty end is
         the video's

Labels are the names of classes. A ";" between names gives a clip several; then all clips of the
file are taken to have any number of them. Parts of one video stay in one split, as groups do.
"""

import os

from glimpse.pipelines.clips import SPLITS, Clip, ClipSet
from glimpse.pipelines.csv_table import read_csv_rows
from glimpse.pipelines.group_split import divide_by_group
from glimpse.pipelines.listed_clips import separate_missing
from glimpse.pipelines.segment import Segment

_COLUMNS = ("path", "label", "start", "end", "start_frame", "end_frame", "split", "group")


def read_csv_file(folder, fractions=(0.7, 0.1, 0.2), seed=0):
    """Reads the clips that a CSV file lists.

    Args:
        folder: The CSV file, or a folder with one CSV file in it.
        fractions: Shares of train, val and test without a column split; they sum to 1.
        seed: Seed of that division.

    Returns:
        A ClipSet. A clip is named by its path, and a part of a video also by its segment.

    Raises:
        ValueError: If a column is unknown or missing, a line is wrong, which the text names, or
            a class has no clip in train by the column split.
    """
    path = _find_file(folder)
    rows, columns = _read_rows(path)
    several = any(";" in row["label"] for _, row in rows)
    names = [_names(row["label"], several, place) for place, row in rows]
    label_names = tuple(sorted({name for each in names for name in each}))
    clips, ids = [], set()
    for (place, row), each in zip(rows, names, strict=True):
        clip = _clip(os.path.dirname(path), row, place)
        if clip.clip_id in ids:
            raise ValueError(f"{place}: lists {clip.clip_id!r} a second time.")
        ids.add(clip.clip_id)
        labels = tuple(sorted(map(label_names.index, each)))
        clips.append(Clip(**(vars(clip) | {"label": labels if several else labels[0]})))
    if "split" in columns:
        clips.sort(key=lambda clip: SPLITS.index(clip.split))
        _require_training_clips(path, clips, label_names)
        split_name = "given by the column split"
    else:
        clips = divide_by_group(clips, label_names, fractions, seed)
        shares = "/".join(f"{100 * share:g}" for share in fractions)
        split_name = f"{shares} % by {'group' if 'group' in columns else 'video'}, seed {seed}"
    clips, missing = separate_missing(clips)
    name = os.path.splitext(os.path.basename(path))[0]
    return ClipSet(name, label_names, clips, split_name=split_name, missing=missing)


def _find_file(path):
    if os.path.isfile(path):
        return path
    found = sorted(name for name in os.listdir(path) if name.lower().endswith(".csv"))
    if len(found) != 1:
        raise ValueError(f"{path}: has {len(found)} CSV files; name the one to read.")
    return os.path.join(path, found[0])


def _read_rows(path):
    """Returns [(place, row)] and the columns."""
    columns, rows = read_csv_rows(path)
    _check_columns(path, columns)
    for place, row in rows:
        if None in row or None in row.values():
            raise ValueError(f"{place}: must have {len(columns)} fields.")
    if not rows:
        raise ValueError(f"{path}: lists no clips.")
    return rows, columns


def _check_columns(path, columns):
    unknown = [name for name in columns if name not in _COLUMNS]
    if {"path", "caption"} <= set(columns):
        raise ValueError(f"{path}: lists captions, no labels; read it with dataset='captions_csv'.")
    if not {"path", "label"} <= set(columns) or unknown or len(columns) > len(set(columns)):
        raise ValueError(
            f"{path}: the first line must name the columns path,label and any of "
            f"{', '.join(_COLUMNS[2:])}, each once; got {','.join(columns)!r}."
        )
    if {"start", "end"} & set(columns) and {"start_frame", "end_frame"} & set(columns):
        raise ValueError(f"{path}: give start,end in seconds or in frames, not both.")


def _require_training_clips(path, clips, label_names):
    taught = set()
    for clip in clips:
        if clip.split == "train":
            taught.update(clip.label if isinstance(clip.label, tuple) else [clip.label])
    for label, label_name in enumerate(label_names):
        if label not in taught:
            raise ValueError(f"{path}: the class {label_name!r} has no clip in train.")


def _names(text, several, place):
    names = [name.strip() for name in text.split(";")] if several else [text.strip()]
    if not all(names) or len(set(names)) < len(names):
        raise ValueError(f"{place}: the label must be the name of a class, got {text!r}.")
    return names


def _clip(folder, row, place):
    if not row["path"]:
        raise ValueError(f"{place}: has no path.")
    split = row.get("split", "train")
    if split not in SPLITS:
        raise ValueError(f"{place}: split must be one of {SPLITS}, got {split!r}.")
    group = row.get("group")
    if group == "":
        raise ValueError(f"{place}: has no group; give each line one, or leave out the column.")
    clip_id = os.path.normpath(row["path"])
    path = os.path.join(folder, clip_id)
    segment = _segment(row, place)
    name = clip_id if segment is None else f"{clip_id} {segment}"
    return Clip(name, path, None, split, segment=segment, group=group, video_id=clip_id)


def _segment(row, place):
    unit = "frames" if "start_frame" in row or "end_frame" in row else "seconds"
    names = ("start_frame", "end_frame") if unit == "frames" else ("start", "end")
    texts = [row.get(name, "").strip() for name in names]
    if not any(texts):
        return None
    try:
        read = int if unit == "frames" else float
        start, end = (read(text) if text else None for text in texts)
        return Segment(start or 0, end, unit)
    except ValueError as error:
        raise ValueError(f"{place}: {','.join(names)}={','.join(texts)!r}: {error}") from error

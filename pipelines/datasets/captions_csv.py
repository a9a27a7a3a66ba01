"""A CSV file of sentences that describe your own clips.

What:    columns path,caption, and of split, group any, a line for each sentence; the first line
         names them; paths are relative to the file's folder
Splits:  the column split (train, val or test) in every line; else at random by group
Clips:   one for each path, named by it; without labels, their sentences in truth["captions"]

Sentences are taken as written, in whatever language; `tokenize_caption` says how they become words.
Lines of one path say one split and one group.
"""

import os

from glimpse.pipelines.clips import SPLITS, Clip, ClipSet
from glimpse.pipelines.csv_table import count_blank_lines, read_csv_rows
from glimpse.pipelines.group_split import divide_by_group
from glimpse.pipelines.listed_clips import separate_missing

_COLUMNS = ("path", "caption", "split", "group")


def read_captions_csv(folder, fractions=(0.7, 0.1, 0.2), seed=0):
    """Reads the clips and sentences that a CSV file lists.

    Args:
        folder: The CSV file, or a folder with one CSV file in it.
        fractions: Shares of train, val and test without a column split; they sum to 1.
        seed: Seed of that division.

    Returns:
        A ClipSet without label names. Each clip's `truth` has its `captions`, in the order of the
        file. Empty rows, empty captions and clips that have no other are counted in `left_out`.

    Raises:
        ValueError: If a column is unknown or missing, or a line is wrong, which the text names.
    """
    path = _find_file(folder)
    columns, rows = read_csv_rows(path)
    _check_columns(path, columns)
    left_out = {"empty rows": count_blank_lines(path), "captions: empty": 0}
    found = {}
    for place, row in rows:
        if None in row or None in row.values():
            raise ValueError(
                f"{place}: must have {len(columns)} fields; a caption with commas or quotes stands "
                'in double quotes, "a ""big"" dog, running".'
            )
        if not any(value.strip() for value in row.values()):
            left_out["empty rows"] += 1
            continue
        clip = _clip(os.path.dirname(path), row, place)
        known = found.setdefault(clip.clip_id, clip)
        for name in ("split", "group"):
            mine, theirs = getattr(clip, name), getattr(known, name)
            if mine != theirs:
                raise ValueError(
                    f"{place}: {name} is {mine!r}, in an earlier line of {clip.clip_id!r} "
                    f"{theirs!r}; give all lines of a clip the same."
                )
        if row["caption"].strip():
            known.truth["captions"].append(row["caption"].strip())
        else:
            left_out["captions: empty"] += 1
    clips = [clip for clip in found.values() if clip.truth["captions"]]
    left_out["clips without a caption"] = len(found) - len(clips)
    left_out = {what: count for what, count in left_out.items() if count}
    if not clips:
        raise ValueError(f"{path}: has no caption of any clip.")
    clips, split_name = _divide(clips, columns, fractions, seed)
    clips, missing = separate_missing(clips)
    name = os.path.splitext(os.path.basename(path))[0]
    return ClipSet(name, (), clips, (), None, split_name, missing, left_out)


def _find_file(path):
    if os.path.isfile(path):
        return path
    found = sorted(name for name in os.listdir(path) if name.lower().endswith(".csv"))
    if len(found) != 1:
        raise ValueError(f"{path}: has {len(found)} CSV files; name the one to read.")
    return os.path.join(path, found[0])


def _check_columns(path, columns):
    unknown = [name for name in columns if name not in _COLUMNS]
    if not {"path", "caption"} <= set(columns) or unknown or len(columns) > len(set(columns)):
        raise ValueError(
            f"{path}: the first line must name the columns path,caption and any of split, group, "
            f"each once; got {','.join(columns)!r}."
        )


def _clip(folder, row, place):
    if not row["path"].strip():
        raise ValueError(f"{place}: has no path.")
    split, group = row.get("split", "train"), row.get("group")
    if split not in SPLITS:
        raise ValueError(f"{place}: split must be one of {SPLITS}, got {split!r}.")
    if group == "":
        raise ValueError(f"{place}: has no group; give each line one, or leave out the column.")
    clip_id = os.path.normpath(row["path"].strip())
    truth = {"captions": []}
    path = os.path.join(folder, clip_id)
    return Clip(clip_id, path, (), split, truth, group=group, video_id=clip_id)


def _divide(clips, columns, fractions, seed):
    if "split" in columns:
        clips.sort(key=lambda clip: SPLITS.index(clip.split))
        return clips, "given by the column split"
    shares = "/".join(f"{100 * share:g}" for share in fractions)
    unit = "group" if "group" in columns else "video"
    return divide_by_group(clips, (), fractions, seed), f"{shares} % by {unit}, seed {seed}"

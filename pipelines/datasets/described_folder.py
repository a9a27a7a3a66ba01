"""A folder that describes itself, as `glimpse render` writes them.

What:    FOLDER/dataset.json         {"name": ..., "classes": [...]}
Splits:  FOLDER/splits/SPLIT.csv     columns path,label; SPLIT is train, val or test
Clips:   FOLDER/PATH, and what is known of them in FOLDER/truth/SPLIT.jsonl, if it is there
"""

import io
import json
import os

from glimpse.pipelines.clips import SPLITS, Clip, ClipSet
from glimpse.pipelines.csv_table import read_csv_rows
from glimpse.pipelines.utf8_file import read_utf8


def read_described_folder(folder):
    """Reads a folder with dataset.json.

    Args:
        folder: The folder.

    Returns:
        A ClipSet; each clip's `truth` is its line of truth/SPLIT.jsonl.

    Raises:
        ValueError: If dataset.json is missing or no such description, or an entry names a missing
            file or unknown class.
    """
    description = _read_json(os.path.join(folder, "dataset.json"))
    label_names = description.get("classes", description.get("label_names"))
    if not isinstance(label_names, list) or not label_names:
        raise ValueError(f"{folder}/dataset.json: has no list `classes` of class names.")
    label_names = [str(name) for name in label_names]
    clips, ids = [], set()
    for split in SPLITS:
        table = os.path.join(folder, "splits", f"{split}.csv")
        if not os.path.isfile(table):
            continue
        truth = _read_truth(os.path.join(folder, "truth", f"{split}.jsonl"))
        columns, rows = read_csv_rows(table)
        if not {"path", "label"} <= set(columns):
            raise ValueError(f"{table}: the first line must name the columns path,label.")
        for place, row in rows:
            path = os.path.normpath(os.path.join(folder, row["path"] or ""))
            if not os.path.isfile(path):
                raise ValueError(f"{place}: {row['path']!r} is missing; render or copy it.")
            known = truth.pop(row["path"], None)
            clip_id = known["clip_id"] if known else os.path.splitext(row["path"])[0]
            if clip_id in ids:
                raise ValueError(f"{place}: the clip {clip_id!r} is listed twice.")
            ids.add(clip_id)
            label = _label(row["label"], label_names, place)
            clips.append(Clip(clip_id, path, label, split, known))
        if truth:
            raise ValueError(
                f"{folder}/truth/{split}.jsonl: describes {len(truth)} clips that the split does "
                f"not list, such as {next(iter(truth))!r}."
            )
    if not clips:
        raise ValueError(f"{folder}: lists no clips in splits/train.csv, val.csv or test.csv.")
    name = str(description.get("name", os.path.basename(folder)))
    return ClipSet(name, tuple(label_names), tuple(clips))


def _read_json(path):
    if not os.path.isfile(path):
        raise ValueError(f"{path}: is missing; give a folder that `glimpse render` wrote.")
    with open(path, encoding="utf-8") as file:
        try:
            return dict(json.load(file))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: is not a JSON object ({error}); write it again.") from error


def _read_truth(path):
    if not os.path.isfile(path):
        return {}
    truth = {}
    for number, line in enumerate(io.StringIO(read_utf8(path)), start=1):
        try:
            entry = json.loads(line)
            entry["clip_id"] = str(entry["clip_id"])
            truth[entry["path"]] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} line {number}: is not a JSON object with clip_id and path."
            ) from error
    return truth


def _label(text, label_names, place):
    if text in label_names:
        return label_names.index(text)
    if text is not None and text.isdecimal() and int(text) < len(label_names):
        return int(text)
    raise ValueError(f"{place}: unknown class {text!r}; the classes are {', '.join(label_names)}.")

"""Finds the clips of a data set on disk: what they are called, what they show, whose split."""

import collections
import csv
import dataclasses
import hashlib
import json
import os
import random

from absl import logging

from glimpse.pipelines.segment import Segment

SPLITS = ("train", "val", "test")
_LIKE_SPLITS = {*SPLITS, "training", "validation", "valid", "dev", "eval", "testing"}
VIDEO_SUFFIXES = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    )
)


@dataclasses.dataclass(frozen=True)
class Clip:
    """One labelled video file.

    Args:
        clip_id: Name of the clip, unique in its data set.
        path: Absolute path of the video file.
        label: Index of the class in the data set's `label_names`; a tuple of them, which may be
            empty, where a clip may have several.
        split: "train", "val" or "test".
        truth: What is known of the clip besides its label, a dict, or None.
        segment: The `Segment` of the video that is the clip; None: all of it.
        group: Name of what must not stand in two splits (a scene, a film, a person), or None.
        video_id: Name of the video that the clip is a part of; None: the clip's own.
    """

    clip_id: str
    path: str
    label: int | tuple
    split: str
    truth: dict | None = dataclasses.field(default=None, compare=False, repr=False)
    segment: Segment | None = None
    group: str | None = None
    video_id: str | None = None


@dataclasses.dataclass(frozen=True)
class ClipSet:
    """The clips of a data set, in a fixed order.

    Args:
        name: Name of the data set.
        label_names: Class names in label order.
        clips: The clips of all splits.
        unknown_files: Files in the folder that were left out because they are no
            videos by their names, relative to it.
        protocol: Name of the official data set whose rules of evaluation hold ("hollywood2"), or
            None.
        split_name: Which of several splits this is, such as "split 1" or "groups, seed 0".
        missing: Dicts of clip_id, path, split and reason: clips that the split lists and that are
            not there.
        left_out: {reason in words: number of clips}, for what the reader left out on purpose.
    """

    name: str
    label_names: tuple
    clips: tuple
    unknown_files: tuple = ()
    protocol: str | None = None
    split_name: str = ""
    missing: tuple = ()
    left_out: dict = dataclasses.field(default_factory=dict)

    @property
    def expected(self):
        """{split: number of clips that it lists, there or missing}."""
        splits = [clip.split for clip in self.clips] + [clip["split"] for clip in self.missing]
        return {split: splits.count(split) for split in SPLITS if split in splits}

    @property
    def split_hash(self):
        """SHA-256 over the sorted (split, clip_id, label name): says who is in which split."""
        digest = hashlib.sha256()
        for entry in sorted((c.split, c.clip_id, self._named(c.label)) for c in self.clips):
            digest.update(json.dumps(entry).encode())
        return digest.hexdigest()

    def _named(self, label):
        if isinstance(label, tuple):
            return sorted(self.label_names[each] for each in label)
        return self.label_names[label]

    def in_split(self, split):
        """The clips of one split, in order."""
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}.")
        return tuple(clip for clip in self.clips if clip.split == split)


def read_clips(folder, fractions=(0.7, 0.1, 0.2), seed=0):
    """Reads what a data set folder holds; no video is decoded.

    Three layouts are understood:

        FOLDER/dataset.json, FOLDER/splits/SPLIT.csv, FOLDER/truth/SPLIT.jsonl   (tiny_actions)
        FOLDER/SPLIT/CLASS/VIDEO      SPLIT is train, val or test, kept as given
        FOLDER/CLASS/VIDEO            split at random within each class

    Args:
        folder: The data set's folder.
        fractions: Shares of train, val and test for the third layout; they sum to 1.
            Each split with a share above 0 gets at least one clip of each class.
        seed: Seed of the third layout's split.

    Returns:
        A ClipSet.

    Raises:
        ValueError: If the folder is missing or holds no clips, a class has too few
            clips, an entry names a missing file or unknown class, or one file (or
            two files with the same bytes) stands in two splits.
    """
    folder = os.path.abspath(os.fsdecode(folder))
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: no such folder; give the folder of a data set.")
    if os.path.isfile(os.path.join(folder, "dataset.json")):
        clip_set = _read_described(folder)
    elif os.path.isfile(os.path.join(folder, "unfinished.json")):
        raise ValueError(f"{folder}: was not rendered to its end; run the rendering again.")
    else:
        clip_set = _read_class_folders(folder, fractions, seed)
    _refuse_overlap(clip_set.clips)
    if clip_set.unknown_files:
        logging.warning(
            "%s: left out %d files that are no videos by their names, such as %r.",
            ascii(folder),
            len(clip_set.unknown_files),
            clip_set.unknown_files[0],
        )
    return clip_set


def _read_described(folder):
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
        with open(table, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not {"path", "label"} <= set(rows.fieldnames or ()):
                raise ValueError(f"{table}: the first line must name the columns path,label.")
            for row in rows:
                place = f"{table} line {rows.line_num}"
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
    with open(path, encoding="utf-8") as file:
        try:
            return dict(json.load(file))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: is not a JSON object ({error}); write it again.") from error


def _read_truth(path):
    if not os.path.isfile(path):
        return {}
    truth = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
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


def _folders(folder):
    """The sub-folders that are not hidden (.git, .ipynb_checkpoints)."""
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith("."))


def _read_class_folders(folder, fractions, seed):
    names = _folders(folder)
    like_splits = [name for name in names if name.lower() in _LIKE_SPLITS]
    # One such name may be a class (train and bus); two are splits by other names.
    if len(like_splits) > 1 and not ("train" in names and set(names) <= set(SPLITS)):
        raise ValueError(
            f"{folder}: has folders named like splits ({', '.join(like_splits)}), but not train, "
            f"val and test alone ({', '.join(names)}); rename them, or the class."
        )
    given = "train" in names and set(names) <= set(SPLITS) and _folders(f"{folder}/train")
    groups = [(split, f"{folder}/{split}") for split in SPLITS if split in names]
    found, unknown = {}, []
    for split, group in groups if given else [(None, folder)]:
        unknown += [e.path for e in os.scandir(group) if not e.is_dir()]
        for label_name in _folders(group):
            videos = []
            for parent, subfolders, files in os.walk(os.path.join(group, label_name)):
                subfolders.sort()
                for file in sorted(files):
                    is_video = os.path.splitext(file)[1].lower() in VIDEO_SUFFIXES
                    is_video = is_video and not file.startswith("._")  # macOS's companions
                    (videos if is_video else unknown).append(os.path.join(parent, file))
            found[split, label_name] = videos
    if given:
        unknown += [e.path for e in os.scandir(folder) if not e.is_dir()]
    if not any(found.values()):
        raise ValueError(
            f"{folder}: holds no clips; expected dataset.json, or folders CLASS/VIDEO or "
            f"SPLIT/CLASS/VIDEO with videos named {', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    label_names = tuple(sorted({label_name for _, label_name in found}))
    clips = []
    for label, label_name in enumerate(label_names):
        if given:
            divided = {split: found.get((split, label_name), []) for split, _ in groups}
            if not divided["train"]:
                raise ValueError(f"{folder}: the class {label_name!r} has no clip in train.")
        else:
            if not found[None, label_name]:
                raise ValueError(
                    f"{os.path.join(folder, label_name)}: holds no video, so it is no class; "
                    "remove the folder or add clips."
                )
            divided = _divide(found[None, label_name], label_name, fractions, seed)
        for split, paths in divided.items():
            clips += [Clip(os.path.relpath(p, folder), p, label, split) for p in sorted(paths)]
    clips.sort(key=lambda clip: SPLITS.index(clip.split))
    unknown = tuple(os.path.relpath(path, folder) for path in sorted(unknown))
    return ClipSet(os.path.basename(folder), label_names, tuple(clips), unknown)


def _divide(paths, label_name, fractions, seed):
    if (
        len(fractions) != 3
        or abs(sum(fractions) - 1) > 1e-6
        or min(fractions) < 0
        or not fractions[0]
    ):
        raise ValueError(
            "fractions must be three shares (train, val, test) of at least 0 that sum to 1, "
            f"train above 0; got {fractions!r}."
        )
    needed = sum(fraction > 0 for fraction in fractions)
    if len(paths) < needed:
        raise ValueError(
            f"The class {label_name!r} has {len(paths)} clips but {needed} splits need one each; "
            "add clips, or divide them yourself: FOLDER/{train,val,test}/CLASS/VIDEO."
        )
    # The class's name is part of the seed: a new class leaves the others' split as it was.
    shuffled = random.Random(f"{seed}/{label_name}").sample(paths, len(paths))
    counts = [max(1, round(len(paths) * f)) if f else 0 for f in fractions[1:]]
    while sum(counts) >= len(paths):
        counts[counts.index(max(counts))] -= 1
    val, test = counts
    return {
        "train": shuffled[val + test :],
        "val": shuffled[:val],
        "test": shuffled[val : val + test],
    }


def _refuse_overlap(clips):
    by_size = collections.defaultdict(list)
    for clip in clips:
        by_size[os.path.getsize(clip.path)].append(clip)
    for same_size in by_size.values():
        if len({clip.split for clip in same_size}) < 2:
            continue
        seen = {}
        for clip in same_size:
            with open(clip.path, "rb") as file:
                content = hashlib.file_digest(file, "sha256").digest()
            other = seen.setdefault(content, clip)
            if other.split != clip.split:
                raise ValueError(
                    f"{other.path!a} is in {other.split} and {clip.path!a}, the same "
                    f"video, in {clip.split}; remove it from one of them."
                )

"""UCF Sports: 150 sequences of 10 actions from broadcasts.

What:    FOLDER/<Dir>/<NNN>/ with the frames as JPEG pictures (or in its jpeg/), an AVI, or both, in
         13 folders such as Golf-Swing-Back; FOLDER is "ucf action", or ucf_sports_actions around it
Splits:  none is official. A seeded 75/25 of each class, as Yan et al. divided it (theirs is not
         published); the same with sequences cut from one recording kept together; the 103/47 of Lan
         et al.; one sequence tested on at a time
Clips:   named <Dir>/<NNN>, since numbers begin anew in each folder. The pictures are the clip where
         there are any: some AVIs are shorter, and some are missing
Truth:   `directory`, and, where gt/ has a box for each picture, the actor's in `figures`; a second
         actor's are in gt2/
"""

import collections
import dataclasses
import os
import re

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.datasets.ucf_sports_boxes import read_boxes
from glimpse.pipelines.group_split import carve_validation, describe_validation, divide_by_group
from glimpse.pipelines.listed_clips import folder_with, missing_clip
from glimpse.pipelines.picture_names import is_picture_name

# Folder: (class, number of its sequences). The classes are in alphabetical order.
FOLDERS = {
    "Diving-Side": ("Diving", 14),
    "Golf-Swing-Back": ("Golf Swing", 5),
    "Golf-Swing-Front": ("Golf Swing", 8),
    "Golf-Swing-Side": ("Golf Swing", 5),
    "Kicking-Front": ("Kicking", 10),
    "Kicking-Side": ("Kicking", 10),
    "Lifting": ("Lifting", 6),
    "Riding-Horse": ("Riding Horse", 12),
    "Run-Side": ("Running", 13),
    "SkateBoarding-Front": ("SkateBoarding", 12),
    "Swing-Bench": ("Swing-Bench", 20),
    "Swing-SideAngle": ("Swing-Side", 13),
    "Walk-Front": ("Walking", 22),
}
LABEL_NAMES = tuple(dict.fromkeys(label_name for label_name, _ in FOLDERS.values()))
NUM_CLIPS = 150
# First and last of the sequences that Lan et al. test on, counted from 1 by class and folder.
LAN_TEST = (
    (1, 4), (15, 20), (33, 38), (53, 54), (59, 62),
    (71, 74), (84, 87), (96, 101), (116, 119), (129, 135),
)  # fmt: skip
SPLITS = ("random", "sources", "lan", "leave_one_out")
_SHARES = (0.75, 0, 0.25)


def read_ucf_sports(folder, split="random", fold=None, seed=0, val_fraction=0.15):
    """Reads UCF Sports.

    Args:
        folder: The folder of the 13 folders, or the one that it is in.
        split: "random": a seeded 75/25 of each class; "sources": the same, with what the files'
            names say is of one recording kept together; "lan": the 103/47 of Lan et al.;
            "leave_one_out": sequence `fold` is the test set.
        fold: Number of the sequence tested on, 1 to 150, by class and folder in alphabetical order,
            for "leave_one_out" alone.
        seed: Seed of the division and of the choice of val.
        val_fraction: Share of the training sequences that becomes val; 0: none.

    Returns:
        A ClipSet. Sequences of the 150 that are not there are `missing`. The others' split is the
        same without them, but for "sources", which cannot tell what recording they are of.

    Raises:
        ValueError: If one of the 13 folders is missing, the split is none of these, or a file of
            boxes is damaged.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}.")
    if (fold is not None) != (split == "leave_one_out"):
        raise ValueError(
            f"fold={fold!r} with split={split!r}: leave_one_out needs a fold from 1 to "
            f"{NUM_CLIPS}, and the others have none."
        )
    if fold is not None and not (isinstance(fold, int) and 1 <= fold <= NUM_CLIPS):
        raise ValueError(f"fold must be from 1 to {NUM_CLIPS}, got {fold!r}.")
    root = _find_root(folder)
    left_out = collections.Counter()
    found = [_read_sequence(root, directory, name, left_out) for directory, name in _sequences()]
    absent = {clip.clip_id: reason for clip, reason in found if reason}
    if absent:
        logging.warning("%s: lacks %d of UCF Sports' 150 sequences.", ascii(root), len(absent))
    clips = _divided([clip for clip, _ in found], split, fold, seed)
    counts = collections.Counter(clip.split for clip in clips)
    group_of = _source if split == "sources" else None
    clips = carve_validation(clips, LABEL_NAMES, val_fraction, seed, group_of)
    unit = "recording" if split == "sources" else "sequence"
    split_name = _split_name(split, fold, seed) + f" ({counts['train']}/{counts['test']} clips), "
    split_name += describe_validation(val_fraction, seed, unit)
    missing = [missing_clip(clip, absent[clip.clip_id]) for clip in clips if clip.clip_id in absent]
    return ClipSet(
        "UCF Sports",
        LABEL_NAMES,
        tuple(clip for clip in clips if clip.clip_id not in absent),
        _look_for_others(root, left_out),
        "ucf_sports",
        split_name,
        tuple(missing),
        dict(left_out),
    )


def _find_root(folder):
    inside = os.path.join(folder, "ucf_sports_actions")
    root = folder_with(inside if os.path.isdir(inside) else folder, "Diving-Side")
    absent = [name for name in FOLDERS if not os.path.isdir(os.path.join(root, name))]
    if absent:
        raise ValueError(f"{root}: has no folder {', '.join(absent)}; unpack all of UCF Sports.")
    return root


def _sequences():
    """Yields (folder, number) of the 150 sequences, by class and folder."""
    for directory, (_, count) in FOLDERS.items():
        for number in range(1, count + 1):
            yield directory, f"{number:03d}"


def _read_sequence(root, directory, name, left_out):
    """Returns (clip, None), or (clip, why it cannot be had)."""
    path = os.path.join(root, directory, name)
    label = LABEL_NAMES.index(FOLDERS[directory][0])
    clip = Clip(f"{directory}/{name}", path, label, "train", {"directory": directory})
    if not os.path.isdir(path):
        return clip, "no such folder"
    folders = [path, *(os.path.join(path, n) for n in _entries(path) if n.lower() == "jpeg")]
    for place in filter(os.path.isdir, folders):
        if any(map(is_picture_name, os.listdir(place))):
            truth = clip.truth | read_boxes(path, place, left_out)
            return dataclasses.replace(clip, path=place, truth=truth), None
    videos = [n for n in _entries(path) if n.lower().endswith(".avi") and not n.startswith(".")]
    if len(videos) != 1:
        return clip, f"holds no picture and {len(videos)} AVI files"
    return dataclasses.replace(clip, path=os.path.join(path, videos[0])), None


def _entries(path):
    return sorted(os.listdir(path))


def _divided(clips, split, fold, seed):
    if split in ("random", "sources"):
        group_of = _source if split == "sources" else None
        return divide_by_group(clips, LABEL_NAMES, _SHARES, seed, even_out=True, group_of=group_of)
    if split == "lan":
        tested = {n for first, last in LAN_TEST for n in range(first, last + 1)}
    else:
        tested = {fold}
    placed = [
        dataclasses.replace(clip, split="test" if number in tested else "train")
        for number, clip in enumerate(clips, start=1)
    ]
    return tuple(sorted(placed, key=lambda clip: clip.split != "train"))


def _source(clip):
    """The recording that a sequence is cut from, by its first file's name: 2538-5 of 2538-5_70133.

    None where the name is not built so; such a sequence is taken to stand alone.
    """
    if os.path.isdir(clip.path):
        names = [name for name in _entries(clip.path) if is_picture_name(name)]
    else:
        names = [os.path.basename(clip.path)]
    found = re.match(r"(.+)_[^_]*\d", names[0]) if names else None
    return found and found[1]


def _split_name(split, fold, seed):
    return {
        "random": f"75/25 of each class, seed {seed}",
        "sources": f"75/25 of each class by recording, seed {seed}",
        "lan": "Lan et al.",
        "leave_one_out": f"leave one out, fold {fold}",
    }[split]


def _look_for_others(root, left_out):
    """Counts folders that are no sequence; returns the files that are none of a sequence."""
    unknown, known = [], {"/".join(sequence) for sequence in _sequences()}
    for entry in os.scandir(root):
        if entry.name not in FOLDERS:
            unknown.append(entry.name + "/" * os.path.isdir(entry.path))
            continue
        for inner in os.scandir(entry.path):
            name = f"{entry.name}/{inner.name}"
            if not os.path.isdir(inner.path):
                unknown.append(name)
            elif name not in known:
                left_out["folders beyond the 150 sequences"] += 1
    return tuple(sorted(unknown))

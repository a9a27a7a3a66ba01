"""HMDB-51: 6,766 clips of 51 actions, three official splits.

What:    FOLDER/hmdb51_org/<class>/<name>.avi
Splits:  FOLDER/testTrainMulti_7030_splits/<class>_test_split<1|2|3>.txt, lines `<name>.avi <id>`:
         1 train, 2 test, 0 not used; 70 and 30 clips of each class
Clips:   named <class>/<name>; the class is the folder's, names hold any of # ( ) ! & ; + -

No official split has a validation set: a seeded part of train becomes one. Clips cut from one
source video, by the title that their names begin with, stay together in it. Train and test are as
the files say, whatever the titles.
"""

import collections
import os
import re

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.group_split import carve_validation, describe_validation
from glimpse.pipelines.listed_clips import separate_missing

LABEL_NAMES = tuple(
    "brush_hair cartwheel catch chew clap climb climb_stairs dive draw_sword dribble drink eat "
    "fall_floor fencing flic_flac golf handstand hit hug jump kick kick_ball kiss laugh pick pour "
    "pullup punch push pushup ride_bike ride_horse run shake_hands shoot_ball shoot_bow shoot_gun "
    "sit situp smile smoke somersault stand swing_baseball sword sword_exercise talk throw turn "
    "walk wave".split()
)
# Training and test clips of each class.
PER_CLASS = {"train": 70, "test": 30}
_VIDEOS, _SPLITS = "hmdb51_org", "testTrainMulti_7030_splits"
_FIELDS = re.compile(r"_[fulh]_(cm|nm)_np\d+_(fr|ba|le|ri)_(goo|med|bad)_\d+$")


def read_hmdb51(folder, split_number=1, val_fraction=0.15, seed=0):
    """Reads HMDB-51.

    Args:
        folder: The folder of hmdb51_org/ and testTrainMulti_7030_splits/; or of the class folders,
            with the split folder in it or beside it.
        split_number: Which official split: 1, 2 or 3.
        val_fraction: Share of the training clips that becomes val; 0: none.
        seed: Seed of the choice of val.

    Returns:
        A ClipSet. Other numbers than 70 and 30 clips of a class are logged and said in its
        `split_name`.

    Raises:
        ValueError: If a folder or split file is missing, a line is none of a split file, or a class
            has no clip in train or in test.
    """
    if split_number not in (1, 2, 3):
        raise ValueError(f"split_number must be 1, 2 or 3, got {split_number!r}.")
    videos, splits = _find_folders(folder)
    clips, left_out, used = [], collections.Counter(), set()
    for label, label_name in enumerate(LABEL_NAMES):
        table = os.path.join(splits, f"{label_name}_test_split{split_number}.txt")
        for file, number in _read_split_file(table):
            used.add((label_name, file))
            if number == "0":
                left_out[f"not used by split {split_number} (id 0)"] += 1
                continue
            clip_id = f"{label_name}/{os.path.splitext(file)[0]}"
            path = os.path.join(videos, label_name, file)
            clips.append(Clip(clip_id, path, label, "train" if number == "1" else "test"))
    deviation = _describe_deviation(splits, clips, split_number)
    clips.sort(key=lambda clip: clip.split != "train")
    clips = carve_validation(clips, LABEL_NAMES, val_fraction, seed, group_of=_title)
    clips, missing = separate_missing(clips)
    unknown = _look_for_others(videos, used, left_out)
    split_name = f"split {split_number}{deviation}, "
    split_name += f"{describe_validation(val_fraction, seed, 'source video')}"
    return ClipSet(
        "HMDB-51", LABEL_NAMES, clips, unknown, "hmdb51", split_name, missing, dict(left_out)
    )


def _find_folders(folder):
    inside = os.path.join(folder, _VIDEOS)
    videos = inside if os.path.isdir(inside) else folder
    around = os.path.dirname(videos)
    places = (os.path.join(videos, _SPLITS), os.path.join(around, _SPLITS))
    found = [place for place in places if os.path.isdir(place)]
    if not found:
        raise ValueError(f"{folder}: has no {_SPLITS}, nor has the folder around it; unpack it.")
    for name in LABEL_NAMES:
        place = os.path.join(videos, name)
        if os.path.exists(place) and not os.path.isdir(place):
            raise ValueError(f"{place}: must be the folder of that class's clips, but is a file.")
    if not any(os.path.isdir(os.path.join(videos, name)) for name in LABEL_NAMES):
        raise ValueError(
            f"{videos}: has no folder of a class such as {LABEL_NAMES[0]}. hmdb51_org.rar holds "
            f"an archive of each: unpack these into {_VIDEOS}."
        )
    return videos, found[0]


def _read_split_file(path):
    """Returns [(file name, id)] of a split file."""
    if not os.path.isfile(path):
        raise ValueError(f"{path}: is missing; unpack all 153 files of the splits.")
    entries = {}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            name, _, split_id = line.strip().rpartition(" ")
            name = name.rstrip()
            if split_id not in ("0", "1", "2") or not name or name in entries:
                raise ValueError(
                    f"{path} line {number}: must be the name of a clip that no other line has, "
                    f"and 0, 1 or 2; got {line.strip()!r}."
                )
            entries[name] = split_id
    return entries.items()


def _describe_deviation(splits, clips, split_number):
    """Words for how far the lists are from 70 and 30 clips of each class; logs them."""
    counts = collections.Counter((clip.label, clip.split) for clip in clips)
    others = []
    for label, label_name in enumerate(LABEL_NAMES):
        numbers = {split: counts[label, split] for split in PER_CLASS}
        for split, number in numbers.items():
            if not number:
                raise ValueError(
                    f"{splits}/{label_name}_test_split{split_number}.txt: lists no {split} clip; "
                    "unpack it again."
                )
        if numbers != PER_CLASS:
            others.append(f"{label_name} has {numbers['train']} and {numbers['test']}")
    if not others:
        return ""
    logging.warning(
        "%s: %d of 51 classes have other numbers than 70 training and 30 test clips in split %d: "
        "%s. Results are not those of the official split.",
        ascii(splits),
        len(others),
        split_number,
        ", ".join(others[:3]) + ", ..." * (len(others) > 3),
    )
    total = collections.Counter(clip.split for clip in clips)
    return f" ({total['train']}/{total['test']} clips, {len(others)} classes without 70/30)"


def _look_for_others(videos, used, left_out):
    """Counts clips that no split file lists; returns the files that are no clips."""
    unknown = []
    for entry in os.scandir(videos):
        if entry.name not in (*LABEL_NAMES, _SPLITS):
            unknown.append(entry.name + "/" * os.path.isdir(entry.path))
        elif entry.name != _SPLITS:
            for file in os.listdir(entry.path):
                if (entry.name, file) in used:
                    continue
                if file.lower().endswith(".avi"):
                    left_out["in no split file"] += 1
                else:
                    unknown.append(f"{entry.name}/{file}")
    return tuple(sorted(unknown))


def _title(clip):
    """The title of the video that a clip is cut from; None where the name is not built so."""
    label_name, _, name = clip.clip_id.partition("/")
    fields = _FIELDS.search(name)
    return name[: fields.start()].removesuffix(f"_{label_name}") if fields else None

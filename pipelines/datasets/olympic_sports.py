"""Olympic Sports: 783 clips of 16 sports from YouTube, one official split.

What:    FOLDER/<class>/<id>_<first frame>_<last frame>.seq, Norpix .seq files
Splits:  FOLDER/train_test_split/{train,test}/<class>.txt, one clip a line without .seq; 649 train,
         134 test. In their names words are parted by spaces or by "_", and the two of diving may
         lack that word: "platform 10m.txt"
Clips:   named <class>/<id>_<first frame>_<last frame>; ids may begin with "-" and hold "_"

There is no validation set: a seeded part of train becomes one, clips of one YouTube video kept
together. Train and test are as the files say.
"""

import collections
import os

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.group_split import carve_validation, describe_validation
from glimpse.pipelines.listed_clips import separate_missing

LABEL_NAMES = (
    "basketball_layup",
    "bowling",
    "clean_and_jerk",
    "discus_throw",
    "diving_platform_10m",
    "diving_springboard_3m",
    "hammer_throw",
    "high_jump",
    "javelin_throw",
    "long_jump",
    "pole_vault",
    "shot_put",
    "snatch",
    "tennis_serve",
    "triple_jump",
    "vault",
)
# As one copy of the data set spells it.
_MISSPELT = {"diving_platform_10m": "diving_platfrom_10m"}
COUNTS = {"train": 649, "test": 134}
_SPLITS = "train_test_split"


def read_olympic_sports(folder, val_fraction=0.15, seed=0):
    """Reads Olympic Sports.

    Args:
        folder: The folder of the 16 class folders, with train_test_split/ in it or beside it, or
            the folder of olympic_sports/.
        val_fraction: Share of the training clips that becomes val; 0: none.
        seed: Seed of the choice of val.

    Returns:
        A ClipSet.

    Raises:
        ValueError: If a folder or a class's split file is missing or there twice with other clips.
    """
    videos, splits = _find_folders(folder)
    clips, left_out = [], collections.Counter()
    for split in COUNTS:
        for label, label_name in enumerate(LABEL_NAMES):
            place = _class_folder(videos, label_name)
            for stem in _read_split_file(os.path.join(splits, split), label_name, left_out):
                path = os.path.join(place, f"{stem}.seq")
                clips.append(Clip(f"{label_name}/{stem}", path, label, split))
    counts = collections.Counter(clip.split for clip in clips)
    if counts != COUNTS:
        logging.warning(
            "%s: lists %d training and %d test clips, not 649 and 134.",
            ascii(splits),
            counts["train"],
            counts["test"],
        )
    listed = {os.path.relpath(clip.path, videos) for clip in clips}
    clips = carve_validation(clips, LABEL_NAMES, val_fraction, seed, group_of=_youtube_id)
    clips, missing = separate_missing(clips)
    unknown = _look_for_others(videos, listed, left_out)
    split_name = f"official, {describe_validation(val_fraction, seed, 'YouTube video')}"
    return ClipSet(
        "Olympic Sports",
        LABEL_NAMES,
        clips,
        unknown,
        "olympic_sports",
        split_name,
        missing,
        dict(left_out),
    )


def _find_folders(folder):
    inside = os.path.join(folder, "olympic_sports")
    videos = inside if os.path.isdir(inside) else folder
    places = [os.path.join(place, _SPLITS) for place in (videos, os.path.dirname(videos))]
    found = [place for place in places if os.path.isdir(place)]
    if not found:
        raise ValueError(f"{folder}: has no {_SPLITS}, nor has the folder around it; unpack it.")
    if not any(os.path.isdir(os.path.join(videos, name)) for name in LABEL_NAMES):
        raise ValueError(f"{videos}: has no folder of a class such as {LABEL_NAMES[0]}.")
    for name in (*LABEL_NAMES, *_MISSPELT.values()):
        place = os.path.join(videos, name)
        if os.path.exists(place) and not os.path.isdir(place):
            raise ValueError(f"{place}: must be the folder of that class's clips, but is a file.")
    return videos, found[0]


def _class_folder(videos, label_name):
    place = os.path.join(videos, label_name)
    misspelt = os.path.join(videos, _MISSPELT.get(label_name, label_name))
    return place if os.path.isdir(place) or not os.path.isdir(misspelt) else misspelt


def _read_split_file(folder, label_name, left_out):
    """Returns the stems that a class's file lists, whatever the spelling of its name."""
    short = label_name.removeprefix("diving_")
    names = [label_name, *([_MISSPELT[label_name]] if label_name in _MISSPELT else []), short]
    spellings = dict.fromkeys(s for name in names for s in (name.replace("_", " "), name))
    paths = [os.path.join(folder, f"{spelling}.txt") for spelling in spellings]
    there = [path for path in paths if os.path.isfile(path)]
    if not there:
        raise ValueError(
            f"{folder}: has no file of the class {label_name}, such as "
            f"{os.path.basename(paths[0])!r}; unpack all of {_SPLITS}."
        )
    lines = [_read_lines(path) for path in there]
    if any(others != lines[0] for others in lines[1:]):
        raise ValueError(f"{' and '.join(there)} list other clips of one class; remove one.")
    stems = dict.fromkeys(lines[0])
    if len(stems) < len(lines[0]):
        left_out["lines that list a clip again"] += len(lines[0]) - len(stems)
    return stems


def _read_lines(path):
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [line.strip() for line in file if line.strip()]


def _youtube_id(clip):
    """The id of a clip's video, which may hold "_" itself."""
    return clip.clip_id.partition("/")[2].rsplit("_", 2)[0]


def _look_for_others(videos, listed, left_out):
    """Counts clips that no split file lists; returns the files that are no clips."""
    unknown, folders = [], {*LABEL_NAMES, *_MISSPELT.values()}
    for entry in os.scandir(videos):
        if entry.name not in folders:
            if entry.name != _SPLITS:
                unknown.append(entry.name + "/" * os.path.isdir(entry.path))
            continue
        for file in os.listdir(entry.path):
            name = os.path.join(entry.name, file)
            # Piotr's toolbox leaves <clip>-seek.mat beside a clip that it has read.
            if name in listed or file.endswith("-seek.mat"):
                continue
            if file.lower().endswith(".seq"):
                left_out["in no split file"] += 1
            else:
                unknown.append(name)
    return tuple(sorted(unknown))

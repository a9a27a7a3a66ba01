"""UCF-11 (YouTube Action): 1,600 clips of 11 actions, 25 groups of clips in each.

What:    FOLDER/<class>/v_<prefix>_<group>/v_<prefix>_<group>_<clip>.mpg, where FOLDER is
         UCF11_updated_mpg, the older action_youtube_naudio with .avi, or the folder of one of them
Splits:  none is official. Clips of a group share person, place and camera, so groups stay whole:
         a seeded division as near as groups allow to the 975/625 of Sharma et al., whose list is
         not known, or one number of the 25 groups tested on at a time
Clips:   named by their file, v_shooting_01_01; Annotation/ (.xgtf) and Excluded Videos.txt are left

The literature's 1,168 clips are `first_four=True`: all of biking and walking, and the clips 01 to
04 of each group of the other classes.
"""

import collections
import dataclasses
import os
import re

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.group_split import carve_validation, describe_validation, divide_by_group
from glimpse.pipelines.linked_folders import walk_with_links
from glimpse.pipelines.listed_clips import folder_with

# The name's part after v_ in each class.
PREFIXES = {
    "basketball": "shooting",
    "biking": "biking",
    "diving": "diving",
    "golf_swing": "golf",
    "horse_riding": "riding",
    "soccer_juggling": "juggle",
    "swing": "swing",
    "tennis_swing": "tennis",
    "trampoline_jumping": "jumping",
    "volleyball_spiking": "spiking",
    "walking": "walk_dog",
}
NUM_CLIPS = 1600
_SHARES = (975 / 1600, 0, 625 / 1600)
_NAME = re.compile(
    r"v_(?P<prefix>.+)_(?P<group>\d\d)_(?P<clip>\d\d)\.(?P<suffix>mpg|avi)", re.IGNORECASE
)


def read_ucf11(folder, split="groups", fold=None, seed=0, val_fraction=0.15, first_four=False):
    """Reads UCF-11.

    Args:
        folder: The folder of the 11 class folders, or the folder that it is in.
        split: "groups": a seeded division of each class's groups; "leave_one_group_out": group
            `fold` of every class is the test set.
        fold: Number of the group tested on, 1 to 25, for "leave_one_group_out" alone.
        seed: Seed of the division and of the choice of val.
        val_fraction: Share of the training clips, by whole groups, that becomes val; 0: none.
        first_four: Whether to read the 1,168 clips only.

    Returns:
        A ClipSet with a `group` for each clip. Which clips there should be is nowhere listed, so
        none is ever `missing`; another number than 1,600 is logged.

    Raises:
        ValueError: If a class folder is missing, a clip stands in another group's or class's
            folder, or the split is none of these.
    """
    if split not in ("groups", "leave_one_group_out"):
        raise ValueError(f"split must be groups or leave_one_group_out, got {split!r}.")
    if (fold is not None) != (split == "leave_one_group_out"):
        raise ValueError(
            f"fold={fold!r} with split={split!r}: leave_one_group_out needs a fold from 1 to 25, "
            "and groups has none."
        )
    if fold is not None and (not isinstance(fold, int) or isinstance(fold, bool)):
        raise ValueError(f"fold must be a whole number, the group tested on; got {fold!r}.")
    root = folder_with(folder, "basketball")
    absent = [name for name in PREFIXES if not os.path.isdir(os.path.join(root, name))]
    if absent:
        raise ValueError(f"{root}: has no folder {', '.join(absent)}; unpack all of UCF-11.")
    clips, unknown, left_out = _find_clips(root, first_four)
    if len(clips) != NUM_CLIPS and not first_four:
        logging.warning("%s: holds %d of UCF-11's 1600 clips.", ascii(root), len(clips))
    names = tuple(PREFIXES)
    if split == "groups":
        clips = divide_by_group(clips, names, _SHARES, seed, even_out=True)
        split_name = f"groups, seed {seed}"
    else:
        numbers = {clip.group[-2:] for clip in clips}
        if f"{fold:02d}" not in numbers:
            raise ValueError(f"fold={fold}: the groups are {', '.join(sorted(numbers))}.")
        clips = [_placed(clip, clip.group.endswith(f"_{fold:02d}")) for clip in clips]
        split_name = f"leave_one_group_out, fold {fold}"
    counts = collections.Counter(clip.split for clip in clips)
    clips = carve_validation(clips, names, val_fraction, seed)
    words = describe_validation(val_fraction, seed, "group")
    split_name += f" ({counts['train']}/{counts['test']} clips), {words}"
    if first_four:
        split_name = f"1168 clips, {split_name}"
    return ClipSet("UCF-11", names, clips, unknown, "ucf11", split_name, left_out=left_out)


def _find_clips(root, first_four):
    clips, unknown, left_out, taken = [], [], collections.Counter(), set()
    for entry in os.scandir(root):
        if entry.name not in PREFIXES and entry.name != "Excluded Videos.txt":
            unknown.append(entry.name + "/" * os.path.isdir(entry.path))
    for label, (label_name, prefix) in enumerate(PREFIXES.items()):
        for parent, folders, files in walk_with_links(os.path.join(root, label_name)):
            folders[:] = sorted(name for name in folders if name.lower() != "annotation")
            # .mpg comes before the .avi of the same clip.
            for file in sorted(files, key=lambda name: (name[:-4], name[-4:].lower() != ".mpg")):
                path = os.path.join(parent, file)
                match = _NAME.fullmatch(file)
                if not match:
                    if not file.lower().endswith(".xgtf"):
                        unknown.append(os.path.relpath(path, root))
                    continue
                if match["prefix"] != prefix:
                    raise ValueError(f"{path}: clips of {label_name} are named v_{prefix}_*.")
                group = f"v_{prefix}_{match['group']}"
                if os.path.basename(parent) not in (group, label_name):
                    raise ValueError(f"{path}: stands in the folder of another group.")
                clip_id = f"{group}_{match['clip']}"
                if first_four and label_name not in ("biking", "walking") and match["clip"] > "04":
                    left_out["beyond the first four of a group"] += 1
                elif clip_id in taken:
                    left_out["a second file of a clip"] += 1
                else:
                    taken.add(clip_id)
                    clips.append(Clip(clip_id, path, label, "train", group=group))
    return clips, tuple(sorted(unknown)), dict(left_out)


def _placed(clip, in_test):
    return dataclasses.replace(clip, split="test" if in_test else "train")

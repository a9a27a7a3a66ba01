"""Hollywood2 actions: 1,707 film clips of 12 actions, of which a clip may show several.

What:    FOLDER/AVIClips/<clip>.avi; ShotBounds/ is not read
Splits:  FOLDER/ClipSets/<Class>_<set>.txt, lines `<clip>  1` or `<clip>  -1`, every clip of the set
         in every class's file; the sets are train (823 clips, clean), test (884) and autotrain
         (810, labelled by script, noisy)
Clips:   each with the tuple of its labels

The films of training and test clips differ; which clip is of which film is nowhere listed, so the
validation set, a seeded part of train, may share films with it.
"""

import os

from absl import logging

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.group_split import carve_validation, describe_validation
from glimpse.pipelines.listed_clips import folder_with, separate_missing
from glimpse.pipelines.utf8_file import read_utf8

LABEL_NAMES = (
    "AnswerPhone",
    "DriveCar",
    "Eat",
    "FightPerson",
    "GetOutCar",
    "HandShake",
    "HugPerson",
    "Kiss",
    "Run",
    "SitDown",
    "SitUp",
    "StandUp",
)
# Clips of each set.
COUNTS = {"train": 823, "test": 884, "autotrain": 810}


def read_hollywood2(folder, autotrain=False, val_fraction=0.15, seed=0):
    """Reads Hollywood2's actions.

    Args:
        folder: The folder of AVIClips/ and ClipSets/, or the folder that it is in.
        autotrain: Whether to train on the noisy set in place of the clean one.
        val_fraction: Share of the training clips that becomes val; 0: none.
        seed: Seed of the choice of val.

    Returns:
        A ClipSet whose clips have tuples of labels. Another number of clips than a set has is
        logged and said in its `split_name`.

    Raises:
        ValueError: If a list is missing, has a line that is none, or lists other clips than those
            of the other classes.
    """
    root = folder_with(folder, "ClipSets")
    train_set = "autotrain" if autotrain else "train"
    clips, others = [], []
    for split, name in (("train", train_set), ("test", "test")):
        listed = _read_set(root, name)
        if len(listed) != COUNTS[name]:
            others.append(f"{len(listed)} of {COUNTS[name]} {name} clips")
        for clip_id, labels in listed.items():
            path = os.path.join(root, "AVIClips", f"{clip_id}.avi")
            clips.append(Clip(clip_id, path, labels, split))
    if others:
        logging.warning(
            "%s: lists %s. Results are not those of the official split.",
            ascii(os.path.join(root, "ClipSets")),
            " and ".join(others),
        )
    clips = carve_validation(clips, LABEL_NAMES, val_fraction, seed)
    listed = {f"{clip.clip_id}.avi" for clip in clips}
    clips, missing = separate_missing(clips)
    left_out, unknown = _look_for_others(root, listed, train_set)
    deviation = f" (lists {' and '.join(others)})" if others else ""
    split_name = f"{train_set}/test{deviation}, {describe_validation(val_fraction, seed, 'clip')}"
    return ClipSet(
        "Hollywood2", LABEL_NAMES, clips, unknown, "hollywood2", split_name, missing, left_out
    )


def _read_set(root, name):
    """Returns {clip: tuple of labels} of a set."""
    labels = None
    for label, label_name in enumerate(LABEL_NAMES):
        path = os.path.join(root, "ClipSets", f"{label_name}_{name}.txt")
        flags = _read_flags(path)
        if labels is None:
            labels = {clip: () for clip in flags}
        _require_same_clips(path, flags, labels)
        for clip, flag in flags.items():
            labels[clip] += (label,) * (flag == "1")
    listing = os.path.join(root, "ClipSets", f"actions_{name}.txt")
    if os.path.isfile(listing):
        _require_same_clips(listing, _read_flags(listing), labels)
    return labels


def _require_same_clips(path, flags, labels):
    differing = sorted(flags.keys() ^ labels.keys())
    if differing:
        raise ValueError(
            f"{path}: lists other clips than the files of its set before it, such as "
            f"{differing[0]}; unpack ClipSets again."
        )


def _read_flags(path):
    if not os.path.isfile(path):
        raise ValueError(f"{path}: is missing; unpack all of ClipSets.")
    flags = {}
    for number, line in enumerate(read_utf8(path).splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[1] not in ("1", "-1") or fields[0] in flags:
            raise ValueError(
                f"{path} line {number}: must be a clip that no other line has, and 1 or -1; "
                f"got {line.strip()!r}."
            )
        flags[fields[0]] = fields[1]
    if not flags:
        raise ValueError(f"{path}: lists no clips; unpack ClipSets again.")
    return flags


def _look_for_others(root, listed, train_set):
    folder = os.path.join(root, "AVIClips")
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: is missing; unpack the clips of Hollywood2.")
    others = sorted(name for name in os.listdir(folder) if name not in listed)
    clips = [name for name in others if name.lower().endswith(".avi")]
    left_out = {f"in neither {train_set} nor test": len(clips)} if clips else {}
    return left_out, tuple(f"AVIClips/{name}" for name in others if name not in clips)

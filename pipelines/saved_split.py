"""Keeps a split in a file, so that another machine or a later run divides a data set alike."""

import dataclasses
import hashlib
import json
import os

from glimpse.pipelines.clips import SPLITS
from glimpse.pipelines.partial_file import write_json

FORMAT = "glimpse split"
# Options of readers that say how to divide; with a file that says it too, they must agree.
_DIVIDING = {
    "fold",
    "fractions",
    "groups",
    "seed",
    "split",
    "split_number",
    "val_count",
    "val_fraction",
}


def save_split(clip_set, path):
    """Writes which clip is in which split, missing ones too, with a hash over it, as JSON.

    The order of the clips is kept as well, since that of training follows from it.

    Args:
        clip_set: The `ClipSet`.
        path: The file; what was there is replaced.
    """
    members = {split: [] for split in SPLITS}
    for clip in clip_set.clips:
        members[clip.split].append(clip.clip_id)
    for clip in clip_set.missing:
        members[clip["split"]].append(clip["clip_id"])
    content = {
        "format": FORMAT,
        "dataset": clip_set.protocol,
        "split_name": clip_set.split_name,
        "splits": members,
    }
    write_json(path, content | {"sha256": _hash(content)})


def apply_split(clip_set, path, options=()):
    """Puts the clips of a data set into the splits that a file says.

    Args:
        clip_set: The `ClipSet`.
        path: A file of `save_split`.
        options: Names of the options that the data set was read with.

    Returns:
        A ClipSet. Clips that the file lists and the data set does not have are `missing`.

    Raises:
        ValueError: If the file is none, was changed, is of another data set, does not list a clip,
            or is of another split than the options ask for.
    """
    content = _read(path)
    name = content["split_name"]
    asked = sorted(_DIVIDING & set(options))
    if asked and name != clip_set.split_name:
        raise ValueError(
            f"split_file={path}: holds the split {name!r}, but {', '.join(asked)} ask for "
            f"{clip_set.split_name!r}; leave them out, or name another file."
        )
    if content["dataset"] != clip_set.protocol:
        raise ValueError(f"split_file={path}: is of the data set {content['dataset']}.")
    split_of = {clip_id: split for split, ids in content["splits"].items() for clip_id in ids}
    place = {clip_id: number for number, clip_id in enumerate(split_of)}
    known = [clip.clip_id for clip in clip_set.clips]
    known += [clip["clip_id"] for clip in clip_set.missing]
    unlisted = [clip_id for clip_id in known if clip_id not in split_of]
    if unlisted:
        raise ValueError(
            f"split_file={path}: does not list {len(unlisted)} of {len(known)} clips, such as "
            f"{ascii(unlisted[0])}; it is of the split {name!r} of other clips."
        )
    clips = [dataclasses.replace(c, split=split_of[c.clip_id]) for c in clip_set.clips]
    missing = [clip | {"split": split_of[clip["clip_id"]]} for clip in clip_set.missing]
    there = set(known)
    missing += [
        {"clip_id": clip_id, "path": clip_id, "split": split, "reason": f"only listed in {path}"}
        for clip_id, split in split_of.items()
        if clip_id not in there
    ]
    return dataclasses.replace(
        clip_set,
        clips=tuple(sorted(clips, key=lambda clip: place[clip.clip_id])),
        missing=tuple(missing),
        split_name=name,
    )


def _read(path):
    if not os.path.isfile(path):
        raise ValueError(f"split_file={path}: no such file.")
    with open(path, encoding="utf-8") as file:
        try:
            content = dict(json.load(file))
        except (TypeError, ValueError) as error:
            raise ValueError(f"split_file={path}: is no split that glimpse wrote.") from error
    if content.get("format") != FORMAT:
        raise ValueError(f"split_file={path}: is no split that glimpse wrote.")
    if content.pop("sha256", None) != _hash(content):
        raise ValueError(
            f"split_file={path}: was changed after it was written; take the original, or remove "
            "it and divide anew."
        )
    return content


def _hash(content):
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

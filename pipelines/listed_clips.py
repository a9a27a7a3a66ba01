"""Which of the clips that a data set lists are on disk."""

import os


def separate_missing(clips):
    """Takes the clips whose files are not there out of a list; nothing is opened.

    Splits are made before this, so that a missing file leaves the others' split as it was.

    Args:
        clips: `Clip`s.

    Returns:
        (clips, missing): those that are there, and a `missing_clip` for each other, both tuples.
    """
    there = {path: os.path.exists(path) for path in {clip.path for clip in clips}}
    missing = [missing_clip(clip, "no such file") for clip in clips if not there[clip.path]]
    return tuple(clip for clip in clips if there[clip.path]), tuple(missing)


def missing_clip(clip, reason):
    """Returns what `ClipSet.missing` holds of a clip that is listed and cannot be used."""
    return {
        "clip_id": clip.clip_id,
        "path": clip.path,
        "split": clip.split,
        "label": clip.label,
        "reason": reason,
    }


def folder_with(folder, name):
    """Returns the folder that has an entry: the given one, or the only one in it that does.

    Raises:
        ValueError: If neither has, or several in it do.
    """
    if os.path.exists(os.path.join(folder, name)):
        return folder
    inside = sorted(entry.path for entry in os.scandir(folder) if os.path.isdir(entry.path))
    holding = [path for path in inside if os.path.exists(os.path.join(path, name))]
    if len(holding) == 1:
        return holding[0]
    if holding:
        raise ValueError(f"{folder}: {' and '.join(holding)} each hold {name}; name one of them.")
    raise ValueError(f"{folder}: has no {name}, and no folder in it has; unpack the data set here.")

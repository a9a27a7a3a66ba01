"""A folder of class folders.

What:    videos in FOLDER/CLASS/..., or in FOLDER/SPLIT/CLASS/...
Splits:  SPLIT is train, val or test, kept as given; without it, at random within each class
Clips:   every file whose name ends as a video's, in folders as deep as they are
"""

import os
import re

from glimpse.pipelines.clips import SPLITS, VIDEO_SUFFIXES, Clip, ClipSet, is_video_name
from glimpse.pipelines.csv_table import read_csv_rows
from glimpse.pipelines.group_split import divide_by_group
from glimpse.pipelines.linked_folders import walk_with_links

_LIKE_SPLITS = {*SPLITS, "training", "validation", "valid", "dev", "eval", "testing"}


def read_class_folders(folder, fractions=(0.7, 0.1, 0.2), seed=0, groups=None):
    """Reads FOLDER/CLASS/VIDEO or FOLDER/SPLIT/CLASS/VIDEO.

    Args:
        folder: The folder.
        fractions: Shares of train, val and test without given splits; they sum to 1. Each split
            with a share above 0 gets at least one clip of each class.
        seed: Seed of that division.
        groups: What must stay in one split (a scene, a person): a regular expression, searched for
            in the path from the folder on with "/" between its parts, whose named group `group` is
            the group, such as "(?P<group>person[0-9]+)"; or a .csv file of columns path,group.
            Every video must have one. None: each video is by itself.

    Returns:
        A ClipSet.

    Raises:
        ValueError: If there are no clips, a folder of a class holds none, a class has too few
            clips or groups, or a video has no group.
    """
    given, found, unknown = _find_videos(folder)
    if not any(found.values()):
        raise ValueError(
            f"{folder}: holds no clips; expected dataset.json, or folders CLASS/VIDEO or "
            f"SPLIT/CLASS/VIDEO with videos named {', '.join(sorted(VIDEO_SUFFIXES))}."
        )
    label_names = tuple(sorted({label_name for _, label_name in found}))
    group_of = _group_reader(groups, folder)
    clips = []
    for (split, label_name), paths in found.items():
        if not paths and not given:
            raise ValueError(
                f"{os.path.join(folder, label_name)}: holds no video, so it is no class; "
                "remove the folder or add clips."
            )
        for path in sorted(paths):
            clip_id = os.path.relpath(path, folder)
            label = label_names.index(label_name)
            clips.append(Clip(clip_id, path, label, split or "train", group=group_of(clip_id)))
    if given:
        taught = {clip.label for clip in clips if clip.split == "train"}
        for label, label_name in enumerate(label_names):
            if label not in taught:
                raise ValueError(f"{folder}: the class {label_name!r} has no clip in train.")
        split_name = "given by folders"
    else:
        clips = divide_by_group(clips, label_names, fractions, seed)
        shares = "/".join(f"{100 * share:g}" for share in fractions)
        split_name = f"{shares} % by {'group' if groups else 'clip'}, seed {seed}"
    unknown = tuple(os.path.relpath(path, folder) for path in sorted(unknown))
    name = os.path.basename(folder)
    return ClipSet(name, label_names, tuple(clips), unknown, split_name=split_name)


def _folders(folder):
    """The sub-folders that are not hidden (.git, .ipynb_checkpoints)."""
    return sorted(
        e.name for e in os.scandir(folder) if os.path.isdir(e.path) and not e.name.startswith(".")
    )


def _find_videos(folder):
    """Returns whether splits are given, {(split or None, class): paths}, and the other files."""
    names = _folders(folder)
    like_splits = [name for name in names if name.lower() in _LIKE_SPLITS]
    # One such name may be a class (train and bus); two are splits by other names.
    if len(like_splits) > 1 and not ("train" in names and set(names) <= set(SPLITS)):
        raise ValueError(
            f"{folder}: has folders named like splits ({', '.join(like_splits)}), but not train, "
            f"val and test alone ({', '.join(names)}); rename them, or the class."
        )
    given = "train" in names and set(names) <= set(SPLITS) and _folders(f"{folder}/train")
    parents = [(split, f"{folder}/{split}") for split in SPLITS if split in names]
    found, unknown = {}, []
    for split, parent in parents if given else [(None, folder)]:
        unknown += [e.path for e in os.scandir(parent) if not os.path.isdir(e.path)]
        for label_name in _folders(parent):
            videos = []
            for path, subfolders, files in walk_with_links(os.path.join(parent, label_name)):
                # A folder that is called like a video is a clip too, for the check to judge.
                videos += [os.path.join(path, f) for f in subfolders if is_video_name(f)]
                subfolders[:] = sorted(f for f in subfolders if not is_video_name(f))
                for file in sorted(files):
                    (videos if is_video_name(file) else unknown).append(os.path.join(path, file))
            found[split, label_name] = videos
    if given:
        unknown += [e.path for e in os.scandir(folder) if not os.path.isdir(e.path)]
    return bool(given), found, unknown


def _group_reader(groups, folder):
    """Returns the function of a clip's relative path that gives its group."""
    if groups is None:
        return lambda clip_id: None
    if groups.lower().endswith(".csv"):
        table = _read_groups(groups)

        def look_up(clip_id):
            path = clip_id.replace(os.sep, "/")
            if path not in table:
                raise ValueError(f"groups={groups}: has no line for the video {path!r}.")
            return table[path]

        return look_up
    try:
        pattern = re.compile(groups)
    except re.error as error:
        raise ValueError(f"groups={groups!r}: is no regular expression ({error}).") from error
    if "group" not in pattern.groupindex:
        raise ValueError(f"groups={groups!r}: must name a part of the path (?P<group>...).")

    def search(clip_id):
        match = pattern.search(clip_id.replace(os.sep, "/"))
        if not match or not match["group"]:
            raise ValueError(f"groups={groups!r}: finds no group in {clip_id!r} of {folder}.")
        return match["group"]

    return search


def _read_groups(path):
    if not os.path.isfile(path):
        raise ValueError(f"groups={path}: no such file; give a CSV file of columns path,group.")
    columns, rows = read_csv_rows(path)
    if set(columns) != {"path", "group"}:
        raise ValueError(f"{path}: the first line must name the columns path,group.")
    table = {}
    for place, row in rows:
        if not row["path"] or not row["group"] or row["path"] in table or None in row:
            raise ValueError(f"{place}: must have a path that no other line has, and its group.")
        table[row["path"]] = row["group"]
    return table

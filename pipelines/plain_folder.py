"""The video files of any folder, without classes and splits."""

import os

from glimpse.pipelines.clips import Clip, ClipSet, is_video_name
from glimpse.pipelines.linked_folders import walk_with_links


def read_plain_folder(folder):
    """Returns a ClipSet of every file under a folder whose name ends as a video's.

    It is there to be checked, not to be learned from: there is one label, "video", and one split,
    "all". A folder that is called like a video counts as one.

    Raises:
        ValueError: If there is no such folder, or no such file in it.
    """
    folder = os.path.abspath(os.fsdecode(folder))
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: no such folder; give a folder of videos.")
    paths, unknown = [], []
    for parent, subfolders, files in walk_with_links(folder):
        entries = [*files, *(name for name in subfolders if is_video_name(name))]
        subfolders[:] = sorted(name for name in subfolders if not is_video_name(name))
        for name in sorted(entries):
            (paths if is_video_name(name) else unknown).append(os.path.join(parent, name))
    if not paths:
        raise ValueError(f"{folder}: no file in it is called like a video.")
    relative = [os.path.relpath(path, folder) for path in paths]
    clips = [Clip(name, path, 0, "all") for name, path in zip(relative, paths, strict=True)]
    unknown = tuple(os.path.relpath(path, folder) for path in sorted(unknown))
    return ClipSet(os.path.basename(folder), ("video",), tuple(clips), unknown)

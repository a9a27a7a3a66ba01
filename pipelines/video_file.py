"""Looks at a file before and after a decoder does, to say what is wrong with it."""

import os

from glimpse.pipelines.file_check import refuse_other_files
from glimpse.pipelines.truncated_files import missing_bytes
from glimpse.pipelines.video_error import VideoError


def check_video_file(path, name):
    """Raises VideoError for what is no readable file with a video in it.

    Args:
        path: The absolute path.
        name: How the file is called in messages.
    """
    if os.path.isdir(path):
        raise VideoError(f"{name}: is a directory; give the path of a video file.")
    refuse_other_files(path, name)


def what_it_is(path, name):
    """Says why a decoder could not open a file, in a sentence with a remedy."""
    lost = missing_bytes(path)
    if lost:
        return (
            f"{name}: the file is cut off, {lost} bytes are missing, and with them what "
            "a decoder needs to begin; copy or download it again."
        )
    return (
        f"{name}: not a video, or so damaged that its container cannot be read; check what the "
        "file is, or convert it with `ffmpeg -i INPUT OUTPUT.mp4`."
    )

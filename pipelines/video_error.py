"""What is raised where a video cannot be read, and how its file is named in words."""

import os


class VideoError(ValueError):
    """A video file that cannot be read: the text names the file, what is wrong and what to do."""


class OtherDecoderError(VideoError):
    """A video that this decoder cannot read rightly and another one may."""


def display_name(path):
    """The path as text that can be printed and encoded, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")

"""Finds damage inside a video that keeps its length and its number of frames."""

import importlib.util


def find_damage(path, threads=0):
    """Returns what is wrong inside a video's packets, one sentence each; an empty list: nothing.

    Decodes the whole video once more with PyAV, without making pictures of it, and counts the
    packets that fail and the frames that the decoder marks as damaged. What stays unnoticed:
    damage that gives other but valid pictures, which is most of it in VP8, VP9, Motion JPEG and
    raw video, and nothing at all can be told where PyAV is not installed.

    Args:
        path: A video file.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Raises:
        VideoError: If PyAV cannot read the file.
        ModuleNotFoundError: If PyAV is not installed (`can_find_damage` tells).
    """
    from glimpse.pipelines.av_reader import AvReader

    with AvReader(path, threads=threads) as reader:
        reader.count_damage()
        return list(reader.warnings)


def can_find_damage():
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None

"""Finds damage inside a video that keeps its length and its number of frames."""

import importlib.util

from glimpse.pipelines.video_error import display_name
from glimpse.pipelines.video_source import open_video

_JPEG = b"\xff\xd8"


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


def find_picture_damage(path):
    """Returns what is wrong inside a folder's or .seq file's JPEG pictures, as `find_damage` does.

    PyAV decodes them so that it stops at the first contradiction, where OpenCV goes on and paints
    something else. Damage that gives other but valid codes stays unnoticed; most that is longer
    than some hundred bytes does not. PNG pictures have checksums, which the readers hold them to.

    Args:
        path: A folder of pictures or a .seq file.

    Raises:
        VideoError: If it cannot be read.
        ModuleNotFoundError: If PyAV is not installed (`can_find_damage` tells).
    """
    total, damaged = 0, []
    with open_video(path) as reader:
        for name, content in reader.encoded_pictures():
            total += 1
            if content.startswith(_JPEG) and _contradicts_itself(content):
                damaged.append(name)
    if not damaged:
        return []
    return [
        f"{display_name(path)}: {len(damaged)} of its {total} pictures are JPEG pictures with "
        f"damage inside, and decode to something else; the first is {damaged[0]}; copy it again."
    ]


def _contradicts_itself(content):
    import av

    av.logging.set_level(None)
    context = av.CodecContext.create("mjpeg", "r")
    context.options = {"err_detect": "explode"}
    # With more, an error comes with a later picture.
    context.thread_count = 1
    try:
        context.decode(av.Packet(content))
    except av.error.InvalidDataError:
        return True
    except av.error.FFmpegError:  # a kind of JPEG that FFmpeg lacks: nothing is told of it
        return False
    return False


def can_find_damage():
    """Whether PyAV is installed."""
    return importlib.util.find_spec("av") is not None

"""Opens any video by the reader that reads it rightly."""

import hashlib

from glimpse.pipelines.file_check import check_video_file
from glimpse.pipelines.video_reader import VideoReader, decoder_version


def open_video(path, segment=None, strict=False, threads=0):
    """Returns the `FrameReader` for a video file, a Norpix .seq file or a folder of pictures.

    Args:
        path: The file or folder: str, bytes or PathLike.
        segment: A `Segment`; None: the whole video.
        strict: Whether a sign of missing frames raises VideoError.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Raises:
        VideoError: If nothing that is installed can read the file rightly.
    """
    check_video_file(path)
    return VideoReader(path, strict=strict, threads=threads)


def decoder_for(path):
    """Name and version of the decoder that `open_video` takes for a video.

    Raises:
        VideoError: As `open_video`.
    """
    return decoder_version()


def video_sha256(path):
    """SHA-256 of a video's bytes: of the file, or of the names and bytes of a folder's pictures.

    Raises:
        OSError: If it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

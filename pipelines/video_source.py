"""Opens any video by the reader that reads it rightly."""

import hashlib
import importlib.util
import os

from glimpse.pipelines.file_check import refuse_other_files
from glimpse.pipelines.video_error import OtherDecoderError, VideoError
from glimpse.pipelines.video_reader import VideoReader

# 0xFEED, then "Norpix seq" in 16-bit characters.
_NORPIX_MAGIC = b"\xed\xfe\x00\x00" + "Norpix seq".encode("utf-16-le")


def open_video(path, segment=None, strict=False, threads=0):
    """Returns the `FrameReader` for a video file, a Norpix .seq file or a folder of pictures.

    OpenCV reads what it reads rightly. Interlaced video, AV1 and other codecs that it lacks are
    read by PyAV where it is installed (`pip install 'glimpse[av]'`). PyAV also looks at the first
    frame of codecs whose headers do not tell whether they are interlaced.

    Args:
        path: The file or folder: str, bytes or PathLike.
        segment: A `Segment`; None: the whole video.
        strict: Whether a warning raises VideoError.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Raises:
        VideoError: If nothing that is installed can read the file rightly.
    """
    refuse_other_files(path)
    if os.path.isdir(path):
        from glimpse.pipelines.image_folder_reader import ImageFolderReader

        return ImageFolderReader(path, segment, strict)
    if _is_norpix(path):
        from glimpse.pipelines.seq_reader import SeqReader

        return SeqReader(path, segment, strict)
    options = {"segment": segment, "strict": strict, "threads": threads}
    try:
        reader = VideoReader(path, **options)
    except OtherDecoderError as error:
        return _open_with_pyav(path, options, error)
    if reader.tells_fields or not _has_pyav():
        return reader
    return _checked_for_fields(path, options, reader)


def decoder_for(path):
    """Name and version of the decoder that `open_video` takes for a video.

    Opens the file and decodes its first frame.

    Raises:
        VideoError: As `open_video`.
    """
    with open_video(path) as reader:
        return reader.decoder


def video_sha256(path):
    """SHA-256 of a video's bytes: of the file, or of the names and bytes of a folder's pictures.

    Raises:
        OSError: If it cannot be read.
    """
    if not os.path.isdir(path):
        return _file_sha256(path)
    digest = hashlib.sha256()
    for name in sorted(os.listdir(os.fsencode(path))):
        file = os.path.join(os.fsencode(path), name)
        if os.path.isfile(file):
            digest.update(name + b"\0" + _file_sha256(file).encode() + b"\n")
    return digest.hexdigest()


def _file_sha256(path):
    # Not the models' function of this name: processes that only decode start without Keras.
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_norpix(path):
    if os.fsencode(path).lower().endswith(b".seq"):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(len(_NORPIX_MAGIC)) == _NORPIX_MAGIC
    except (OSError, ValueError):
        return False  # the reader says why


def _has_pyav():
    return importlib.util.find_spec("av") is not None


def _open_with_pyav(path, options, error):
    if not _has_pyav():
        raise VideoError(
            f"{error} Or install PyAV, which may read it as it is: pip install 'glimpse[av]'."
        ) from error
    from glimpse.pipelines.av_reader import AvReader

    try:
        return AvReader(path, **options)
    except VideoError as second:
        # OpenCV's reason is the more precise one where the file is no video for either.
        raise VideoError(f"{error} PyAV cannot read it either.") from second


def _checked_for_fields(path, options, reader):
    from glimpse.pipelines.av_reader import AvReader

    try:
        other = AvReader(path, **options)
    except VideoError:
        return reader
    if other.decoder.endswith("yadif"):
        reader.close()
        return other
    other.close()
    return reader

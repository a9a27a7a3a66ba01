"""The header of a Norpix .seq file: 1,024 bytes, little-endian."""

import dataclasses
import struct

from glimpse.pipelines.file_check import check_picture_size
from glimpse.pipelines.video_error import VideoError

MAGIC = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le")
HEADER_SIZE = 1024
# How the pictures of each image format are kept, and whether a Bayer filter is on them.
KINDS = {
    1: ("png", False),
    2: ("png", False),
    100: ("raw", False),
    101: ("raw", True),
    102: ("jpeg", False),
    103: ("jpeg", True),
    200: ("raw", False),
    201: ("jpeg", False),
}
_SIZE_AT, _FIELDS_AT = 32, 548
_FIELDS = struct.Struct("<9Id")


@dataclasses.dataclass(frozen=True)
class SeqHeader:
    """What the header of a .seq file states.

    Args:
        width, height: Of the pictures, in pixels.
        channels: 1 or 3.
        kind: "raw", "jpeg" or "png".
        is_bayer: Whether the pictures are mosaics of blue, green / green, red.
        image_bytes: Bytes of one picture, where they are raw.
        num_frames: Stated number of frames; 0 where it is not stated.
        stride: Bytes from one raw picture to the next.
        frames_per_second: Stated rate; it may be any number.
    """

    width: int
    height: int
    channels: int
    kind: str
    is_bayer: bool
    image_bytes: int
    num_frames: int
    stride: int
    frames_per_second: float


def read_seq_header(content, name):
    """Reads a header.

    Args:
        content: The first bytes of the file.
        name: How the file is called in messages.

    Returns:
        A SeqHeader.

    Raises:
        VideoError: If it is none, is cut off, or states what cannot be read or cannot be.
    """
    if not any(content):
        raise VideoError(
            f"{name}: its header is empty (zeros alone): the recording was not finished, or the "
            "copy is damaged; copy it again."
        )
    if not content.startswith(MAGIC):
        raise VideoError(f"{name}: not a Norpix .seq file; check what the file is.")
    if len(content) < HEADER_SIZE:
        raise VideoError(f"{name}: is cut off in its header; copy or download it again.")
    (header_size,) = struct.unpack_from("<I", content, _SIZE_AT)
    fields = _FIELDS.unpack_from(content, _FIELDS_AT)
    (
        width,
        height,
        depth,
        real_depth,
        image_bytes,
        image_format,
        num_frames,
        origin,
        stride,
        rate,
    ) = fields
    if image_format not in KINDS:
        raise _refused(name, "image format", image_format, f"one of {', '.join(map(str, KINDS))}")
    kind, is_bayer = KINDS[image_format]
    for what, value, expected in (
        ("header size", header_size, HEADER_SIZE),
        ("origin", origin, 0),
        ("real bit depth", real_depth, 8),
    ):
        if value != expected:
            raise _refused(name, what, value, expected)
    if depth not in ((8,) if is_bayer else (8, 24)):
        raise _refused(name, "bit depth", depth, "8" if is_bayer else "8 or 24")
    if not width or not height:
        raise VideoError(f"{name}: its header states pictures of {width} x {height} pixels.")
    check_picture_size(name, width, height)
    needed = width * height * depth // 8
    if kind == "raw" and not needed <= image_bytes <= stride:
        raise VideoError(
            f"{name}: its header states {image_bytes} bytes a picture and {stride} from one to the "
            f"next, where pictures of {width} x {height} pixels need {needed}; it is damaged."
        )
    return SeqHeader(
        width, height, depth // 8, kind, is_bayer, image_bytes, num_frames, stride, rate
    )


def _refused(name, what, value, expected):
    return VideoError(
        f"{name}: its header states the {what} {value}, and only {expected} can be read; convert "
        "it to another format with the program that wrote it."
    )

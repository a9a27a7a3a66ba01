"""Decodes single pictures, JPEG and PNG, and refuses what would decode to something else."""

import io
import re

import cv2
import numpy as np
from PIL import Image

from glimpse.pipelines.file_check import check_picture_size
from glimpse.pipelines.video_error import VideoError

_END_OF_PNG = b"IEND\xaeB\x60\x82"


def picture_decoder():
    """Name and versions of what decodes pictures: another decoder gives other pixels."""
    library = re.search(r"JPEG:\s+(\S+) \(ver ([^)]+)\)", cv2.getBuildInformation())
    version = f"{library[1]} {library[2]}" if library else "JPEG unknown"
    return f"opencv {cv2.__version__}, {version}"


def decode_picture(content, name, flags=cv2.IMREAD_COLOR_RGB, size=None):
    """Decodes a JPEG or PNG picture to 8 bits; deeper ones lose their lower bits.

    Damage that leaves a picture's start and end alone may decode to something and go unnoticed
    (`find_picture_damage` finds most of it with PyAV).

    Args:
        content: The picture's bytes.
        name: How the picture is called in messages.
        flags: How OpenCV is to decode it; by default to RGB, upright by its EXIF orientation.
        size: (height, width) that its header must state, or None.

    Returns:
        uint8 `(height, width, 3)`, or `(height, width)` with `cv2.IMREAD_GRAYSCALE`.

    Raises:
        VideoError: If it is neither, is cut off, damaged, too large, or of another size.
    """
    try:
        # Reads the header alone: what it claims is looked at before memory is taken for it.
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as picture:
            kind, (width, height) = picture.format, picture.size
    except Image.DecompressionBombError:
        raise VideoError(f"{name}: its header claims more pixels than are decoded.") from None
    except (OSError, SyntaxError, ValueError):
        raise VideoError(
            f"{name}: neither a JPEG nor a PNG picture, or its header is damaged; copy it again."
        ) from None
    check_picture_size(name, width, height)
    if size is not None and (height, width) != tuple(size):
        raise VideoError(
            f"{name}: a picture of {width} x {height} pixels where {size[1]} x {size[0]} were "
            "stated; copy it again."
        )
    if not _has_end(content, kind):
        raise VideoError(f"{name}: the {kind} picture is cut off; copy it again.")
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None:
        raise VideoError(f"{name}: the {kind} picture is damaged; copy it again.")
    return picture


def _has_end(content, kind):
    """Whether the picture's end is there; decoders paint what is missing grey without a word."""
    if kind == "PNG":
        return _END_OF_PNG in content
    # Inside the scan 0xFF is followed by 0: the end marker of a thumbnail can only be before it.
    return content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda")

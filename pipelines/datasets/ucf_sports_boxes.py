"""The actors' boxes of a UCF Sports sequence: gt/<picture's stem>.tif.txt, and gt2/ of a second."""

import os

from PIL import Image

from glimpse.pipelines.picture_names import numbered_pictures
from glimpse.pipelines.video_error import VideoError

_SUFFIX = ".tif.txt"


def read_boxes(folder, pictures_folder, left_out):
    """Reads the boxes of a sequence whose frames are pictures.

    Args:
        folder: The sequence's folder.
        pictures_folder: The folder of its pictures.
        left_out: Counter of what is left out: boxes that are not there for every picture.

    Returns:
        A dict of frame_size, [height, width], and figures, for each actor a dict of role and boxes,
        [x0, y0, x1, y1] of each picture in pixels. It is empty without gt/, and where that lacks
        the box of a picture or the pictures cannot be read.

    Raises:
        ValueError: If a file's first line does not begin with four whole numbers.
    """
    figures = []
    try:
        pictures = numbered_pictures(pictures_folder)
        with Image.open(os.path.join(pictures_folder, pictures[0])) as opened:
            size = [opened.height, opened.width]
    except (VideoError, OSError):
        return {}  # check-data says what is wrong with the pictures
    for name in ("gt", "gt2"):
        place = os.path.join(folder, name)
        if not os.path.isdir(place):
            break
        boxes = _read_actor(place, pictures)
        if boxes is None:
            left_out[f"boxes: sequences whose {name}/ lacks those of some picture"] += 1
            break
        figures.append({"role": "actor", "boxes": boxes})
    return {"frame_size": size, "figures": figures} if figures else {}


def _read_actor(place, pictures):
    """Returns the boxes of one actor, or None if those of some picture are not there."""
    stems = [os.path.splitext(name)[0] for name in pictures]
    paths = [os.path.join(place, stem + _SUFFIX) for stem in stems]
    return [_read_box(path) for path in paths] if all(map(os.path.isfile, paths)) else None


def _read_box(path):
    """Returns [x0, y0, x1, y1] of a file's line: x, y, width, height, label, between tabs."""
    with open(path, encoding="utf-8", errors="replace") as file:
        fields = file.readline().split()[:4]
    try:
        x, y, width, height = map(int, fields)
    except ValueError:
        raise ValueError(
            f"{path}: must begin with a box's x, y, width and height, got {fields}; unpack it "
            "again."
        ) from None
    return [x, y, x + width, y + height]

"""The numbered pictures of a folder, in the order of their numbers."""

import collections
import os
import re

from glimpse.pipelines.video_error import VideoError, display_name

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png"))
_DIGITS = re.compile(r"(\d+)")


def is_picture_name(name):
    """Whether a file is a picture by its name; hidden ones (`._001.jpg`) are none."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and not name.startswith(".")


def numbered_pictures(folder):
    """Names of a folder's JPEG and PNG pictures by their numbers: 2 comes before 10.

    Hidden files, other files and sub-folders are left alone.

    Raises:
        VideoError: If the folder cannot be read, holds no picture, or a picture is no file, has
            no number or the number of another.
    """
    name_shown = display_name(folder)
    try:
        with os.scandir(os.fsdecode(folder)) as entries:
            pictures = [e for e in entries if is_picture_name(e.name) and not e.is_dir()]
    except OSError as error:
        raise VideoError(f"{name_shown}: cannot be read ({error.strerror}).") from error
    for entry in pictures:
        if not entry.is_file():
            raise VideoError(
                f"{name_shown}: the picture {ascii(entry.name)} is no file, or a link that points "
                "to none; copy it again."
            )
    names = [entry.name for entry in pictures]
    if not names:
        raise VideoError(
            f"{name_shown}: holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))}); give the "
            "folder of a video's frames."
        )
    taken = {}
    for name in sorted(names):
        key = _key(name)
        if len(key) == 1:
            raise VideoError(
                f"{name_shown}: the picture {ascii(name)} has no number in its name; take it out."
            )
        other = taken.setdefault(key, name)
        if other != name:
            raise VideoError(
                f"{name_shown}: {ascii(other)} and {ascii(name)} have the same number; take one "
                "out."
            )
    return [taken[key] for key in sorted(taken)]


def missing_numbers(names):
    """How many numbers are left out between the pictures of `numbered_pictures`.

    Where all pictures are equally far apart, none is. "Far" is what the numbers' differing ends
    say if that is less: some names have another number right before the picture's, as in
    70(99), 70(100).
    """
    runs = collections.defaultdict(list)
    for name in names:
        *before, number, after = _DIGITS.split(os.path.splitext(name)[0])
        runs[*before, after].append(number)
    return sum(min(_left_out(run), _left_out(_ends(run))) for run in runs.values())


def _key(name):
    """Text and numbers in turn; numbers compare as numbers."""
    parts = _DIGITS.split(os.path.splitext(name)[0])
    return tuple(int(part) if place % 2 else part for place, part in enumerate(parts))


def _ends(numbers):
    shared = len(os.path.commonprefix(numbers))
    return [number[shared:] or "0" for number in numbers]


def _left_out(numbers):
    values = list(map(int, numbers))
    gaps = [after - before for before, after in zip(values, values[1:], strict=False)]
    step = max(1, min(gaps, default=1))
    return sum(gap // step - 1 for gap in gaps if gap > step)

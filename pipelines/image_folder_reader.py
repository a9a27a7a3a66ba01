"""Reads the numbered pictures of a folder as the frames of a video."""

import math
import os

import numpy as np

from glimpse.pipelines.frame_rate import MAX_FRAMES_PER_SECOND
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.picture_decoding import decode_picture, picture_decoder
from glimpse.pipelines.picture_names import missing_numbers, numbered_pictures
from glimpse.pipelines.video_error import VideoError, display_name

# No picture says how long it is shown. 10 a second is what is usually given for UCF Sports, whose
# frames come as pictures; the rate matters to segments and sampling in seconds alone.
PICTURES_PER_SECOND = 10.0


class ImageFolderReader(FrameReader):
    """Iterates over the JPEG and PNG pictures of a folder as RGB pictures, by their numbers.

    Frames are uint8 `(height, width, 3)`, values 0-255. Grey and 16-bit pictures come as 8-bit RGB,
    EXIF orientation is applied. Hidden files, files that are no pictures by their names and
    sub-folders are left alone. Numbers that are left out give a warning. One picture is in memory
    at a time.

    Args:
        path: The folder: str, bytes or PathLike.
        segment: As in `FrameReader`.
        strict: Whether a warning raises VideoError at the end of the iteration.
        frames_per_second: Rate of the pictures; None: `PICTURES_PER_SECOND`.

    Attributes:
        As those of `FrameReader`.
        names: File names of the pictures of the whole folder, in order.

    Raises:
        VideoError: If the folder holds no pictures, one of them has no number or that of another,
            is damaged, or has another size than the first.
        ValueError: If the rate is out of range.
    """

    def __init__(self, path, segment=None, strict=False, frames_per_second=None):
        super().__init__(path, segment, strict)
        rate = PICTURES_PER_SECOND if frames_per_second is None else frames_per_second
        if not (math.isfinite(rate) and 0 < rate <= MAX_FRAMES_PER_SECOND):
            raise ValueError(
                f"frames_per_second must be above 0 and at most {MAX_FRAMES_PER_SECOND:g}, got "
                f"{rate!r}."
            )
        self.decoder = f"picture folder 1, {picture_decoder()}"
        self.frames_per_second = float(rate)
        self.names = numbered_pictures(self.path)
        self._folder = os.fsdecode(self.path)
        self.height, self.width = self._read(self.names[0]).shape[:2]

    def encoded_pictures(self):
        """Yields (name in messages, bytes) of each picture."""
        return map(self._encoded, self.names)

    def _decode(self):
        for number, (name, seconds) in enumerate(zip(self.names, self.planned_times, strict=True)):
            skipped = self._is_before(number, seconds)
            yield None if skipped else self._read(name), float(seconds)

    def _plan_times(self):
        return np.arange(len(self.names)) / self._stated_rate

    def _encoded(self, name):
        """(name in messages, bytes) of a picture."""
        path = os.path.join(self._folder, name)
        shown = display_name(path)
        try:
            with open(path, "rb") as file:
                return shown, file.read()
        except OSError as error:
            raise VideoError(f"{shown}: cannot be read ({error.strerror}).") from error

    def _read(self, name):
        shown, content = self._encoded(name)
        picture = decode_picture(content, shown)
        if self.height is not None and picture.shape[:2] != (self.height, self.width):
            height, width = picture.shape[:2]
            raise VideoError(
                f"{shown}: a picture of {width} x {height} pixels, where the folder's first is "
                f"{self.width} x {self.height}; all must have one size."
            )
        return picture

    def _look_for_missing_frames(self, num_decoded):
        lost = missing_numbers(self.names)
        if lost:
            self.warnings.append(
                f"{self._name}: the numbers of the {len(self.names)} pictures, "
                f"{ascii(self.names[0])} to {ascii(self.names[-1])}, leave out {lost}; copy the "
                "folder again."
            )

"""A part of a video, in seconds or in frames."""

import dataclasses
import math

UNITS = ("seconds", "frames")


@dataclasses.dataclass(frozen=True)
class Segment:
    """The part [start, end) of a video.

    A frame belongs to a segment in seconds where its time of presentation, counted from the
    video's first frame, is in it.

    Args:
        start: First second or frame.
        end: Second or frame after the last; None: to the video's end.
        unit: "seconds" or "frames"; frames are whole numbers.

    Raises:
        ValueError: If the segment is empty, begins before the video, or its unit is another.
    """

    start: float = 0
    end: float | None = None
    unit: str = "seconds"

    def __post_init__(self):
        if self.unit not in UNITS:
            raise ValueError(f"unit must be one of {UNITS}, got {self.unit!r}.")
        for name, value in (("start", self.start), ("end", self.end)):
            if value is None and name == "end":
                continue
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"{name} must be a number of at least 0, got {value!r}.")
            if self.unit == "frames" and value != int(value):
                raise ValueError(f"{name} must be a whole number of frames, got {value!r}.")
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end must be above start={self.start!r}, got {self.end!r}.")

    def __str__(self):
        # With all digits: features are named by it.
        end = "the end" if self.end is None else _in_full(self.end)
        return f"{_in_full(self.start)} to {end} {self.unit}"


def _in_full(number):
    return repr(float(number)).removesuffix(".0")

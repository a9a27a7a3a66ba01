"""Turns the time stamps of decoded frames into seconds from the first frame, always rising."""


class FrameClock:
    """Gives each frame its time, in the order of display.

    The first frame is at 0, the others at whole microseconds: whether one is in a segment does not
    hang on the last bits of a difference. A frame whose stamp is missing, or not above the one
    before, as decoders report for the last frames of program streams and for raw streams, stands at
    its place by the frame rate after the last frame that had a good stamp.

    Args:
        frames_per_second: The rate for frames without a good stamp.
        has_stamps: False: no stamp is good, all frames are counted from the rate.
    """

    def __init__(self, frames_per_second, has_stamps=True):
        self._rate = frames_per_second
        self._has_stamps = has_stamps
        self._first = None
        self._last = None
        self._good_time = 0.0
        self._frames_since = 0

    def __call__(self, stamp):
        """Seconds from the first frame to the next one, whose stamp is in seconds or None."""
        if self._last is None:
            self._first, self._last = stamp, 0.0
            return 0.0
        self._frames_since += 1
        seconds = None
        if self._has_stamps and stamp is not None and self._first is not None:
            seconds = round(stamp - self._first, 6)
        if seconds is None or seconds <= self._last:
            self._last = round(self._good_time + self._frames_since / self._rate, 6)
        else:
            self._last = self._good_time = seconds
            self._frames_since = 0
        return self._last

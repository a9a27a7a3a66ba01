"""Which step of a video is on show at each tick of a clock that runs at another rate."""

import math

import numpy as np

# 29.97 and 23.976 frames per second stand for 30 and 24 in every protocol of the field.
NTSC_TOLERANCE = 0.002
# Steps; what a product of a tick and a ratio of rates may be off by in float64, and less than any
# true difference.
STEP_ROUNDING = 1e-6
# Containers round time stamps to a millisecond, so the distance of two is off by up to one.
TIME_ROUNDING = 1e-3 + 1e-9


class StepClock:
    """Maps the ticks of a clock to the steps of one video.

    A window that begins at step a shows, at its tick k, the step that is on show k ticks later:

        step[k] = floor(a + k ratio)                    steps at an even rate
        step[k] = the last n with times[n] <= times[a] + k period      uneven ones

    With a whole `ratio` these are the steps a, a + ratio, a + 2 ratio, ... A ratio below 1 shows
    steps more than once.

    Args:
        num_steps: Steps of the video, at least 1; None: not known yet, so no window is too long.
        ratio: Steps from one tick to the next, above 0, where they follow each other evenly.
        times: Seconds of each step, not falling, where they do not; then `num_steps` of them.
        period: Seconds from one tick to the next; needed with `times`.

    Attributes:
        num_ticks: Ticks from the video's first step to its end.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(self, num_steps, ratio=1, times=None, period=None):
        if num_steps is not None and num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {num_steps!r}.")
        self.num_steps = math.inf if num_steps is None else int(num_steps)
        self.ratio = float(ratio)
        self.times = self.period = None
        if times is None:
            ticks = (self.num_steps - STEP_ROUNDING) / self.ratio
        else:
            self.times, self.period = _checked(times, num_steps), float(period)
            # How long the last step is on show is not written anywhere: as long as the mean.
            self._end = self.times[-1] + (self.times[-1] / (num_steps - 1) if num_steps > 1 else 0)
            ticks = (self._end - TIME_ROUNDING) / self.period
        self.num_ticks = math.inf if math.isinf(ticks) else max(1, math.ceil(ticks))

    def steps(self, ticks, start=0):
        """Returns the steps on show at ticks after a step, int64, none above the video's last.

        Args:
            ticks: Whole numbers `(...)`.
            start: The step at tick 0; an array that broadcasts against `ticks`.
        """
        ticks, start = np.asarray(ticks), np.asarray(start, "int64")
        if self.times is None:
            return start + np.floor(ticks * self.ratio + STEP_ROUNDING).astype("int64")
        instants = self.times[start] + ticks * self.period + TIME_ROUNDING
        return np.searchsorted(self.times, instants, side="right") - 1

    def is_short(self, num_frames):
        """Whether the video ends before a window of `num_frames` ticks does."""
        if self.times is None:
            return num_frames * self.ratio > self.num_steps + STEP_ROUNDING
        return num_frames * self.period > self._end + TIME_ROUNDING

    def num_starts(self, num_frames):
        """Returns the steps at which a window of `num_frames` ticks can begin, at least 1."""
        if self.is_short(num_frames):
            return 1
        if self.times is None:
            if math.isinf(self.num_steps):
                return math.inf
            return math.floor(self.num_steps - num_frames * self.ratio + STEP_ROUNDING) + 1
        last = self._end - num_frames * self.period + TIME_ROUNDING
        return int(np.searchsorted(self.times, last, side="right"))

    def windows(self, starts, num_frames):
        """Returns the steps of windows, int64 `(windows, num_frames)`.

        The only window of a video that is too short repeats the last step that it samples.

        Args:
            starts: The windows' first steps, `(windows,)`, each below `num_starts`.
            num_frames: Ticks in a window.
        """
        ticks = np.arange(num_frames)
        if self.is_short(num_frames):
            ticks = np.minimum(ticks, self.num_ticks - 1)
        return self.steps(ticks, np.asarray(starts, "int64")[:, np.newaxis])

    def ends(self, starts, num_frames):
        """Returns where windows end, in steps and parts of steps, float64 `(windows,)`.

        The window of a video that is too short ends after the video, at the mean rate.
        """
        starts = np.asarray(starts, "int64")
        if self.times is None:
            return starts + num_frames * self.ratio
        if self.num_steps == 1:
            return starts + 1.0
        instants = self.times[starts] + num_frames * self.period
        places = np.interp(
            instants, np.append(self.times, self._end), np.arange(self.num_steps + 1)
        )
        mean = self._end / self.num_steps
        return places + np.maximum(instants - self._end, 0) / mean


def uneven_times(times, steps_per_second):
    """Returns the seconds of steps as a tuple if they are not even at their rate, else None.

    Even are steps of which none is off by more than two roundings to a millisecond, at a mean rate
    within 0.2 % of the stated one.

    Args:
        times: Seconds of each step.
        steps_per_second: Their stated rate.
    """
    times = np.asarray(times, "float64") - times[0]
    if len(times) < 2:
        return None
    mean = times[-1] / (len(times) - 1)
    off = np.abs(times - mean * np.arange(len(times))).max()
    stated = (len(times) - 1) / steps_per_second
    late = abs(times[-1] - stated)
    is_even = off <= TIME_ROUNDING and late <= NTSC_TOLERANCE * stated + TIME_ROUNDING
    return None if is_even else tuple(times.tolist())


def _checked(times, num_steps):
    times = np.asarray(times, "float64")
    if times.shape != (num_steps,) or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError(
            f"times must be {num_steps} seconds that do not fall, got {len(times)} of them; read "
            "the video's times again."
        )
    return times - times[0]

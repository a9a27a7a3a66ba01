"""The frame rate of a video, from what its header states and when its frames are shown."""

import numpy as np

MAX_FRAMES_PER_SECOND = 1000.0
# Containers that count milliseconds, and headers with two decimals, come this near.
_NTSC_TOLERANCE = 2e-6
_NTSC_RATES = tuple(rate * 1000 / 1001 for rate in (12, 24, 30, 48, 60, 120))


def fit_frame_rate(stated, times):
    """Returns the stated rate if the frames keep it, else the mean rate; NTSC's as exact fractions.

    Args:
        stated: The header's rate in frames per second.
        times: Seconds of all frames from the first one on; None where they are not known.
    """
    if times is None or len(times) < 2 or not has_variable_rate(stated, times):
        return _exact(stated)
    mean = (len(times) - 1) / float(times[-1] - times[0])
    return _exact(mean) if mean <= MAX_FRAMES_PER_SECOND else _exact(stated)


def has_variable_rate(rate, times):
    """Whether a frame is more than half a frame's time away from its place at a constant rate."""
    times = np.asarray(times)
    return bool(np.abs((times - times[:1]) * rate - np.arange(len(times))).max(initial=0) > 0.5)


def _exact(rate):
    nearest = min(_NTSC_RATES, key=lambda exact: abs(rate - exact))
    return nearest if abs(rate / nearest - 1) < _NTSC_TOLERANCE else float(rate)

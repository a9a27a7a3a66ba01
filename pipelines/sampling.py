"""Which frames of a video a model sees.

Blocks are those of Sharma et al., arXiv:1511.04119, section 4.2; random windows those of Torabi
and Sigal, arXiv:1708.09522, section 4.1; random frames those of Yan et al., arXiv:1705.03146,
section 3.2.
"""

import operator

import numpy as np

from glimpse.pipelines.step_clock import NTSC_TOLERANCE, STEP_ROUNDING, StepClock


def frame_stride(video_frames_per_second, frames_per_second):
    """The number of video frames from one sampled frame to the next: int(rate / wanted rate).

    The skip rule of the released code. The sampled rate is never below the wanted
    one, and above it where the division leaves a rest: 25 at 10 gives stride 2, so
    12.5 frames per second. 29.97 and 23.976 count as 30 and 24.

    Args:
        video_frames_per_second: The rate of the video, above 0.
        frames_per_second: The rate wanted, above 0.

    Raises:
        ValueError: If a rate is not above 0, or the wanted rate is above the video's.
    """
    _check_rates(video_frames_per_second, frames_per_second)
    stride = int(video_frames_per_second / frames_per_second * (1 + NTSC_TOLERANCE))
    if stride < 1:
        raise ValueError(
            f"frames_per_second is {frames_per_second}, but the video has only "
            f"{video_frames_per_second:g}; ask for {video_frames_per_second:g} or less."
        )
    return stride


def frame_ratio(video_frames_per_second, frames_per_second):
    """The video frames that pass from one sampled frame to the next, which need not be whole.

    Rates within 0.2 % of a whole number count as it, so that 29.97, 23.976 and 59.94 are 30, 24
    and 60, and so does a ratio of rates, or its inverse.

    Args:
        video_frames_per_second: The rate of the video, above 0.
        frames_per_second: The rate wanted, above 0; above the video's, frames come again.

    Raises:
        ValueError: If a rate is not above 0.

    >>> frame_ratio(25, 10), frame_ratio(30000 / 1001, 15), frame_ratio(25, 30 * 1000 / 1001)
    (2.5, 2.0, 0.8333333333333334)
    """
    _check_rates(video_frames_per_second, frames_per_second)
    ratio = _near_whole(video_frames_per_second) / _near_whole(frames_per_second)
    return _near_whole(ratio) if ratio >= 1 else 1 / _near_whole(1 / ratio)


def _near_whole(number):
    whole = max(1, round(number))
    return float(whole) if abs(number - whole) <= NTSC_TOLERANCE * whole else float(number)


def _check_rates(video_frames_per_second, frames_per_second):
    for name, rate in (
        ("video_frames_per_second", video_frames_per_second),
        ("frames_per_second", frames_per_second),
    ):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"{name} must be a finite number above 0, got {rate!r}.")


def sample_blocks(num_video_frames, num_frames=30, frame_stride=1, block_stride=1):
    """The frames of every block of a video: starts s = 0, 1, ..., f - num_frames * frame_stride.

    Block s holds the frames s, s + stride, s + 2 stride, ... A video of f frames
    shorter than num_frames * frame_stride has one block: the frames 0, stride,
    2 stride, ..., the last of them repeated.

    Args:
        num_video_frames: f, the frames of the video, at least 1.
        num_frames: Frames in a block, at least 1.
        frame_stride: Video frames from one frame of a block to the next, at least 1.
        block_stride: Video frames from one block's start to the next's, at least 1.

    Returns:
        Frame numbers, int64 `(blocks, num_frames)`.

    Raises:
        ValueError: If an argument is not a whole number of at least 1.

    >>> sample_blocks(5, num_frames=2, frame_stride=2)
    array([[0, 2],
           [1, 3]])
    >>> sample_blocks(3, num_frames=5)
    array([[0, 1, 2, 2, 2]])
    """
    arguments = {
        "num_video_frames": num_video_frames,
        "num_frames": num_frames,
        "frame_stride": frame_stride,
        "block_stride": block_stride,
    }
    for name, value in arguments.items():
        try:
            whole = operator.index(value)
        except TypeError:
            whole = 0
        if whole < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
    return all_windows(StepClock(num_video_frames, frame_stride), num_frames, block_stride)


def all_windows(clock, num_frames, block_stride=1):
    """Returns the windows of a `StepClock` that begin at the frames 0, block_stride, ..."""
    return clock.windows(range(0, clock.num_starts(num_frames), block_stride), num_frames)


def sample_windows(clock, num_frames, count=40, seed=0):
    """Random windows of a video, as Torabi and Sigal test with, arXiv:1708.09522, section 4.1.

    The frame at which a window begins is drawn evenly from all at which one fits, one of them as
    often as it comes. A video with no more than one gives its one window once.

    Args:
        clock: The video's `StepClock`.
        num_frames: Frames in a window, at least 1.
        count: Windows to draw, at least 1.
        seed: Integer of at least 0; the windows depend on it and the other arguments alone.

    Returns:
        Frame numbers, int64 `(windows, num_frames)`, in order of their starts.
    """
    num_starts = clock.num_starts(num_frames)
    if num_starts == 1:
        return clock.windows([0], num_frames)
    drawn = np.random.default_rng([seed, clock.num_steps]).integers(0, num_starts, count)
    return clock.windows(np.sort(drawn), num_frames)


def spread_frames(num_video_frames, num_frames):
    """Evenly spaced frames: the middle one of each of `num_frames` equal parts of a video.

        frame[k] = floor((k + 1/2) f / num_frames),    k = 0, ..., num_frames - 1

    A video of fewer frames gives all of them and then its last one again.

    Returns:
        Frame numbers, int64 `(1, num_frames)`.

    >>> spread_frames(10, 4)
    array([[1, 3, 6, 8]])
    """
    numbers = np.arange(num_frames, dtype=np.int64)
    if num_video_frames < num_frames:
        return np.minimum(numbers, num_video_frames - 1)[np.newaxis]
    return ((2 * numbers + 1) * num_video_frames // (2 * num_frames))[np.newaxis]


def sample_frames(num_video_frames, num_frames, count=1, seed=0):
    """Random sets of a video's frames, each in order of time, no frame twice.

    A video of fewer frames gives all of them and then its last one again, once.

    Args:
        num_video_frames: f, the frames of the video, at least 1.
        num_frames: Frames in a set, at least 1.
        count: Sets to draw, at least 1.
        seed: Integer of at least 0; the sets depend on it and the other arguments alone.

    Returns:
        Frame numbers, int64 `(sets, num_frames)`.
    """
    if num_video_frames <= num_frames:
        return spread_frames(num_video_frames, num_frames)
    draw = np.random.default_rng([seed, num_video_frames])
    sets = [draw.choice(num_video_frames, num_frames, replace=False) for _ in range(count)]
    return np.sort(np.array(sets, np.int64), axis=1)


def first_of_parts(num_ticks, num_frames):
    """The first frame of each of `num_frames` parts of a stretch, as equal as whole frames allow.

    The longer parts come first, as `numpy.array_split` has them: the even spacing in the code of
    Yao et al., arXiv:1502.08029.

    Returns:
        Frame numbers, int64 `(num_frames,)`.

    >>> first_of_parts(10, 4)
    array([0, 3, 6, 8])
    """
    length, longer = divmod(num_ticks, num_frames)
    numbers = np.arange(num_frames, dtype=np.int64)
    return numbers * length + np.minimum(numbers, longer)


def part_frames(start, end, num_parts, place="first"):
    """One frame of each of `num_parts` equal parts of a stretch of time.

    Part j runs from start + j (end - start) / num_parts to where part j + 1 begins. Frame n is on
    show from n to n + 1; the frame taken is the one on show at the part's beginning ("first"),
    at its middle, or just before its end ("last").

    Args:
        start, end: Arrays or tensors of one shape `(...)`, float64, in frames, which need not be
            whole.
        num_parts: At least 1.
        place: "first", "middle" or "last".

    Returns:
        Whole frame numbers, float64 `(..., num_parts)`, not limited to the video's.
    """
    share = {"first": 0.0, "middle": 0.5, "last": 1.0}[place]
    positions = (np.arange(num_parts) + share) / num_parts
    instants = start[..., np.newaxis] + (end - start)[..., np.newaxis] * positions
    if place == "last":
        return -((STEP_ROUNDING - instants) // 1) - 1
    return (instants + STEP_ROUNDING) // 1

"""Which frames of a video a model sees: blocks of Sharma et al., arXiv:1511.04119, section 4.2."""

import operator

import numpy as np

# 29.97 and 23.976 frames per second stand for 30 and 24 in every protocol of the field.
_NTSC_TOLERANCE = 0.002


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
    for name, rate in (
        ("video_frames_per_second", video_frames_per_second),
        ("frames_per_second", frames_per_second),
    ):
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"{name} must be a finite number above 0, got {rate!r}.")
    stride = int(video_frames_per_second / frames_per_second * (1 + _NTSC_TOLERANCE))
    if stride < 1:
        raise ValueError(
            f"frames_per_second is {frames_per_second}, but the video has only "
            f"{video_frames_per_second:g}; ask for {video_frames_per_second:g} or less."
        )
    return stride


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
    offsets = np.arange(num_frames, dtype=np.int64) * frame_stride
    if num_video_frames < num_frames * frame_stride:
        last = (num_video_frames - 1) // frame_stride * frame_stride
        return np.minimum(offsets, last)[np.newaxis]
    starts = np.arange(0, num_video_frames - num_frames * frame_stride + 1, block_stride)
    return starts[:, np.newaxis] + offsets

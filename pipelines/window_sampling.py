"""How windows of frames are cut out of a video: the protocols of three papers in one record."""

import dataclasses
import operator

import numpy as np

from glimpse.pipelines.sampling import (
    frame_stride,
    part_frames,
    sample_blocks,
    sample_frames,
    sample_windows,
    spread_frames,
)
from glimpse.pipelines.vector_pooling import POOLINGS

SAMPLING_RULES = ("blocks", "random_windows", "random_frames")
ATTENDED_PLACES = ("first", "middle", "last")
# Torabi and Sigal, section 4.1.
_TORABI_WINDOWS = 40


@dataclasses.dataclass(frozen=True)
class WindowSampling:
    """How windows of frames are cut out of a video.

    A step is what the features hold one entry of: a frame of the video or, where the backbone
    reads 16 frames at a time, a chunk of 16.

    | sampling_rule | training, in each epoch | evaluation, the mean over |
    |---|---|---|
    | blocks | every block (Sharma et al.) | every block |
    | random_windows | a window at random from each video (Torabi and Sigal) | 40 such windows |
    | random_frames | random steps of each video, in order (Yan et al.) | evenly spaced steps |

    A video shorter than a window gives one window, with its last step repeated.

    Args:
        num_frames: Steps in a window, at least 1.
        frames_per_second: Rate at which a window's steps follow each other; None takes every
            step of the video. With `random_frames`, the rate of the steps to draw from.
        block_stride: Steps from one block's start to the next block's, at least 1.
        sampling_rule: One of the table's.
        eval_windows: Windows a video in evaluation; None takes the table's. For `blocks` as many
            of them, evenly spaced, or all where a video has fewer; for `random_windows` and
            `random_frames` as many draws, or one where there is only one to draw.
        flips: Whether each training window is mirrored with probability 1/2, and evaluation
            adds the mirrored copy of every window. Needs features extracted with mirrored frames.
        pooling: `"average"`, `"max"` or `"flatten"`: how maps become vectors, for models that
            read vectors.
        attended_frames: Frames that a model with temporal attention attends to, one from each of
            as many equal parts of the window's time; None takes `num_frames`. The time of a
            window of `random_frames` is the whole video.
        attended_place: `"first"`, `"middle"` or `"last"` frame of each part.
        min_video_frames: Shorter videos are left out; None leaves out none.
        step_stride: Steps of the video from one step of a window to the next, whatever the
            video's rate; in place of `frames_per_second`.

    Raises:
        ValueError: If a value is out of its range.
    """

    num_frames: int = 30
    frames_per_second: float | None = None
    block_stride: int = 1
    sampling_rule: str = "blocks"
    eval_windows: int | None = None
    flips: bool = False
    pooling: str = "average"
    attended_frames: int | None = None
    attended_place: str = "first"
    min_video_frames: int | None = None
    step_stride: int | None = None

    def __post_init__(self):
        for name in (
            "num_frames",
            "step_stride",
            "block_stride",
            "eval_windows",
            "attended_frames",
            "min_video_frames",
        ):
            value = getattr(self, name)
            if value is None and name not in ("num_frames", "block_stride"):
                continue
            try:
                whole = operator.index(value)
            except TypeError:
                whole = 0
            if whole < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")
        if self.step_stride is not None and self.frames_per_second is not None:
            raise ValueError(
                f"frames_per_second={self.frames_per_second} and step_stride={self.step_stride} "
                "both say how far apart the steps are: give one of them."
            )
        for name, allowed in (
            ("sampling_rule", SAMPLING_RULES),
            ("pooling", POOLINGS),
            ("attended_place", ATTENDED_PLACES),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )

    @property
    def num_attended(self):
        """Attended frames in a window."""
        return self.attended_frames or self.num_frames

    def stride(self, steps_per_second):
        """Returns the steps of the video from one step of a window to the next."""
        if self.frames_per_second is None:
            return self.step_stride or 1
        return frame_stride(steps_per_second, self.frames_per_second)

    def windows(self, num_steps, steps_per_second, seed=0):
        """Returns the step numbers of a video's windows in evaluation.

        Args:
            num_steps: Steps of the video.
            steps_per_second: Their rate.
            seed: Of the random rules; videos of one length have the same windows.

        Returns:
            int32 `(windows, num_frames)`.
        """
        stride = self.stride(steps_per_second)
        if self.sampling_rule == "blocks":
            found = sample_blocks(num_steps, self.num_frames, stride, self.block_stride)
            if self.eval_windows is not None and self.eval_windows < len(found):
                found = found[spread_frames(len(found), self.eval_windows)[0]]
        elif self.sampling_rule == "random_windows":
            count = self.eval_windows or _TORABI_WINDOWS
            found = sample_windows(num_steps, self.num_frames, stride, count, seed)
        else:
            candidates = 1 + (num_steps - 1) // stride
            if self.eval_windows is None:
                found = stride * spread_frames(candidates, self.num_frames)
            else:
                found = stride * sample_frames(candidates, self.num_frames, self.eval_windows, seed)
        return found.astype("int32")

    def spans(self, windows, num_steps, steps_per_second):
        """Returns when windows begin and end, in steps: two float64 arrays `(windows,)`.

        Args:
            windows: Step numbers, `(windows, num_frames)`.
            num_steps: Steps of the video.
            steps_per_second: Their rate.
        """
        if self.sampling_rule == "random_frames":
            return np.zeros(len(windows)), np.full(len(windows), float(num_steps))
        starts = np.asarray(windows)[:, 0].astype("float64")
        return starts, starts + self.num_frames * self.stride(steps_per_second)

    def attended(self, starts, ends):
        """Returns the attended frames between two times, float64 `(..., num_attended)`.

        Args:
            starts, ends: Of the windows, in attended frames; arrays or tensors `(...)`, float64.
        """
        return part_frames(starts, ends, self.num_attended, self.attended_place)

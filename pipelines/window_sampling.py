"""How windows of frames are cut out of a video: the papers' protocols in one record."""

import dataclasses
import operator

import numpy as np

from glimpse.pipelines.sampling import (
    all_windows,
    first_of_parts,
    frame_ratio,
    frame_stride,
    part_frames,
    sample_frames,
    sample_windows,
    spread_frames,
)
from glimpse.pipelines.step_clock import StepClock
from glimpse.pipelines.vector_pooling import POOLINGS

SAMPLING_RULES = ("blocks", "random_windows", "random_frames", "first_frames")
RATE_RULES = ("time", "stride")
# In place of a step's number: a black frame, where a video has no more frames.
BLACK_STEP = -1
ATTENDED_PLACES = ("first", "middle", "last")
# Torabi and Sigal, section 4.1.
_TORABI_WINDOWS = 40
# Sharma's thesis, section 3.2.2.
_THESIS_FRAMES = 240


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
    | first_frames | evenly spaced steps of the first 240 (Sharma's thesis) | the same |

    A video shorter than a window gives one window, with the last step that it samples repeated.
    With `first_frames`, a video of less than 240 is padded with black frames.

    Args:
        num_frames: Steps in a window, at least 1.
        frames_per_second: Rate at which a window's steps follow each other; None takes every
            step of the video. With `random_frames` and `first_frames`, the rate of the steps to
            choose from.
        block_stride: Steps from one block's start to the next block's, at least 1.
        sampling_rule: One of the table's.
        eval_windows: Windows a video in evaluation; None takes the table's. For `blocks` as many
            of them, evenly spaced, or all where a video has fewer; for `random_windows` and
            `random_frames` as many draws, or one where there is only one to draw. Not for
            `first_frames`.
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
        rate_rule: How `frames_per_second` is kept. `"time"`: a window shows what is on show at
            each of its instants, by the time stamps where these are uneven; a video of a lower
            rate shows frames more than once. `"stride"`: every int(rate / wanted rate)-th step, as
            in the code that Sharma et al. released; a video of a lower rate is refused.
        spread_over: Steps that `first_frames` chooses from, at least `num_frames`.

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
    rate_rule: str = "time"
    spread_over: int = _THESIS_FRAMES

    def __post_init__(self):
        for name in (
            "num_frames",
            "step_stride",
            "block_stride",
            "eval_windows",
            "attended_frames",
            "min_video_frames",
            "spread_over",
        ):
            value = getattr(self, name)
            if value is None and name not in ("num_frames", "block_stride", "spread_over"):
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
            ("rate_rule", RATE_RULES),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )

        self._check_effects()

    def _check_effects(self):
        """Refuses what would have no effect, or none that is meant."""
        if self.rate_rule != "time" and self.frames_per_second is None:
            raise ValueError(
                f"rate_rule must be left out unless frames_per_second is given, got "
                f"{self.rate_rule!r}."
            )
        if self.sampling_rule != "first_frames":
            if self.spread_over != _THESIS_FRAMES:
                raise ValueError(
                    f"spread_over must be left out unless sampling_rule is first_frames, got "
                    f"{self.spread_over}."
                )
            return
        if self.eval_windows is not None:
            raise ValueError(
                f"eval_windows must be left out with sampling_rule=first_frames, which gives one "
                f"window a video, got {self.eval_windows}."
            )
        if self.spread_over < self.num_frames:
            raise ValueError(
                f"spread_over must be at least num_frames={self.num_frames}, got "
                f"{self.spread_over}."
            )

    @property
    def num_attended(self):
        """Attended frames in a window."""
        return self.attended_frames or self.num_frames

    @property
    def reads_times(self):
        """Whether the windows depend on the time stamps of an uneven video."""
        return self.frames_per_second is not None and self.rate_rule == "time"

    def ratio(self, steps_per_second):
        """Returns the steps of an even video from one step of a window to the next."""
        if self.frames_per_second is None:
            return self.step_stride or 1
        convert = frame_ratio if self.rate_rule == "time" else frame_stride
        return convert(steps_per_second, self.frames_per_second)

    def clock(self, num_steps, steps_per_second, times=None):
        """Returns the `StepClock` by which a video's windows run.

        Args:
            num_steps: Steps of the video; None: not known yet.
            steps_per_second: Their rate.
            times: Seconds of each step where they are uneven, else None.

        Raises:
            ValueError: If the rate is too low, or the times are not as many.
        """
        if times is None or not self.reads_times:
            return StepClock(num_steps, self.ratio(steps_per_second))
        return StepClock(num_steps, times=times, period=1 / self.frames_per_second)

    def windows(self, clock, seed=0):
        """Returns the step numbers of a video's windows in evaluation, -1 for a black frame.

        Args:
            clock: The video's `clock`.
            seed: Of the random rules; videos of one length have the same windows.

        Returns:
            int32 `(windows, num_frames)`.
        """
        if self.sampling_rule == "blocks":
            found = all_windows(clock, self.num_frames, self.block_stride)
            if self.eval_windows is not None and self.eval_windows < len(found):
                found = found[spread_frames(len(found), self.eval_windows)[0]]
        elif self.sampling_rule == "random_windows":
            count = self.eval_windows or _TORABI_WINDOWS
            found = sample_windows(clock, self.num_frames, count, seed)
        elif self.sampling_rule == "first_frames":
            ticks = first_of_parts(self.spread_over, self.num_frames)[np.newaxis]
            shown = clock.steps(np.minimum(ticks, clock.num_ticks - 1))
            found = np.where(ticks < clock.num_ticks, shown, BLACK_STEP)
        else:
            ticks = spread_frames(clock.num_ticks, self.num_frames)
            if self.eval_windows is not None:
                ticks = sample_frames(clock.num_ticks, self.num_frames, self.eval_windows, seed)
            found = clock.steps(ticks)
        return found.astype("int32")

    def is_short(self, clock):
        """Whether a video's only window repeats a step since the video has too few."""
        if self.sampling_rule == "first_frames":
            return False
        if self.sampling_rule == "random_frames":
            return clock.num_ticks < self.num_frames
        return clock.is_short(self.num_frames)

    def spans(self, windows, clock):
        """Returns when windows begin and end, in steps: two float64 arrays `(windows,)`.

        The windows of `random_frames` span the video, those of `first_frames` what there is of
        its beginning.

        Args:
            windows: Step numbers, `(windows, num_frames)`.
            clock: The video's `clock`.
        """
        starts = np.asarray(windows)[:, 0]
        if self.sampling_rule in ("blocks", "random_windows"):
            return starts.astype("float64"), clock.ends(starts, self.num_frames)
        ends = np.full(len(windows), float(clock.num_steps))
        if self.sampling_rule == "first_frames":
            ends = np.minimum(ends, clock.ends(np.zeros(len(windows)), self.spread_over))
        return np.zeros(len(windows)), ends

    def attended(self, starts, ends):
        """Returns the attended frames between two times, float64 `(..., num_attended)`.

        Args:
            starts, ends: Of the windows, in attended frames; arrays or tensors `(...)`, float64.
        """
        return part_frames(starts, ends, self.num_attended, self.attended_place)

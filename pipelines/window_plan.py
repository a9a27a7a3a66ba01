"""The windows of evaluation of some clips, and what had to be made up to fill them."""

import numpy as np
from absl import logging

from glimpse.pipelines.window_sampling import BLACK_STEP


class WindowPlan:
    """Decides every window of evaluation of some clips, and counts what is repeated or black.

    Args:
        clips: `IndexedClip`s.
        sampling: A `WindowSampling`.
        seed: Of the random rules.

    Attributes:
        clocks: A `StepClock` for each clip.
        steps: Step numbers, -1 for a black frame, int32 `(windows, num_frames)`.
        spans: When each window begins and ends, in steps, float64 `(windows, 2)`.
        clip_numbers: The clip's number of each window, `(windows,)`.
        mirrored: Whether it is a mirrored one, bool `(windows,)`.
        counts: {"short_clips": clips shorter than a window, which repeat a step at its end;
            "black_clips": clips padded with black frames; "black_steps": such steps of all
            windows; "slow_clips": other clips in which steps come again, their rate being below
            the wanted one here and there; "repeated_steps": such steps of all windows}.

    Raises:
        ValueError: If a clip has too low a rate.
    """

    def __init__(self, clips, sampling, seed=0):
        self.clocks = []
        planned, spans = [], []
        self.counts = dict.fromkeys(
            ("short_clips", "black_clips", "black_steps", "slow_clips", "repeated_steps"), 0
        )
        for clip in clips:
            try:
                clock = sampling.clock(clip.num_frames, clip.frames_per_second, clip.frame_times)
            except ValueError as error:
                raise ValueError(f"{clip.path}: {error}") from error
            windows = sampling.windows(clock, seed)
            windows = np.repeat(windows, 2, axis=0) if sampling.flips else windows
            self.clocks.append(clock)
            planned.append(windows)
            spans.append(np.stack(sampling.spans(windows, clock), axis=1))
            self._count(windows, sampling.is_short(clock))
        self.steps = np.concatenate(planned)
        self.spans = np.concatenate(spans)
        self.clip_numbers = np.repeat(np.arange(len(clips)), [len(each) for each in planned])
        self.mirrored = np.arange(len(self.steps)) % 2 == 1
        self.mirrored &= sampling.flips
        self._tell(len(clips), sampling)

    def _count(self, windows, is_short):
        black = windows == BLACK_STEP
        self.counts["black_clips"] += bool(black.any())
        self.counts["black_steps"] += int(black.sum())
        self.counts["short_clips"] += is_short
        if is_short:
            return
        repeats = int(((np.diff(windows, axis=1) == 0) & ~black[:, 1:]).sum())
        self.counts["slow_clips"] += repeats > 0
        self.counts["repeated_steps"] += repeats

    def _tell(self, num_clips, sampling):
        counts = self.counts
        if counts["black_clips"]:
            logging.warning(
                "%d of %d clips are shorter than %d frames: %d of the %d steps of their windows "
                "are black.",
                counts["black_clips"],
                num_clips,
                sampling.spread_over,
                counts["black_steps"],
                self.steps[(self.steps == BLACK_STEP).any(axis=1)].size,
            )
        if counts["slow_clips"]:
            logging.warning(
                "%d of %d clips have less than %g frames a second, or do so in places: %d steps of "
                "their windows show the frame of the step before.",
                counts["slow_clips"],
                num_clips,
                sampling.frames_per_second,
                counts["repeated_steps"],
            )
        if counts["short_clips"]:
            logging.info(
                "%d of %d clips are shorter than a window: they repeat the last step sampled.",
                counts["short_clips"],
                num_clips,
            )

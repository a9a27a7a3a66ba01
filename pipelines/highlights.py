"""Which frames of a clip a model with temporal attention weighed most."""

import dataclasses

import numpy as np

# Weights may come from float16 or bfloat16 models, whose rows sum to 1 within about 0.01.
_SUM_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Highlights:
    """What one model weighed and decided in one window of a clip.

    Args:
        frames: The attended frames, `(frames, frame_height, frame_width, 3)`, uint8 RGB.
        frame_indices: `(frames,)`, the frames' places in the video, in order.
        frames_per_second: The video's rate, above 0.
        weights: `(frames,)`, the mean of `step_weights` over the steps that attend; sums to 1.
        step_weights: `(steps, frames)`, each step's attention, summing to 1, or 0 where the step
            does not attend.
        probabilities: `(classes,)`, the answer for the window.
        label_names: One name for each class.
        true_label: The clip's label, one of `label_names`, if known.
        interval: First frame of the action in the video and the frame after its last, if known.
        model_name: Shown beside the weights.
        video_name: Shown above the frames; highlights of the same video share it.

    Raises:
        ValueError: If an argument is malformed; the text names it and what was received.
    """

    frames: np.ndarray
    frame_indices: np.ndarray
    frames_per_second: float
    weights: np.ndarray
    step_weights: np.ndarray
    probabilities: np.ndarray
    label_names: tuple
    true_label: str | None = None
    interval: tuple | None = None
    model_name: str = "model"
    video_name: str = "video"

    def __post_init__(self):
        frames = np.asarray(self.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise ValueError(
                "frames must be uint8 RGB of shape (frames, frame_height, frame_width, 3) with at "
                f"least one frame, got {frames.dtype} of shape {frames.shape}."
            )
        indices = np.asarray(self.frame_indices)
        if indices.shape != (len(frames),) or np.any(np.diff(indices) < 0) or indices[0] < 0:
            raise ValueError(
                f"frame_indices must be {len(frames)} frame numbers of at least 0 that never step "
                f"back, got {indices}."
            )
        rate = float(self.frames_per_second)
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"frames_per_second must be above 0, got {self.frames_per_second}.")
        steps = np.asarray(self.step_weights, np.float64)
        if steps.ndim != 2 or steps.shape[1] != len(frames):
            raise ValueError(
                f"step_weights must have the shape (steps, {len(frames)}), got {steps.shape}."
            )
        weights = np.asarray(self.weights, np.float64)
        if weights.shape != (len(frames),):
            raise ValueError(f"weights must have the shape ({len(frames)},), got {weights.shape}.")
        for name, sums in (("step_weights", steps.sum(axis=1)), ("weights", weights.sum())):
            off = (np.abs(sums - 1) > _SUM_TOLERANCE) & ((sums != 0) | (name == "weights"))
            if np.any(off):
                raise ValueError(f"{name} must sum to 1, got {np.atleast_1d(sums).min():.6g}.")
        names = tuple(str(name) for name in self.label_names)
        probabilities = np.asarray(self.probabilities, np.float64)
        if probabilities.shape != (len(names),):
            raise ValueError(
                f"probabilities must be one for each of label_names, {len(names)}; got shape "
                f"{probabilities.shape}."
            )
        if self.true_label is not None and self.true_label not in names:
            raise ValueError(f"true_label {self.true_label!r} is not one of label_names {names}.")
        interval = None if self.interval is None else tuple(int(frame) for frame in self.interval)
        if interval is not None and not (len(interval) == 2 and 0 <= interval[0] <= interval[1]):
            raise ValueError(
                f"interval must be the action's first frame and the one after its last, got "
                f"{self.interval}."
            )
        for name, value in {
            "frames": frames,
            "frame_indices": indices.astype(np.int64),
            "frames_per_second": rate,
            "weights": weights,
            "step_weights": steps,
            "probabilities": probabilities,
            "label_names": names,
            "interval": interval,
            "model_name": str(self.model_name),
            "video_name": str(self.video_name),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def times(self):
        """When each attended frame is shown in the video, in seconds, `(frames,)`."""
        return self.frame_indices / self.frames_per_second

    @property
    def is_inside(self):
        """Which frames lie in the action's interval, bool `(frames,)`; None if it is unknown."""
        if self.interval is None:
            return None
        first, end = self.interval
        return (self.frame_indices >= first) & (self.frame_indices < end)

    @property
    def predicted_label(self):
        """The likeliest label; the first of `label_names` among equals."""
        return self.label_names[int(np.argmax(self.probabilities))]

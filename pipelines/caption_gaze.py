"""What a model looked at in one clip while it said each word of its caption.

Sharma's thesis, chapter 3: the weights of a word run over all space-time locations (Eq. 3.2), and
beta (Eq. 3.5) says how much of the glimpse goes into the word.
"""

import dataclasses

import numpy as np

from glimpse.pipelines.gaze import SUM_TOLERANCE
from glimpse.pipelines.gaze_measures import word_masses
from glimpse.pipelines.window_sampling import BLACK_STEP


@dataclasses.dataclass(frozen=True, eq=False)
class CaptionGaze:
    """A caption of one clip, word by word, with where the model looked for each.

    Args:
        frames: The frames that the model read, `(frames, frame_height, frame_width, 3)`, uint8 RGB.
        frame_indices: `(frames,)`, the frames' places in the video, in order; -1 for a black frame
            that fills the window of a short clip.
        frames_per_second: The video's rate, above 0.
        words: The caption's words, at least one.
        attention: `(words, frames, height, width)`, the maps of one word summing to 1 over all of
            its places, or to 0 where it reads no features.
        gate: `(words,)`, beta of Eq. 3.5, from 0 to 1.
        score: The caption's score in the beam search, if known.
        references: Captions of the clip by people, if known.
        boxes: `(frames, 4)`, the actor's box in each frame, empty in a black one, if known.
        model_name: Shown beside the caption.
        video_name: Shown above the frames; gazes of the same video share it.

    Raises:
        ValueError: If an argument is malformed; the text names it and what was received.
    """

    frames: np.ndarray
    frame_indices: np.ndarray
    frames_per_second: float
    words: tuple
    attention: np.ndarray
    gate: np.ndarray
    score: float | None = None
    references: tuple = ()
    boxes: np.ndarray | None = None
    model_name: str = "model"
    video_name: str = "video"

    def __post_init__(self):
        frames = np.asarray(self.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size:
            raise ValueError(
                "frames must be uint8 RGB of shape (frames, frame_height, frame_width, 3) with at "
                f"least one frame, got {frames.dtype} of shape {frames.shape}."
            )
        words = tuple(str(word) for word in self.words)
        if not words:
            raise ValueError("words must hold at least one word, got none.")
        assigned = {
            "frames": frames,
            "frame_indices": _frame_indices(self.frame_indices, len(frames)),
            "frames_per_second": float(self.frames_per_second),
            "words": words,
            "attention": _attention(self.attention, len(words), len(frames)),
            "gate": np.asarray(self.gate, np.float64),
            "score": None if self.score is None else float(self.score),
            "references": tuple(str(text) for text in self.references),
            "model_name": str(self.model_name),
            "video_name": str(self.video_name),
        }
        rate, gate = assigned["frames_per_second"], assigned["gate"]
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(
                f"frames_per_second must be above 0, got {self.frames_per_second}: "
                "pass the video's rate."
            )
        # A rounding error may lead out of the sigmoid's range.
        if gate.shape != (len(words),) or not np.all((gate >= -1e-3) & (gate <= 1 + 1e-3)):
            raise ValueError(
                f"gate must be a number from 0 to 1 for each of {len(words)} words, got {gate}."
            )
        if self.boxes is not None:
            boxes = assigned["boxes"] = np.asarray(self.boxes, np.float64)
            if boxes.shape != (len(frames), 4) or not np.all(np.isfinite(boxes)):
                raise ValueError(
                    f"boxes must be finite x0, y0, x1, y1 of shape ({len(frames)}, 4), got shape "
                    f"{boxes.shape}."
                )
        for name, value in assigned.items():
            object.__setattr__(self, name, value)

    @property
    def frame_size(self):
        """Height and width of the frames, in pixels."""
        return self.frames.shape[1:3]

    @property
    def is_black(self):
        """Which frames are black ones that fill the window, `(frames,)`, bool."""
        return self.frame_indices == BLACK_STEP

    @property
    def times(self):
        """When each frame is shown in the video, in seconds, `(frames,)`; NaN for a black frame."""
        return np.where(self.is_black, np.nan, self.frame_indices / self.frames_per_second)

    @property
    def text(self):
        """The caption."""
        return " ".join(self.words)

    @property
    def frame_shares(self):
        """The share of each word's attention that lies in each frame, `(words, frames)`."""
        return self.attention.sum(axis=(2, 3))

    @property
    def frame_maps(self):
        """The attention on a frame's own scale, `(words, frames, height, width)`.

        A weight of 1 / (height * width) is that of a map that is uniform over all frames, so that
        `overlay` shows multiples of a word's uniform weight 1 / (frames * height * width).
        """
        return self.attention * len(self.frames)

    @property
    def word_maps(self):
        """The maps of each word as one map, `(words, frames * height, width)`."""
        words, frames, height, width = self.attention.shape
        return self.attention.reshape(words, frames * height, width)

    def actor_shares(self):
        """How much of each word's attention lies on the actor, or None without boxes.

        Returns:
            `(words,)`, NaN where a word reads no features, and the share that a uniform map puts
            there. Black frames hold no actor.
        """
        if self.boxes is None:
            return None
        return word_masses(self.attention, self.boxes, self.frame_size)


def group_captions(gazes):
    """Lists of caption gazes with the same `video_name`, in the order of their first appearance.

    Raises:
        ValueError: If there is none, or gazes of one clip hold different frames or references.
    """
    gazes = [gazes] if isinstance(gazes, CaptionGaze) else list(gazes)
    if not gazes or not all(isinstance(gaze, CaptionGaze) for gaze in gazes):
        raise ValueError(f"gazes must be a CaptionGaze or a list of them, got {gazes!r}.")
    clips = {}
    for gaze in gazes:
        clips.setdefault(gaze.video_name, []).append(gaze)
    for name, clip in clips.items():
        for gaze in clip[1:]:
            same = (
                np.array_equal(gaze.frame_indices, clip[0].frame_indices)
                and np.array_equal(gaze.frames, clip[0].frames)
                and gaze.frames_per_second == clip[0].frames_per_second
                and gaze.references == clip[0].references
            )
            if not same:
                raise ValueError(
                    f"captions of {name!r} were made from different frames, rates or references "
                    f"({clip[0].model_name!r} and {gaze.model_name!r}): explain these models one "
                    "at a time."
                )
    return list(clips.values())


def _frame_indices(indices, num_frames):
    indices = np.asarray(indices)
    if indices.shape != (num_frames,) or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(f"frame_indices must be {num_frames} whole numbers, got {indices!r}.")
    real = indices[indices != BLACK_STEP]
    if np.any(real < 0) or np.any(np.diff(real) < 0):
        raise ValueError(
            f"frame_indices must be -1 or places in the video that never step back, got {indices}."
        )
    return indices.astype(np.int64)


def _attention(attention, num_words, num_frames):
    attention = np.asarray(attention, np.float64)
    if attention.ndim != 4 or attention.shape[:2] != (num_words, num_frames) or not attention.size:
        raise ValueError(
            f"attention must have the shape ({num_words} words, {num_frames} frames, height, "
            f"width), got {attention.shape}."
        )
    if not np.all(np.isfinite(attention)) or attention.min() < 0:
        raise ValueError("attention must be finite and not negative: pass weights, not scores.")
    sums = attention.sum(axis=(1, 2, 3))
    wrong = np.flatnonzero((np.abs(sums - 1.0) > SUM_TOLERANCE) & (sums != 0.0))
    if wrong.size:
        raise ValueError(
            "attention must sum to 1 over all frames and places of a word, or to 0; word "
            f"{wrong[0]} sums to {sums[wrong[0]]:.6g}."
        )
    return attention

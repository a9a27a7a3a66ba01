"""What a model looked at in one clip, and how much of it lay on the actor.

Boxes are `x0, y0, x1, y1` in pixels, measured at pixel edges: a box of 0, 0,
width, height is the whole frame. An attention map covers the whole frame in
equal cells, row-major.
"""

import dataclasses

import numpy as np

# Maps may come from float16 or bfloat16 models, whose rows sum to 1 within about 0.01.
SUM_TOLERANCE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class Gaze:
    """What one model saw, decided and attended to in one clip.

    Args:
        frames: The attended frames, `(frames, frame_height, frame_width, 3)`, uint8 RGB.
        frame_indices: `(frames,)`, the frames' places in the video, in order.
        frames_per_second: The video's rate, above 0.
        attention: `(frames, height, width)`, each map summing to 1, or 0 where the frame is masked.
        step_probabilities: `(frames, classes)`, the answer after each frame.
        probabilities: `(classes,)`, the answer for the clip.
        label_names: One name for each class.
        true_label: The clip's label, one of `label_names`, if known.
        boxes: `(frames, 4)`, the actor's box in each frame, if known.
        distractor_boxes: `(frames, distractors, 4)`, boxes the model should ignore, if known.
        model_name: Shown beside the maps.
        video_name: Shown above the frames; gazes of the same video share it.

    Raises:
        ValueError: If an argument is malformed; the text names it and what was received.
    """

    frames: np.ndarray
    frame_indices: np.ndarray
    frames_per_second: float
    attention: np.ndarray
    step_probabilities: np.ndarray
    probabilities: np.ndarray
    label_names: tuple
    true_label: str | None = None
    boxes: np.ndarray | None = None
    distractor_boxes: np.ndarray | None = None
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
        _require_shape("frame_indices", indices, (len(frames),), "one for each of frames")
        if not np.issubdtype(indices.dtype, np.integer):
            raise ValueError(f"frame_indices must be whole numbers, got {indices.dtype}.")
        if indices[0] < 0 or np.any(np.diff(indices) < 0):
            raise ValueError(
                f"frame_indices must start at 0 or later and never step back, got {indices}."
            )
        rate = float(self.frames_per_second)
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(
                f"frames_per_second must be above 0, got {self.frames_per_second}: "
                "pass the video's rate."
            )
        attention = _attention_maps(self.attention)
        if len(attention) != len(frames):
            raise ValueError(
                f"attention has {len(attention)} maps for {len(frames)} frames: give one for each."
            )
        names = tuple(str(name) for name in self.label_names)
        if not names or len(set(names)) != len(names):
            raise ValueError(f"label_names must be distinct and not empty, got {names}.")
        steps = _probabilities(
            "step_probabilities", self.step_probabilities, (len(frames), len(names))
        )
        probabilities = _probabilities("probabilities", self.probabilities, (len(names),))
        if self.true_label is not None and self.true_label not in names:
            raise ValueError(f"true_label {self.true_label!r} is not one of label_names {names}.")
        assigned = {
            "frames": frames,
            "frame_indices": indices.astype(np.int64),
            "frames_per_second": rate,
            "attention": attention,
            "step_probabilities": steps,
            "probabilities": probabilities,
            "label_names": names,
            "model_name": str(self.model_name),
            "video_name": str(self.video_name),
        }
        if self.boxes is not None:
            assigned["boxes"] = _boxes("boxes", self.boxes)
            _require_shape("boxes", assigned["boxes"], (len(frames), 4), "one box a frame")
        if self.distractor_boxes is not None:
            assigned["distractor_boxes"] = _boxes("distractor_boxes", self.distractor_boxes)
            _require_shape(
                "distractor_boxes",
                assigned["distractor_boxes"],
                (len(frames), assigned["distractor_boxes"].shape[1], 4),
                "(frames, distractors, 4)",
            )
        for name, value in assigned.items():
            object.__setattr__(self, name, value)

    @property
    def frame_size(self):
        """Height and width of the frames, in pixels."""
        return self.frames.shape[1:3]

    @property
    def times(self):
        """When each attended frame is shown in the video, in seconds, `(frames,)`."""
        return self.frame_indices / self.frames_per_second

    @property
    def is_real(self):
        """Which frames are not masked, `(frames,)`, bool."""
        return self.attention.sum(axis=(1, 2)) > 0

    @property
    def predicted_label(self):
        """The likeliest label; the first of `label_names` among equals."""
        return self.label_names[int(np.argmax(self.probabilities))]

    @property
    def shown_label(self):
        """The label whose probability pictures follow: the true one, else the predicted one."""
        return self.true_label if self.true_label is not None else self.predicted_label

    def probability_of(self, label):
        """The probability of a label, for the clip and after each step `(frames,)`."""
        index = self.label_names.index(label)
        return float(self.probabilities[index]), self.step_probabilities[:, index]

    def localisation(self):
        """Measures how well the maps found the actor, over the frames that are not masked.

        Returns:
            None without `boxes`; else a dict of means over frames: `mass` in the actor's box,
            `uniform` (what a uniform map puts there), `pointing` (the share of frames whose
            largest cell is centred in the box) and, with `distractor_boxes`,
            `distractor_mass`, where boxes that overlap count twice.
        """
        if self.boxes is None:
            return None
        real = self.is_real
        if not real.any():
            raise ValueError(f"attention of {self.video_name!r} is masked in every frame.")
        hits = pointing_hits(self.attention, self.boxes, self.frame_size)
        means = {
            "mass": attention_mass(self.attention, self.boxes, self.frame_size)[real].mean(),
            "uniform": uniform_mass(self.boxes, self.frame_size)[real].mean(),
            "pointing": hits[real].mean(),
        }
        if self.distractor_boxes is not None:
            masses = attention_mass(self.attention, self.distractor_boxes, self.frame_size)
            means["distractor_mass"] = masses.sum(axis=1)[real].mean()
        return {name: float(value) for name, value in means.items()}


def attention_mass(attention, boxes, frame_size):
    """The share of each map that lies inside a box.

        mass[t] = sum_i attention[t, i] * area(cell i inside box t) / area(cell i)

    Args:
        attention: `(frames, height, width)`, each map summing to 1, or 0 where masked.
        boxes: `(frames, 4)` or `(frames, boxes, 4)`, pixels; what lies outside the frame is empty.
        frame_size: Height and width of the frame, in pixels.

    Returns:
        `(frames,)` or `(frames, boxes)`, float64.
    """
    attention = _attention_maps(attention)
    boxes = _boxes("boxes", boxes)
    if len(boxes) != len(attention):
        raise ValueError(f"boxes has {len(boxes)} frames, attention has {len(attention)}.")
    rows, columns = covered_shares(boxes, frame_size, attention.shape[1:])
    return np.einsum("thw,t...h,t...w->t...", attention, rows, columns)


def uniform_mass(boxes, frame_size):
    """The share of a uniform map that lies inside each box: its share of the frame's area.

    Args:
        boxes: `(frames, 4)` or `(frames, boxes, 4)`, pixels; what lies outside the frame is empty.
        frame_size: Height and width of the frame, in pixels.

    Returns:
        `(frames,)` or `(frames, boxes)`, float64.
    """
    rows, columns = covered_shares(_boxes("boxes", boxes), frame_size, (1, 1))
    return rows[..., 0] * columns[..., 0]


def pointing_hits(attention, boxes, frame_size):
    """Whether the centre of each map's largest cell lies inside the box (the pointing game).

    Zhang et al., "Top-down Neural Attention by Excitation Backprop",
    https://arxiv.org/abs/1608.00507, section 4.2.

    Differs from the paper: no tolerance margin around the box.

    Args:
        attention: `(frames, height, width)`; the first of equal cells counts.
        boxes: `(frames, 4)`, pixels.
        frame_size: Height and width of the frame, in pixels.

    Returns:
        `(frames,)`, bool; False for a masked frame.
    """
    attention = _attention_maps(attention)
    boxes = _boxes("boxes", boxes)
    _require_shape("boxes", boxes, (len(attention), 4), "one box a map")
    frame_height, frame_width = _frame_size(frame_size)
    height, width = attention.shape[1:]
    row, column = np.divmod(attention.reshape(len(attention), -1).argmax(axis=1), width)
    y = (row + 0.5) * frame_height / height
    x = (column + 0.5) * frame_width / width
    x0, y0, x1, y1 = boxes.T
    inside = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
    return inside & (attention.sum(axis=(1, 2)) > 0)


def covered_shares(boxes, frame_size, grid):
    """The share of each row's height and of each column's width that a box covers.

    Args:
        boxes: `(..., 4)`, pixels.
        frame_size: Height and width of the frame, in pixels.
        grid: Rows and columns of equal cells.

    Returns:
        `(..., rows)` and `(..., columns)`, float64; a cell's share of area is their product.
    """
    shares = []
    for size, cells, low, high in zip(
        _frame_size(frame_size),
        grid,
        (boxes[..., 1], boxes[..., 0]),
        (boxes[..., 3], boxes[..., 2]),
        strict=True,
    ):
        edges = np.linspace(0.0, size, cells + 1)
        covered = np.minimum(high[..., None], edges[1:]) - np.maximum(low[..., None], edges[:-1])
        shares.append(np.clip(covered, 0.0, None) * cells / size)
    return shares


def _attention_maps(attention):
    attention = np.asarray(attention, np.float64)
    if attention.ndim != 3 or not attention.size:
        raise ValueError(
            f"attention must have the shape (frames, height, width), got {attention.shape}."
        )
    if not np.all(np.isfinite(attention)) or attention.min() < 0:
        raise ValueError("attention must be finite and not negative: pass weights, not scores.")
    sums = attention.sum(axis=(1, 2))
    wrong = np.flatnonzero((np.abs(sums - 1.0) > SUM_TOLERANCE) & (sums != 0.0))
    if wrong.size:
        raise ValueError(
            f"attention must sum to 1 in each frame, or to 0 where it is masked; frame {wrong[0]} "
            f"sums to {sums[wrong[0]]:.6g} ({wrong.size} of {len(sums)} frames are wrong)."
        )
    return attention


def _boxes(name, boxes):
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim not in (2, 3) or boxes.shape[-1] != 4 or not np.all(np.isfinite(boxes)):
        raise ValueError(
            f"{name} must be finite x0, y0, x1, y1 of shape (frames, 4) or (frames, boxes, 4), "
            f"got shape {boxes.shape}."
        )
    if np.any(boxes[..., 2:] < boxes[..., :2]):
        raise ValueError(
            f"{name} must have x0 <= x1 and y0 <= y1: they are corners, not a corner and a size."
        )
    return boxes


def _probabilities(name, values, shape):
    values = np.asarray(values, np.float64)
    _require_shape(name, values, shape, "one for each of label_names on the last axis")
    # A mean of float32 softmaxes can pass 1 by a rounding error.
    if not np.all((values >= -1e-6) & (values <= 1 + 1e-3)):
        raise ValueError(f"{name} must lie between 0 and 1: pass probabilities, not logits.")
    return values


def _frame_size(frame_size):
    height, width = (float(size) for size in frame_size)
    if height <= 0 or width <= 0:
        raise ValueError(f"frame_size must be height and width above 0, got {frame_size}.")
    return height, width


def _require_shape(name, array, shape, meaning):
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} ({meaning}), got {array.shape}.")

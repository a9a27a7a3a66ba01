"""Random scenes of `tiny_actions`: who stands where, does what, and beside what."""

import dataclasses

import numpy as np

from glimpse.pipelines.stick_figure import (
    ACTIONS,
    IDLE,
    figure_box,
    place_joints,
    pose,
)

COLOURS = {
    "red": (220, 50, 45),
    "green": (60, 200, 70),
    "blue": (60, 100, 235),
    "yellow": (235, 215, 60),
    "purple": (180, 70, 210),
    "white": (235, 235, 235),
}
SCENES = {
    "meadow": (70, 98, 60),
    "sea": (60, 80, 112),
    "desert": (115, 90, 62),
    "street": (92, 92, 95),
}
OBJECT_KINDS = ("box", "ball")
# Mean distance in pixels between the boxes of the actor and of an object: at most NEAR for an
# object that captions mention; never less than FAR, in any frame, for all others.
NEAR = 10.0
FAR = 14.0
_CENTRE_OFFSET = 9.0
_COLOUR_JITTER = 18
_BLEND_FRAMES = 2
_MARGIN = 1.0
_FIGURE_TRIES = 40
_OBJECT_TRIES = 30
_LAYOUTS = 500


@dataclasses.dataclass
class Figure:
    """A figure and its way through the clip; joints (frames, joints, 2), boxes (frames, 4)."""

    role: str
    hat: bool
    action: str
    colour: str
    rgb: tuple
    height: float
    phase: float
    period: float
    joints: np.ndarray
    boxes: np.ndarray


@dataclasses.dataclass
class SceneObject:
    """A box or ball that stands still; `box` is [x0, y0, x1, y1] in pixels."""

    kind: str
    colour: str
    rgb: tuple
    box: np.ndarray
    near: bool


@dataclasses.dataclass
class Scene:
    """Everything that is drawn in a clip, the actor first among the figures."""

    name: str
    figures: list
    objects: list
    action_interval: tuple


def box_gaps(boxes, other_boxes):
    """Returns the distance in pixels between boxes (..., 4), 0 where they touch or overlap."""
    boxes, other_boxes = np.asarray(boxes), np.asarray(other_boxes)
    gaps = np.maximum(boxes[..., :2] - other_boxes[..., 2:], other_boxes[..., :2] - boxes[..., 2:])
    return np.hypot(*np.moveaxis(np.maximum(gaps, 0.0), -1, 0))


def _pick_colour(rng):
    name = tuple(COLOURS)[rng.integers(len(COLOURS))]
    jitter = rng.integers(-_COLOUR_JITTER, _COLOUR_JITTER + 1, size=3)
    return name, tuple(int(v) for v in np.clip(np.array(COLOURS[name]) + jitter, 0, 255))


def sample_figure(rng, config, action, role, hat, interval=None):
    """Draws a figure that stands at (0, 0) at mid-clip; `move_figure` puts it in its place.

    Args:
        rng: numpy Generator.
        config: `TinyActionsConfig`.
        action: the action, or "idle".
        role: "actor" or "distractor".
        hat: whether it wears the hat.
        interval: (first, last + 1) frames of the action, idle outside; None: all frames.
    """
    colour, rgb = _pick_colour(rng)
    height = float(rng.uniform(config.min_height, config.max_height))
    phase, period = float(rng.uniform()), float(rng.uniform(12, 20))
    mirrored = bool(rng.integers(2))
    velocity = rng.uniform(-config.drift, config.drift, size=2)
    first, end = interval or (0, config.num_frames)
    joints = []
    for frame in range(config.num_frames):
        frame_phase = phase + frame / period
        # Positive inside the interval: how many frames away its nearer edge is.
        depth = min(frame - first, end - 1 - frame) + 1
        weight = min(max(depth / (_BLEND_FRAMES + 1), 0.0), 1.0) if interval else 1.0
        points = 0.0
        if weight > 0:
            points = points + weight * pose(action, frame_phase, mirrored)
        if weight < 1:
            points = points + (1 - weight) * pose(IDLE, frame_phase, mirrored)
        joints.append(points)
    ground = velocity * (np.arange(config.num_frames)[:, None] - (config.num_frames - 1) / 2)
    joints = place_joints(np.stack(joints), ground, height)
    boxes = np.stack([figure_box(frame_joints, height, hat) for frame_joints in joints])
    return Figure(role, hat, action, colour, rgb, height, phase, period, joints, boxes)


def move_figure(figure, offset):
    """Moves a figure by `offset` (x, y) pixels in all frames."""
    figure.joints = figure.joints + offset
    figure.boxes = figure.boxes + np.tile(offset, 2)


def place_figure(rng, config, figure, others, centre=False):
    """Moves `figure` to a random free place; returns False if none was found.

    Args:
        rng: numpy Generator.
        config: `TinyActionsConfig`.
        figure: a `Figure` from `sample_figure`.
        others: figures already placed, whose boxes must stay clear in every frame.
        centre: keep its middle within 9 pixels of the frame's centre on both axes.
    """
    low = _MARGIN - figure.boxes[:, :2].min(axis=0)
    high = config.size - _MARGIN - figure.boxes[:, 2:].max(axis=0)
    if centre:
        middle = (figure.boxes[:, :2] + figure.boxes[:, 2:]).mean(axis=0) / 2
        target = config.size / 2 - middle
        low = np.maximum(low, target - _CENTRE_OFFSET)
        high = np.minimum(high, target + _CENTRE_OFFSET)
    if np.any(low > high):
        return False
    for _ in range(_FIGURE_TRIES):
        # Sixteenths of a pixel are what is drawn, and are exact in binary.
        offset = np.round(rng.uniform(low, high) * 16) / 16
        boxes = figure.boxes + np.tile(offset, 2)
        if all(box_gaps(boxes, other.boxes).min() > 0 for other in others):
            move_figure(figure, offset)
            return True
    return False


def _object_box(rng, config, size, actor, near):
    if not near:
        corner = rng.uniform(_MARGIN, config.size - _MARGIN - size, size=2)
    else:
        left, right = actor.boxes[:, 0].min(), actor.boxes[:, 2].max()
        gap = rng.uniform(1, 4)
        x = right + gap if rng.integers(2) else left - gap - size
        ground = actor.boxes[:, 3].mean()
        corner = np.array([x, ground - size + rng.uniform(-3, 1)])
    corner = np.floor(corner)
    return np.concatenate([corner, corner + size])


def place_object(rng, config, figures, objects, near):
    """Returns a `SceneObject` in a free place, or None if none was found.

    Args:
        rng: numpy Generator.
        config: `TinyActionsConfig`.
        figures: the placed figures, the actor first.
        objects: the objects already placed.
        near: put it beside the actor; otherwise away from the actor.
    """
    kind = OBJECT_KINDS[rng.integers(len(OBJECT_KINDS))]
    colour, rgb = _pick_colour(rng)
    size = int(rng.integers(10, 16))
    for _ in range(_OBJECT_TRIES):
        box = _object_box(rng, config, size, figures[0], near)
        if box.min() < _MARGIN or box.max() > config.size - _MARGIN:
            continue
        if any(box_gaps(box, figure.boxes).min() <= 0 for figure in figures):
            continue
        if any(box_gaps(box, other.box) <= 1 for other in objects):
            continue
        gaps = box_gaps(box, figures[0].boxes)
        if gaps.mean() <= NEAR if near else gaps.min() >= FAR:
            return SceneObject(kind, colour, rgb, box, near)
    return None


def _sample_layout(rng, config, label, interval):
    actor_interval = interval if config.temporal else None
    actor = sample_figure(rng, config, label, "actor", True, actor_interval)
    if not place_figure(rng, config, actor, [], config.placement == "centre"):
        return None
    figures = [actor]
    others = [action for action in ACTIONS if action != label]
    for action in rng.permutation(others)[: config.num_distractors].tolist():
        if config.distractor_action == "idle":
            action = IDLE
        figure = sample_figure(rng, config, action, "distractor", False)
        if not place_figure(rng, config, figure, figures):
            return None
        figures.append(figure)
    objects = []
    wants_near = rng.uniform() < config.near_object_probability
    for index in range(config.num_objects):
        thing = place_object(rng, config, figures, objects, bool(wants_near and index == 0))
        if thing is None:
            return None
        objects.append(thing)
    return figures, objects


def sample_scene(rng, config, label):
    """Draws a scene whose actor does `label`.

    Args:
        rng: numpy Generator; the same state gives the same scene.
        config: `TinyActionsConfig`.
        label: a name out of `config.classes`.

    Raises:
        RuntimeError: the figures and objects do not fit into the frame.
    """
    name = tuple(SCENES)[rng.integers(len(SCENES))]
    interval = (0, config.num_frames)
    if label == IDLE:
        interval = (0, 0)
    elif config.temporal:
        length = int(rng.integers(config.min_action_frames, config.max_action_frames + 1))
        first = int(rng.integers(config.num_frames - length + 1))
        interval = (first, first + length)
    for _ in range(_LAYOUTS):
        layout = _sample_layout(rng, config, label, interval)
        if layout is not None:
            return Scene(name, *layout, interval)
    raise RuntimeError(
        f"no free place for {config.num_distractors + 1} figures of {config.min_height} to "
        f"{config.max_height} pixels and {config.num_objects} objects in a frame of "
        f"{config.size} pixels after {_LAYOUTS} layouts; make the figures smaller or fewer."
    )

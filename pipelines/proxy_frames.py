"""Frames and per-cell targets that the small backbone is trained on.

The proxy task asks what stands in each cell: its type, hat, colour and joints. It never tells the
name of an action, nor which figure is the actor: every figure wears a hat with probability 1/2.
"""

import os
import pathlib
import tempfile

import cv2
import numpy as np

from glimpse.pipelines.rendering_processes import map_clips
from glimpse.pipelines.stick_figure import ACTIONS, IDLE, JOINTS
from glimpse.pipelines.tiny_actions import write_clip
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.tiny_actions_drawing import draw_scene, sample_background
from glimpse.pipelines.tiny_actions_scene import (
    COLOURS,
    OBJECT_KINDS,
    SCENES,
    Scene,
    place_figure,
    place_object,
    sample_figure,
)

CELL_TYPES = ("background", "figure", *OBJECT_KINDS)
# Left and right are those of the picture: a figure's own cannot be told without a face.
PROXY_JOINTS = (
    "head",
    "first_wrist",
    "second_wrist",
    "first_knee",
    "second_knee",
    "first_foot",
    "second_foot",
)
# Columns of a cell's target; -1 where it does not apply.
TYPE, HAT, COLOUR, FIRST_JOINT = 0, 1, 2, 3
TARGET_SIZE = FIRST_JOINT + 2 * len(PROXY_JOINTS)
FRAMES_PER_CLIP = 6

_CELLS = 7
_FRAME_STRIDE = 2
_CODECS = (("mp4v", ".mp4"), ("MJPG", ".avi"))
# Least part of a cell that a figure or an object must cover to be its content; cells covered
# less, but not free, are left out of the loss.
_FIGURE_COVER = 0.2
_OBJECT_COVER = 0.15
# Keeps these clips apart from every split of `tiny_actions` with the same seed.
_STREAM = 1000


def _sample_scene(rng, config):
    """A scene of one to four figures, each with or without hat, and up to three objects."""
    figures = []
    actions = (*ACTIONS, IDLE)
    for _ in range(int(rng.integers(1, 5))):
        action = actions[rng.integers(len(actions))]
        hat = bool(rng.integers(2))
        figure = sample_figure(rng, config, action, "distractor", hat)
        if place_figure(rng, config, figure, figures):
            figures.append(figure)
    objects = []
    for _ in range(int(rng.integers(4))):
        near = bool(figures) and bool(rng.integers(2))
        thing = place_object(rng, config, figures, objects, near) if figures else None
        if thing is not None:
            objects.append(thing)
    return Scene(tuple(SCENES)[rng.integers(len(SCENES))], figures, objects, (0, 0))


def _cover(box, cell):
    """The part of each cell (rows, columns) of `cell` pixels that a box covers."""
    edges = np.arange(_CELLS) * cell
    width, height = (
        np.maximum(np.minimum(box[axis + 2], edges + cell) - np.maximum(box[axis], edges), 0)
        for axis in (0, 1)
    )
    return height[:, None] * width[None, :] / cell**2


def figure_pose(joints, height):
    """Returns the proxy's joints relative to the hip, in units of the figure's height.

    Args:
        joints: (joints, 2) in pixels, in the order of `JOINTS`.
        height: the figure's height in pixels.
    """
    named = dict(zip(JOINTS, joints, strict=True))
    chosen = [named["head"]]
    for part in ("wrist", "knee", "foot"):
        pair = [named[f"left_{part}"], named[f"right_{part}"]]
        chosen.extend(sorted(pair, key=lambda point: point[0]))
    return (np.array(chosen) - named["hip"]).ravel() / height


def cell_targets(scene, frame, size):
    """Returns what stands in each cell of one frame.

    Args:
        scene: `Scene`.
        frame: index of the frame.
        size: height and width of the frame in pixels.

    Returns:
        float32 array (7, 7, `TARGET_SIZE`): type, hat, colour, then x and y of `PROXY_JOINTS`.
    """
    targets = np.full((_CELLS, _CELLS, TARGET_SIZE), -1, np.float32)
    covers, values = [], []
    for figure in scene.figures:
        covers.append(_cover(figure.boxes[frame], size / _CELLS) / _FIGURE_COVER)
        colour = tuple(COLOURS).index(figure.colour)
        pose = figure_pose(figure.joints[frame], figure.height)
        values.append(np.concatenate([[1, figure.hat, colour], pose]))
    for thing in scene.objects:
        covers.append(_cover(thing.box, size / _CELLS) / _OBJECT_COVER)
        value = np.full(TARGET_SIZE, -1.0)
        value[TYPE] = CELL_TYPES.index(thing.kind)
        value[COLOUR] = tuple(COLOURS).index(thing.colour)
        values.append(value)
    if not covers:
        targets[..., TYPE] = 0
        return targets
    covers = np.stack(covers)
    best = covers.argmax(axis=0)
    targets[:] = np.stack(values)[best]
    targets[covers.max(axis=0) < 1] = -1
    targets[covers.max(axis=0) == 0, TYPE] = 0
    return targets


def _read_frames(path):
    reader = cv2.VideoCapture(str(path))
    frames = []
    while True:
        read, frame = reader.read()
        if not read:
            reader.release()
            return frames
        frames.append(frame[..., ::-1])


def _proxy_clip(job):
    """Frames (`FRAMES_PER_CLIP`, size, size, 3) and targets of one clip, through a codec."""
    folder, seed, index = job
    config = TinyActionsConfig(
        min_height=26, max_height=36, num_frames=FRAMES_PER_CLIP * _FRAME_STRIDE
    )
    rng = np.random.default_rng(np.random.SeedSequence([seed, _STREAM, index]))
    scene = _sample_scene(rng, config)
    background, corners = sample_background(rng, config, scene.name)
    fourcc, extension = _CODECS[index % len(_CODECS)]
    path = pathlib.Path(folder) / f"{index}{extension}"
    frames = draw_scene(scene, background, corners, config.size)
    write_clip(path, frames, config.frames_per_second, fourcc)
    chosen = range(int(rng.integers(_FRAME_STRIDE)), config.num_frames, _FRAME_STRIDE)
    decoded = _read_frames(path)
    path.unlink()
    return (
        np.stack([decoded[frame] for frame in chosen]),
        np.stack([cell_targets(scene, frame, config.size) for frame in chosen]),
    )


def render_proxy_frames(num_clips, seed=0, first_clip=0, workers=None, progress=True):
    """Renders clips, sends them through a video codec and returns frames with their targets.

    Args:
        num_clips: number of clips; each gives `FRAMES_PER_CLIP` frames.
        seed: seed of the clips.
        first_clip: index of the first clip, to draw disjoint sets from one seed.
        workers: number of processes; None: one per processor.
        progress: show a progress bar.

    Returns:
        frames (frames, 112, 112, 3) uint8 RGB, and targets (frames, 7, 7, `TARGET_SIZE`).

    Raises:
        ValueError: num_clips is not positive.
        OSError: a clip could not be encoded.
    """
    if num_clips < 1:
        raise ValueError(f"num_clips must be at least 1, got {num_clips!r}.")
    workers = workers or os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        jobs = [(folder, seed, first_clip + index) for index in range(num_clips)]
        clips = map_clips(_proxy_clip, jobs, workers, progress, "proxy clips")
    frames, targets = zip(*clips, strict=True)
    return np.concatenate(frames), np.concatenate(targets)

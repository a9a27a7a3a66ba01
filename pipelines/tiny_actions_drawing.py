"""Draws the scenes of `tiny_actions` into frames."""

import cv2
import numpy as np

from glimpse.pipelines.stick_figure import draw_figure
from glimpse.pipelines.tiny_actions_scene import SCENES

_BACKGROUND_JITTER = 18
# Grid size and strength of the three layers of noise; None: one value per pixel.
_NOISE = ((5, 30), (24, 16), (None, 9))


def _noise(rng, side, grid, strength):
    shape = (side, side, 3) if grid is None else (grid, grid, 3)
    values = rng.integers(0, 2 * strength + 1, size=shape, dtype=np.uint8)
    if grid is not None:
        # The bit-exact variant: the same picture on every processor.
        values = cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR_EXACT)
    return values.astype(np.int16) - strength


def sample_background(rng, config, scene_name):
    """Draws the background of a clip.

    Args:
        rng: numpy Generator.
        config: `TinyActionsConfig`.
        scene_name: key of `SCENES`.

    Returns:
        canvas: (side, side, 3) uint8, larger than a frame by the way the background pans.
        corners: (frames, 2) integers: x and y on the canvas of each frame's top left pixel.
    """
    reach = int(np.ceil(config.pan * config.num_frames)) + 1
    side = config.size + 2 * reach
    base = np.array(SCENES[scene_name]) + rng.integers(
        -_BACKGROUND_JITTER, _BACKGROUND_JITTER + 1, size=3
    )
    canvas = np.broadcast_to(base, (side, side, 3)).astype(np.int16)
    for grid, strength in _NOISE:
        canvas = canvas + _noise(rng, side, grid, strength)
    canvas = np.clip(canvas, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(2, 6))):
        ends = rng.integers(0, side, size=(2, 2)).tolist()
        colour = np.clip(base + rng.integers(-40, 41, size=3), 0, 255).tolist()
        cv2.line(canvas, ends[0], ends[1], colour, int(rng.integers(1, 3)), cv2.LINE_AA)
    velocity = np.zeros(2)
    if rng.integers(2):
        velocity = rng.uniform(-config.pan, config.pan, size=2)
    corners = reach + np.rint(np.arange(config.num_frames)[:, None] * velocity).astype(int)
    return canvas, corners


def draw_object(image, thing):
    """Draws a `SceneObject` into an RGB uint8 image in place."""
    x0, y0, x1, y1 = (int(value) for value in thing.box)
    if thing.kind == "box":
        cv2.rectangle(image, (x0, y0), (x1 - 1, y1 - 1), thing.rgb, -1)
    else:
        # Half pixels in 1/16: the circle's middle lies between pixels when the size is even.
        middle = ((x0 + x1 - 1) * 8, (y0 + y1 - 1) * 8)
        cv2.circle(image, middle, (x1 - x0 - 2) * 8, thing.rgb, -1, cv2.LINE_AA, 4)


def draw_scene(scene, background, corners, size):
    """Yields the frames of a scene, (size, size, 3) uint8 RGB.

    Args:
        scene: `Scene`.
        background: canvas from `sample_background`.
        corners: (frames, 2) from `sample_background`.
        size: height and width of a frame in pixels.
    """
    for frame, (x, y) in enumerate(corners):
        image = background[y : y + size, x : x + size].copy()
        for thing in scene.objects:
            draw_object(image, thing)
        for figure in scene.figures:
            draw_figure(image, figure.joints[frame], figure.height, figure.rgb, figure.hat)
        yield image

"""Poses and drawing of the stick figures of `tiny_actions`.

Joints are in units of the figure's height, x to the right and y up from the ground
between its feet. Boxes are `[x0, y0, x1, y1]` in pixels, where pixel i covers [i, i + 1).
"""

import math

import cv2
import numpy as np

ACTIONS = ("wave", "jack", "squat", "kick", "bow", "windmill", "raise", "lower")
IDLE = "idle"
JOINTS = (
    "head",
    "neck",
    "hip",
    "left_elbow",
    "left_wrist",
    "right_elbow",
    "right_wrist",
    "left_knee",
    "left_foot",
    "right_knee",
    "right_foot",
)

_BONES = ((1, 2), (1, 3), (3, 4), (1, 5), (5, 6), (2, 7), (7, 8), (2, 9), (9, 10))
_HEAD_RADIUS = 0.10
_ARM, _LEG, _TORSO, _NECK = 0.17, 0.22, 0.32, 0.12
_STANCE = 0.09
_HAT_TOP = ((-0.09, 0.08), (0.09, 0.08), (0.09, 0.23), (-0.09, 0.23))
_HAT_BRIM = ((-0.16, 0.05), (0.16, 0.05), (0.16, 0.11), (-0.16, 0.11))
_HAT_TOP_COLOUR = (15, 15, 15)
_HAT_BRIM_COLOUR = (245, 140, 20)
_FRACTIONAL_BITS = 4
# OpenCV's anti-aliased outlines reach about this far outside the ideal ones.
_BLEED = 1.0


def _arm(shoulder, side, upper_angle, lower_angle):
    """Elbow and wrist; angles from hanging down (0) through outwards to straight up (pi)."""
    elbow = (
        shoulder[0] + side * _ARM * math.sin(upper_angle),
        shoulder[1] - _ARM * math.cos(upper_angle),
    )
    wrist = (
        elbow[0] + side * _ARM * math.sin(lower_angle),
        elbow[1] - _ARM * math.cos(lower_angle),
    )
    return elbow, wrist


def _knee(hip, foot, side):
    """The knee between a hip and a foot, bent outwards, both bones of equal length."""
    dx, dy = foot[0] - hip[0], foot[1] - hip[1]
    distance = math.hypot(dx, dy)
    bend = math.sqrt(max(0.0, _LEG**2 - (distance / 2) ** 2))
    return (
        (hip[0] + foot[0]) / 2 + side * bend * abs(dy) / distance,
        (hip[1] + foot[1]) / 2 + bend * side * dx / distance,
    )


def pose(action, phase, mirrored=False):
    """Returns the joints of a figure at one moment of an action.

    Args:
        action: one of `ACTIONS`, or `IDLE`.
        phase: position in the movement's period; only its fraction counts.
        mirrored: swap left and right.

    Returns:
        float64 array (joints, 2) in the order of `JOINTS`.

    Raises:
        ValueError: the action is unknown.
    """
    if action not in ACTIONS and action != IDLE:
        raise ValueError(f"action must be one of {(*ACTIONS, IDLE)}, got {action!r}.")
    if action == "lower":
        # The same poses as "raise" backwards: only the order of the frames tells them apart.
        return pose("raise", -phase, mirrored)
    phase = phase % 1.0
    turn = 2 * math.pi * phase
    swing = 0.5 - 0.5 * math.cos(turn)
    hip_height, tilt, stance = 0.436, 0.0, _STANCE
    left = right = (0.25, 0.20)
    kick_angle = None
    if action == IDLE:
        left = right = (0.25 + 0.04 * math.sin(turn), 0.20)
    elif action == "wave":
        right = (2.1, math.pi + 0.8 * math.sin(turn))
    elif action == "jack":
        angle = 0.25 + 2.5 * swing
        left = right = (angle, angle)
        stance = 0.06 + 0.20 * swing
        hip_height = min(hip_height, math.sqrt((2 * _LEG) ** 2 - stance**2))
    elif action == "squat":
        hip_height -= 0.24 * swing
        angle = 0.25 + 1.3 * swing
        left = right = (angle, angle)
        stance = 0.12
    elif action == "kick":
        kick_angle = 0.1 + 1.4 * swing
        left = right = (0.7, 0.9)
    elif action == "bow":
        tilt = 1.4 * swing
    elif action == "windmill":
        right = (turn, turn)
        left = (math.pi - turn, math.pi - turn)
    elif action == "raise":
        lift = phase / 0.8 if phase < 0.8 else (1.0 - phase) / 0.2
        angle = 0.2 + 2.7 * lift
        left = right = (angle, angle)

    hip = (0.0, hip_height)
    neck = (_TORSO * math.sin(tilt), hip_height + _TORSO * math.cos(tilt))
    head = (neck[0] + _NECK * math.sin(tilt), neck[1] + _NECK * math.cos(tilt))
    left_elbow, left_wrist = _arm(neck, -1, *left)
    right_elbow, right_wrist = _arm(neck, 1, *right)
    left_foot = (-stance, 0.0)
    left_knee = _knee(hip, left_foot, -1)
    if kick_angle is None:
        right_foot = (stance, 0.0)
        right_knee = _knee(hip, right_foot, 1)
    else:
        right_foot = (
            2 * _LEG * math.sin(kick_angle),
            hip_height - 2 * _LEG * math.cos(kick_angle),
        )
        right_knee = ((hip[0] + right_foot[0]) / 2, (hip[1] + right_foot[1]) / 2)
    joints = np.array(
        [head, neck, hip, left_elbow, left_wrist, right_elbow, right_wrist]
        + [left_knee, left_foot, right_knee, right_foot]
    )
    if mirrored:
        joints[:, 0] *= -1
    return joints


def place_joints(joints, ground, height):
    """Moves unit joints (..., joints, 2) to pixels; `ground` (..., 2) is where the feet stand."""
    ground = np.asarray(ground, dtype=np.float64)[..., None, :]
    return ground + np.asarray(joints) * np.array([height, -height])


def line_width(height):
    """The width in pixels of the limbs of a figure of this height."""
    return max(2, round(0.075 * height))


def _hat_polygons(joints, height):
    """The hat's top and brim in pixels, turned with the head; shape (4, 2) each."""
    up = joints[0] - joints[1]
    up = up / math.hypot(up[0], up[1])
    across = np.array([-up[1], up[0]])
    return [
        joints[0] + height * (np.array(shape) @ np.stack([across, up]))
        for shape in (_HAT_TOP, _HAT_BRIM)
    ]


def figure_box(joints, height, hat):
    """Returns the tight box `[x0, y0, x1, y1]` around what `draw_figure` draws.

    Every pixel that is coloured by more than a quarter touches it; fainter ones may lie outside.

    Args:
        joints: (joints, 2) in pixels.
        height: the figure's height in pixels.
        hat: whether it wears the hat.
    """
    reach = np.full((len(joints), 1), line_width(height) / 2)
    reach[0] = _HEAD_RADIUS * height
    low, high = (joints - reach).min(axis=0), (joints + reach).max(axis=0)
    if hat:
        corners = np.concatenate(_hat_polygons(joints, height))
        low, high = np.minimum(low, corners.min(axis=0)), np.maximum(high, corners.max(axis=0))
    # OpenCV counts from pixel centres, boxes from pixel edges: hence the half.
    return np.concatenate([low - _BLEED, high + _BLEED]) + 0.5


def draw_figure(image, joints, height, colour, hat):
    """Draws a figure into an RGB uint8 image in place.

    Args:
        image: (height, width, 3) uint8.
        joints: (joints, 2) in pixels.
        height: the figure's height in pixels.
        colour: RGB triple 0-255.
        hat: whether to put the hat on.
    """
    scale = 1 << _FRACTIONAL_BITS
    points = np.rint(joints * scale).astype(int).tolist()
    colour = tuple(int(value) for value in colour)
    for start, end in _BONES:
        cv2.line(
            image,
            points[start],
            points[end],
            colour,
            line_width(height),
            cv2.LINE_AA,
            _FRACTIONAL_BITS,
        )
    radius = round(_HEAD_RADIUS * height * scale)
    cv2.circle(image, points[0], radius, colour, -1, cv2.LINE_AA, _FRACTIONAL_BITS)
    if hat:
        colours = (_HAT_TOP_COLOUR, _HAT_BRIM_COLOUR)
        for polygon, fill in zip(_hat_polygons(joints, height), colours, strict=True):
            corners = np.rint(polygon * scale).astype(np.int32)
            cv2.fillConvexPoly(image, corners, fill, cv2.LINE_AA, _FRACTIONAL_BITS)

"""Lets the user say where a model looks, and shows what it then answers: a manual glimpse.

Sharma et al., "Action Recognition using Visual Attention", 2015, Fig. 5.
"""

import re

import numpy as np

from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.film_strip import film_strip_canvas
from glimpse.pipelines.gaze import covered_shares
from glimpse.pipelines.pixel_canvas import INK, MARGIN, NEUTRAL
from glimpse.pipelines.strip_rows import draw_bar

_OTHER = "#b98632"
_PLACES = "centre, actor, cell:ROW,COLUMN or box:X0,Y0,X1,Y1"
_NUMBERS = {"cell": 2, "box": 4}


def glimpse_maps(looks, num_frames, grid, frame_size, actor=None):
    """Returns the maps that put the attention where the user says.

    A place is `centre` (a cell's size in the middle of the frame), `actor` (the actor's box in
    each frame), `cell:ROW,COLUMN` of the attention's grid, from 0, or `box:X0,Y0,X1,Y1` in the
    frame's pixels. `STEPS@PLACE` looks there in these steps of the window only: a number or
    FIRST-LAST, from 0. In a box, each cell weighs as much of its area as the box covers.

    Args:
        looks: Texts, `PLACE` or `STEPS@PLACE`; steps that none names keep the model's own gaze.
        num_frames: Frames in the window.
        grid: Height and width of the attention's grid, in cells.
        frame_size: Height and width of the frames, in pixels.
        actor: The actor's boxes `(frames, 4)` in pixels, where they are known.

    Returns:
        `(frames, height, width)`, float32: each map sums to 1, or is NaN where the gaze is left
        to the model; an `attention_override`.

    Raises:
        ValueError: If a text cannot be read, a place lies outside, or a step is named twice.
    """
    if not looks:
        raise ValueError(f"no place to look at is given: one of {_PLACES}.")
    maps = np.full((num_frames, *grid), np.nan, "float32")
    for look in looks:
        steps, _, place = look.rpartition("@")
        chosen = _read_steps(look, steps, num_frames)
        taken = [step for step in chosen if not np.isnan(maps[step]).all()]
        if taken:
            raise ValueError(f"{look!r}: step {taken[0]} is given a place twice.")
        for step in chosen:
            box = _read_box(look, place, step, grid, frame_size, actor)
            maps[step] = box_map(box, grid, frame_size)
    return maps


def box_map(box, grid, frame_size):
    """Returns the map that is uniform inside a box and 0 outside, `(height, width)`, float64.

    Args:
        box: Corners x0, y0, x1, y1 in pixels.
        grid: Height and width of the map, in cells.
        frame_size: Height and width of the frame, in pixels.

    Raises:
        ValueError: If no part of the box lies in the frame.
    """
    rows, columns = covered_shares(np.asarray(box, np.float64), frame_size, grid)
    area = np.outer(rows, columns)
    if not area.sum() > 0:
        raise ValueError(
            f"no part of the box {', '.join(f'{value:g}' for value in box)} lies in the frame of "
            f"{frame_size[1]} x {frame_size[0]} pixels."
        )
    return area / area.sum()


def look_manually(answerer, window, looks, truth=None, true_label=None):
    """Returns two `Gaze`s of one window: the model's own and with the user's glimpse.

    Args:
        answerer: A `VideoAnswerer` of a model that attends.
        window: A `ClipWindow`.
        looks: As in `glimpse_maps`.
        truth: The clip's truth, for the boxes of the figures.
        true_label: Name of the clip's class.

    Raises:
        ValueError: As `glimpse_maps`; or if the model has no gaze.
    """
    own = answerer.look(window, truth, true_label, "the model's own gaze")
    actor = None if truth is None else actor_boxes(truth, window.frame_indices)[0]
    maps = glimpse_maps(looks, len(window.frames), own.attention.shape[1:], own.frame_size, actor)
    manual = answerer.look(
        window, truth, true_label, f"manual: {', '.join(looks)}", attention_override=maps
    )
    return own, manual


def draw_manual_glimpse(own, manual, path, columns=8, style="heat", top=5):
    """Draws both gazes and, below, what both answer; writes the picture as a PNG.

    Args:
        own: The `Gaze` of the model alone.
        manual: The `Gaze` with the user's glimpse.
        path: The PNG to write.
        columns: Frames to show.
        style: "heat" or "dim", as in `overlay`.
        top: Classes to show of each answer.

    Raises:
        OSError: If the file cannot be written.
    """
    manual_glimpse_canvas(own, manual, columns, style, top).save(path)


def manual_glimpse_canvas(own, manual, columns=8, style="heat", top=5):
    """The `PixelCanvas` of `draw_manual_glimpse`."""
    rows = compare_answers(own, manual, top)
    canvas = film_strip_canvas(
        [own, manual], columns, style=style, footer=92 + 66 * len(rows)
    )  # fmt: skip
    canvas.y += 14
    canvas.rule(canvas.y)
    canvas.y += 40
    length = canvas.right - MARGIN - 420
    for name, colour, x in (
        ("the model's own gaze", NEUTRAL, MARGIN + 330),
        ("manual glimpse", _OTHER, MARGIN + 760),
    ):
        draw_bar(canvas, x, canvas.y, 40, 1.0, colour)
        canvas.text(x + 54, canvas.y, name, 24, INK)
    canvas.text(MARGIN, canvas.y, "probability", 24, INK, weight="bold")
    canvas.y += 44
    for name, *values in rows:
        mark = " (true)" if name == own.true_label else ""
        canvas.text(MARGIN, canvas.y + 13, name + mark, 24, INK, room=310)
        for value, colour in zip(values, (NEUTRAL, _OTHER), strict=True):
            draw_bar(canvas, MARGIN + 330, canvas.y, length, min(value, 1.0), colour)
            canvas.text(canvas.right, canvas.y, f"{value:.1%}", 22, INK, ha="right")
            canvas.y += 26
        canvas.y += 14
    return canvas


def compare_answers(own, manual, top=5):
    """Returns (label, own probability, manual probability) of the likeliest labels of either.

    The true label is among them where it is known; the likeliest of the model's own comes first.
    """
    chosen = {own.true_label} - {None}
    for gaze in (own, manual):
        order = np.argsort(-gaze.probabilities, kind="stable")[:top]
        chosen |= {gaze.label_names[i] for i in order}
    rows = [(name, own.probability_of(name)[0], manual.probability_of(name)[0]) for name in chosen]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _read_steps(look, steps, num_frames):
    if not steps:
        if look.startswith("@"):
            raise ValueError(f"{look!r}: no step before the @; write such as 0-7@centre.")
        return range(num_frames)
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", steps)
    if not found:
        raise ValueError(f"{look!r}: {steps!r} is no step or FIRST-LAST; write such as 0-7@centre.")
    first, last = int(found[1]), int(found[2] or found[1])
    if not first <= last < num_frames:
        raise ValueError(
            f"{look!r}: steps must rise from 0 to at most {num_frames - 1}, the window's last."
        )
    return range(first, last + 1)


def _read_box(look, place, step, grid, frame_size, actor):
    """The box of a place in one step, in pixels."""
    cell = np.array([frame_size[1] / grid[1], frame_size[0] / grid[0]])
    if place == "centre":
        middle = np.array(frame_size[::-1]) / 2
        return np.concatenate([middle - cell / 2, middle + cell / 2])
    if place == "actor":
        if actor is None:
            raise ValueError(f"{look!r}: the actor's boxes are not known; give --data.")
        return actor[step]
    kind, _, rest = place.partition(":")
    try:
        numbers = [float(number) for number in rest.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != _NUMBERS.get(kind) or not np.all(np.isfinite(numbers)):
        raise ValueError(f"{look!r}: {place!r} is no place to look at; give {_PLACES}.")
    if kind == "cell":
        row, column = numbers
        if not (row in range(grid[0]) and column in range(grid[1])):
            raise ValueError(
                f"{look!r}: the grid has rows 0 to {grid[0] - 1} and columns 0 to {grid[1] - 1}."
            )
        corner = np.array([column, row]) * cell
        return np.concatenate([corner, corner + cell])
    x0, y0, x1, y1 = numbers
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"{look!r}: the box must have X0 < X1 and Y0 < Y1, in pixels.")
    return np.array(numbers)

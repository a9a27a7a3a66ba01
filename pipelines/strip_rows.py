"""The rows that pictures of gazes are made of: headings, titles, tiles, bars and the legend."""

import numpy as np

from glimpse.pipelines.overlay import legend_image
from glimpse.pipelines.pixel_canvas import (
    GAP,
    GREY,
    INK,
    MARGIN,
    NEUTRAL,
    PALE,
    RIGHT,
    WRONG,
)

# Eight columns of 224 pixels: a frame of 112 pixels is doubled exactly.
_STRIP_WIDTH, _LARGEST_TILE, _SMALLEST_TILE = 1792, 448, 112
_MINIMUM_WIDTH = 1600
LEGEND_HEIGHT, _BAR_WIDTH = 96, 360


def tile_width(columns):
    """Pixels across a tile where a row has so many."""
    return int(np.clip(_STRIP_WIDTH // columns, _SMALLEST_TILE, _LARGEST_TILE))


def strip_width(columns):
    """Pixels across a picture whose rows have so many tiles."""
    tiles = columns * tile_width(columns) + (columns - 1) * GAP
    return max(_MINIMUM_WIDTH, 2 * MARGIN + tiles)


def tile_places(columns, width):
    """Where the tiles of a row begin, in pixels from the left."""
    return [MARGIN + number * (width + GAP) for number in range(columns)]


def draw_heading(canvas, name, remark=None):
    """Writes what the rows below are of, and a remark in grey beside it."""
    room = canvas.right - MARGIN
    y = canvas.y + 18
    used = canvas.text(MARGIN, y, name, 32, weight="bold", room=room * 0.6)
    if remark:
        canvas.text(MARGIN + used + 24, y, remark, 28, GREY, room=room - used - 24)


def draw_row_title(canvas, gaze, note=None):
    """Writes a model's name, its answer (green if right, red if not) and a note at the right.

    Args:
        canvas: A `PixelCanvas`; the row is written at its `y`.
        gaze: A `Gaze`.
        note: Text for the right end; default: how much of the attention lies on the actor.
    """
    found = gaze.localisation()
    if note is None and found is not None:
        note = f"attention on the actor {found['mass']:.1%}, uniform {found['uniform']:.1%}"
        if found["uniform"] > 0:
            note += f"  ({found['mass'] / found['uniform']:.1f}×)"
    known = gaze.true_label is not None
    hit = gaze.predicted_label == gaze.true_label
    clip_probability, _ = gaze.probability_of(gaze.predicted_label)
    answer = f"{gaze.predicted_label} {clip_probability:.0%}"
    if known:
        answer = f"{answer} {'✓' if hit else '✗'}"
    draw_title(canvas, gaze.model_name, answer, hit if known else None, note)


def draw_title(canvas, name, answer, hit=None, note=None):
    """Writes a name, an answer (green or red where it is known to be right or not) and a note."""
    room = canvas.right - MARGIN
    name_room = room * (0.32 if note else 0.6)
    x = MARGIN + canvas.text(MARGIN, canvas.y, name, 28, weight="bold", room=name_room)
    colour = NEUTRAL if hit is None else RIGHT if hit else WRONG
    x += 22 + canvas.text(x + 22, canvas.y, answer, 28, colour, room=room * 0.2)
    if note:
        canvas.text(
            canvas.right, canvas.y, note, 25, GREY, ha="right", room=canvas.right - x - 30
        )  # fmt: skip


def draw_tiles(canvas, xs, images, boxes=None, frame_size=None):
    """Puts images side by side, with a box in each where boxes are given.

    Args:
        canvas: A `PixelCanvas`; the tiles begin at its `y`.
        xs: Where each tile begins.
        images: uint8 RGB, all of one size; None leaves a place empty.
        boxes: Corners in each frame's pixels, or None.
        frame_size: Height and width of the frames, in pixels.
    """
    for number, (x, image) in enumerate(zip(xs, images, strict=True)):
        if image is None:
            continue
        canvas.image(x, canvas.y, image)
        if boxes is not None:
            size = np.array(frame_size[::-1], float)
            corners = np.clip(boxes[number].reshape(2, 2), 0, size)
            # A box that has left the frame has no sides to draw.
            if np.all(corners[1] > corners[0]):
                factor = (image.shape[1] / size[0], image.shape[0] / size[1])
                canvas.outline(corners.reshape(-1), (x, canvas.y), factor)


def draw_probabilities(canvas, gaze, chosen, xs, width, pixels):
    """Draws, under each tile, a bar of the probability of the gaze's `shown_label`."""
    _, steps = gaze.probability_of(gaze.shown_label)
    number_width = pixels * 3.4  # of "100%", and a gap
    for x, index in zip(xs, chosen, strict=True):
        if not gaze.is_real[index]:
            canvas.text(x + width / 2, canvas.y, "masked", pixels, GREY, ha="center")
            continue
        share = float(np.clip(steps[index], 0, 1))
        draw_bar(canvas, x, canvas.y, width - number_width, share)
        canvas.text(x + width, canvas.y, f"{steps[index]:.0%}", pixels, INK, ha="right")


def draw_bar(canvas, x, y, length, share, colour=NEUTRAL):
    """Draws a bar around y that is filled from the left by a share from 0 to 1."""
    canvas.rectangle(x, y - 5, length, 10, PALE)
    canvas.rectangle(x, y - 5, length * share, 10, colour)


def draw_legend(canvas, gazes, boxes, drawing, clipped):
    """Draws what colours, boxes and bars mean.

    Args:
        canvas: A `PixelCanvas`.
        gazes: The gazes of the picture.
        boxes: Whether boxes were drawn.
        drawing: Scale, style and opacity, as in `overlay`.
        clipped: Whether weights exceed the scale.
    """
    x, middle = draw_scale(canvas, drawing, clipped, "attention (uniform map = 1×)")
    if boxes and any(gaze.boxes is not None for gaze in gazes):
        x = draw_box_key(canvas, x, middle)
    draw_bar(canvas, x, middle, 70, 48 / 70)
    known = {gaze.true_label is not None for gaze in gazes}
    which = {(True,): "true", (False,): "predicted"}.get(tuple(known), "true or predicted")
    canvas.text(
        x + 84, middle, f"probability of the {which} label", 24, INK, room=canvas.right - x - 84
    )
    canvas.y += LEGEND_HEIGHT - 24


def draw_scale(canvas, drawing, clipped, meaning):
    """Draws a rule and the colour bar below it, and says what the colours mean.

    Returns:
        Where the next key begins, in pixels from the left, and the middle of the line of keys.
    """
    scale, style, opacity = drawing
    canvas.y += 24
    canvas.rule(canvas.y - 14)
    top = canvas.y + 14
    canvas.image(MARGIN, top, legend_image(22, _BAR_WIDTH, style, opacity))
    middle = top + 11
    end = f"{scale:.3g}×" + (" and more" if clipped else "")
    for multiple, label in ((0, "0"), (1, "1×"), (scale, end)):
        x = MARGIN + _BAR_WIDTH * multiple / scale
        canvas.rectangle(x - 1, top + 22, 2, 7, GREY)
        # Where the scale is long, 0 has no room beside 1, and 1 says more.
        if multiple != 0 or _BAR_WIDTH / scale > 40:
            canvas.text(x, top + 44, label, 22, GREY, ha="center")
    x = MARGIN + _BAR_WIDTH + 40
    return x + canvas.text(x, middle, meaning, 24, INK) + 60, middle


def draw_box_key(canvas, x, middle):
    """Draws what the boxes mean; returns where the next key begins."""
    canvas.rectangle(x, middle - 14, 36, 28, "#8a929b")
    canvas.outline((5, 4, 31, 24), (x, middle - 14), (1, 1))
    return x + 50 + canvas.text(x + 50, middle, "the actor", 24, INK) + 60

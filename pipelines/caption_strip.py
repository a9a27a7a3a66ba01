"""Caption strips: a clip's frames and, word by word, where the model looked in them (PNG).

Sharma's thesis, Fig. 3.2 to 3.4: the frames, then a row for each word with its beta.
"""

import numpy as np

from glimpse.pipelines.overlay import MINIMUM_SCALE, overlay, relative_attention
from glimpse.pipelines.pixel_canvas import GAP, GREY, INK, MARGIN, PixelCanvas, enlarge
from glimpse.pipelines.strip_rows import (
    LEGEND_HEIGHT,
    draw_bar,
    draw_box_key,
    draw_heading,
    draw_scale,
    draw_tiles,
)

_LEFT, _TILES_WIDTH, _LARGEST_TILE = 300, 1568, 280
_LINE, _UNDER_TILE, _SHOWN_REFERENCES = 42, 32, 3


def draw_caption_strip(gaze, path, columns=8, boxes=True, style="heat", scale=None):
    """Draws what a model looked at for each word of a caption and writes it as a PNG.

    Each word has a row of frames with its attention laid over, its beta, the share of its
    attention in each frame shown and, where the actor's box is known, on the actor. The colours are
    multiples of the word's uniform weight, 1 / (frames * height * width), on one scale for all
    words of the picture: between words they can be compared.

    Args:
        gaze: A `CaptionGaze`.
        path: The PNG to write.
        columns: Frames to show at most: every k-th, with the smallest k.
        boxes: Whether to draw the actor's box, where it is known.
        style: "heat" or "dim", as in `overlay`.
        scale: Multiple of the uniform weight shown at full strength; default: `caption_scale`.

    Raises:
        ValueError: If an argument is malformed.
        OSError: If the file cannot be written; nothing then stands at `path`.
    """
    caption_strip_canvas(gaze, columns, boxes, style, scale).save(path)


def caption_scale(*gazes):
    """One scale for the maps of captions that are shown together.

    For each gaze, the median over words and frames of the frame's largest multiple of the word's
    uniform weight, where each counts as much as the share of the word's attention in the frame,
    times the word's beta; of these the largest, and at least 4. So what goes into the caption is
    drawn at about full strength, however sharp the maps are that do not.
    """
    scales = [MINIMUM_SCALE]
    for gaze in gazes:
        peaks = relative_attention(gaze.frame_maps).max(axis=(2, 3))
        weights = np.maximum(gaze.gate, 1e-6)[:, None] * gaze.frame_shares
        if weights.any():
            scales.append(_weighted_median(peaks.ravel(), weights.ravel()))
    return max(scales)


def exceeds_scale(gaze, scale):
    """Whether a weight is larger than what is shown at full strength."""
    return bool(relative_attention(gaze.word_maps).max() > scale * 1.001)


def every_kth(count, most):
    """Returns the places 0, k, 2k, ... below `count` with the smallest k that gives `most`.

    >>> every_kth(26, 8)
    array([ 0,  4,  8, 12, 16, 20, 24])
    """
    return np.arange(0, count, -(-count // most))


def _weighted_median(values, weights):
    """The smallest value up to which half of all weights lie."""
    order = np.argsort(values)
    shares = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(shares, shares[-1] / 2)])


def caption_strip_canvas(gaze, columns=8, boxes=True, style="heat", scale=None):
    """The `PixelCanvas` of `draw_caption_strip`."""
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    scale = caption_scale(gaze) if scale is None else scale
    chosen = every_kth(len(gaze.frames), columns)
    width = min(max(_TILES_WIDTH // len(chosen) - GAP, 96), _LARGEST_TILE)
    height = round(width * gaze.frame_size[0] / gaze.frame_size[1])
    # What stands beside a row of tiles needs its height too.
    row = max(height, 108) + _UNDER_TILE + 10
    lines = _heading_lines(gaze)
    total = 2 * MARGIN + 66 + _LINE * len(lines) + 50 + row + row * len(gaze.words)
    canvas_width = max(1600, MARGIN + _LEFT + len(chosen) * (width + GAP) + MARGIN)
    canvas = PixelCanvas(canvas_width, total + LEGEND_HEIGHT)
    draw_heading(canvas, gaze.video_name, gaze.model_name)
    canvas.y += 66
    for name, text, colour in lines:
        canvas.text(MARGIN, canvas.y, name, 26, GREY)
        canvas.text(MARGIN + 170, canvas.y, text, 28, colour, room=canvas.right - MARGIN - 170)
        canvas.y += _LINE
    tiles = [enlarge(gaze.frames[index], (width, height)) for index in chosen]
    drawn = gaze.boxes[chosen] if boxes and gaze.boxes is not None else None
    xs = [MARGIN + _LEFT + number * (width + GAP) for number in range(len(chosen))]
    _draw_frames(canvas, gaze, chosen, (xs, tiles, drawn))
    canvas.y += 50 + row - _UNDER_TILE
    for number in range(len(gaze.words)):
        maps = gaze.frame_maps[number, chosen]
        images = [overlay(t, m, scale, style) for t, m in zip(tiles, maps, strict=True)]
        _draw_word(canvas, gaze, number)
        draw_tiles(canvas, xs, images, drawn, gaze.frame_size)
        small = min(22, width // 5)
        for x, share in zip(xs, gaze.frame_shares[number, chosen], strict=True):
            y = canvas.y + height + 16
            canvas.text(x + width / 2, y, f"{share:.1%}", small, GREY, ha="center")
        canvas.y += row
    _draw_keys(canvas, gaze, boxes, (scale, style))
    return canvas


def _heading_lines(gaze):
    """(name, text, colour) of the lines above the frames."""
    caption = gaze.text
    if gaze.score is not None:
        caption += f"   (score {gaze.score:.2f})"
    lines = [("Generated:", caption, INK)]
    lines += [("GT:", text, INK) for text in gaze.references[:_SHOWN_REFERENCES]]
    left = len(gaze.references) - _SHOWN_REFERENCES
    if left > 0:
        lines.append(("", f"and {left} more", GREY))
    return lines


def _draw_frames(canvas, gaze, chosen, row):
    """Draws the frames as they are, with their times above and a remark on the left."""
    xs, tiles, drawn = row
    height, width = tiles[0].shape[:2]
    small = min(24, width // 5)
    for x, index in zip(xs, chosen, strict=True):
        time = "black" if gaze.is_black[index] else f"{gaze.times[index]:.2f} s"
        canvas.text(x + width / 2, canvas.y + 30, time, small, GREY, ha="center")
    canvas.y += 50
    remarks = [f"{len(gaze.frames)} frames"]
    if len(chosen) < len(gaze.frames):
        shown = f"every {_ordinal(int(chosen[1]))}" if len(chosen) > 1 else "the first"
        remarks.append(f"shown: {shown}")
    if gaze.is_black.any():
        remarks.append(f"{int(gaze.is_black.sum())} are black")
    for number, remark in enumerate(remarks):
        y = canvas.y + 20 + 34 * number
        canvas.text(MARGIN, y, remark, 26 if number == 0 else 24, GREY, room=_LEFT - 20)
    draw_tiles(canvas, xs, tiles, drawn, gaze.frame_size)
    canvas.y -= 50


def _draw_word(canvas, gaze, number):
    """Writes, left of a word's tiles, the word, its beta and its attention on the actor."""
    y, room = canvas.y + 18, _LEFT - 24
    used = canvas.text(MARGIN, y, f"t = {number + 1}", 22, GREY) + 16
    word = gaze.words[number]
    pixels = 30 if len(word) < 10 else 20
    canvas.text(MARGIN + used, y, word, pixels, weight="bold", room=room - used)
    beta = float(gaze.gate[number])
    used = canvas.text(MARGIN, y + 40, f"β = {beta:.2f}", 26, INK) + 16
    draw_bar(canvas, MARGIN + used, y + 40, room - used, min(max(beta, 0.0), 1.0))
    y += 78
    if not gaze.attention[number].any():
        canvas.text(MARGIN, y, "reads no features", 22, GREY, room=room)
        return
    found = gaze.actor_shares()
    if found is not None:
        mass, uniform = found[0][number], found[1]
        note = f"on the actor {mass:.0%}"
        if uniform > 0:
            factor = mass / uniform
            note += f" ({factor:.0f}×)" if factor >= 10 else f" ({factor:.1f}×)"
        canvas.text(MARGIN, y, note, 22, GREY, room=room)


def _draw_keys(canvas, gaze, boxes, drawing):
    scale, style = drawing
    _, _, height, width = gaze.attention.shape
    places = f"{len(gaze.frames)} × {height} × {width} places"
    _, middle = draw_scale(
        canvas,
        (scale, style, None),
        exceeds_scale(gaze, scale),
        f"a word's attention on all {places} (uniform = 1×)",
    )
    x, middle = MARGIN + 540, middle + 36  # beside the marks of the colour bar
    if boxes and gaze.boxes is not None:
        x = draw_box_key(canvas, x, middle)
    draw_bar(canvas, x, middle, 70, 48 / 70)
    canvas.text(x + 84, middle, "β, the glimpse's gate", 24, room=canvas.right - x - 84)
    canvas.y += LEGEND_HEIGHT - 24


def _ordinal(number):
    """2nd, 3rd, 4th, ..."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number // 10 % 10 == 1 else ending}"

"""Frames dimmed by their weight, a row for each model or attended source.

Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017, Fig. 3.
"""

import numpy as np

from glimpse.pipelines.highlight_strip import INSIDE, draw_answer_title
from glimpse.pipelines.highlights import Highlights
from glimpse.pipelines.overlay import legend_image, overlay
from glimpse.pipelines.pixel_canvas import GREY, INK, MARGIN, PixelCanvas, enlarge
from glimpse.pipelines.strip_rows import draw_heading, strip_width, tile_places, tile_width

_BAR_WIDTH = 360


def draw_dimmed_frames(highlights, path, columns=8):
    """Draws the attended frames of each clip, and a row for each model with them dimmed, as a PNG.

    The lighter a frame, the higher its weight; all rows of the picture share one scale, and the
    weight stands below each frame. As in the paper, the frames are chosen so that weights vary.

    Args:
        highlights: A `Highlights`, or several: those that share `video_name` are rows of one clip.
        path: The PNG to write.
        columns: Frames to show; all, if there are fewer.

    Raises:
        ValueError: If highlights of one video hold different frames.
        OSError: If the file cannot be written.
    """
    dimmed_frames_canvas(highlights, columns).save(path)


def dimmed_frames_canvas(highlights, columns=8):
    """The `PixelCanvas` of `draw_dimmed_frames`."""
    highlights = [highlights] if isinstance(highlights, Highlights) else list(highlights)
    clips = _group(highlights)
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    shown = max(min(columns, len(clip[0].frames)) for clip in clips)
    # No wider than eight columns would be: three models of a clip fit on a page.
    width = tile_width(max(shown, 8))
    sizes = [
        (width, round(width * clip[0].frames.shape[1] / clip[0].frames.shape[2])) for clip in clips
    ]
    body = sum(
        120 + size[1] + len(clip) * (size[1] + 106) for clip, size in zip(clips, sizes, strict=True)
    )
    canvas = PixelCanvas(strip_width(max(shown, 8)), MARGIN + body + 110)
    scale = max(float(each.weights.max()) for each in highlights)
    marked = [
        _draw_clip(canvas, clip, columns, size, scale)
        for clip, size in zip(clips, sizes, strict=True)
    ]
    _draw_legend(canvas, scale, any(marked))
    return canvas


def varied_frames(weights, count):
    """Returns frames whose weights vary: evenly spaced ranks of their weight, in order of time.

    Args:
        weights: `(models, frames)`; ranked by their mean over the models.
        count: Frames wanted; all, if there are fewer. One is the highest.
    """
    order = np.argsort(-np.mean(weights, axis=0), kind="stable")
    ranks = np.rint(np.linspace(0, len(order) - 1, min(count, len(order)))).astype(int)
    return np.sort(order[ranks])


def _group(highlights):
    clips = {}
    for each in highlights:
        clips.setdefault(each.video_name, []).append(each)
    if not clips:
        raise ValueError("highlights must hold at least one Highlights, got none.")
    for name, clip in clips.items():
        for each in clip[1:]:
            if not np.array_equal(each.frame_indices, clip[0].frame_indices):
                raise ValueError(
                    f"highlights of {name!r} attend to different frames ({clip[0].model_name!r}: "
                    f"{len(clip[0].frames)}, {each.model_name!r}: {len(each.frames)}): draw them "
                    "apart."
                )
    return list(clips.values())


def _draw_clip(canvas, clip, columns, tile_size, scale):
    """Draws all rows of a clip; tells whether one of its frames is marked as of the action."""
    first, (width, height) = clip[0], tile_size
    chosen = varied_frames([each.weights for each in clip], columns)
    xs = tile_places(len(chosen), width)
    draw_heading(canvas, first.video_name, first.true_label and f"true label: {first.true_label}")
    canvas.y += 66
    inside = first.is_inside
    for x, index in zip(xs, chosen, strict=True):
        if inside is not None and inside[index]:
            canvas.rectangle(x, canvas.y - 16, width, 32, INSIDE)
        time = f"{first.times[index]:.2f} s"
        canvas.text(x + width / 2, canvas.y, time, min(24, width // 5), GREY, ha="center")
    canvas.y += 20
    tiles = [enlarge(first.frames[index], tile_size) for index in chosen]
    for x, tile in zip(xs, tiles, strict=True):
        canvas.image(x, canvas.y, tile)
    canvas.y += height
    for each in clip:
        canvas.y += 36
        draw_answer_title(canvas, each)
        canvas.y += 28
        for x, tile, index in zip(xs, tiles, chosen, strict=True):
            weight = each.weights[index]
            canvas.image(x, canvas.y, overlay(tile, [[weight]], scale, "dim"))
            canvas.text(
                x + width / 2, canvas.y + height + 22, f"{weight:.3f}", min(24, width // 5), INK,
                ha="center",
            )  # fmt: skip
        canvas.y += height + 42
    canvas.y += 34
    return inside is not None and bool(inside[chosen].any())


def _draw_legend(canvas, scale, is_marked):
    canvas.rule(canvas.y - 14)
    top = canvas.y + 12
    canvas.image(MARGIN, top, legend_image(22, _BAR_WIDTH, "dim"))
    for share, label, place in ((0, "0", "left"), (1, f"{scale:.3f}", "right")):
        canvas.text(MARGIN + _BAR_WIDTH * share, top + 40, label, 22, GREY, ha=place)
    x = MARGIN + _BAR_WIDTH + 40
    x += canvas.text(x, top + 11, "weight of a frame; a clip's sum to 1", 24, INK) + 60
    if is_marked:
        canvas.rectangle(x, top - 3, 36, 28, INSIDE)
        canvas.text(x + 50, top + 11, "in the action's interval", 24, INK)

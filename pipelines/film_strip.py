"""Film strips: the frames of a clip and, row by row, where each model looked in them (PNG)."""

import numpy as np

from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.overlay import attention_scale, overlay, relative_attention
from glimpse.pipelines.pixel_canvas import GREY, MARGIN, PixelCanvas, enlarge
from glimpse.pipelines.strip_rows import (
    LEGEND_HEIGHT,
    draw_heading,
    draw_legend,
    draw_probabilities,
    draw_row_title,
    draw_tiles,
    strip_width,
    tile_places,
    tile_width,
)


def draw_film_strip(gazes, path, columns=8, boxes=True, style="heat", **options):
    """Draws what models looked at in one or more clips and writes it as a PNG.

    Each clip is a row of frames and a row for each model. All maps of the picture share one
    scale, which the legend shows. Under each overlay stands the probability that the model
    gives, after that frame, to the true label (to its prediction, where the truth is unknown).

    Args:
        gazes: A `Gaze`, or several: those that share `video_name` are rows of one clip.
        path: The PNG to write.
        columns: Frames to show, spread evenly over the clip; all, if it has fewer.
        boxes: Whether to draw the actor's box, where it is known.
        style: "heat" or "dim", as in `overlay`.
        **options: As in `film_strip_canvas`.

    Raises:
        ValueError: If an argument is malformed, or gazes of one clip hold different frames.
        OSError: If the file cannot be written; nothing then stands at `path`.
    """
    film_strip_canvas(gazes, columns, boxes, style, **options).save(path)


def film_strip_canvas(
    gazes, columns=8, boxes=True, style="heat", scale=None, opacity=None, notes=None, footer=0
):
    """The `PixelCanvas` of `draw_film_strip`.

    Args:
        gazes: As in `draw_film_strip`.
        columns: As in `draw_film_strip`.
        boxes: As in `draw_film_strip`.
        style: As in `draw_film_strip`.
        scale: Multiple of the uniform weight shown at full strength; default:
            `attention_scale` of all the maps. The legend marks a scale that weights exceed.
        opacity: As in `overlay`.
        notes: What stands at the right of each gaze's row, one text for each; default: how much
            of the attention lies on the actor.
        footer: Pixels left free below the legend, where the canvas's `y` then is.
    """
    clips = group_by_clip(gazes)
    gazes = [gazes] if isinstance(gazes, Gaze) else list(gazes)
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    notes = [None] * len(gazes) if notes is None else list(notes)
    if len(notes) != len(gazes):
        raise ValueError(f"notes must hold one text a gaze, {len(gazes)}, got {len(notes)}.")
    notes = {id(gaze): note for gaze, note in zip(gazes, notes, strict=True)}
    if scale is None:
        scale = attention_scale(*(gaze.attention for gaze in gazes))
    shown = max(min(columns, len(clip[0].frames)) for clip in clips)
    tile = tile_width(shown)
    heights = [round(tile * clip[0].frame_size[0] / clip[0].frame_size[1]) for clip in clips]
    body = [
        100 + height + len(clip) * (height + 110)
        for clip, height in zip(clips, heights, strict=True)
    ]
    total = MARGIN + sum(body) + 28 * (len(clips) - 1) + 24 + LEGEND_HEIGHT + footer
    canvas = PixelCanvas(strip_width(shown), total)
    for number, (clip, height) in enumerate(zip(clips, heights, strict=True)):
        if number:
            canvas.y += 28
            canvas.rule(canvas.y - 18)
        _draw_clip(canvas, clip, columns, (tile, height), boxes, (scale, style, opacity), notes)
    clipped = any(relative_attention(gaze.attention).max() > scale * 1.001 for gaze in gazes)
    draw_legend(canvas, gazes, boxes, (scale, style, opacity), clipped)
    return canvas


def group_by_clip(gazes):
    """Lists of gazes with the same `video_name`, in the order of their first appearance.

    Raises:
        ValueError: If there is none, or gazes of one clip hold different frames or labels.
    """
    gazes = [gazes] if isinstance(gazes, Gaze) else list(gazes)
    if not gazes or not all(isinstance(gaze, Gaze) for gaze in gazes):
        raise ValueError(f"gazes must be a Gaze or a list of them, got {gazes!r}.")
    clips = {}
    for gaze in gazes:
        clips.setdefault(gaze.video_name, []).append(gaze)
    for name, clip in clips.items():
        for gaze in clip[1:]:
            same = (
                np.array_equal(gaze.frame_indices, clip[0].frame_indices)
                and np.array_equal(gaze.frames, clip[0].frames)
                and gaze.frames_per_second == clip[0].frames_per_second
                and gaze.true_label == clip[0].true_label
            )
            if not same:
                raise ValueError(
                    f"gazes named {name!r} hold different frames, rates or true labels "
                    f"({clip[0].model_name!r} and {gaze.model_name!r}): give each clip a "
                    "video_name of its own, and show its models the same frames."
                )
    return list(clips.values())


def _draw_clip(canvas, clip, columns, tile_size, boxes, drawing, notes):
    first = clip[0]
    # Whole steps of the clip, so that the shown frames are as far apart as can be.
    chosen = np.unique(
        np.rint(np.linspace(0, len(first.frames) - 1, min(columns, len(first.frames)))).astype(int)
    )
    xs = tile_places(len(chosen), tile_size[0])
    draw_heading(canvas, first.video_name, first.true_label and f"true label: {first.true_label}")
    canvas.y += 66
    small = min(24, tile_size[0] // 5)
    for x, time in zip(xs, first.times[chosen], strict=True):
        canvas.text(x + tile_size[0] / 2, canvas.y, f"{time:.2f} s", small, GREY, ha="center")
    canvas.y += 34 - 14
    tiles = [enlarge(first.frames[index], tile_size) for index in chosen]

    def draw_row(gaze, images):
        drawn = gaze.boxes[chosen] if boxes and gaze.boxes is not None else None
        draw_tiles(canvas, xs, images, drawn, first.frame_size)
        canvas.y += tile_size[1]

    draw_row(first, tiles)
    for gaze in clip:
        canvas.y += 36
        draw_row_title(canvas, gaze, notes[id(gaze)])
        canvas.y += 30
        draw_row(
            gaze,
            [overlay(t, gaze.attention[i], *drawing) for t, i in zip(tiles, chosen, strict=True)],
        )
        canvas.y += 22
        draw_probabilities(canvas, gaze, chosen, xs, tile_size[0], small)
        canvas.y += 22
    canvas.y += 14

"""What the sampling rate does to the gaze: one model and one clip at several frame rates.

Sharma et al., "Action Recognition using Visual Attention", 2015, Fig. 7.
"""

import dataclasses

import numpy as np

from glimpse.pipelines.gaze_measures import measure_gaze
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
from glimpse.pipelines.video_source import open_video


def look_at_rates(
    answerer, path, rates, start=0.0, seconds=None, num_frames=None, truth=None, true_label=None
):
    """Returns what a model sees of one clip at each of several rates, as `Gaze`s.

    All windows begin together. They last equally long, so that they show the model the same
    scene, or hold equally many frames, as in the paper's figure.

    Args:
        answerer: A `VideoAnswerer` of a model that attends.
        path: The video file.
        rates: Frames per second, two or more; each takes every n-th frame of the video, where
            n = int(the video's rate / rate).
        start: Where the windows begin, in seconds.
        seconds: How long they last; default: as long as the model's own window, or as the video
            still is, if that is shorter.
        num_frames: Frames in each window, in place of `seconds`.
        truth: The clip's truth, for the boxes of the figures.
        true_label: Name of the clip's class.

    Raises:
        ValueError: If two rates take the same frames, a rate is above the video's, or a window
            does not fit into the video.
    """
    if len(rates) < 2:
        raise ValueError(f"rates must be two or more, got {list(rates)}.")
    if seconds is not None and num_frames is not None:
        raise ValueError("seconds and num_frames cannot both be given: one follows from the other.")
    with open_video(path) as reader:
        video_rate = reader.frames_per_second
        left = sum(1 for _ in reader) - round(start * video_rate)
    if left < 1:
        raise ValueError(f"start={start:g}: {path} has ended by then; start earlier.")
    samplings = [
        dataclasses.replace(
            answerer.sampling, frames_per_second=float(rate), step_stride=None, rate_rule="stride"
        )
        for rate in rates
    ]
    strides = [sampling.ratio(video_rate) for sampling in samplings]
    if len(set(strides)) < len(strides):
        taken = ", ".join(f"{r:g}: every {s}" for r, s in zip(rates, strides, strict=True))
        raise ValueError(
            f"rates of a video with {video_rate:g} frames/s must take different frames, got {taken}"
        )
    if seconds is None:
        own = answerer.sampling.num_frames * answerer.sampling.ratio(video_rate)
        span = min(own, left)
    else:
        span = round(seconds * video_rate)
    gazes = []
    for sampling, stride in zip(samplings, strides, strict=True):
        count = max(1, round(span / stride)) if num_frames is None else num_frames
        # The last frame may be followed by less than a whole step.
        if 1 + (count - 1) * stride > left:
            raise ValueError(
                f"{count} frames at {video_rate / stride:g} frames/s take "
                f"{count * stride / video_rate:.2f} s and {path} has {left / video_rate:.2f} s "
                "left: ask for fewer frames or seconds."
            )
        window = answerer.window(path, start, dataclasses.replace(sampling, num_frames=count))
        name = f"{video_rate / stride:g} frames/s"
        gazes.append(answerer.look(window, truth, true_label, name))
    return gazes


def rate_table(gazes):
    """Returns one dict a gaze: its frames, answer and measures."""
    rows = []
    for gaze in gazes:
        measures = measure_gaze(gaze)
        between = float(np.diff(gaze.times).mean()) if len(gaze.times) > 1 else None
        rows.append(
            {
                "rate": gaze.model_name,
                "frames": len(gaze.frames),
                "says": gaze.predicted_label,
                "probability": float(gaze.probabilities.max()),
                "truth": gaze.true_label or "?",
                **measures,
                "movement/s": measures["movement"] / between if between else None,
            }
        )
    return rows


def draw_rate_effect(gazes, path, columns=8, style="heat"):
    """Draws a row of overlays for each rate and writes the picture as a PNG.

    Where the windows last about equally long, columns are moments: each row shows the frame that
    the model saw last, and nothing where it saw none since the column before. Where they do not,
    each row shows its own frames, evenly spaced.

    Args:
        gazes: `Gaze`s of one video from one moment on, as `look_at_rates` returns them.
        path: The PNG to write.
        columns: Frames in a row.
        style: "heat" or "dim", as in `overlay`.

    Raises:
        ValueError: If the gazes do not begin together.
        OSError: If the file cannot be written.
    """
    rate_effect_canvas(gazes, columns, style).save(path)


def rate_effect_canvas(gazes, columns=8, style="heat"):
    """The `PixelCanvas` of `draw_rate_effect`."""
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    first = gazes[0]
    for gaze in gazes:
        same = (gaze.video_name, gaze.frame_indices[0], gaze.frame_size)
        if same != (first.video_name, first.frame_indices[0], first.frame_size):
            raise ValueError("gazes must be of one video and begin with the same frame.")
    chosen = choose_frames(gazes, columns)
    columns = max(map(len, chosen))
    width = tile_width(columns)
    height = round(width * first.frame_size[0] / first.frame_size[1])
    drawing = (attention_scale(*(gaze.attention for gaze in gazes)), style, None)
    body = 42 + len(gazes) * (42 + 36 + 22 + height + 22 + 22)
    canvas = PixelCanvas(strip_width(columns), MARGIN + body + 14 + LEGEND_HEIGHT + 24)
    xs = tile_places(columns, width)
    draw_heading(canvas, first.video_name, first.true_label and f"true label: {first.true_label}")
    canvas.y += 42
    for gaze, shown in zip(gazes, chosen, strict=True):
        _draw_rate(canvas, gaze, shown, xs, (width, height), drawing)
    clipped = any(relative_attention(g.attention).max() > drawing[0] * 1.001 for g in gazes)
    canvas.y += 14
    draw_legend(canvas, gazes, True, drawing, clipped)
    return canvas


def choose_frames(gazes, columns):
    """Returns, for each gaze, which of its frames stands in each column; None for none.

    Args:
        gazes: `Gaze`s that begin together.
        columns: Columns of the picture; fewer are used where no gaze has as many frames.
    """
    columns = min(columns, max(len(gaze.frames) for gaze in gazes))
    ends = [gaze.times[-1] for gaze in gazes]
    steps = [np.diff(gaze.times).max() if len(gaze.times) > 1 else 0.0 for gaze in gazes]
    if max(ends) - min(ends) > max(steps) + 1e-6:
        return [_evenly(len(gaze.frames), columns) for gaze in gazes]
    moments = np.linspace(gazes[0].times[0], max(ends), columns)
    chosen = []
    for gaze in gazes:
        last = np.searchsorted(gaze.times, moments + 1e-6, side="right") - 1
        is_new = np.append(True, np.diff(last) > 0)
        chosen.append([int(i) if new else None for i, new in zip(last, is_new, strict=True)])
    return chosen


def _evenly(frames, columns):
    places = np.rint(np.linspace(0, frames - 1, min(columns, frames))).astype(int)
    return [*np.unique(places).tolist(), *[None] * columns][:columns]


def _draw_rate(canvas, gaze, shown, xs, tile_size, drawing):
    width, height = tile_size
    canvas.y += 42
    measures = measure_gaze(gaze)
    length = gaze.times[-1] - gaze.times[0]
    note = f"{len(gaze.frames)} frames in {length:.2f} s, moved {measures['movement']:.0%} a frame"
    if "mass" in measures:
        note += f", on the actor {measures['mass']:.1%}"
    draw_row_title(canvas, gaze, note)
    canvas.y += 36
    small = min(24, width // 5)
    places = [x for x, index in zip(xs, shown, strict=False) if index is not None]
    indices = [index for index in shown if index is not None]
    for x, index in zip(places, indices, strict=True):
        time = f"{gaze.times[index]:.2f} s"
        canvas.text(x + width / 2, canvas.y, time, small, GREY, ha="center")
    canvas.y += 22
    tiles = [
        overlay(enlarge(gaze.frames[index], tile_size), gaze.attention[index], *drawing)
        for index in indices
    ]
    boxes = None if gaze.boxes is None else gaze.boxes[indices]
    draw_tiles(canvas, places, tiles, boxes, gaze.frame_size)
    canvas.y += height + 22
    draw_probabilities(canvas, gaze, indices, places, width, small)
    canvas.y += 22

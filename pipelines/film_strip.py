"""Film strips: the frames of a clip and, row by row, where each model looked in them (PNG)."""

import cv2
import numpy as np
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.overlay import attention_scale, legend_image, overlay, relative_attention
from glimpse.pipelines.partial_file import partial_file

INK, GREY, PALE = "#1f2328", "#59636e", "#e4e8ec"
RIGHT, WRONG, NEUTRAL = "#1a7f37", "#c4321f", "#3b6fb6"
_DPI = 100
_MARGIN, _GAP = 40, 8
_MINIMUM_WIDTH = 1600
# Eight columns of 224 pixels: a frame of 112 pixels is doubled exactly.
_STRIP_WIDTH, _LARGEST_TILE, _SMALLEST_TILE = 1792, 448, 112
_LEGEND_HEIGHT, _BAR_WIDTH = 96, 360


def draw_film_strip(gazes, path, columns=8, boxes=True, style="heat", scale=None, opacity=None):
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
        scale: Multiple of the uniform weight shown at full strength; default:
            `attention_scale` of all the maps. The legend marks a scale that weights exceed.
        opacity: As in `overlay`.

    Raises:
        ValueError: If an argument is malformed, or gazes of one clip hold different frames.
        OSError: If the file cannot be written; nothing then stands at `path`.
    """
    figure = film_strip_figure(gazes, columns, boxes, style, scale, opacity)
    with partial_file(path) as partial:
        figure.savefig(partial, format="png", dpi=_DPI, metadata={"Software": None})


def film_strip_figure(gazes, columns=8, boxes=True, style="heat", scale=None, opacity=None):
    """The matplotlib figure of `draw_film_strip`, one unit of its axes to the pixel."""
    clips = group_by_clip(gazes)
    if columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}.")
    if scale is None:
        scale = attention_scale(*(gaze.attention for clip in clips for gaze in clip))
    shown = max(min(columns, len(clip[0].frames)) for clip in clips)
    tile = int(np.clip(_STRIP_WIDTH // shown, _SMALLEST_TILE, _LARGEST_TILE))
    width = max(_MINIMUM_WIDTH, 2 * _MARGIN + shown * tile + (shown - 1) * _GAP)
    heights = [round(tile * clip[0].frame_size[0] / clip[0].frame_size[1]) for clip in clips]
    body = [
        100 + height + len(clip) * (height + 110)
        for clip, height in zip(clips, heights, strict=True)
    ]
    strip = _Strip(width, _MARGIN + sum(body) + 28 * (len(clips) - 1) + 24 + _LEGEND_HEIGHT)
    for number, (clip, height) in enumerate(zip(clips, heights, strict=True)):
        if number:
            strip.y += 28
            strip.rectangle(_MARGIN, strip.y - 18, width - 2 * _MARGIN, 2, PALE)
        _draw_clip(strip, clip, columns, (tile, height), boxes, (scale, style, opacity))
    clipped = any(relative_attention(g.attention).max() > scale * 1.001 for c in clips for g in c)
    _draw_legend(strip, clips, boxes, (scale, style, opacity), clipped)
    return strip.figure


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


class _Strip:
    """A figure that is drawn from the top down, in pixels."""

    def __init__(self, width, height):
        self.width, self.height, self.y = width, height, _MARGIN
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, facecolor="white")
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()
        # Above the figure's own images, so that boxes lie on the frames.
        self.axes = self.figure.add_axes((0, 0, 1, 1), facecolor="none", zorder=1)
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.axes.axis("off")

    def image(self, x, y, image):
        self.figure.figimage(image, x, self.height - y - len(image), origin="upper")

    def rectangle(self, x, y, width, height, colour):
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=colour, linewidth=0))

    def outline(self, box, origin, factor):
        (x0, y0, x1, y1), (x, y) = np.multiply(box, np.tile(factor, 2)), origin
        patch = Rectangle((x + x0, y + y0), x1 - x0, y1 - y0, fill=False, edgecolor="white")
        patch.set(linewidth=1.6)
        patch.set_path_effects([patheffects.withStroke(linewidth=3.4, foreground="#000000a0")])
        self.axes.add_patch(patch)
        return patch

    def text(self, x, y, string, pixels, colour=INK, room=None, **options):
        """Writes one line, its middle at y; shortens it to `room` pixels; returns its width."""
        text = self.axes.text(
            x, y, string, fontsize=pixels * 72 / _DPI, color=colour, parse_math=False,
            family="DejaVu Sans", va=options.pop("va", "center_baseline"), **options,
        )  # fmt: skip
        extent = text.get_window_extent(self.renderer).width
        while room is not None and extent > room and len(string) > 1:
            string = string[:-1]
            text.set_text(string.rstrip() + "\u2026")
            extent = text.get_window_extent(self.renderer).width
        return extent


def _draw_clip(strip, clip, columns, tile_size, boxes, drawing):
    first = clip[0]
    # Whole steps of the clip, so that the shown frames are as far apart as can be.
    chosen = np.unique(
        np.rint(np.linspace(0, len(first.frames) - 1, min(columns, len(first.frames)))).astype(int)
    )
    xs = [_MARGIN + number * (tile_size[0] + _GAP) for number in range(len(chosen))]
    room = strip.width - 2 * _MARGIN
    used = strip.text(_MARGIN, strip.y + 18, first.video_name, 32, weight="bold", room=room * 0.6)
    if first.true_label is not None:
        strip.text(
            _MARGIN + used + 24, strip.y + 18, f"true label: {first.true_label}", 28, GREY,
            room=room - used - 24,
        )  # fmt: skip
    strip.y += 66
    small = min(24, tile_size[0] // 5)
    for x, time in zip(xs, first.times[chosen], strict=True):
        strip.text(x + tile_size[0] / 2, strip.y, f"{time:.2f} s", small, GREY, ha="center")
    strip.y += 34 - 14
    tiles = [_enlarge(first.frames[index], tile_size) for index in chosen]
    factor = (tile_size[0] / first.frame_size[1], tile_size[1] / first.frame_size[0])

    def draw_row(gaze, images):
        for x, index, image in zip(xs, chosen, images, strict=True):
            strip.image(x, strip.y, image)
            if boxes and gaze.boxes is not None:
                corners = gaze.boxes[index].reshape(2, 2)
                corners = np.clip(corners, 0, first.frame_size[::-1])
                # A box that has left the frame has no sides to draw.
                if np.all(corners[1] > corners[0]):
                    strip.outline(corners.reshape(-1), (x, strip.y), factor)
        strip.y += tile_size[1]

    draw_row(first, tiles)
    for gaze in clip:
        strip.y += 36
        _draw_row_title(strip, gaze, xs[-1] + tile_size[0])
        strip.y += 30
        draw_row(
            gaze,
            [overlay(t, gaze.attention[i], *drawing) for t, i in zip(tiles, chosen, strict=True)],
        )
        strip.y += 22
        _draw_probabilities(strip, gaze, chosen, xs, tile_size[0], small)
        strip.y += 22
    strip.y += 14


def _draw_row_title(strip, gaze, right):
    right = max(right, strip.width - _MARGIN)
    room = right - _MARGIN
    found = gaze.localisation()
    name_room = room * (0.6 if found is None else 0.32)
    known = gaze.true_label is not None
    hit = gaze.predicted_label == gaze.true_label
    clip_probability, _ = gaze.probability_of(gaze.predicted_label)
    answer = f"{gaze.predicted_label} {clip_probability:.0%}"
    if known:
        answer = f"{answer} {'✓' if hit else '✗'}"
    x = _MARGIN + strip.text(
        _MARGIN, strip.y, gaze.model_name, 28, weight="bold", room=name_room
    )  # fmt: skip
    colour = (RIGHT if hit else WRONG) if known else NEUTRAL
    x += 22 + strip.text(x + 22, strip.y, answer, 28, colour, room=room * 0.2)
    if found is not None:
        line = f"attention on the actor {found['mass']:.1%}, uniform {found['uniform']:.1%}"
        if found["uniform"] > 0:
            line += f"  ({found['mass'] / found['uniform']:.1f}×)"
        strip.text(right, strip.y, line, 25, GREY, ha="right", room=right - x - 30)


def _draw_probabilities(strip, gaze, chosen, xs, tile_width, pixels):
    _, steps = gaze.probability_of(gaze.shown_label)
    number_width = pixels * 3.4  # of "100%", and a gap
    length = tile_width - number_width
    for x, index in zip(xs, chosen, strict=True):
        if not gaze.is_real[index]:
            strip.text(x + tile_width / 2, strip.y, "masked", pixels, GREY, ha="center")
            continue
        strip.rectangle(x, strip.y - 5, length, 10, PALE)
        strip.rectangle(x, strip.y - 5, length * float(np.clip(steps[index], 0, 1)), 10, NEUTRAL)
        strip.text(x + tile_width, strip.y, f"{steps[index]:.0%}", pixels, INK, ha="right")


def _draw_legend(strip, clips, boxes, drawing, clipped):
    scale, style, opacity = drawing
    strip.y += 24
    strip.rectangle(_MARGIN, strip.y - 14, strip.width - 2 * _MARGIN, 2, PALE)
    top = strip.y + 14
    strip.image(_MARGIN, top, legend_image(22, _BAR_WIDTH, style, opacity))
    middle = top + 11
    end = f"{scale:.3g}×" + (" and more" if clipped else "")
    for multiple, label in ((0, "0"), (1, "1×"), (scale, end)):
        x = _MARGIN + _BAR_WIDTH * multiple / scale
        strip.rectangle(x - 1, top + 22, 2, 7, GREY)
        # Where the scale is long, 0 has no room beside 1, and 1 says more.
        if multiple != 0 or _BAR_WIDTH / scale > 40:
            strip.text(x, top + 44, label, 22, GREY, ha="center")
    x = _MARGIN + _BAR_WIDTH + 40
    x += strip.text(x, middle, "attention (uniform map = 1×)", 24, INK) + 60
    if boxes and any(gaze.boxes is not None for clip in clips for gaze in clip):
        strip.rectangle(x, top - 3, 36, 28, "#8a929b")
        strip.outline((5, 4, 31, 24), (x, top - 3), (1, 1))
        x += 50 + strip.text(x + 50, middle, "the actor", 24, INK) + 60
    strip.rectangle(x, middle - 5, 70, 10, PALE)
    strip.rectangle(x, middle - 5, 48, 10, NEUTRAL)
    known = {gaze.true_label is not None for clip in clips for gaze in clip}
    which = {(True,): "true", (False,): "predicted"}.get(tuple(known), "true or predicted")
    strip.text(
        x + 84, middle, f"probability of the {which} label", 24, INK,
        room=strip.width - _MARGIN - x - 84,
    )  # fmt: skip


def _enlarge(frame, tile_size):
    """Resizes by whole factors first: edges of small frames stay crisp instead of blurred."""
    width, height = tile_size
    factor = max(-(-width // frame.shape[1]), -(-height // frame.shape[0]))
    frame = np.repeat(np.repeat(frame, factor, axis=0), factor, axis=1)
    if frame.shape[:2] == (height, width):
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)

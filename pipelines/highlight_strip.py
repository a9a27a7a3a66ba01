"""The frames that a model with temporal attention weighs most and least, and when they are.

Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017, Fig. 2.
"""

import numpy as np

from glimpse.pipelines.highlights import Highlights
from glimpse.pipelines.pixel_canvas import (
    GREY,
    INK,
    MARGIN,
    NEUTRAL,
    RIGHT,
    WRONG,
    PixelCanvas,
    enlarge,
)
from glimpse.pipelines.strip_rows import (
    draw_heading,
    draw_title,
    strip_width,
    tile_places,
    tile_width,
)

INSIDE = "#f3dfae"
_AXIS_HEIGHT = 110
_BLOCK = 42 + 36 + 30 + 40 + _AXIS_HEIGHT + 40


def draw_highlight_strip(highlights, path, each=4):
    """Draws the highest and lowest weighted frames of each clip and model as a PNG.

    The frames of the highest weights are framed in green, those of the lowest in red. Below them
    stands the weight of every attended frame, and the interval of the action where it is known.

    Args:
        highlights: A `Highlights`, or several; those of one video next to each other.
        path: The PNG to write.
        each: Frames of either kind; fewer where a clip has not twice as many.

    Raises:
        ValueError: If a clip has fewer than two attended frames.
        OSError: If the file cannot be written.
    """
    highlight_strip_canvas(highlights, each).save(path)


def highlight_strip_canvas(highlights, each=4):
    """The `PixelCanvas` of `draw_highlight_strip`."""
    highlights = [highlights] if isinstance(highlights, Highlights) else list(highlights)
    if not highlights:
        raise ValueError("highlights must hold at least one Highlights, got none.")
    if each < 1:
        raise ValueError(f"each must be at least 1, got {each}.")
    columns = 2 * max(min(each, len(shown.frames) // 2) for shown in highlights)
    width = tile_width(max(columns, 8))
    heights = [_tile_height(width, shown) for shown in highlights]
    starts = [i == 0 or shown.video_name != highlights[i - 1].video_name
              for i, shown in enumerate(highlights)]  # fmt: skip
    body = sum(heights) + _BLOCK * len(highlights) + 62 * sum(starts)
    canvas = PixelCanvas(strip_width(max(columns, 8)), MARGIN + body + 90)
    for shown, height, is_first in zip(highlights, heights, starts, strict=True):
        if is_first:
            draw_heading(
                canvas, shown.video_name, shown.true_label and f"true label: {shown.true_label}"
            )
            canvas.y += 62
        _draw_block(canvas, shown, each, (width, height))
    _draw_legend(canvas, highlights)
    return canvas


def extreme_frames(weights, each):
    """Returns the places of the highest weights, highest first, and of the lowest, lowest first.

    Args:
        weights: `(frames,)`.
        each: How many of either; fewer where there are not twice as many frames.

    Raises:
        ValueError: If there are fewer than two frames.
    """
    if len(weights) < 2:
        raise ValueError(f"highlights need at least two attended frames, got {len(weights)}.")
    count = min(each, len(weights) // 2)
    order = np.argsort(-np.asarray(weights), kind="stable")
    return order[:count], order[::-1][:count]


def interval_weight(highlights):
    """Returns the weight inside the action's interval and the share of attended frames there.

    The second is what uniform weights put there. None where the interval is unknown.
    """
    inside = highlights.is_inside
    if inside is None:
        return None
    return float(highlights.weights[inside].sum()), float(inside.mean())


def describe_interval(highlights):
    """Returns `interval_weight` as a line for a picture, or None."""
    found = interval_weight(highlights)
    if found is None:
        return None
    weight, uniform = found
    if uniform == 0:
        if shown_interval(highlights) is None:
            return "the action is not in this window"
        return "no attended frame shows the action"
    line = f"weight in the action's interval {weight:.1%}, uniform {uniform:.1%}"
    return f"{line}  ({weight / uniform:.1f}×)"


def shown_interval(highlights):
    """Returns when the action begins and ends within the window, in seconds.

    None where the interval is unknown or lies outside the window.
    """
    if highlights.interval is None:
        return None
    first, last, _ = _time_span(highlights)
    begin, end = np.clip(np.array(highlights.interval) / highlights.frames_per_second, first, last)
    return (begin, end) if begin < end else None


def draw_answer_title(canvas, highlights):
    """Writes the model's name, its answer and how much weight lies in the interval."""
    answer = f"{highlights.predicted_label} {highlights.probabilities.max():.0%}"
    hit = None
    if highlights.true_label is not None:
        hit = highlights.predicted_label == highlights.true_label
        answer = f"{answer} {'✓' if hit else '✗'}"
    draw_title(canvas, highlights.model_name, answer, hit, describe_interval(highlights))


def _tile_height(width, highlights):
    return round(width * highlights.frames.shape[1] / highlights.frames.shape[2])


def _draw_block(canvas, highlights, each, tile_size):
    width, height = tile_size
    canvas.y += 24
    draw_answer_title(canvas, highlights)
    canvas.y += 42
    highest, lowest = extreme_frames(highlights.weights, each)
    xs = tile_places(2 * len(highest), width)
    # The lowest stand apart from the highest where there is room.
    shift = min(max(canvas.right - (xs[-1] + width), 0), width // 2)
    places = [(x, i, RIGHT) for x, i in zip(xs, highest, strict=False)]
    places += [(x + shift, i, WRONG) for x, i in zip(xs[len(highest) :], lowest[::-1], strict=True)]
    for x, index, colour in places:
        time = f"{highlights.times[index]:.2f} s"
        canvas.text(x + width / 2, canvas.y, time, 24, GREY, ha="center")
        canvas.image(x, canvas.y + 20, enlarge(highlights.frames[index], tile_size))
        canvas.frame(x, canvas.y + 20, width, height, colour, 8)
        weight = f"{highlights.weights[index]:.3f}"
        canvas.text(x + width / 2, canvas.y + 20 + height + 24, weight, 24, colour, ha="center")
    canvas.y += 20 + height + 54
    marks = {int(i): RIGHT for i in highest} | {int(i): WRONG for i in lowest}
    _draw_axis(canvas, highlights, marks)


def _draw_axis(canvas, highlights, marks):
    """Draws the weight of each attended frame over time, and the interval of the action."""
    left, right, top = MARGIN + 90, canvas.right - 20, canvas.y
    bottom = top + _AXIS_HEIGHT
    times = highlights.times
    first, last, step = _time_span(highlights)
    pixels = (right - left) / (last - first)
    interval = shown_interval(highlights)
    if interval is not None:
        begin, end = interval
        x = left + (begin - first) * pixels
        canvas.rectangle(x, top, (end - begin) * pixels, _AXIS_HEIGHT, INSIDE)
    most = max(highlights.weights.max(), 2 / len(times))
    for index, (time, weight) in enumerate(zip(times, highlights.weights, strict=True)):
        x = left + (time - first) * pixels
        length = _AXIS_HEIGHT * weight / most
        bar = max(min(step * pixels * 0.7, 40), 2)
        colour = marks.get(index, NEUTRAL)
        canvas.rectangle(x - bar / 2, bottom - length, bar, length, colour)
        # The lowest bars may be too short to be seen.
        if index in marks:
            canvas.rectangle(x - bar / 2, bottom + 1, bar, 6, colour)
    uniform = bottom - _AXIS_HEIGHT / len(times) / most
    canvas.line([left, right], [uniform, uniform], GREY, 2, linestyle=(0, (4, 4)))
    canvas.rectangle(left, bottom - 1, right - left, 2, GREY)
    canvas.text(left - 12, top + 8, f"{most:.2f}", 22, GREY, ha="right")
    canvas.text(left - 12, bottom, "0", 22, GREY, ha="right")
    for time in _ticks(times[0], times[-1]):
        x = left + (time - first) * pixels
        canvas.rectangle(x - 1, bottom, 2, 7, GREY)
        canvas.text(x, bottom + 26, f"{time:g} s", 22, GREY, ha="center")
    canvas.y = bottom + 52


def _time_span(highlights):
    """Where the axis begins and ends, and the time from one attended frame to the next."""
    times = highlights.times
    step = np.diff(times).min() if len(np.unique(times)) == len(times) else 0.0
    step = step or 1 / highlights.frames_per_second
    return times[0] - step / 2, times[-1] + step / 2, step


def _ticks(first, last):
    """Round times, at most nine."""
    span = max(last - first, 1e-3)
    raw = span / 8
    size = 10.0 ** np.floor(np.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    count = np.arange(np.ceil(first / step - 1e-9), np.floor(last / step + 1e-9) + 1)
    return np.round(count * step, 6) + 0.0  # no -0


def _draw_legend(canvas, highlights):
    canvas.y += 14
    canvas.rule(canvas.y - 8)
    canvas.y += 30
    x = MARGIN
    for colour, name in ((RIGHT, "highest weights"), (WRONG, "lowest weights")):
        canvas.frame(x, canvas.y - 14, 36, 28, colour, 6)
        x += 50 + canvas.text(x + 50, canvas.y, name, 24, INK) + 50
    canvas.rectangle(x, canvas.y - 14, 14, 28, NEUTRAL)
    x += 28 + canvas.text(x + 28, canvas.y, "weight of each attended frame", 24, INK) + 50
    canvas.line([x, x + 50], [canvas.y, canvas.y], GREY, 2, linestyle=(0, (4, 4)))
    x += 64 + canvas.text(x + 64, canvas.y, "uniform weight", 24, INK) + 50
    if any(shown_interval(shown) is not None for shown in highlights):
        canvas.rectangle(x, canvas.y - 14, 36, 28, INSIDE)
        canvas.text(x + 50, canvas.y, "the action", 24, INK, room=canvas.right - x - 50)

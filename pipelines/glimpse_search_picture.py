"""The picture of a glimpse search: the gazes before, at its start and at its end; its course."""

import numpy as np

from glimpse.pipelines.film_strip import film_strip_canvas
from glimpse.pipelines.pixel_canvas import GREY, INK, MARGIN, NEUTRAL, PALE, RIGHT, WRONG

_CURVE_HEIGHT = 200


def draw_glimpse_search(search, path, columns=8, style="heat"):
    """Draws the three gazes of a `GlimpseSearch` and its course; writes the picture as a PNG.

    Args:
        search: A `GlimpseSearch`.
        path: The PNG to write.
        columns: Frames to show.
        style: "heat" or "dim", as in `overlay`.

    Raises:
        OSError: If the file cannot be written.
    """
    glimpse_search_canvas(search, columns, style).save(path)


def glimpse_search_canvas(search, columns=8, style="heat"):
    """The `PixelCanvas` of `draw_glimpse_search`."""
    notes = []
    for gaze in search.gazes:
        note = f"{search.wanted_label} {search.probability(gaze):.1%}"
        found = gaze.localisation()
        if found is not None:
            note += f", attention on the actor {found['mass']:.1%} (uniform {found['uniform']:.1%})"
        notes.append(note)
    footer = 14 + 78 + _CURVE_HEIGHT + 70
    canvas = film_strip_canvas(
        list(search.gazes), columns, style=style, notes=notes, footer=footer
    )  # fmt: skip
    canvas.y += 14
    canvas.rule(canvas.y)
    canvas.y += 40
    title = f"probability of {search.wanted_label!r} while only the gaze is changed"
    width = canvas.text(MARGIN, canvas.y, title, 28, INK, weight="bold")
    likeliest = search.found.predicted_label == search.wanted_label
    missed = "probable enough" if likeliest else "the likeliest"
    ended = "found" if search.reached else f"not found: the label never became {missed}"
    colour = RIGHT if search.reached else WRONG
    room = canvas.right - MARGIN - width - 24
    canvas.text(MARGIN + width + 24, canvas.y, ended, 28, colour, room=room)
    canvas.y += 38
    _draw_course(canvas, search)
    return canvas


def _draw_course(canvas, search):
    left, right, top = MARGIN + 90, canvas.right - 60, canvas.y
    for share in (0.0, 0.5, 1.0):
        y = top + _CURVE_HEIGHT * (1 - share)
        canvas.rectangle(left, y - 1, right - left, 2, PALE)
        canvas.text(left - 14, y, f"{share:.0%}", 22, GREY, ha="right")
    last = max(len(search.history) - 1, 1)
    xs = left + (right - left) * np.arange(len(search.history)) / last
    ys = top + _CURVE_HEIGHT * (1 - search.history)
    canvas.line(xs, ys, NEUTRAL, 4)
    x, y = xs[search.steps], ys[search.steps]
    colour = RIGHT if search.reached else WRONG
    canvas.line([x], [y], colour, marker="o", markersize=9)
    # On the side with more room, and off the upper and lower lines.
    beside = {"ha": "left"} if x < (left + right) / 2 else {"ha": "right"}
    shift = 18 if beside["ha"] == "left" else -18
    y = float(np.clip(y - 22, top + 16, top + _CURVE_HEIGHT - 22))
    canvas.text(x + shift, y, f"{search.history[search.steps]:.0%}", 24, colour, **beside)
    for step in sorted({0, len(search.history) - 1}):
        place = left + (right - left) * step / last
        name = f"step {step}" if step == 0 else str(step)
        canvas.text(place, top + _CURVE_HEIGHT + 30, name, 22, GREY, ha="center")
    canvas.y = top + _CURVE_HEIGHT + 70

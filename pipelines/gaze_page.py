"""Gaze pages: one HTML file in which a reader plays clips with what models looked at."""

import base64
import html
import json
import numbers
import pathlib
import re

import cv2
import numpy as np

from glimpse.pipelines.film_strip import group_by_clip
from glimpse.pipelines.gaze import attention_mass, uniform_mass
from glimpse.pipelines.overlay import (
    STYLES,
    attention_scale,
    check_drawing,
    colour_table,
    relative_attention,
)
from glimpse.pipelines.partial_file import partial_file

_JPEG_QUALITY = 92
# HTML, style and script in one file; `@@NAME@@` marks what is filled in.
_TEMPLATE = pathlib.Path(__file__).with_name("gaze_page.html")


def write_gaze_page(gazes, path, title, table=None, style="heat", scale=None):
    """Writes a page that plays clips beside their overlays; it needs no other file or network.

    A reader chooses the clip, steps or plays through its attended frames, and sees for each
    model the overlay, the probabilities after each frame and, with boxes, the attention on the
    actor against a uniform map's. All maps of the page share one scale, shown below the player.

    Args:
        gazes: A `Gaze`, or several: those that share `video_name` are shown side by side.
        path: The HTML file to write.
        title: The page's title.
        table: Results to show below, a list of dicts, one for each row; columns are the keys in
            the order of their first appearance, and a row without a key has an empty cell.
        style: The overlay to begin with, as in `overlay`.
        scale: As in `overlay`; default: `attention_scale` of all the maps.

    Raises:
        ValueError: If an argument is malformed, or gazes of one clip hold different frames.
        OSError: If the file cannot be written; nothing new then stands at `path`.
    """
    clips = group_by_clip(gazes)
    maps = [gaze.attention for clip in clips for gaze in clip]
    if scale is None:
        scale = attention_scale(*maps)
    exceeded = any(float(relative_attention(m).max()) > scale * 1.001 for m in maps)
    fill_page(path, title, [_clip_data(clip) for clip in clips], (scale, exceeded, style), table)


def fill_page(path, title, clips, drawing, table=None):
    """Writes a page of clips, whole or not at all.

    Args:
        path: The HTML file to write.
        title: The page's title.
        clips: What the page's script reads of each clip, dicts.
        drawing: Multiple of the uniform weight shown at full strength, whether weights exceed it,
            and the style to begin with.
        table: Results to show below, as in `write_gaze_page`.
    """
    scale, exceeded, style = drawing
    check_drawing(scale, style, None)
    data = {
        "clips": clips,
        "scale": scale,
        "exceeded": exceeded,
        "style": style,
        "opacity": {name: check_drawing(scale, name, None) for name in STYLES},
        "colours": _base64(colour_table().tobytes()),
    }
    parts = {
        "TITLE": html.escape(str(title)),
        "TABLE": "" if not table else _table(table),
        # "</script>" in a label would end the element that holds the data.
        "DATA": json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026"),
    }
    template = _TEMPLATE.read_text(encoding="utf-8")
    page = re.sub(r"@@([A-Z]+)@@", lambda match: parts[match[1]], template)
    with partial_file(path) as partial:
        partial.write_text(page, encoding="utf-8")


def frames_data(gaze):
    """What the page's script reads of a clip's frames, a dict."""
    return {
        "name": gaze.video_name,
        "width": gaze.frame_size[1],
        "height": gaze.frame_size[0],
        "frames": [_jpeg(frame) for frame in gaze.frames],
        "indices": gaze.frame_indices.tolist(),
        "boxes": None if gaze.boxes is None else np.round(gaze.boxes, 2).tolist(),
    }


def _clip_data(clip):
    first = clip[0]
    boxed = next((gaze for gaze in clip if gaze.boxes is not None), None)
    return {
        **frames_data(boxed or first),
        "trueLabel": first.true_label,
        "times": first.times.tolist(),
        "uniform": None
        if boxed is None
        else page_numbers(uniform_mass(boxed.boxes, first.frame_size)),
        "models": [_model_data(gaze, boxed) for gaze in clip],
    }


def _model_data(gaze, boxed):
    probability, steps = gaze.probability_of(gaze.predicted_label)
    if gaze.true_label is not None:
        _, steps = gaze.probability_of(gaze.true_label)
    mass = None
    if boxed is not None:
        masses = attention_mass(gaze.attention, boxed.boxes, gaze.frame_size)
        mass = [
            value if real else None
            for value, real in zip(page_numbers(masses), gaze.is_real, strict=True)
        ]
    return {
        "name": gaze.model_name,
        "grid": gaze.attention.shape[1:],
        "maps": [page_numbers(grid.ravel()) for grid in relative_attention(gaze.attention)],
        "labels": gaze.label_names,
        "clip": page_numbers(gaze.probabilities),
        "steps": [page_numbers(step) for step in gaze.step_probabilities],
        "shown": page_numbers(steps),
        "predicted": gaze.predicted_label,
        "probability": probability,
        "mass": mass,
        "localisation": gaze.localisation(),
    }


def _table(rows):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    numeric = {
        column: all(isinstance(row[column], numbers.Number) for row in rows if column in row)
        for column in columns
    }

    def cell(tag, column, text):
        kind = ' class="number"' if numeric[column] else ""
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{kind}{scope}>{html.escape(text)}</{tag}>"

    lines = ['<section aria-label="Results"><h2>Results</h2><div class="scroll"><table>']
    head = "".join(cell("th", column, str(column)) for column in columns)
    lines.append(f"<thead><tr>{head}</tr></thead><tbody>")
    for row in rows:
        cells = "".join(cell("td", column, _cell_text(row.get(column))) for column in columns)
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody></table></div></section>"])


def _cell_text(value):
    if value is None:
        return ""
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return str(value)


def page_numbers(values):
    """Numbers as the page holds them: to four places."""
    return np.round(np.asarray(values, np.float64), 4).tolist()


def _jpeg(frame):
    # Full colour resolution: halved, it would smear the outlines of small frames.
    options = (
        cv2.IMWRITE_JPEG_QUALITY,
        _JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    )
    done, encoded = cv2.imencode(".jpg", np.ascontiguousarray(frame[..., ::-1]), options)
    if not done:
        raise ValueError(f"OpenCV cannot encode a frame of shape {frame.shape} as JPEG.")
    return f"data:image/jpeg;base64,{_base64(encoded.tobytes())}"


def _base64(content):
    return base64.b64encode(content).decode("ascii")

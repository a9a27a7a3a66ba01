"""Caption pages: one HTML file in which a reader steps through words and sees the gaze of each."""

import numpy as np

from glimpse.pipelines.caption_gaze import group_captions
from glimpse.pipelines.caption_strip import caption_scale, exceeds_scale
from glimpse.pipelines.gaze_page import fill_page, frames_data, page_numbers
from glimpse.pipelines.overlay import relative_attention


def write_caption_page(gazes, path, title, table=None, style="heat", scale=None):
    """Writes a page of captions word by word; it needs no other file or network.

    A reader chooses the clip and a word, by a slider or a click on it, and sees for each model the
    word's beta and its attention over every frame. The colours are multiples of the word's uniform
    weight, 1 / (frames * height * width), on one scale for the whole page.

    Args:
        gazes: A `CaptionGaze`, or several: those that share `video_name` are shown side by side.
        path: The HTML file to write.
        title: The page's title.
        table: Results to show below, as in `write_gaze_page`.
        style: The overlay to begin with, as in `overlay`.
        scale: As in `overlay`; default: `caption_scale` of all gazes.

    Raises:
        ValueError: If an argument is malformed, or gazes of one clip hold different frames.
        OSError: If the file cannot be written; nothing then stands at `path`.
    """
    clips = group_captions(gazes)
    shown = [gaze for clip in clips for gaze in clip]
    scale = caption_scale(*shown) if scale is None else scale
    exceeded = any(exceeds_scale(gaze, scale) for gaze in shown)
    fill_page(path, title, [_clip_data(clip) for clip in clips], (scale, exceeded, style), table)


def _clip_data(clip):
    first = next((gaze for gaze in clip if gaze.boxes is not None), clip[0])
    times = [
        None if black else time for black, time in zip(first.is_black, first.times, strict=True)
    ]
    return {
        **frames_data(first),
        "trueLabel": None,
        "times": times,
        "references": first.references,
        "models": [_model_data(gaze) for gaze in clip],
    }


def _model_data(gaze):
    found = gaze.actor_shares()
    maps = relative_attention(gaze.frame_maps).reshape(*gaze.attention.shape[:2], -1)
    return {
        "name": gaze.model_name,
        "grid": gaze.attention.shape[2:],
        "words": gaze.words,
        "score": gaze.score,
        "gate": page_numbers(np.clip(gaze.gate, 0, 1)),
        "maps": page_numbers(maps),
        "shares": page_numbers(gaze.frame_shares),
        "mass": None if found is None else [None if np.isnan(m) else round(m, 4) for m in found[0]],
        "uniform": None if found is None else found[1],
    }

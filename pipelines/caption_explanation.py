"""Writes every picture of what captioners looked at into one folder."""

import pathlib
import re

from glimpse.pipelines.caption_page import write_caption_page
from glimpse.pipelines.caption_strip import caption_scale, draw_caption_strip


def explain_captions(gazes, folder, video_paths, columns=8, style="heat", title=None, table=None):
    """Writes a caption strip per gaze and an HTML page of all; returns their paths.

    All of them share one scale, so that models and clips can be compared.

    Args:
        gazes: One or more `CaptionGaze`s, those of one video next to each other.
        folder: Where to write; created if missing.
        video_paths: The video files of the gazes, in order, each once.
        columns: Most frames in a strip.
        style: `"heat"` or `"dim"`.
        title: Title of the page.
        table: Rows of a table of results for the page, dicts.

    Raises:
        ValueError: If two videos, or two models of one video, have the same name in a file name.
    """
    if len({pathlib.Path(path).name for path in video_paths}) < len(video_paths):
        raise ValueError("Two of the videos have one name: explain them in two folders.")
    folder = pathlib.Path(folder)
    names = [_file_name(gaze) for gaze in gazes]
    if len(set(names)) < len(names):
        raise ValueError(
            f"Two of the pictures would have one name, of {', '.join(sorted(names))}: explain them "
            "in two folders."
        )
    folder.mkdir(parents=True, exist_ok=True)
    scale = caption_scale(*gazes)
    written = [folder / name for name in names]
    for gaze, path in zip(gazes, written, strict=True):
        draw_caption_strip(gaze, path, columns=columns, style=style, scale=scale)
    page = folder / "captions.html"
    write_caption_page(gazes, page, title or "Where the model looked, word by word", table, style)
    return [*written, page]


def _file_name(gaze):
    model_name = re.sub(r"\W+", "_", gaze.model_name)
    return f"{gaze.video_name.replace('.', '_')}_{model_name}.png"

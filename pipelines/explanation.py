"""Writes every picture of what models looked at into one folder."""

import pathlib
import re

from glimpse.pipelines.film_strip import draw_film_strip
from glimpse.pipelines.gaze_page import write_gaze_page
from glimpse.pipelines.overlay_video import write_overlay_video
from glimpse.pipelines.video_source import open_video


def explain(gazes, folder, video_paths, columns=8, style="heat", title=None, table=None):
    """Writes a film strip, an overlay video per gaze and an HTML page; returns their paths.

    Args:
        gazes: One or more `Gaze`s, those of one video next to each other.
        folder: Where to write; created if missing.
        video_paths: The video files of the gazes, in order, each once.
        columns: Frames in the film strip.
        style: `"heat"` or `"dim"`.
        title: Title of the page.
        table: Rows of a table of results for the page, dicts.

    Raises:
        ValueError: If two videos have the same name.
    """
    paths = {pathlib.Path(path).name: path for path in video_paths}
    if len(paths) != len(video_paths):
        raise ValueError("Two of the videos have one name: explain them in two folders.")
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "film_strip.png"]
    draw_film_strip(gazes, written[0], columns=columns, style=style)
    for gaze in gazes:
        model_name = re.sub(r"\W+", "_", gaze.model_name)
        path = folder / f"{gaze.video_name.replace('.', '_')}_{model_name}.mp4"
        with open_video(paths[gaze.video_name]) as reader:
            write_overlay_video(gaze, path, video_frames=reader, style=style)
        written.append(path)
    page = folder / "gaze.html"
    write_gaze_page(gazes, page, title or "Where the model looked", table)
    return [*written, page]

"""Draw which frames of video files models with temporal attention weigh most and least.

Torabi and Sigal 2017, Fig. 2 and 3. Writes highlights.png, with the frames of the highest weights
framed in green, of the lowest in red and every frame's weight over time, and dimmed_frames.png,
with a row for each model whose frames are as light as their weights. Several models, such as those
that attend to objects and to scenes, are given by repeating --model. With --data, the interval of
the action is marked and the weight in it printed.

Example: glimpse highlight --model=runs/object --model=runs/scene --output=pictures clip.mp4
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.dimmed_frames import draw_dimmed_frames
from glimpse.pipelines.highlight_strip import draw_highlight_strip, interval_weight
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_multi_string(
    "model", None, MODEL_HELP + " May be repeated. (required)", required=True
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_EACH = flags.DEFINE_integer("each", 4, "Frames of either kind in highlights.png.", lower_bound=1)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in dimmed_frames.png.", lower_bound=1)


def main(argv):
    """Draws both pictures of the files named after the flags."""
    paths = require_videos(argv, "glimpse highlight --model=A --output=B clip.mp4")
    truths = read_truths(_DATA.value, paths)
    answerers = load_answerers(_MODEL.value, _BACKBONE.value)
    highlights = [
        answerer.highlights(path, truth, label, _START.value, model_name=name)
        for path, (truth, label) in zip(paths, truths, strict=True)
        for name, answerer in answerers.items()
    ]
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = folder / "highlights.png", folder / "dimmed_frames.png"
    draw_highlight_strip(highlights, pictures[0], _EACH.value)
    draw_dimmed_frames(highlights, pictures[1], _COLUMNS.value)
    print(tabulate(map(_row, highlights), headers="keys", floatfmt=".3f"))
    for picture in pictures:
        print(picture)


def _row(highlights):
    row = {
        "video": highlights.video_name,
        "model": highlights.model_name,
        "says": highlights.predicted_label,
        "truth": highlights.true_label or "?",
        "highest at s": float(highlights.times[highlights.weights.argmax()]),
        "lowest at s": float(highlights.times[highlights.weights.argmin()]),
    }
    found = interval_weight(highlights)
    if found is not None:
        row |= {"weight in interval": found[0], "uniform": found[1]}
    return row

"""Compare where models look that were trained with different attention penalties.

Sharma et al. 2015, Fig. 3: with lambda = 0 a model stays on a few places, with lambda = 10 it
looks everywhere. Each run's lambda is read from its config.json. The table and the picture say,
for each lambda, the entropy of the maps (0: one cell, 1: uniform), how much of the attention moves
from a frame to the next and, with --data, how much of it lies on the actor.

Example: glimpse compare-penalties --model=runs/lambda_0 --model=runs/lambda_10 --output=pictures
         clip.mp4
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.penalty_effect import (
    draw_penalty_effect,
    other_differences,
    penalty_table,
    read_penalty_runs,
)
from glimpse.trained_model import BACKBONE_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_multi_string(
    "model", None, "A folder that `glimpse train` wrote; two or more. (required)", required=True
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the picture (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the picture.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the paper's brightness."
)
_SHOWN = flags.DEFINE_integer(
    "shown", 3, "Videos in the picture; the table is over all.", lower_bound=1
)


def main(argv):
    """Compares the runs on the files named after the flags."""
    paths = require_videos(
        argv, "glimpse compare-penalties --model=A --model=B --output=C clip.mp4"
    )
    runs = read_penalty_runs(_MODEL.value)
    truths = read_truths(_DATA.value, paths)
    answerers = load_answerers([run.path for run in runs], _BACKBONE.value)
    gazes = [
        [
            answerer.gaze(path, truth, label, _START.value)
            for path, (truth, label) in zip(paths, truths, strict=True)
        ]
        for answerer in answerers.values()
    ]
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    picture = folder / "penalty_effect.png"
    shown = [looked[: _SHOWN.value] for looked in gazes]
    draw_penalty_effect(runs, shown, picture, _COLUMNS.value, _STYLE.value)
    print(tabulate(penalty_table(runs, gazes), headers="keys", floatfmt=".3f"))
    for name, values in other_differences(runs).items():
        print(f"the runs also differ in {name}: {', '.join(map(str, values))}")
    print(picture)

"""Show the classes on which models gain most over a baseline.

Torabi and Sigal 2017, Fig. 5: the five classes with the largest gain in accuracy of each attending
model over the plain LSTM. Reads the JSON files that `glimpse evaluate --output` wrote, all of the
same clips; the table and class_gain.csv hold every class.

Example: glimpse class-gain --baseline=lstm.json --output=pictures object.json scene.json
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.class_gain import (
    class_gains,
    draw_class_gains,
    pick_gains,
    write_class_gains,
)
from glimpse.pipelines.class_scores import METRICS
from glimpse.result_arguments import read_named_results

_BASELINE = flags.DEFINE_string(
    "baseline", None, "Results of the model to gain over (required).", required=True
)
_NAMES = flags.DEFINE_list(
    "names", None, "A name for the baseline and for each file; default: from their paths."
)
_METRIC = flags.DEFINE_enum("metric", "accuracy", METRICS, "What to compare.")
_TOP = flags.DEFINE_integer("top", 5, "Classes in the picture.", lower_bound=1)
_LOSSES = flags.DEFINE_integer(
    "losses", 0, "Classes with the largest loss to add to the picture.", lower_bound=0
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the files (required).", required=True)


def main(argv):
    """Compares the results named after the flags with the baseline's."""
    if len(argv) < 2:
        raise ValueError(
            "no results given: glimpse class-gain --baseline=a.json --output=... b.json"
        )
    results = read_named_results([_BASELINE.value, *argv[1:]], _NAMES.value)
    (baseline_name, baseline), *others = results.items()
    gains = {
        name: class_gains(baseline, result, _METRIC.value, (baseline_name, name))
        for name, result in others
    }
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "class_gain.csv", folder / "class_gain.png"
    write_class_gains(gains, paths[0])
    picked = {name: pick_gains(each, _TOP.value, _LOSSES.value) for name, each in gains.items()}
    draw_class_gains(picked, paths[1], baseline_name, _METRIC.value)
    rows = [
        (name, gain.label, gain.clips, gain.baseline, gain.score, gain.gain)
        for name, each in gains.items()
        for gain in each
    ]
    headers = ("model", "class", "clips", baseline_name, "score", "gain")
    print(tabulate(rows, headers=headers, floatfmt=".4f"))
    for path in paths:
        print(path)

"""Put each class's score with several models side by side, with the mean last.

Yan et al. 2017 (CHAM), Table 2. Reads the JSON files that `glimpse evaluate --output` or `glimpse
ensemble --output` wrote, all of the same videos, and writes class_table.csv, .md and .png. A class
without positives has no average precision: it is named, and left out of the means.

Example: glimpse class-table --output=pictures --names=flat,hierarchical flat.json hierarchical.json
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.class_scores import (
    METRICS,
    class_table,
    without_positives,
    write_class_table,
)
from glimpse.result_arguments import read_named_results

_NAMES = flags.DEFINE_list("names", None, "A name for each file; default: from its path.")
_METRIC = flags.DEFINE_enum("metric", "average_precision", METRICS, "What to compare.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the files (required).", required=True)


def main(argv):
    """Compares the results named after the flags."""
    if len(argv) < 2:
        raise ValueError("no results given: glimpse class-table --output=... a.json b.json")
    results = read_named_results(argv[1:], _NAMES.value)
    rows = class_table(list(results.values()), list(results), _METRIC.value)
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_class_table(rows, folder, _METRIC.value)
    print(tabulate(rows, headers="keys", floatfmt=".4f", missingval="-"))
    left_out = without_positives(rows)
    if left_out:
        print(f"without positives, so left out of the mean: {', '.join(left_out)}")
    for path in written:
        print(path)

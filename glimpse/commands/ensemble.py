"""Average the answers of several evaluated models: the ensemble's accuracy and precision.

Each member was evaluated on its own features, by `glimpse evaluate --output=RUNS/MEMBER/test.json`.
The recipes of Torabi and Sigal's combined models are flag files for this command.

Example: glimpse ensemble --runs=runs --members=object,scene,action --output=ensemble.json
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.late_fusion import fuse
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.result_file import read_results

_MEMBERS = flags.DEFINE_list(
    "members", None, "Names of the runs, folders in --runs (required).", required=True
)
_RUNS = flags.DEFINE_string("runs", "runs", "Folder of the runs.")
_RESULTS = flags.DEFINE_string("results", "test.json", "Name of the results' file in each run.")
_INTERPOLATED = flags.DEFINE_bool(
    "interpolated",
    None,
    "Take the precision's envelope, as PASCAL VOC 2011 and ActivityNet do; the members' as well. "
    "Default: as the first member was evaluated.",
)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write the ensemble's results to.")


def main(argv):
    """Averages and prints a table of the members and their mean."""
    paths = [pathlib.Path(_RUNS.value) / name / _RESULTS.value for name in _MEMBERS.value]
    files = [path.resolve() for path in paths]
    for name, file in zip(_MEMBERS.value, files, strict=True):
        if files.count(file) > 1:
            raise ValueError(f"--members: {name} is given twice; name different runs.")
    fused = fuse([read_results(path) for path in paths], _MEMBERS.value, _INTERPOLATED.value)
    if _OUTPUT.value:
        write_json(_OUTPUT.value, fused)
    rows = [*fused["members"], {**fused, "name": "ensemble"}]
    columns = ("name", "clip_accuracy", "video_accuracy", "mean_average_precision")
    table = [[row[column] for column in columns] for row in rows]
    print(tabulate(table, headers=("model", *columns[1:]), floatfmt=".4f", missingval="-"))
    print(f"{len(fused['clips'])} clips of split {fused['split']}.")

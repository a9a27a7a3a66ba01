"""Make a published number anew from its data set, by one command.

Checks every file, extracts the features that the recipe reads, trains, evaluates by the paper's
protocol and prints the paper's number beside ours. Given again, the command goes on where it
stopped; recipes of one data set share checks and features in one --output. `glimpse models
--recipes` lists the recipes, docs/data/ says where each data set comes from.

--backbones names the weights of each backbone, as `glimpse convert` writes them: docs/weights.md.
Recipes on Hollywood2 that the paper starts from ActivityNet take --start, the --output of that one.
--changes tries a recipe at a smaller size; such a number is not the paper's.

Example: glimpse reproduce --recipe=sharma_hmdb51_soft_attention_lambda_1 --data=hmdb51
         --output=hmdb51_runs --backbones=googlenet=googlenet.keras
"""

import json

from absl import flags
from tabulate import tabulate

from glimpse.dataset_flags import DatasetFlags
from glimpse.pipelines.recipe_plan import plan_recipe
from glimpse.reproduction import Reproduction

_RECIPE = flags.DEFINE_string("recipe", None, "Name of the recipe (required).", required=True)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for everything (required).", required=True)
_BACKBONES = flags.DEFINE_list(
    "backbones", [], "NAME=FILE.keras or NAME=random for each backbone that the recipe reads."
)
_START = flags.DEFINE_string(
    "start",
    None,
    "What the training starts from where the recipe starts from another run: the --output of the "
    "recipe on ActivityNet, a run, a .keras file, or scratch.",
)
_CHANGES = flags.DEFINE_string(
    "changes",
    "{}",
    """JSON of flags of `glimpse train` (of `glimpse train-captioner`, if the recipe describes
    clips) in place of the recipe's: '{"epochs": 1}'.""",
)
_EVAL_WINDOWS = flags.DEFINE_integer(
    "eval_windows", None, "Windows a clip in evaluation; default: the recipe's.", lower_bound=1
)
_ALLOW_MISSING = flags.DEFINE_integer(
    "allow_missing", 0, "Clips of the split that may be missing or broken.", lower_bound=0
)
_DATASET = DatasetFlags(__name__)


def main(argv):
    """Reproduces and prints the comparison."""
    plan = plan_recipe(_RECIPE.value)
    reproduction = Reproduction(
        _RECIPE.value,
        _DATASET.read(default=plan.dataset, compare_files=False),
        _OUTPUT.value,
        _read_backbones(),
        changes=_read_changes(),
        start=_START.value,
        allow_missing=_ALLOW_MISSING.value,
        eval_windows=_EVAL_WINDOWS.value,
    )
    results = reproduction.run()
    print(tabulate(reproduction.table(results), headers="keys", missingval="-"))
    stamp = results["stamp"]
    print(
        f"{stamp['seen']['test']} of {stamp['expected']['test']} clips of the test split "
        f"({stamp['split_name']})."
    )
    for note in reproduction.notes():
        print(f"not the paper's: {note}")


def _read_backbones():
    named = {}
    for item in _BACKBONES.value:
        name, _, file = item.partition("=")
        if not name or not file or name in named:
            raise ValueError(f"--backbones: {item!r} is no NAME=FILE.keras, or comes twice.")
        named[name] = file
    return named


def _read_changes():
    try:
        changes = json.loads(_CHANGES.value)
    except ValueError as error:
        raise ValueError(f"--changes={_CHANGES.value}: not JSON ({error}).") from error
    if not isinstance(changes, dict):
        raise ValueError(f"--changes={_CHANGES.value}: must be a JSON object.")
    return changes

"""Run everything once, for real: from rendered video files to a model that shows where it looks.

Renders tiny_actions into encoded videos, extracts features, trains soft attention and its
baselines on the same features, evaluates them, exports the best one, lets the SavedModel answer
in a process that cannot import glimpse, and draws where the models looked. A trained captioner
then describes the test clips, is drawn word by word, exported and asked likewise. Interrupted and
started again, it goes on where it was.

Example: glimpse demo --output=runs/demo
"""

import json
import pathlib
import time

from absl import flags

from glimpse.demonstration import Demonstration

_OUTPUT = flags.DEFINE_string("output", "runs/demo", "Folder for everything that is made.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the clips and of the training.", lower_bound=0)
_PLACEMENT = flags.DEFINE_enum(
    "placement", "random", ["random", "centre"], "Where the actor stands in the clips."
)
_SMALL = flags.DEFINE_bool(
    "small", False, "A few clips and epochs only: a quick look at the machinery, not at accuracy."
)


def main(argv):
    """Runs all the steps and prints the table and the paths."""
    started = time.monotonic()
    demonstration = Demonstration(_OUTPUT.value, _SEED.value, _PLACEMENT.value, _SMALL.value)
    for title, step in demonstration.steps():
        print(f"\n== {title}", flush=True)
        step()
    print(f"\n{demonstration.table()}\n")
    print(demonstration.notes())
    print("\nWritten:")
    for name, path in demonstration.paths().items():
        print(f"  {name:<22} {path}")
    summary = pathlib.Path(_OUTPUT.value) / "summary.json"
    print(f"\n{time.monotonic() - started:.0f} s in all; figures with their stamps: {summary}")
    summary.write_text(json.dumps(demonstration.summary(), indent=2) + "\n", encoding="utf-8")

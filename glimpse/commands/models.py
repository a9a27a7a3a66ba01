"""List the models of the zoo, their sizes, and the trained weights that ship with glimpse.

Example: glimpse models --pattern='soft*'
"""

import fnmatch

from absl import flags
from tabulate import tabulate

from glimpse.models.registry import describe_models
from glimpse.models.weights_card import read_cards
from glimpse.models.zoo_table import zoo_table

_PATTERN = flags.DEFINE_string("pattern", "*", "Shell-style pattern that the names must match.")
_PRETRAINED = flags.DEFINE_bool("pretrained", False, "List trained weights in place of variants.")
_MARKDOWN = flags.DEFINE_bool("markdown", False, "Print the whole zoo as README.md shows it.")


def main(argv):
    """Prints a table of variants or of trained weights."""
    if _MARKDOWN.value:
        print(zoo_table())
        return
    if _PRETRAINED.value:
        rows = [
            {"name": card.name, "license": card.license, **_facts(card)}
            for card in read_cards().values()
            if fnmatch.fnmatch(card.name, _PATTERN.value)
        ]
    else:
        rows = describe_models(_PATTERN.value)
    if not rows:
        raise ValueError(f"--pattern={_PATTERN.value!r} matches no model; try --pattern='*'.")
    print(tabulate(rows, headers="keys"))


def _facts(card):
    shown = ("parameters", "dataset", "split", "video_accuracy", "seed")
    return {name: card.facts[name] for name in shown if name in card.facts}

"""List the models of the zoo, their sizes, trained weights, and the recipes of published numbers.

With --backbones, what turns frames into features, and its options as they are by default.
With --recipes, every number that the papers print stands beside ours, where there is one; the
recipe is a flag file for `glimpse train` (for `glimpse ensemble`, if it has members).

Example: glimpse models --pattern='soft*'
"""

import fnmatch

from absl import flags
from tabulate import tabulate

from glimpse.models.backbones import describe_backbones
from glimpse.models.registry import describe_models
from glimpse.models.weights_card import read_cards
from glimpse.pipelines.published_numbers import recipe_rows
from glimpse.pipelines.zoo_table import zoo_table

_PATTERN = flags.DEFINE_string("pattern", "*", "Shell-style pattern that the names must match.")
_PRETRAINED = flags.DEFINE_bool("pretrained", False, "List trained weights in place of variants.")
_RECIPES = flags.DEFINE_bool("recipes", False, "List published numbers and their recipes.")
_BACKBONES = flags.DEFINE_bool("backbones", False, "List backbones in place of models.")
_MARKDOWN = flags.DEFINE_bool(
    "markdown", False, "Print Markdown: the zoo as README.md shows it, or --recipes as docs do."
)


def main(argv):
    """Prints a table of variants, of trained weights or of recipes."""
    if _PRETRAINED.value + _RECIPES.value + _BACKBONES.value > 1:
        raise ValueError("--pretrained, --recipes and --backbones: list one of them at a time.")
    if _MARKDOWN.value and not (_PRETRAINED.value or _RECIPES.value or _BACKBONES.value):
        print(zoo_table())
        return
    if _PRETRAINED.value:
        rows = [
            {"name": card.name, "license": card.license, **_facts(card)}
            for card in read_cards().values()
            if fnmatch.fnmatch(card.name, _PATTERN.value)
        ]
    elif _RECIPES.value:
        rows = recipe_rows(_PATTERN.value)
    elif _BACKBONES.value:
        rows = describe_backbones(_PATTERN.value)
    else:
        rows = describe_models(_PATTERN.value)
    if not rows:
        raise ValueError(f"--pattern={_PATTERN.value!r} matches no name; try --pattern='*'.")
    style = "github" if _MARKDOWN.value else "simple"
    print(tabulate(rows, headers="keys", tablefmt=style, disable_numparse=_RECIPES.value))


def _facts(card):
    scores = ("video_accuracy", "bleu4", "sentence_accuracy")
    shown = ("parameters", "dataset", "split", *scores, "vocabulary_size", "seed")
    return {name: card.facts[name] for name in shown if name in card.facts}

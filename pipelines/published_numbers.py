"""The numbers that the papers print, and the recipe of each: `published_numbers.csv`."""

import csv
import dataclasses
import fnmatch
import pathlib

from glimpse.models.weights_card import read_cards

RECIPES = pathlib.Path(__file__).parent / "recipes"
_NUMBERS = pathlib.Path(__file__).with_suffix(".csv")


@dataclasses.dataclass(frozen=True)
class PublishedNumber:
    """One number of one table.

    Args:
        recipe: Name of the flag file in `pipelines/recipes/` that says how it was made.
        paper: Short name and year.
        table: The table's number in the paper.
        row: The row's words.
        dataset: Name of the data set.
        metric: What was measured; "mAP" is the mean over the classes of the average precision.
        percent: The number, in percent, as printed.
    """

    recipe: str
    paper: str
    table: str
    row: str
    dataset: str
    metric: str
    percent: str

    @property
    def recipe_path(self):
        """The flag file."""
        return RECIPES / f"{self.recipe}.flags"


def read_published_numbers():
    """Returns all published numbers, in the order of the papers and their tables."""
    with open(_NUMBERS, newline="", encoding="utf-8") as file:
        return [PublishedNumber(**row) for row in csv.DictReader(file)]


def recipe_flags(path):
    """Returns the flags of a recipe as they are written, {name: text}.

    Raises:
        ValueError: If a line is neither a comment nor a flag, or a flag stands twice.
    """
    values = {}
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, value = line.removeprefix("--").partition("=")
        if not line.startswith("--") or name in values:
            raise ValueError(f"{path}: {line!r} is no flag, or stands twice.")
        values[name] = value
    return values


def recipe_rows(pattern="*"):
    """Returns one dict a published number: the paper's beside ours, where there is one.

    Args:
        pattern: Shell-style pattern that the recipe's name must match.
    """
    ours = {}
    for card in read_cards().values():
        for metric, percent in card.facts.get("published", {}).items():
            ours[card.facts.get("recipe"), metric] = f"{percent:.1f} ({card.name})"
    return [
        {
            "recipe": number.recipe,
            "paper": f"{number.paper}, table {number.table}",
            "row": number.row,
            "data set": number.dataset,
            "metric": number.metric,
            "paper's %": number.percent,
            "ours %": ours.get((number.recipe, number.metric), "not trained here"),
        }
        for number in read_published_numbers()
        if fnmatch.fnmatch(number.recipe, pattern)
    ]


def best_published(variant):
    """Returns the largest published number of a variant's recipes per data set and metric.

    Numbers of single classes are left out.

    Returns:
        A dict {(data set, metric): percent as printed}.
    """
    best = {}
    for number in read_published_numbers():
        flags = recipe_flags(number.recipe_path)
        if flags.get("model", "ensemble") != variant or number.metric.startswith("AP of "):
            continue
        key = number.dataset, number.metric
        best[key] = max(best.get(key, "0"), number.percent, key=float)
    return best

"""The zoo in one table, from the registry, the recipes and the cards; README.md shows it."""

from glimpse.models.registry import describe_models
from glimpse.models.weights_card import read_cards
from glimpse.pipelines.published_numbers import best_published

_COLUMNS = (
    "variant",
    "sizes",
    "best published, %",
    "ours on those",
    "weights: accuracy of videos, or as named",
)


def zoo_table():
    """Returns the table as GitHub Markdown.

    A paper's best figure stands beside the variant of its sizes, and ours only where there is one.
    """
    cards = {}
    for card in read_cards().values():
        variant, _, tag = card.name.partition(".")
        if tag:
            figure = f"`{card.name}`: {card.score} ({card.facts['dataset']})"
            cards.setdefault(variant, []).append(figure)
    rows = [_COLUMNS, ["---"] * len(_COLUMNS)]
    for variant in describe_models():
        name = variant["name"]
        published = [
            f"{dataset} {percent}" if metric == "accuracy" else f"{dataset} {metric} {percent}"
            for (dataset, metric), percent in best_published(name).items()
        ]
        rows.append(
            [
                f"`{name}`",
                variant["sizes"] or "as the class's defaults",
                ", ".join(published) or "-",
                "not trained here" if published else "-",
                "; ".join(cards.get(name, [])) or "-",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

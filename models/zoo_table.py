"""The zoo in one table, from the registry and the cards; README.md shows it."""

from glimpse.models.registry import describe_models
from glimpse.models.weights_card import read_cards

# Sharma et al. 2015, Table 1 (lambda = 0): accuracy % on UCF-11 and HMDB-51, mAP % on Hollywood2.
_PAPER = {
    "soft_attention": ("84.96", "41.31", "43.91"),
    "average_pooled_lstm": ("82.56", "40.52", "43.19"),
    "max_pooled_lstm": ("81.60", "37.58", "43.22"),
    "softmax_regression": ("82.37", "33.46", "34.62"),
}
# Section 4.2: 512 units for UCF-11 and Hollywood2, 1024 for HMDB-51.
_USED_FOR = {"base": (True, False, True), "large": (False, True, False)}
_COLUMNS = (
    "variant",
    "sizes",
    "paper: UCF-11 / HMDB-51 / Hollywood2",
    "ours on those",
    "weights: accuracy of videos",
)


def zoo_table():
    """Returns the table as GitHub Markdown.

    The paper's figures stand beside the variants of its sizes, and ours only where there are any.
    """
    cards = {}
    for card in read_cards().values():
        variant, _, tag = card.name.partition(".")
        if tag:
            figure = f"`{card.name}`: {card.facts['video_accuracy']:.3f} ({card.facts['dataset']})"
            cards.setdefault(variant, []).append(figure)
    rows = [_COLUMNS, ["---"] * len(_COLUMNS)]
    for variant in describe_models():
        name = variant["name"]
        family, size = (name, None) if name in _PAPER else name.rsplit("_", 1)
        used_for = _USED_FOR.get(size, (size is None,) * 3)
        figures = [
            figure if used else "-" for figure, used in zip(_PAPER[family], used_for, strict=True)
        ]
        rows.append(
            [
                f"`{name}`",
                variant["sizes"] or "one linear map",
                " / ".join(figures) if any(used_for) else "-",
                "not trained here" if any(used_for) else "-",
                "; ".join(cards.get(name, [])) or "-",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)

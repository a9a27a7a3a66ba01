"""Each class's score with each of several models, as a table, a file and a picture.

Yan et al., "CHAM: Action Recognition using Convolutional Hierarchical Attention Model", 2017,
Table 2.
"""

import csv
import io

import numpy as np

from glimpse.pipelines.late_fusion import check_alike
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.pixel_canvas import GREY, INK, MARGIN, PixelCanvas

# Name on the command line -> key of the results, and what a cell says.
METRICS = {
    "average_precision": ("per_class_average_precision", "average precision"),
    "accuracy": ("per_class", "accuracy"),
}
MEAN = "mean"
_LABEL_WIDTH, _CELL_HEIGHT = 330, 46
_NARROWEST, _WIDEST, _LETTER = 160, 420, 16
_STRONG = np.array([127, 168, 220])


def class_values(result, metric):
    """Returns each class's score, {name: fraction}, None for a class without positives.

    Args:
        result: A dict that `evaluate` or `fuse` returned.
        metric: One of `METRICS`.

    Raises:
        ValueError: If the metric is unknown or the result does not hold it.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, got {metric!r}.")
    values = result.get(METRICS[metric][0])
    if values is None:
        raise ValueError(
            f"the results of {result['model']} hold no {METRICS[metric][1]} by class: evaluate "
            f"again, or compare another metric of {', '.join(METRICS)}."
        )
    return {name: values.get(name) for name in result["label_names"]}


def class_counts(result):
    """Returns how many clips of each class were evaluated, {name: count}."""
    labels = [clip["label"] for clip in result["clips"]]
    present = [set(label) if isinstance(label, list) else {label} for label in labels]
    return {name: sum(name in labels for labels in present) for name in result["label_names"]}


def class_table(results, names, metric="average_precision"):
    """Returns the rows of the table: one dict a class and, last, one of the means.

    Args:
        results: Dicts that `evaluate` or `fuse` returned, of the same clips.
        names: The models' names, as many.
        metric: One of `METRICS`.

    Returns:
        Dicts of `class`, `clips` and each model's score by its name, a fraction; None for a
        class without positives, which the means leave out.

    Raises:
        ValueError: If the results are of other clips or were measured in other ways
            (`check_alike`), two models have one name, or a result does not hold the metric.
    """
    if not results:
        raise ValueError("results must hold at least one, got none.")
    if len(set(names)) != len(results) or len(names) != len(results):
        raise ValueError(f"names must be {len(results)} different names, got {', '.join(names)}.")
    for name, result in zip(names, results, strict=True):
        check_alike(names[0], results[0], name, result, metric == "average_precision")
    values = [class_values(result, metric) for result in results]
    counts = class_counts(results[0])
    rows = [
        {"class": label, "clips": counts[label]}
        | {name: value[label] for name, value in zip(names, values, strict=True)}
        for label in results[0]["label_names"]
    ]
    known = [row for row in rows if all(row[name] is not None for name in names)]
    if not known:
        raise ValueError(f"no class has a positive in split {results[0]['split']}.")
    means = {name: float(np.mean([row[name] for row in known])) for name in names}
    return [*rows, {"class": MEAN, "clips": len(results[0]["clips"]), **means}]


def without_positives(rows):
    """Returns the names of the classes that the means leave out."""
    return [row["class"] for row in rows if None in row.values()]


def table_as_csv(rows):
    """Returns the table as CSV, scores as fractions; an empty field where there is none."""
    written = io.StringIO()
    writer = csv.DictWriter(written, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def table_as_markdown(rows):
    """Returns the table as Markdown, scores in percent, the best of a row in bold."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    for row in rows:
        best = best_names(row)
        cells = [row["class"], str(row["clips"])]
        for name in names[2:]:
            text = "-" if row[name] is None else f"{row[name]:.1%}"
            cells.append(f"**{text}**" if name in best else text)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def best_names(row):
    """Returns the models with the highest score of a row; none where all are equal."""
    scores = {
        name: value
        for name, value in row.items()
        if name not in ("class", "clips") and value is not None
    }
    if len(set(scores.values())) < 2:
        return set()
    return {name for name, value in scores.items() if value == max(scores.values())}


def write_class_table(rows, folder, metric="average_precision"):
    """Writes class_table.csv, .md and .png into a folder; returns their paths."""
    paths = [folder / f"class_table{suffix}" for suffix in (".csv", ".md", ".png")]
    for path, text in zip(paths, (table_as_csv(rows), table_as_markdown(rows)), strict=False):
        with partial_file(path) as partial:
            partial.write_text(text, encoding="utf-8")
    class_table_canvas(rows, metric).save(paths[-1])
    return paths


def class_table_canvas(rows, metric="average_precision"):
    """The picture of the table: a `PixelCanvas` whose cells are as blue as their score is high."""
    names = [name for name in rows[0] if name not in ("class", "clips")]
    widths = [int(np.clip(30 + _LETTER * len(name), _NARROWEST, _WIDEST)) for name in names]
    left_out = without_positives(rows)
    height = 2 * MARGIN + _CELL_HEIGHT * (len(rows) + 1) + 20 + (40 if left_out else 0) + 34
    canvas = PixelCanvas(max(2 * MARGIN + _LABEL_WIDTH + sum(widths), 860), height)
    title = f"{METRICS[metric][1]}, %"
    canvas.text(MARGIN, canvas.y + 20, title, 24, GREY, room=_LABEL_WIDTH - 10)
    ends = MARGIN + _LABEL_WIDTH + np.cumsum(widths)
    cells = list(zip((ends - widths).tolist(), widths, names, strict=True))
    for x, width, name in cells:
        canvas.text(
            x + width / 2, canvas.y + 20, name, 24, INK, ha="center", weight="bold",
            room=width - 14,
        )  # fmt: skip
    canvas.y += _CELL_HEIGHT
    for row in rows:
        is_mean = row is rows[-1]
        if is_mean:
            canvas.rule(canvas.y + 8)
            canvas.y += 20
        _draw_row(canvas, row, cells, "bold" if is_mean else "normal")
        canvas.y += _CELL_HEIGHT
    canvas.y += 24
    note = f"in grey, a class's clips, {rows[-1]['clips']} in all; in bold, the best of a row"
    if left_out:
        canvas.text(
            MARGIN, canvas.y, f"without positives, so left out: {', '.join(left_out)}", 22, GREY,
            room=canvas.right - MARGIN,
        )  # fmt: skip
        canvas.y += 40
    canvas.text(MARGIN, canvas.y, note, 22, GREY, room=canvas.right - MARGIN)
    return canvas


def _draw_row(canvas, row, cells, weight):
    middle = canvas.y + _CELL_HEIGHT / 2
    canvas.text(MARGIN, middle, row["class"], 24, INK, room=_LABEL_WIDTH - 70, weight=weight)
    if row["class"] != MEAN:
        count = f"{row['clips']}"
        canvas.text(cells[0][0] - 16, middle, count, 20, GREY, ha="right")
    best = best_names(row)
    for x, width, name in cells:
        value = row[name]
        share = 0.0 if value is None else float(np.clip(value, 0, 1))
        colour = (255 + (_STRONG - 255) * share) / 255
        canvas.rectangle(x + 2, canvas.y + 2, width - 4, _CELL_HEIGHT - 4, tuple(colour))
        canvas.text(
            x + width / 2, middle, "-" if value is None else f"{100 * value:.1f}", 24, INK,
            ha="center", weight="bold" if name in best else "normal",
        )  # fmt: skip

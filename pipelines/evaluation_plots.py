"""Pictures of a result: who was taken for whom, and each class's average precision."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.pixel_canvas import GREY, INK, NEUTRAL

# Numbers in the cells of more classes than this cannot be read.
_MOST_NUMBERED = 24
_INCHES_PER_CLASS = 0.32


def draw_confusion_matrix(results, path):
    """Draws the confusion matrix: a row for each true class, the shares of its answers in it.

    Args:
        results: A dict that `evaluate` or `fuse` returned.
        path: The PNG to write.

    Raises:
        ValueError: If the clips (or videos) have several labels, so that there is no matrix.
    """
    if results["confusion"] is None:
        raise ValueError(
            f"the results of {results['model']} hold no confusion matrix: with several labels a "
            "clip no answer is taken for another."
        )
    counts = np.array(results["confusion"])
    names, totals = results["label_names"], counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    side = max(5.0, _INCHES_PER_CLASS * len(names) + 3.0)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), [f"{n}  {t}" for n, t in zip(names, totals, strict=True)])
    axes.set(xlabel="answered", ylabel="true, and how many")
    axes.set_title(_title(results), color=INK, loc="left", fontsize=10)
    if len(names) <= _MOST_NUMBERED:
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if shares[row, column] > 0.5 else INK
            axes.text(
                column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=8
            )
    _save(figure, path)


def draw_class_precision(results, path):
    """Draws each class's average precision as a bar, the best on top, and their mean as a line.

    Args:
        results: A dict that `evaluate` or `fuse` returned.
        path: The PNG to write.

    Raises:
        ValueError: If no class has a positive.
    """
    known = [(v, n) for n, v in results["per_class_average_precision"].items() if v is not None]
    if not known:
        raise ValueError(f"the results of {results['model']} hold no class with a positive.")
    values, names = zip(*sorted(known), strict=True)
    height = max(2.5, _INCHES_PER_CLASS * len(names) + 1.2)
    figure = Figure(figsize=(8.0, height), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh(names, values, color=NEUTRAL)
    mean = results["mean_average_precision"]
    axes.axvline(mean, color=INK, linewidth=1, linestyle="--")
    labels = axes.bar_label(bars, [f"{100 * v:.1f}" for v in values], padding=3, fontsize=8)
    for label in labels:  # readable where the line of the mean crosses it
        label.set_bbox({"facecolor": "white", "linewidth": 0, "pad": 1})
    axes.set(xlim=(0, 1.08), ylim=(-0.6, len(names) - 0.4))
    axes.spines[["top", "right"]].set_visible(False)
    kind = "interpolated" if results["interpolated"] else "plain"
    axes.set_xlabel(f"average precision ({kind}), mean {100 * mean:.1f} %")
    axes.set_title(_title(results), color=INK, loc="left", fontsize=10)
    left_out = results["classes_without_positives"]
    if left_out:
        figure.supxlabel(
            f"classes without positives left out: {len(left_out)}", fontsize=8, color=GREY
        )
    _save(figure, path)


def _title(results):
    return f"{results['model']}\n{results['stamp']['dataset']}, split {results['split']}"


def _save(figure, path):
    FigureCanvasAgg(figure)
    with partial_file(path) as partial:
        figure.savefig(partial)

"""The classes that one model recognises better than another, most improved first.

Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017, Fig. 5.
"""

import csv
import dataclasses

from glimpse.pipelines.class_scores import METRICS, class_counts, class_values
from glimpse.pipelines.late_fusion import check_alike
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.pixel_canvas import GREY, INK, MARGIN, RIGHT, WRONG, PixelCanvas

_LABEL_WIDTH, _BAR_WIDTH, _NUMBER_WIDTH, _ROW_HEIGHT = 330, 560, 420, 46


@dataclasses.dataclass(frozen=True)
class ClassGain:
    """One class's score with two models.

    Args:
        label: The class.
        clips: Its clips.
        baseline: The baseline's score, a fraction.
        score: The other model's, a fraction.
    """

    label: str
    clips: int
    baseline: float
    score: float

    @property
    def gain(self):
        """The other model's score less the baseline's."""
        return self.score - self.baseline


def class_gains(baseline, result, metric="accuracy", names=("baseline", "model")):
    """Returns the `ClassGain` of every class that has positives, largest gain first.

    Args:
        baseline: A dict that `evaluate` or `fuse` returned.
        result: Another, of the same clips.
        metric: One of `METRICS`; the paper's is accuracy.
        names: What errors call the two.

    Raises:
        ValueError: If the two are of other data, another split, other classes or other clips, or
            were measured in other ways (`check_alike`), or one does not hold the metric.
    """
    check_alike(names[0], baseline, names[1], result, metric == "average_precision")
    before, after = class_values(baseline, metric), class_values(result, metric)
    counts = class_counts(result)
    gains = [
        ClassGain(label, counts[label], before[label], after[label])
        for label in result["label_names"]
        if before[label] is not None and after[label] is not None
    ]
    # Rounded, so that equal gains of other sums stay in the order of the classes.
    return sorted(gains, key=lambda gain: -round(gain.gain, 9))


def pick_gains(gains, top=5, losses=0):
    """Returns the largest gains and, after them, the largest losses, each class once.

    Args:
        gains: As `class_gains` returns them.
        top: Classes with the largest gain.
        losses: Classes with the smallest.
    """
    if top < 1 or losses < 0:
        raise ValueError(f"top must be at least 1 and losses at least 0, got {top} and {losses}.")
    rest = gains[top:]
    return [*gains[:top], *rest[len(rest) - min(losses, len(rest)) :]]


def write_class_gains(gains, path):
    """Writes the gains of every model as CSV, fractions.

    Args:
        gains: {model name: list of `ClassGain`}.
        path: The CSV to write.
    """
    with partial_file(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "class", "clips", "baseline", "score", "gain"))
        for name, each in gains.items():
            for gain in each:
                values = (gain.baseline, gain.score, gain.gain)
                writer.writerow((name, gain.label, gain.clips, *(f"{v:.6f}" for v in values)))


def draw_class_gains(gains, path, baseline_name, metric="accuracy"):
    """Draws one panel of bars for each model and writes the picture as a PNG.

    Args:
        gains: {model name: list of `ClassGain` to show}.
        path: The PNG to write.
        baseline_name: The model that the gains are over.
        metric: One of `METRICS`.

    Raises:
        ValueError: If there is nothing to show.
        OSError: If the file cannot be written.
    """
    class_gain_canvas(gains, baseline_name, metric).save(path)


def class_gain_canvas(gains, baseline_name, metric="accuracy"):
    """The `PixelCanvas` of `draw_class_gains`."""
    if not gains or not all(gains.values()):
        raise ValueError("gains must hold at least one class for each model.")
    width = 2 * MARGIN + _LABEL_WIDTH + _BAR_WIDTH + _NUMBER_WIDTH
    body = sum(70 + _ROW_HEIGHT * len(each) for each in gains.values())
    canvas = PixelCanvas(width, 2 * MARGIN + body + 60)
    shown = [gain.gain for each in gains.values() for gain in each]
    # One scale for all panels, with room for losses only where there are some.
    low, high = min(0.0, *shown), max(0.0, *shown)
    pixels = _BAR_WIDTH / max(high - low, 1e-6)
    zero = MARGIN + _LABEL_WIDTH - low * pixels
    for name, each in gains.items():
        used = canvas.text(
            MARGIN, canvas.y + 18, name, 28, INK, weight="bold", room=canvas.right - MARGIN - 500
        )
        over = f"gain over {baseline_name}"
        room = canvas.right - MARGIN - used - 24
        canvas.text(MARGIN + used + 24, canvas.y + 18, over, 24, GREY, room=room)
        canvas.y += 56
        canvas.rectangle(zero - 1, canvas.y - 4, 2, _ROW_HEIGHT * len(each), GREY)
        for gain in each:
            _draw_gain(canvas, gain, zero, pixels)
            canvas.y += _ROW_HEIGHT
        canvas.y += 14
    canvas.rule(canvas.y)
    canvas.y += 34
    note = (
        f"{METRICS[metric][1]} of each class: gain in percentage points, the baseline's and the "
        "model's in %, its clips"
    )
    canvas.text(MARGIN, canvas.y, note, 22, GREY, room=canvas.right - MARGIN)
    return canvas


def _draw_gain(canvas, gain, zero, pixels):
    middle = canvas.y + _ROW_HEIGHT / 2 - 4
    points = round(100 * gain.gain, 1)
    colour = RIGHT if points > 0 else WRONG if points < 0 else GREY
    canvas.text(MARGIN, middle, gain.label, 24, INK, room=_LABEL_WIDTH - 30)
    length = gain.gain * pixels
    canvas.rectangle(min(zero, zero + length), middle - 13, abs(length), 26, colour)
    x = MARGIN + _LABEL_WIDTH + _BAR_WIDTH
    number = f"{points:+.1f}" if points else "0.0"
    canvas.text(x + 110, middle, number, 24, colour, ha="right", weight="bold")
    change = f"{100 * gain.baseline:.1f} \N{RIGHTWARDS ARROW} {100 * gain.score:.1f}"
    canvas.text(x + 320, middle, change, 24, INK, ha="right")
    canvas.text(canvas.right, middle, str(gain.clips), 22, GREY, ha="right")

"""What the attention penalty lambda does to the gaze: runs that differ in it, side by side.

Sharma et al., "Action Recognition using Visual Attention", 2015, Fig. 3.
"""

import dataclasses
import json
import pathlib

import numpy as np

from glimpse.pipelines.film_strip import film_strip_canvas
from glimpse.pipelines.gaze_measures import describe_measures, measure_gaze

# What may differ between runs whose gazes are compared by lambda.
_PENALTY = "attention_penalty"


@dataclasses.dataclass(frozen=True)
class PenaltyRun:
    """A run and the penalty that it was trained with.

    Args:
        path: The run's folder.
        penalty: lambda of Eq. 7.
        choices: All choices of the run, from its config.json.
    """

    path: str
    penalty: float
    choices: dict

    @property
    def title(self):
        """The name to show, such as "\N{GREEK SMALL LETTER LAMDA} = 10"."""
        return f"\N{GREEK SMALL LETTER LAMDA} = {self.penalty:g}"


def read_penalty_runs(paths):
    """Reads the runs' penalties from their config.json; returns `PenaltyRun`s by rising lambda.

    Args:
        paths: Folders that `glimpse train` wrote, or files in them.

    Raises:
        ValueError: If there are fewer than two, a config.json is missing or damaged, or two
            runs have one penalty.
    """
    if len(paths) < 2:
        raise ValueError(f"--model must be given twice or more to compare, got {len(paths)}.")
    runs = sorted((_read_run(path) for path in paths), key=lambda run: run.penalty)
    for before, run in zip(runs, runs[1:], strict=False):
        if before.penalty == run.penalty:
            raise ValueError(
                f"--model: {before.path} and {run.path} were both trained with "
                f"--attention_penalty={run.penalty:g}; give runs that differ in it."
            )
    return runs


def other_differences(runs):
    """Returns what else the runs differ in, a dict of name to one value a run.

    Such a difference may be the reason for what the pictures show, so it belongs beside them.
    """
    names = sorted(set().union(*(run.choices for run in runs)) - {_PENALTY})
    values = {name: [run.choices.get(name) for run in runs] for name in names}
    return {name: found for name, found in values.items() if any(v != found[0] for v in found)}


def penalty_table(runs, gazes):
    """Returns one dict a run: its lambda and the means of its gazes' measures.

    Args:
        runs: `PenaltyRun`s.
        gazes: For each run, the `Gaze`s of the same windows of the same videos, in one order.
    """
    rows = []
    for run, looked in zip(runs, gazes, strict=True):
        measured = [measure_gaze(gaze) for gaze in looked]
        row = {"lambda": run.penalty, "run": pathlib.Path(run.path).name}
        for name in ("entropy", "movement", "mass", "uniform"):
            if all(name in measures for measures in measured):
                row[name] = float(np.mean([measures[name] for measures in measured]))
        if all(gaze.true_label is not None for gaze in looked):
            right = [gaze.predicted_label == gaze.true_label for gaze in looked]
            row["right"] = f"{sum(right)} of {len(right)}"
        rows.append(row)
    return rows


def draw_penalty_effect(runs, gazes, path, columns=8, style="heat"):
    """Draws a film strip with a row for each lambda and writes it as a PNG.

    Args:
        runs: `PenaltyRun`s, by rising lambda.
        gazes: For each run, the `Gaze`s of the same windows of the same videos, in one order.
        path: The PNG to write.
        columns: Frames to show.
        style: "heat" or "dim", as in `overlay`.

    Raises:
        ValueError: If gazes of one video hold different frames.
        OSError: If the file cannot be written.
    """
    shown = [
        dataclasses.replace(gaze, model_name=run.title)
        for by_run in zip(*gazes, strict=True)
        for run, gaze in zip(runs, by_run, strict=True)
    ]
    notes = [describe_measures(measure_gaze(gaze)) for gaze in shown]
    film_strip_canvas(shown, columns, style=style, notes=notes).save(path)


def _read_run(path):
    folder = pathlib.Path(path)
    folder = folder.parent if folder.suffix == ".keras" else folder
    recorded = folder / "config.json"
    if not recorded.is_file():
        raise ValueError(
            f"--model={path}: no config.json there, so its lambda is unknown; give a folder that "
            "`glimpse train` wrote."
        )
    try:
        choices = json.loads(recorded.read_text(encoding="utf-8"))
        return PenaltyRun(str(path), float(choices[_PENALTY]), choices)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{recorded} is damaged or holds no {_PENALTY} ({error!r}).") from error

"""Captions of tiny_actions: attention against the thesis's two baselines, over several seeds.

Clips are rendered and their features extracted once; only the seed of the training differs between
the runs of a row. All rows read the same features, and but for those that say so the same clips
and through the same convolutions. Whatever is done is kept: started again, it goes on where it was.

Example: python -m benchmarks.captions --output=runs/captions
"""

import dataclasses
import json
import pathlib
import statistics

from absl import app, flags
from tabulate import tabulate

from glimpse.caption_flags import read_caption_recipe
from glimpse.models import create_backbone, load_model
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.caption_training import train_captioner
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.published_numbers import RECIPES
from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.window_sampling import WindowSampling

_OUTPUT = flags.DEFINE_string("output", "runs/captions", "Folder for everything that is made.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the training.")
_EPOCHS = flags.DEFINE_integer("epochs", None, "Default: the recipes'.", lower_bound=1)
_ROWS = flags.DEFINE_multi_string(
    "row", None, "Title of a row to run and print; may be repeated. Default: all."
)

_TRAIN_CLIPS = 4800
_NO_ENCODER = {"model_options": '{"encoder": null}'}


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table.

    Args:
        recipe: Name of the recipe after `tiny_actions_captioner_`.
        changes: Flags in place of the recipe's.
        train_clips: Clips to train on.
        first_seed_only: Whether the row shows what one choice does, with the first seed alone.
    """

    recipe: str
    changes: dict = dataclasses.field(default_factory=dict)
    train_clips: int = _TRAIN_CLIPS
    first_seed_only: bool = False


ROWS = {
    "attention (STA-soft)": Row("soft"),
    "average (STA-avg-pool)": Row("average"),
    "first step (STA-first-time-step)": Row("first_step"),
    "attention, no encoder": Row("soft", _NO_ENCODER, first_seed_only=True),
    "average, no encoder": Row("average", _NO_ENCODER, first_seed_only=True),
    # As many updates: each clip is seen three times as often.
    "attention, 1,600 clips": Row("soft", {"epochs": 15}, 1600, first_seed_only=True),
}
_KINDS = {
    "sentence": "sentence",
    "colour": "colour",
    "action": "action",
    "object's colour": "neighbour_colour",
    "object's kind": "neighbour_kind",
    "object or none": "neighbour",
}
_GAZE = {"on the actor": "mass", "uniform": "uniform", "x uniform": "mass_over_uniform"}


class CaptionRuns:
    """A rendered set, its features and the runs on them.

    Args:
        folder: Where everything lies.
        train_clips: Clips to train on.
    """

    def __init__(self, folder, train_clips):
        self.folder = pathlib.Path(folder) / str(train_clips)
        self.folder.mkdir(parents=True, exist_ok=True)
        render_tiny_actions(self.folder / "clips", TinyActionsConfig(train_clips=train_clips))
        clips = read_clips(self.folder / "clips")
        self.truth = {clip.clip_id: clip.truth for clip in clips.clips}
        self.index = extract_features(
            clips, create_backbone("small"), self.folder / "features", backbone_name="small"
        )

    def results(self, row, seed, **changes):
        """Trains and evaluates one run, unless that is done; returns the evaluation."""
        changes = {**row.changes, **changes}
        options = "no_encoder" if row.changes == _NO_ENCODER else "encoder"
        run = self.folder / "runs" / f"{row.recipe}_{options}_{seed}"
        path = run / "test.json"
        recipe_path = RECIPES / f"tiny_actions_captioner_{row.recipe}.flags"
        config = read_caption_recipe(recipe_path, seed=seed, **changes)
        # A run that is done is returned at once; one of other choices is refused.
        trained = train_captioner(self.index.folder, run, config, resume=True)
        if not path.exists():
            model = load_model(run / "best.keras")
            sampling = WindowSampling(**model.sampling)
            evaluated = evaluate_captioner(model, self.index, "test", sampling, self.truth)
            evaluated |= {"seed": seed, "parameters": trained["parameters"]}
            write_json(path, evaluated)
        return json.loads(path.read_text(encoding="utf-8"))


def table_rows(measured):
    """Returns one dict a title: means and sample standard deviations over the seeds."""
    rows = []
    for title, results in measured.items():
        row = {"model": title, "seeds": len(results)}
        for name, kind in _KINDS.items():
            row[name] = _spread([result["words"][kind]["accuracy"] for result in results])
        row["BLEU-4"] = _spread([result["bleu4"] for result in results])
        for name, key in _GAZE.items():
            found = [result["colour_word"][key] for result in results if result["colour_word"]]
            row[name] = _spread(found) if found else "-"
        row["gate"] = _spread([result["gate"] for result in results])
        rows.append(row)
    return rows


def _spread(values):
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def main(argv):
    """Measures all rows and prints the table."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    titles = _ROWS.value or list(ROWS)
    for title in titles:
        if title not in ROWS:
            raise app.UsageError(f"--row: {title!r} is none of {'; '.join(ROWS)}.")
    runs, measured = {}, {}
    for number, seed in enumerate(int(seed) for seed in _SEEDS.value):
        for title in titles:
            row = ROWS[title]
            if number and row.first_seed_only:
                continue
            if row.train_clips not in runs:
                runs[row.train_clips] = CaptionRuns(_OUTPUT.value, row.train_clips)
            # As many updates of fewer clips.
            epochs = (_EPOCHS.value or 0) * _TRAIN_CLIPS // row.train_clips
            changes = {"epochs": epochs} if epochs else {}
            found = runs[row.train_clips].results(row, seed, **changes)
            measured.setdefault(title, []).append(found)
    stamp = next(iter(measured.values()))[0]["stamp"]
    print(f"\n### random: {stamp['seen']['test']} test clips\n")
    print(tabulate(table_rows(measured), headers="keys", tablefmt="github"))


if __name__ == "__main__":
    app.run(main)

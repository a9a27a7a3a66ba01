"""Attention against pooling on tiny_actions: every form, both placements, several seeds.

The clips and the frozen features are the same for all models of a placement; only the seed of the
training differs between runs. Interrupted and started again, it goes on where it was.

Example: python -m benchmarks.attention --output=runs/attention
"""

import json
import pathlib
import statistics

from absl import app, flags
from tabulate import tabulate

from glimpse.demonstration import MODELS, recipe_path
from glimpse.models import create_backbone, load_model
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.training import train
from glimpse.training_flags import read_recipe

_OUTPUT = flags.DEFINE_string("output", "runs/attention", "Folder for everything that is made.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the training.")
_PLACEMENTS = flags.DEFINE_list("placements", ["random", "centre"], "Where the actor stands.")
_EPOCHS = flags.DEFINE_integer("epochs", None, "Default: the recipes'.", lower_bound=1)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object per row in place of the table.")

_GAZE = {
    "attention in actor's box": "mass",
    "uniform share": "uniform",
    "ratio": "mass_over_uniform",
    "on the others": "distractor_mass",
    "pointing": "pointing",
}


def measure(folder, placement, seeds, epochs=None):
    """Returns the results of every model and seed, {model: [evaluation, ...]}."""
    folder = pathlib.Path(folder) / placement
    folder.mkdir(parents=True, exist_ok=True)
    render_tiny_actions(folder / "clips", TinyActionsConfig(placement=placement))
    clips = read_clips(folder / "clips")
    backbone = create_backbone("small")
    index = extract_features(clips, backbone, folder / "features", backbone_name="small")
    truth = {clip.clip_id: clip.truth for clip in clips.clips}
    measured = {}
    for title, recipe in MODELS.items():
        for seed in seeds:
            run = folder / "runs" / f"{recipe}_{seed}"
            changes = {"seed": seed} | ({"epochs": epochs} if epochs else {})
            trained = train(
                index.folder, run, read_recipe(recipe_path(recipe), **changes), resume=True
            )
            results = run / "test.json"
            if not results.exists():
                model = load_model(run / "best.keras")
                evaluated = evaluate(model, index, "test", WindowSampling(**model.sampling), truth)
                evaluated["seed"] = seed
                evaluated["best_epoch"] = trained["best_epoch"]
                with partial_file(results) as partial:
                    partial.write_text(json.dumps(evaluated), encoding="utf-8")
            measured.setdefault(title, []).append(json.loads(results.read_text()))
    return measured


def table_rows(measured):
    """Returns one dict a model: means and sample standard deviations over the seeds."""
    rows = []
    for title, results in measured.items():
        row = {"model": title, "seeds": len(results)}
        for name in ("window_accuracy", "video_accuracy"):
            row[name.replace("_", " ")] = _spread([result[name] for result in results])
        pair = [statistics.mean(r["per_class"][c] for c in ("raise", "lower")) for r in results]
        row["raise and lower"] = _spread(pair)
        for name, key in _GAZE.items():
            values = [result["localisation"][key] for result in results if result["localisation"]]
            row[name] = _spread(values) if values else "-"
        rows.append(row)
    return rows


def _spread(values):
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def main(argv):
    """Measures and prints one table a placement."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    seeds = [int(seed) for seed in _SEEDS.value]
    for placement in _PLACEMENTS.value:
        measured = measure(_OUTPUT.value, placement, seeds, _EPOCHS.value)
        if _JSON.value:
            for title, results in measured.items():
                print(json.dumps({"placement": placement, "model": title, "results": results}))
            continue
        stamp = next(iter(measured.values()))[0]["stamp"]
        print(f"\n### {placement} placement: {stamp['seen']['test']} test videos\n")
        print(tabulate(table_rows(measured), headers="keys", tablefmt="github"))


if __name__ == "__main__":
    app.run(main)

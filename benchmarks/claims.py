"""The papers' claims on tiny_actions: every classifier on the same features, over several seeds.

Each set of clips is rendered and its features extracted once; only the seed of the training differs
between the runs of a row. Whatever is done is kept: started again, it goes on where it was.

- random: the actor stands anywhere. Attention against pooling, lambda 0, 1 and 10, convolutional
  and hierarchical attention (Sharma Table 1, CHAM Tables 1-3).
- centre: the actor stays near the centre.
- temporal: the action fills part of the clip. Temporal attention against the LSTM without it,
  at every step and at the last, T = N and T = 2N, and an ensemble (Torabi Tables 1-5), and how
  well the weights find the frames of the action.

Example: python -m benchmarks.claims --output=runs/claims
"""

import json
import pathlib
import statistics

from absl import app, flags
from tabulate import tabulate

from glimpse.models import create_backbone, load_model
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.late_fusion import fuse
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.published_numbers import RECIPES
from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.training import train
from glimpse.training_flags import read_recipe

_OUTPUT = flags.DEFINE_string("output", "runs/claims", "Folder for everything that is made.")
_SEEDS = flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds of the training.")
_SETS = flags.DEFINE_list("sets", ["random", "temporal"], "Which of random, centre, temporal.")
_EPOCHS = flags.DEFINE_integer("epochs", None, "Default: the recipes'.", lower_bound=1)
_CLIPS = flags.DEFINE_integer("train_clips", None, "Default: the sets'.", lower_bound=1)
_ROWS = flags.DEFINE_list("rows", None, "Titles of the rows to run and print; default: all.")

CONFIGS = {
    "random": TinyActionsConfig,
    "centre": lambda **changes: TinyActionsConfig(placement="centre", **changes),
    "temporal": TinyActionsConfig.for_temporal,
}
_SPATIAL = {
    "soft attention, content": ("soft_attention_content", {}),
    "content, lambda 1": ("soft_attention_content", {"attention_penalty": 1}),
    "content, lambda 10": ("soft_attention_content", {"attention_penalty": 10}),
    "soft attention, state": ("soft_attention_state", {}),
    "conv attention": ("conv_attention", {}),
    "hierarchical conv attention": ("hierarchical_conv_attention", {}),
    "average pooled LSTM": ("average_pooled_lstm", {}),
    "max pooled LSTM": ("max_pooled_lstm", {}),
    "softmax regression": ("softmax_regression", {}),
}
# Title -> (recipe, flags in place of the recipe's).
ROWS = {
    "random": _SPATIAL,
    "centre": _SPATIAL,
    "temporal": {
        "LSTM": ("temporal_lstm", {}),
        "temporal attention": ("temporal_attention", {}),
        "temporal attention, T = 2N": ("temporal_attention", {"attended_frames": 30}),
        "temporal attention, last step": ("temporal_attention_last_step", {}),
        "temporal attention, max pooled": ("temporal_attention", {"pooling": "max"}),
    },
}
# Title -> titles of the members.
ENSEMBLES = {
    "temporal": {
        "T = N, T = 2N and last step": (
            "temporal attention",
            "temporal attention, T = 2N",
            "temporal attention, last step",
        ),
    },
    "random": {
        "content, conv and hierarchical": (
            "soft attention, content",
            "conv attention",
            "hierarchical conv attention",
        )
    },
}
_MEASURES = {
    "localisation": {
        "in actor's box": "mass",
        "x uniform": "mass_over_uniform",
        "on others": "distractor_mass",
    },
    "highlighting": {
        "frame AP": "average_precision",
        "base rate": "base_rate",
        "peak inside": "peak_inside",
        "mass inside": "mass_inside",
    },
}


class ClaimSet:
    """One rendered set, its features and the runs on them.

    Args:
        folder: Where everything of the set lies.
        name: A key of `CONFIGS`.
        train_clips: Clips to train on; None: the set's own number.
    """

    def __init__(self, folder, name, train_clips=None):
        self.folder = pathlib.Path(folder) / name
        self.name = name
        changes = {"train_clips": train_clips} if train_clips else {}
        self.folder.mkdir(parents=True, exist_ok=True)
        render_tiny_actions(self.folder / "clips", CONFIGS[name](**changes))
        clips = read_clips(self.folder / "clips")
        self.truth = {clip.clip_id: clip.truth for clip in clips.clips}
        self.index = extract_features(
            clips, create_backbone("small"), self.folder / "features", backbone_name="small"
        )

    def results(self, recipe, seed, **changes):
        """Trains and evaluates one run, unless that is done; returns the evaluation."""
        named = [f"{name}_{value}" for name, value in changes.items()]
        run = self.folder / "runs" / "_".join([recipe, *named, str(seed)])
        path = run / "test.json"
        if not path.exists():
            recipe_path = RECIPES / f"tiny_actions_{recipe}.flags"
            config = read_recipe(recipe_path, seed=seed, **changes)
            trained = train(self.index.folder, run, config, resume=True)
            model = load_model(run / "best.keras")
            sampling = WindowSampling(**model.sampling)
            evaluated = evaluate(model, self.index, "test", sampling, self.truth)
            evaluated |= {"seed": seed, "parameters": trained["parameters"]}
            write_json(path, evaluated)
        return json.loads(path.read_text(encoding="utf-8"))


def measure(claims, rows, seeds, epochs=None):
    """Returns {title: [result, ...]}, one result a seed, of rows and of the ensembles of them."""
    measured = {}
    for seed in seeds:
        for title, (recipe, changes) in rows.items():
            changes = changes | ({"epochs": epochs} if epochs else {})
            measured.setdefault(title, []).append(claims.results(recipe, seed, **changes))
    for title, members in ENSEMBLES.get(claims.name, {}).items():
        if all(member in measured for member in members):
            by_seed = zip(*(measured[member] for member in members), strict=True)
            measured[f"ensemble: {title}"] = [fuse(list(each), members) for each in by_seed]
    return measured


def table_rows(measured):
    """Returns one dict a title: means and sample standard deviations over the seeds."""
    rows = []
    for title, results in measured.items():
        row = {"model": title, "seeds": len(results)}
        for name, key in (
            ("video accuracy", "video_accuracy"),
            ("mAP", "mean_average_precision"),
        ):
            row[name] = _spread([result[key] for result in results])
        for group, columns in _MEASURES.items():
            for name, key in columns.items():
                found = [result[group][key] for result in results if result.get(group)]
                row[name] = _spread(found) if found else "-"
        rows.append(row)
    # A column that no row of this set fills says nothing.
    return [
        {name: row[name] for name in row if any(other[name] != "-" for other in rows)}
        for row in rows
    ]


def _spread(values):
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"


def main(argv):
    """Measures and prints one table a set."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    for name in _SETS.value:
        if name not in CONFIGS:
            raise app.UsageError(f"--sets: {name!r} is none of {', '.join(CONFIGS)}.")
        rows = {
            title: row for title, row in ROWS[name].items() if title in (_ROWS.value or ROWS[name])
        }
        claims = ClaimSet(_OUTPUT.value, name, _CLIPS.value)
        measured = measure(claims, rows, [int(seed) for seed in _SEEDS.value], _EPOCHS.value)
        stamp = next(iter(measured.values()))[0]["stamp"]
        print(f"\n### {name}: {stamp['seen']['test']} test videos\n")
        print(tabulate(table_rows(measured), headers="keys", tablefmt="github"))


if __name__ == "__main__":
    app.run(main)

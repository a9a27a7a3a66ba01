"""Makes a published number anew: checks the data, extracts, trains, evaluates, and compares."""

import json
import pathlib

import glimpse
from glimpse.caption_flags import read_caption_recipe
from glimpse.models import C3D
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.caption_training import train_captioner
from glimpse.pipelines.data_check import check_data
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.initial_weights import find_initial_model
from glimpse.pipelines.late_fusion import fuse
from glimpse.pipelines.manifest import read_manifest, usable_clips
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.published_numbers import RECIPES
from glimpse.pipelines.recipe_plan import plan_recipe
from glimpse.pipelines.result_file import read_any_results
from glimpse.pipelines.training import train
from glimpse.pipelines.window_sampling import WindowSampling
from glimpse.trained_model import load_backbone
from glimpse.training_flags import read_recipe

RANDOM = "random"
FROM_SCRATCH = "scratch"
# The tables' metrics, and the keys of our results.
_MEASURES = {
    "accuracy": "clip_accuracy",
    "mAP": "mean_average_precision",
    "accuracy of frames": "step_accuracy",
    "BLEU-1": "bleu1",
    "BLEU-2": "bleu2",
    "BLEU-3": "bleu3",
    "BLEU-4": "bleu4",
    "METEOR": "meteor",
}


class Reproduction:
    """The steps of one recipe on one data set; whatever is there already is used again.

    Writes `manifest.jsonl` (`manifest_16_frames.jsonl` where every clip needs as many), `cache/`
    with the features of all recipes, `features/NAME/index.json` and `runs/RECIPE/` with the run
    and `test.json`.

    Args:
        recipe: Name of a published number's recipe, or of an ensemble's.
        clip_set: The `ClipSet`.
        folder: Where everything is written; recipes of one data set share it.
        backbones: {name of features: .keras file, or "random"}.
        changes: Flags of `glimpse train`, or `glimpse train-captioner`, in place of the recipe's,
            {name: value}.
        start: Where the recipes that start from an ActivityNet run find it: a folder that
            `Reproduction` wrote, a run or .keras file, or "scratch" to start from none.
        allow_missing: Clips that may be unusable.
        eval_windows: Windows a clip in evaluation, in place of the recipe's.
        progress: Whether to show progress bars.

    Raises:
        ValueError: If the recipe is unknown or of another data set, or a backbone is not given.
    """

    def __init__(
        self,
        recipe,
        clip_set,
        folder,
        backbones,
        changes=None,
        start=None,
        allow_missing=0,
        eval_windows=None,
        progress=True,
    ):
        self.plan = plan_recipe(recipe)
        if clip_set.protocol != self.plan.dataset:
            raise ValueError(
                f"--recipe={recipe} is of {self.plan.dataset}, the data are of "
                f"{clip_set.protocol or clip_set.name}."
            )
        self.folder = pathlib.Path(folder)
        self._clip_set = clip_set
        self._backbones = dict(backbones)
        self._changes = dict(changes or {})
        self._start = start
        self._allow_missing = allow_missing
        self._eval_windows = eval_windows
        self._progress = progress
        self._check_choices()

    def run(self):
        """Takes all steps; returns the results on the test split."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_data()
        results = [self._run_recipe(plan) for plan in self._plans()]
        if self.plan.members:
            results = fuse(results, list(self.plan.members))
            self._run_folder(self.plan.recipe).mkdir(parents=True, exist_ok=True)
            write_json(self._run_folder(self.plan.recipe) / "test.json", results)
            return results
        return results[0]

    def table(self, results):
        """Returns the paper's numbers beside ours, one dict a number; None where we have none."""
        rows = []
        for number in self.plan.numbers:
            ours = _measured(results, number.metric)
            rows.append(
                {
                    "recipe": number.recipe,
                    "metric": number.metric,
                    "paper's %": float(number.percent),
                    "ours %": None if ours is None else round(100 * ours, 2),
                }
            )
        return rows

    def notes(self):
        """Returns in words what makes our number another than the paper's, besides the seed."""
        notes = [f"{name}={value}" for name, value in sorted(self._changes.items())]
        notes += [f"{n}: random weights" for n, file in self._backbones.items() if file == RANDOM]
        if self._start == FROM_SCRATCH:
            notes.append("started from no other run")
        if self._eval_windows is not None:
            notes.append(f"{self._eval_windows} windows a clip in evaluation")
        lost = sum(self._clip_set.expected.values()) - len(self._usable.clips)
        return notes + ([f"{lost} clips missing or broken"] if lost else [])

    def _plans(self):
        return [plan_recipe(name) for name in self.plan.members] or [self.plan]

    def _check_choices(self):
        """Before hours of work: everything that the recipes need must have been given."""
        needed = {}
        for plan in self._plans():
            for features in plan.needs:
                if features.backbone != "pixels":
                    needed[features.name] = features
            if plan.needs_start:
                self._find_start(plan)
        if self._start is not None and not any(plan.needs_start for plan in self._plans()):
            raise ValueError(f"--start={self._start}: {self.plan.recipe} starts from no other run.")
        if self._eval_windows is not None and self.plan.describes:
            raise ValueError(
                f"--eval_windows={self._eval_windows}: a captioner reads one window a clip; leave "
                "it out."
            )
        missing = sorted(set(needed) - set(self._backbones))
        if missing:
            raise ValueError(
                f"--backbones must name {', '.join(needed)}; missing: {', '.join(missing)}. Give "
                "NAME=FILE.keras, as `glimpse convert` writes it from published weights, or "
                "NAME=random."
            )
        unknown = sorted(set(self._backbones) - set(needed))
        if unknown:
            raise ValueError(
                f"--backbones names {', '.join(unknown)}, which --recipe={self.plan.recipe} does "
                f"not read; it reads {', '.join(needed) or 'none'}."
            )
        for name, file in self._backbones.items():
            if file != RANDOM and not pathlib.Path(file).is_file():
                raise FileNotFoundError(f"--backbones={name}={file}: no such file.")

    def _check_data(self):
        read = {features.backbone for plan in self._plans() for features in plan.needs}
        # A clip of fewer frames than a backbone reads at a time has no features.
        least = C3D.frames_per_input if "c3d" in read else 1
        path = self.folder / f"manifest{'' if least == 1 else f'_{least}_frames'}.jsonl"
        if not path.is_file():
            check_data(self._clip_set, path, min_frames=least, progress=self._progress)
        manifest = read_manifest(path)
        self._usable = usable_clips(self._clip_set, manifest, self._allow_missing)
        self._checked = manifest.hashes(self._usable.clips)
        self._manifest_sha256 = file_sha256(path)

    def _run_recipe(self, plan):
        features = self._extract(plan.features)
        attended = None if plan.attended is None else self._extract(plan.attended)
        changes = dict(self._changes)
        if plan.needs_start:
            changes["initialize_from"] = self._find_start(plan)
        path, run = RECIPES / f"{plan.recipe}.flags", self._run_folder(plan.recipe)
        if plan.describes:
            config = read_caption_recipe(path, **changes)
            train_captioner(features, run, config, resume=True, progress=self._progress)
            return self._evaluate(run, features, attended, plan)
        config = read_recipe(path, **changes)
        train(
            features,
            run,
            config,
            resume=True,
            progress=self._progress,
            attended_features=attended,
        )
        return self._evaluate(run, features, attended, plan)

    def _extract(self, needed):
        folder = self.folder / "features" / needed.name
        name, options = self._backbone_of(needed)
        index = extract_features(
            self._usable,
            load_backbone(name, options),
            folder,
            backbone_name=name,
            backbone_options=options,
            flips=needed.flips,
            cache=self.folder / "cache",
            allow_missing=self._allow_missing,
            manifest_sha256=self._manifest_sha256,
            checked=self._checked,
            progress=self._progress,
        )
        print(f"{needed.name}: {index.seen} of {sum(index.expected_in.values())} clips")
        return folder

    def _backbone_of(self, needed):
        """What `load_backbone` takes for needed features: a name and its options, or a file."""
        given = self._backbones.get(needed.name)
        if given is None:
            return needed.backbone, dict(needed.options)
        if given == RANDOM:
            return needed.backbone, {**needed.options, "weights": None}
        given = str(pathlib.Path(given).resolve())
        found = load_backbone(given)
        known = found.get_config()
        for option, value in needed.options.items():
            if option in known and known[option] != value:
                raise ValueError(
                    f"--backbones={needed.name}={given}: has {option}={known[option]!r}, the "
                    f"recipe reads {option}={value!r}."
                )
        return given, {}

    def _find_start(self, plan):
        """What `--initialize_from` gets: the run of the same model on ActivityNet, or nothing."""
        if self._start is None:
            raise ValueError(
                f"--recipe={plan.recipe} starts from {self._start_wanted(plan)}: name it with "
                f"--start, or --start={FROM_SCRATCH} to start from none."
            )
        if self._start == FROM_SCRATCH:
            return ""
        runs = pathlib.Path(self._start) / "runs"
        if plan.starts_from and runs.is_dir():
            return str((runs / plan.starts_from).resolve())
        find_initial_model(self._start)
        return str(self._start)

    def _start_wanted(self, plan):
        if plan.starts_from:
            return f"the --output of `glimpse reproduce --recipe={plan.starts_from}`"
        return "weights that its comments name, a run or a .keras file"

    def _evaluate(self, run, features, attended, plan):
        path = run / "test.json"
        made_from = {
            "weights_sha256": file_sha256(run / "best.keras"),
            "eval_windows": self._eval_windows,
            "glimpse": glimpse.__version__,
        }
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")).get("of") == made_from:
            return read_any_results(path)
        model = glimpse.load_model(str(run / "best.keras"))
        sampling = dict(model.sampling)
        if self._eval_windows is not None:
            sampling["eval_windows"] = self._eval_windows
        measured = (model, FeatureIndex.load(features), "test", WindowSampling(**sampling))
        if plan.describes:
            results = evaluate_captioner(*measured, progress=self._progress)
        else:
            results = evaluate(
                *measured,
                attended_index=None if attended is None else FeatureIndex.load(attended),
                progress=self._progress,
            )
        write_json(path, {**results, "of": made_from})
        return read_any_results(path)

    def _run_folder(self, recipe):
        return self.folder / "runs" / recipe


def _measured(results, metric):
    """Our number for a metric of the tables, a fraction, or None."""
    if metric in _MEASURES:
        return results.get(_MEASURES[metric])
    if not metric.startswith("AP of "):
        return None
    wanted = _letters(metric.removeprefix("AP of "))
    for name, value in results["per_class_average_precision"].items():
        # The table shortens the names of two classes: diving_springboard_3m is "Spring board".
        if _letters(name).removeprefix("diving").startswith(wanted):
            return value
    return None


def _letters(name):
    return "".join(letter for letter in name.lower() if letter.isalnum())

"""The steps of `glimpse demo`, each of which goes on where it was interrupted."""

import functools
import json
import pathlib
import subprocess
import sys

from tabulate import tabulate

import glimpse
from glimpse.caption_demonstration import CAPTIONER, CaptionDemonstration
from glimpse.exports import export_classifier
from glimpse.models import create_backbone, load_model
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.explanation import explain
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.training import train
from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.training_flags import read_recipe

# Row title -> recipe. The first is the one that is exported and explained.
MODELS = {
    "soft attention, content": "soft_attention_content",
    "soft attention, state": "soft_attention_state",
    "average pooled LSTM": "average_pooled_lstm",
    "max pooled LSTM": "max_pooled_lstm",
    "softmax regression": "softmax_regression",
}
_ATTENDING = ("soft attention, content", "soft attention, state")
_SMALL_CLIPS = {"train_clips": 48, "val_clips": 16, "test_clips": 16}
_SHOWN_CLIPS = 3


class Demonstration:
    """The main job from video files to pictures, in one folder.

    Args:
        folder: Where everything goes.
        seed: Seed of the clips, and of the training.
        placement: `"random"` or `"centre"`.
        small: Whether to take few clips and two epochs, to see the machinery only.
        captioner: Weights of the zoo, or a `.keras` file, that describe the clips.
    """

    def __init__(self, folder, seed=0, placement="random", small=False, captioner=CAPTIONER):
        self.folder = pathlib.Path(folder)
        self.captioner = captioner
        self.seed = seed
        self.small = small
        clips = _SMALL_CLIPS if small else {}
        self.config = TinyActionsConfig(seed=seed, placement=placement, **clips)
        self.clips = self.folder / "clips"
        self.features = self.folder / "features"
        self.export = self.folder / "export"
        self.pictures = self.folder / "pictures"

    def steps(self):
        """Returns the steps as (title, function), in order."""
        training = [
            (f"Training: {title}", functools.partial(self.train, title)) for title in MODELS
        ]
        return [
            ("Rendering tiny_actions into video files", self.render),
            ("Extracting features with the `small` backbone", self.extract),
            *training,
            ("Evaluating on the test split", self.evaluate),
            ("Exporting the soft attention model", self.write_export),
            ("Asking the SavedModel in a process that cannot import glimpse", self.ask_saved_model),
            ("Drawing where the models looked", self.draw),
            ("Describing the test clips in words", lambda: self.captions.measure()),
            ("Drawing where the captioner looked, word by word", lambda: self.captions.describe()),
            ("Exporting the captioner", lambda: self.captions.write_export()),
            ("Asking its SavedModel in a process that cannot import glimpse", self.ask_captioner),
        ]

    def render(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        summary = render_tiny_actions(self.clips, self.config)
        print(", ".join(f"{count} {split}" for split, count in summary["counts"].items()), "clips")

    def extract(self):
        index = extract_features(
            self._clip_set, self._backbone, self.features, backbone_name="small"
        )
        print(f"{index.seen} of {index.expected} clips, {len(index.failed)} failed")

    def train(self, title):
        changes = {"seed": self.seed, **({"epochs": 2} if self.small else {})}
        config = read_recipe(recipe_path(MODELS[title]), **changes)
        results = train(self.features, self.run(title), config, resume=True)
        best = results["best"]["val_accuracy"]
        print(f"best epoch {results['best_epoch'] + 1}: {best:.3f} of validation windows")

    def run(self, title):
        """Returns the folder of a model's run."""
        return self.folder / "runs" / MODELS[title]

    def evaluate(self):
        truth = {clip.clip_id: clip.truth for clip in self._clip_set.clips}
        index = FeatureIndex.load(self.features)
        for title in MODELS:
            path, weights = self._results_path(title), self.run(title) / "best.keras"
            made_from = file_sha256(weights)
            if path.exists() and self.results(title)["weights_sha256"] == made_from:
                continue
            model = load_model(str(weights))
            results = evaluate(model, index, "test", WindowSampling(**model.sampling), truth)
            write_json(path, {**results, "weights_sha256": made_from})

    def results(self, title):
        """Returns the evaluation of one model, as written by `evaluate`."""
        return json.loads(self._results_path(title).read_text(encoding="utf-8"))

    def write_export(self):
        title = next(iter(MODELS))
        best = self.run(title) / "best.keras"
        source = self.export / "source.json"
        made_from = {"weights_sha256": file_sha256(best), "glimpse": glimpse.__version__}
        if self._saved_model.is_dir():
            if source.is_file() and json.loads(source.read_text(encoding="utf-8")) == made_from:
                print("already exported from these weights")
                return
            raise ValueError(f"{self._saved_model} was made from other weights: remove it.")
        # Before the export: a demo that is killed between the two goes on.
        self.export.mkdir(parents=True, exist_ok=True)
        write_json(source, made_from)
        report = export_classifier(
            load_model(str(best)), self.export, name="soft_attention", backbone=self._backbone
        )
        for name, difference in report.differences.items():
            print(f"{name}: differs from the Keras model by at most {difference:.1e}")

    def ask_saved_model(self):
        clip = self._shown_clips()[0]
        # The first window, as the pictures show it.
        sampling = load_model(str(self.export / "model.keras")).sampling
        flags = [
            f"--{name}={sampling[name]}"
            for name in ("num_frames", "frames_per_second")
            if sampling[name] is not None
        ]
        answer = _ask(self._saved_model, clip, *flags)
        print(f"{clip.path}\n  true label: {self._label(clip)}")
        for label, score in zip(answer["labels"], answer["scores"], strict=True):
            print(f"  {label:<10} {score:.3f}")
        write_json(self.folder / "saved_model_answer.json", {"video": clip.path, **answer})

    def ask_captioner(self):
        clip = self._shown_clips()[0]
        answer = _ask(self.captions.saved_model, clip)
        print(f"{clip.path}\n  truth: {clip.truth['captions'][0]}")
        for text, score in zip(answer["captions"], answer["scores"], strict=True):
            print(f"  {score:7.2f}  {text}")
        write_json(self.folder / "saved_model_captions.json", {"video": clip.path, **answer})

    def draw(self):
        clips = self._shown_clips()
        answerers = {
            title: VideoAnswerer(load_model(str(self.run(title) / "best.keras")), self._backbone)
            for title in _ATTENDING
        }
        gazes = [
            answerer.gaze(clip.path, clip.truth, self._label(clip), model_name=title)
            for clip in clips
            for title, answerer in answerers.items()
        ]
        paths = [clip.path for clip in clips]
        title = f"tiny_actions, {self.config.placement} placement: where the models looked"
        explain(gazes, self.pictures, paths, title=title, table=self.rows())

    def rows(self):
        """Returns the table of results, one dict a model; None where a model has no gaze."""
        rows = []
        for title in MODELS:
            results = self.results(title)
            gaze = results["localisation"] or {}
            rows.append(
                {
                    "model": title,
                    "accuracy of windows": round(results["window_accuracy"], 3),
                    "accuracy of videos": round(results["video_accuracy"], 3),
                    "attention in actor's box": _rounded(gaze.get("mass")),
                    "uniform share": _rounded(gaze.get("uniform")),
                    "ratio": _rounded(gaze.get("mass_over_uniform"), 1),
                    "attention on others": _rounded(gaze.get("distractor_mass")),
                }
            )
        return rows

    def table(self):
        """Returns the table of results as text."""
        rows = [{name: "-" if v is None else v for name, v in row.items()} for row in self.rows()]
        return tabulate(rows, headers="keys")

    def notes(self):
        """Returns what a reader of the table has to know."""
        classes = len(self._clip_set.label_names)
        results = self.results(next(iter(MODELS)))
        notes = [
            f"Test split: {results['stamp']['seen']['test']} videos, "
            f"{results['stamp']['sampling']['windows']} windows, {classes} classes, chance "
            f"{1 / classes:.3f}. All models read the same features. `ratio` is the attention in "
            "the actor's box over its share of the frame's area.",
        ]
        notes.append(self.captions.summary())
        if self.small:
            notes.append("--small: trained on few clips for two epochs; these figures mean little.")
        return "\n".join(notes)

    def paths(self):
        """Returns the paths of what was written, by name."""
        return {
            "video files": self.clips,
            "features": self.features,
            "runs": self.folder / "runs",
            "Keras model": self.export / "model.keras",
            "SavedModel": self._saved_model,
            "film strip": self.pictures / "film_strip.png",
            "page": self.pictures / "gaze.html",
            **{f"overlay {i + 1}": p for i, p in enumerate(sorted(self.pictures.glob("*.mp4")))},
            **self.captions.paths(),
        }

    def summary(self):
        """Returns everything that was measured, with stamps."""
        return {
            "rows": self.rows(),
            "evaluations": {title: self.results(title) for title in MODELS},
            "captions": self.captions.results,
            "paths": {name: str(path) for name, path in self.paths().items()},
        }

    @property
    def _saved_model(self):
        return self.export / "soft_attention" / "1"

    @functools.cached_property
    def captions(self):
        """The `CaptionDemonstration` of the clips, once they are rendered."""
        return CaptionDemonstration(
            self.folder, self.features, self._clip_set, self._shown_clips(), self.captioner
        )

    @functools.cached_property
    def _clip_set(self):
        return read_clips(self.clips)

    @functools.cached_property
    def _backbone(self):
        return create_backbone("small")

    def _results_path(self, title):
        return self.run(title) / "test.json"

    def _label(self, clip):
        return self._clip_set.label_names[clip.label]

    def _shown_clips(self):
        """The first test clips of different classes: chosen by number, not by their looks."""
        test = self._clip_set.in_split("test")
        first = {clip.label: clip for clip in reversed(test)}
        return [first[label] for label in sorted(first)][:_SHOWN_CLIPS]


def _ask(saved_model, clip, *arguments):
    """Returns what a SavedModel answers for a clip in a process that cannot import glimpse."""
    script = pathlib.Path(glimpse.exports.__file__).parent / "answer_saved_model.py"
    command = [sys.executable, "-I", str(script), str(saved_model), clip.path, *arguments]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode:
        raise RuntimeError(f"{script}: {asked.stderr.strip().splitlines()[-1:]}")
    return json.loads(asked.stdout)


def recipe_path(name):
    """Returns the flag file of a recipe for tiny_actions."""
    return (
        pathlib.Path(glimpse.pipelines.__file__).parent / "recipes" / f"tiny_actions_{name}.flags"
    )


def _rounded(value, digits=3):
    return None if value is None else round(value, digits)


__all__ = ["MODELS", "Demonstration", "recipe_path"]

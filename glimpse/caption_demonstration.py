"""The captions' part of `glimpse demo`: what a captioner of the zoo says of the demo's clips."""

import functools
import json

import glimpse
from glimpse.exports import export_captioner
from glimpse.models import VideoDescriber, load_model
from glimpse.models.weights_card import file_sha256, read_cards
from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.caption_evaluation import evaluate_captioner
from glimpse.pipelines.caption_explanation import explain_captions
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.window_sampling import WindowSampling

CAPTIONER = "captioner_small.tiny_actions"


class CaptionDemonstration:
    """A trained captioner's sentences, their truth, and where it looked for each word.

    The captioner is trained already: that takes longer than a demo may.

    Args:
        folder: Where the demo's files go.
        features: Folder of the demo's features.
        clip_set: The `ClipSet` of the demo.
        shown: Those of its test clips that are shown.
        weights: Weights of the zoo, or a `.keras` file of a `VideoDescriber`.
    """

    def __init__(self, folder, features, clip_set, shown, weights=CAPTIONER):
        self.features = features
        self.clip_set = clip_set
        self.shown = shown
        self.weights = weights
        self.export = folder / "caption_export"
        self.pictures = folder / "caption_pictures"
        self._results_path = folder / "captions.json"

    def measure(self):
        """Describes all test clips from their features and prints how many sentences are right."""
        made_from = self._weights_sha256
        if not self._results_path.exists() or self.results["weights_sha256"] != made_from:
            captioner = self._describer.captioner
            truth = {clip.clip_id: clip.truth for clip in self.clip_set.clips}
            results = evaluate_captioner(
                captioner,
                FeatureIndex.load(self.features),
                "test",
                WindowSampling(**captioner.sampling),
                truth,
            )
            write_json(self._results_path, {**results, "weights_sha256": made_from})
        print(self.summary())

    def describe(self):
        """Describes the shown clips from their files, prints and draws it."""
        gazes = []
        for clip in self.shown:
            answer = self._answerer.answer(clip.path)
            gazes.append(self._answerer.look(answer, clip.truth, model_name=self._name))
            print(clip.path)
            print(f"  says   {gazes[-1].text}  (score {gazes[-1].score:.2f})")
            for text in gazes[-1].references:
                print(f"  truth  {text}")
            for note in answer.notes:
                print(f"  note: {note}")
        explain_captions(gazes, self.pictures, [clip.path for clip in self.shown])

    def write_export(self):
        """Exports the captioner, unless this was done from the same weights."""
        source = self.export / "source.json"
        made_from = {"weights_sha256": self._weights_sha256, "glimpse": glimpse.__version__}
        if self.saved_model.is_dir():
            if source.is_file() and json.loads(source.read_text(encoding="utf-8")) == made_from:
                print("already exported from these weights")
                return
            raise ValueError(f"{self.saved_model} was made from other weights: remove it.")
        # Before the export: a demo that is killed between the two goes on.
        self.export.mkdir(parents=True, exist_ok=True)
        write_json(source, made_from)
        report = export_captioner(self._describer, self.export, name="captioner")
        for name, difference in report.differences.items():
            print(f"{name}: differs from the Keras model by at most {difference:.1e}")

    def summary(self):
        """Returns in a few lines how good the sentences are."""
        results = self.results
        right = results["sentence_accuracy"]
        lines = [
            f"{self._name}: {right:.3f} of the sentences on {len(results['clips'])} test clips are "
            f"right word for word, BLEU-4 {results['bleu4']:.3f}."
        ]
        colour = results["colour_word"]
        if colour is not None:
            lines.append(
                f"At the word of the actor's colour {colour['mass']:.3f} of the attention lies on "
                f"the actor, {colour['mass_over_uniform']:.1f} times its share of the frames."
            )
        return "\n".join(lines)

    def paths(self):
        """Returns the paths of what was written, by name."""
        strips = sorted(self.pictures.glob("*.png"))
        return {
            "captions": self._results_path,
            "caption SavedModel": self.saved_model,
            **{f"caption strip {i + 1}": path for i, path in enumerate(strips)},
            "caption page": self.pictures / "captions.html",
        }

    @property
    def saved_model(self):
        return self.export / "captioner" / "1"

    @property
    def results(self):
        """The evaluation, as written by `measure`."""
        return json.loads(self._results_path.read_text(encoding="utf-8"))

    @property
    def _name(self):
        return str(self.weights).replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".keras")

    @functools.cached_property
    def _describer(self):
        model = load_model(self.weights)
        if not isinstance(model, VideoDescriber):
            raise ValueError(f"{self.weights} holds a {type(model).__name__}, no VideoDescriber.")
        return model

    @functools.cached_property
    def _answerer(self):
        return VideoCaptionAnswerer(self._describer, min_words=1)

    @property
    def _weights_sha256(self):
        cards = read_cards()
        if self.weights in cards:
            return cards[self.weights].sha256
        return file_sha256(self.weights)

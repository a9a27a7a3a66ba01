"""Writes what the tests in tests/addons compare: SavedModels, and what glimpse answers.

    python -m tests.addons_cases FOLDER

They run in an environment of their own, where glimpse cannot be imported; see the Makefile.
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf

import glimpse
from glimpse.exports import export_captioner, export_classifier
from glimpse.exports.served_captioner import ServedCaptioner
from glimpse.exports.served_classifier import ServedClassifier
from glimpse.models import VideoCaptioner

_WORDS = "a the red blue figure walks waves sits near tree".split()
_VOCABULARY = ["<pad>", "<start>", "<end>", "<unk>", *_WORDS]
_SIZES = {"units": 12, "embedding_dim": 6, "max_words": 8, "beam_width": 3}
CAPTIONERS = {
    "state": {},
    "content": {"attention": "content", "attention_units": 7, "deep_output": "reference"},
}
CLIPS = 40
WIDTHS = (1, 3, 6)
LENGTH_PENALTIES = (0.0, 0.6)


def write_cases(folder):
    folder.mkdir(parents=True, exist_ok=True)
    backbone = glimpse.create_backbone("small")
    for seed, (name, more) in enumerate(CAPTIONERS.items()):
        shape = (2, 7, 7, 64) if name == "state" else (2, 2, 2, 5)
        captioner = VideoCaptioner(_VOCABULARY, **_SIZES, **more)
        captioner.build((None, *shape), (None, None))
        _randomise(captioner, seed)
        # One of them also has the signatures on frames and JPEG files.
        own = backbone if name == "state" else None
        options = {"length_penalty": 0.6}
        report = export_captioner(captioner, folder / name, "model", backbone=own, **options)
        _write_answers(ServedCaptioner(captioner, own, **options), report, folder / name)
        _write_searches(captioner, shape, seed, folder / name)
    classifier = glimpse.create_model("soft_attention_small", num_classes=3, depth=1, units=12)
    classifier(np.zeros((1, 2, 7, 7, 64), "float32"))
    _randomise(classifier, len(CAPTIONERS))
    report = export_classifier(classifier, folder / "classifier", "model", backbone=backbone)
    _write_answers(ServedClassifier(classifier, backbone, None), report, folder / "classifier")


def _randomise(model, seed):
    """Weights so large that clips differ in their captions, and some words are certain."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        if "float" in weight.dtype:
            weight.assign(generator.normal(scale=0.7, size=weight.shape))


def _write_searches(captioner, shape, seed, folder):
    features = np.random.default_rng(seed).normal(size=(CLIPS, *shape)).astype("float32")
    arrays = {"features": features}
    for width in WIDTHS:
        for penalty in LENGTH_PENALTIES:
            found = captioner.beam_search(features, beam_width=width, length_penalty=penalty)
            for name in ("token_ids", "scores"):
                arrays[f"{name} {width} {penalty}"] = np.asarray(found[name])
    np.savez(folder / "searches.npz", **arrays)
    vocabulary = captioner.vocabulary
    settings = {
        "widths": WIDTHS,
        "length_penalties": LENGTH_PENALTIES,
        "max_words": captioner.max_words,
        "start": vocabulary.start_token_id,
        "end": vocabulary.end_token_id,
        "never_said": [
            vocabulary.padding_token_id,
            vocabulary.start_token_id,
            vocabulary.unknown_token_id,
        ],
    }
    (folder / "settings.json").write_text(json.dumps(settings))


def _write_answers(served, report, folder):
    """The inputs of each signature and the SavedModel's outputs here, strings as bytes."""
    served.answer_in_memory()
    loaded = tf.saved_model.load(report.saved_model_path)
    arrays = {}
    for signature, inputs in served.inputs.items():
        inputs = {name: _without_objects(array) for name, array in inputs.items()}
        outputs = loaded.signatures[signature.name](
            **{name: tf.constant(array) for name, array in inputs.items()}
        )
        arrays |= {f"{signature.name} takes {name}": array for name, array in inputs.items()}
        arrays |= {
            f"{signature.name} answers {name}": _without_objects(array.numpy())
            for name, array in outputs.items()
        }
    np.savez(folder / "answers.npz", **arrays)


def _without_objects(array):
    return np.array(array, dtype="S") if array.dtype.kind in "OS" else array


if __name__ == "__main__":
    write_cases(pathlib.Path(sys.argv[1]))

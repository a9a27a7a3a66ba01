"""The parity gate: what it lets through, what it stops, and what is left on the disk then."""

import os

import keras
import numpy as np
import pytest

from glimpse.exports import (
    ParityError,
    export_classifier,
    saved_model,
    served_classifier,
    signatures,
    trial_inputs,
)
from glimpse.exports.served_classifier import ServedClassifier
from glimpse.models import create_model

SIZES = {"map_height": 2, "map_width": 2, "features": 3}
[ATTENDING] = signatures.classifier_signatures(takes_frames=False, attends=True)


def make_classifier(name="softmax_regression", **options):
    keras.utils.set_random_seed(1)
    classifier = create_model(name, 4, **options)
    classifier(np.zeros((1, 2, 2, 2, 3), "float32"))
    return classifier


def tampered(weight_index):
    """A stand-in for `without_optimizer` that changes one number of the copy's weights."""
    original = served_classifier.without_optimizer

    def copy(model):
        changed = original(model)
        weight = changed.trainable_variables[weight_index]
        values = keras.ops.convert_to_numpy(weight).copy()
        values.flat[0] += 1e-2
        weight.assign(values)
        return changed

    return copy


def test_an_honest_export_passes(tmp_path):
    report = export_classifier(make_classifier("soft_attention_small", units=5), tmp_path)
    assert set(report.differences) == {
        *(f"model.keras/{name}" for name in ("probabilities", "logits", "attention_weights")),
        *(f"model.keras/{name}" for name in ("step_probabilities", "step_logits")),
        *(f"classify_features/{name}" for name in ("probabilities", "scores", "attention")),
    }
    keras_file = [value for name, value in report.differences.items() if "model.keras" in name]
    assert max(keras_file) == 0
    assert max(report.differences.values()) <= 1e-5


@pytest.mark.slow
def test_a_changed_keras_file_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(served_classifier, "without_optimizer", tampered(0))
    with pytest.raises(ParityError, match=r"\.keras file.*`probabilities`.*largest difference"):
        export_classifier(make_classifier(), tmp_path / "out")
    assert os.listdir(tmp_path / "out") == []


def test_a_changed_saved_model_is_stopped(tmp_path, monkeypatch):
    original = saved_model._write_saved_model

    def write_tampered(graph, *rest):
        graph._classifier = tampered(1)(graph._classifier)
        original(graph, *rest)

    monkeypatch.setattr(saved_model, "_write_saved_model", write_tampered)
    out = tmp_path / "out"
    with pytest.raises(
        ParityError, match=r"classify_features answers `(scores|probabilities)`.*allowed 1e-05"
    ):
        export_classifier(make_classifier(), out)
    assert os.listdir(out) == []


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_stopped(tmp_path, monkeypatch):
    original = saved_model._write_saved_model

    def write_damaged(graph, declared, sizes, path):
        original(graph, declared, sizes, path)
        (path / "saved_model.pb").write_bytes(b"not a SavedModel")

    monkeypatch.setattr(saved_model, "_write_saved_model", write_damaged)
    with pytest.raises(ParityError, match="saved_model cannot be read in a fresh process"):
        export_classifier(make_classifier(), tmp_path)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_export_leaves_the_last_one_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "check_parity", lambda *_: {})
    first = export_classifier(make_classifier(), tmp_path, name="served")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(saved_model, "check_parity", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_classifier(make_classifier(), tmp_path, name="served", version=2)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    assert os.listdir(first.saved_model_path.parent) == ["1"]


def test_a_model_that_answers_nan_is_not_exported(tmp_path):
    classifier = make_classifier()
    classifier.trainable_variables[0].assign(np.full((12, 4), np.nan))
    with pytest.raises(ParityError, match="`probabilities` not finite"):
        export_classifier(classifier, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def answers():
    """A model's answer, and the answer of a SavedModel that agrees with it."""
    probabilities = np.array([[0.5, 0.2, 0.3], [0.1, 0.6, 0.3]])
    maps = np.full((2, 1, 2, 2), 0.25)
    expected = {"probabilities": probabilities, "attention_weights": maps}
    received = {
        "classify_features/probabilities": probabilities.astype("float32"),
        "classify_features/scores": np.array([[0.5, 0.3], [0.6, 0.3]], "float32"),
        "classify_features/labels": np.array([[b"a", b"c"], [b"b", b"c"]]),
        "classify_features/attention": maps.astype("float32"),
    }
    return expected, received


def compare(expected, received):
    classifier = make_classifier("soft_attention_small", units=5, label_names=["a", "b", "c", "d"])
    served = ServedClassifier(classifier)
    served._answers = {"classify_features": expected}
    names = [output.name for output in ATTENDING.outputs]
    return served.compare(
        ATTENDING, {name: received.get(f"classify_features/{name}") for name in names}
    )


def test_agreeing_answers_are_measured():
    differences = compare(*answers())
    assert set(differences) == {
        "classify_features/probabilities",
        "classify_features/scores",
        "classify_features/attention",
    }
    assert 0 < max(differences.values()) < 1e-7


@pytest.mark.parametrize(
    ("output", "change", "words"),
    [
        ("probabilities", lambda value: value + 2e-5, "`probabilities`.*2.01e-05, allowed 1e-05"),
        ("probabilities", lambda value: value * np.nan, "`probabilities`.*nan"),
        ("scores", lambda value: value[:, ::-1], "`scores`"),
        ("attention", lambda value: value[..., :1], "`attention`.*inf"),
        ("labels", lambda value: value[:, ::-1], "`labels`.*off by 0.2"),
        ("labels", lambda value: value[:, [0, 0]], "answers labels"),
        ("labels", lambda value: np.char.add(value, b"x"), "answers labels"),
    ],
)
def test_differing_answers_are_stopped(output, change, words):
    expected, received = answers()
    received[f"classify_features/{output}"] = change(received[f"classify_features/{output}"])
    with pytest.raises(ParityError, match=words):
        compare(expected, received)


def test_a_missing_output_is_stopped():
    expected, received = answers()
    del received["classify_features/attention"]
    with pytest.raises(ParityError, match="`attention`.*inf"):
        compare(expected, received)


def test_inputs_are_the_same_every_time_and_of_every_kind():
    first, second = (trial_inputs.random_inputs(SIZES) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
    assert first["jpeg_bytes"].shape == (2, 3)
    assert first["jpeg_bytes"][0, 0].startswith(b"\xff\xd8\xff")
    assert first["frames"].dtype == np.uint8 and first["frames"].std() > 30
    assert first["features"].shape == (2, 3, 2, 2, 3)
    assert trial_inputs.random_inputs({**SIZES, "frames": 5})["frames"].shape[:2] == (2, 5)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Training runs of captioners: they learn, repeat, resume to the same bits and count captions."""

import csv
import dataclasses
import json

import keras
import numpy as np
import pytest

from glimpse.models import load_model
from glimpse.pipelines import caption_training
from glimpse.pipelines.caption_config import CaptionConfig
from glimpse.pipelines.caption_training import train_captioner
from tests.caption_features import COLOURS, make_caption_features

CONFIG = CaptionConfig(
    model="captioner_small",
    model_options={
        "units": 12,
        "embedding_dim": 6,
        "attention_units": 6,
        "dropout": 0.2,
        "encoder": None,
    },
    epochs=3,
    batch_size=16,
    learning_rate=0.02,
    schedule="cosine",
    clip_norm=10.0,
    attention_penalty=0.01,
    max_words=10,
    beam_width=2,
    num_frames=3,
    spread_over=9,
    seed=7,
)
FILES = ("config.json", "log.csv", "best.keras", "last.keras", "state.npz", "results.json")


def one_long(clip, number, captions):
    """Adds a caption without a word; the third ones of most clips have 10 words or more."""
    return captions if number != 1 else (*captions, " . ")


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    make_caption_features(folder, one_long)
    return folder


@pytest.fixture(scope="module")
def finished(features, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, train_captioner(features, run, CONFIG, progress=False)


def weights(path):
    return [np.asarray(weight) for weight in keras.saving.load_model(path).weights]


def log(run):
    rows = list(csv.DictReader((run / "log.csv").open()))
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def assert_same_run(one, other):
    assert log(one) == log(other)
    for name in ("best.keras", "last.keras"):
        for ours, theirs in zip(weights(one / name), weights(other / name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_run_leaves_everything_behind(finished):
    run, results = finished
    assert all((run / name).is_file() for name in FILES)
    assert not list(run.rglob("*.partial*"))
    assert json.loads((run / "results.json").read_text()) == results
    assert {"loss", "word_accuracy", "val_loss", "val_word_accuracy", "val_bleu4"} <= set(
        results["best"]
    )
    assert results["best"]["val_bleu4"] == max(float(row["val_bleu4"]) for row in log(run))
    assert results["stamp"]["metric"].startswith("BLEU-4")
    assert results["stamp"]["pooling"] == (
        "words of tokenize_caption, the best of 2 beams, length penalty 0"
    )


def test_the_results_count_the_captions(finished):
    counts = finished[1]["captions"]
    # Clips 1, 4, 7 and 10 have a long one, and 2, 5, 8 and 11 a longer one.
    assert counts["train"]["long_captions"] == 8 and counts["train"]["empty_captions"] == 1
    assert counts["train"]["captions"] == 36 - 8 and counts["train"]["clips"] == 12
    assert counts["val"]["clips"] == 6 and counts["train"]["unknown_words"] == 0
    assert counts["train"]["black_clips"] == 0


def test_the_model_answers_by_itself(finished):
    model = load_model(finished[0] / "best.keras")
    assert model.vocabulary.tokens[:4] == ("<pad>", "<start>", "<end>", "<unk>")
    assert set(model.vocabulary.tokens[4:6]) == {"dog", "a"}
    assert model.sampling["num_frames"] == 3 and model.sampling["spread_over"] == 9
    assert (model.max_words, model.beam_width) == (10, 2)
    ((best, *_),) = model.caption(np.zeros((1, 3, 2, 3, 4), "float32"))
    assert set(best.words) <= set(model.vocabulary.tokens[4:])


# With no epoch done it is another run of the same seed.
@pytest.mark.parametrize("epochs", [0, 2])
def test_an_interrupted_run_resumes_to_the_same_bits(
    features, finished, tmp_path, monkeypatch, epochs
):
    class Interruption(caption_training.RunCheckpoint):
        def on_train_batch_end(self, number, logs=None):
            if len(self.history) == epochs and number == 1:
                raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(caption_training, "RunCheckpoint", Interruption)
        with pytest.raises(KeyboardInterrupt):
            train_captioner(features, run, CONFIG, progress=False)
    assert not (run / "results.json").exists()
    results = train_captioner(features, run, CONFIG, resume=True, progress=False)
    assert_same_run(finished[0], run)
    assert results["best_epoch"] == finished[1]["best_epoch"]


def test_a_finished_run_is_returned_and_no_other_takes_its_place(features, finished):
    run, results = finished
    assert train_captioner(features, run, CONFIG, resume=True, progress=False) == results
    with pytest.raises(ValueError, match="already holds a run"):
        train_captioner(features, run, CONFIG, progress=False)
    other = dataclasses.replace(CONFIG, min_count=2)
    with pytest.raises(ValueError, match="was made with min_count=1, now it is 2"):
        train_captioner(features, run, other, resume=True, progress=False)


def test_other_captions_are_another_run(finished, tmp_path):
    make_caption_features(tmp_path, lambda clip, number, captions: captions[:2])
    with pytest.raises(ValueError, match="was made with captions_sha256="):
        train_captioner(tmp_path, finished[0], CONFIG, resume=True, progress=False)


@pytest.mark.slow
def test_early_stopping_by_the_loss(features, tmp_path):
    config = dataclasses.replace(
        CONFIG, monitor="loss", early_stopping=1, epochs=9, learning_rate=5.0, clip_norm=1.0
    )
    results = train_captioner(features, tmp_path / "run", config, progress=False)
    assert "val_bleu4" not in results["best"]
    assert results["epochs"] < 9 and results["best_epoch"] == results["epochs"] - 2
    assert results["stamp"]["pooling"] == "teacher forcing"


def of_four_words(clip, number, captions):
    """BLEU-4 asks for four words; without a length penalty the search prefers the shortest."""
    colour = COLOURS[clip.label]
    return f"the dog is {colour}", f"a {colour} dog runs"


@pytest.mark.slow
def test_training_learns_to_say_what_is_there(tmp_path):
    make_caption_features(tmp_path / "features", of_four_words, counts=(90, 30, 3))
    sizes = {"units": 32, "embedding_dim": 16, "attention_units": 16, "dropout": 0.0}
    options = {**CONFIG.model_options, **sizes}
    config = dataclasses.replace(
        CONFIG, epochs=4, batch_size=6, attention_penalty=0.0, model_options=options
    )
    results = train_captioner(tmp_path / "features", tmp_path / "run", config, progress=False)
    # The mark that tells the colour is in one of six regions.
    assert results["best"]["val_bleu4"] > 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "soft_attention_small"}, "--model=soft_attention_small: is no captioner"),
        ({"model": "captioner_smal"}, "Unknown model 'captioner_smal'. Nearest: captioner_small"),
        ({"model_options": {"unts": 3}}, "--model_options: captioner_small takes no"),
        ({"model_options": {"beam_width": 3}}, "--model_options: captioner_small takes no"),
        ({"max_words": 2}, "no caption to take"),
        ({"min_count": 10**6}, "no word stands 1000000 times"),
        ({"flips": True}, "extract them with --flips"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(features, tmp_path, change, words):
    config = dataclasses.replace(CONFIG, **change)
    with pytest.raises(ValueError, match=words):
        train_captioner(features, tmp_path / "run", config, progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("beam_width", 0), ("max_words", 1), ("min_count", 0), ("seed", -1),
        ("learning_rate", 0.0), ("monitor", "accuracy"), ("sampling_rule", "blocks"),
        ("loss_normalization", "sum"), ("optimizer", "sgd"), ("spread_over", 2),
        ("attention_penalty_reduction", "mean"), ("frames_per_second", 0.0),
    ],
)  # fmt: skip
def test_choices_out_of_range_are_refused_by_their_flag(name, value):
    with pytest.raises(ValueError, match=f"--{name}"):
        CaptionConfig(**{name: value})


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

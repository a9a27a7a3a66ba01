"""What the zoo ships of a run: one file that reads frames, and its card."""

import json

import keras
import numpy as np
import pytest

import glimpse
from glimpse.models import SmallBackbone, VideoCaptioner
from glimpse.models.weights_card import WeightsCard, file_sha256
from glimpse.pipelines.publication import publish
from tests.small_captioner import VOCABULARY

NAME = "captioner_small.made_up"
SAMPLING = {"num_frames": 2, "frames_per_second": None}
STAMP = {
    "dataset": "made_up",
    "split_hash": "5" * 64,
    "sampling": SAMPLING,
    "metric": "BLEU-4 of a set of sentences, fraction",
    "pooling": "the best sentence",
    "search": {"beam_width": 3},
    "seen": {"test": 4},
    "expected": {"test": 4},
    "failed": 0,
    "decoder": "none",
    "versions": {},
    "git_revision": "none",
}
BLEU = {f"bleu{order}": 1 / order for order in range(1, 5)}
EVALUATION = {
    **BLEU,
    "headline": {"metric": "bleu4", "value": 0.25},
    "meteor": None,
    "rouge_l": 0.5,
    "cider": 0.5,
    "metrics_left_out": {"meteor": "no Java"},
    "tokenizer": "none",
    "words": None,
    "sentence_accuracy": 0.125,
    "colour_word": None,
    "split": "test",
    "stamp": STAMP,
    "clips": ["long"],
}


def make_run(folder):
    model = VideoCaptioner(
        VOCABULARY, 6, 5, attention="content", max_words=4, sampling=SAMPLING, dropout=0.0
    )
    model.build((None, 2, 7, 7, 64))
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    model.save(folder / "best.keras")
    results = {
        "model": "captioner_small",
        "config": {"seed": 3},
        "best_epoch": 1,
        "stamp": {"seen": {"train": 9}},
    }
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    return model


def test_a_captioner_is_published_with_its_backbone_and_its_scores(tmp_path):
    trained, backbone = make_run(tmp_path), SmallBackbone()
    weights, card = publish(tmp_path, backbone, EVALUATION, NAME, "the command", tmp_path / "zoo")
    facts = json.loads(card.read_text(encoding="utf-8"))
    assert facts["sha256"] == file_sha256(weights)
    assert facts["vocabulary_size"] == len(VOCABULARY) and facts["seed"] == 3
    assert facts["bleu4"] == 0.25 and facts["sentence_accuracy"] == 0.125
    assert facts["search"] == {"beam_width": 3} and facts["seen"] == {"train": 9, "test": 4}
    assert "clips" not in facts

    describer = glimpse.load_model(weights)
    assert describer.sampling == SAMPLING and not describer.compiled
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 3), dtype=np.uint8)
    features = keras.ops.convert_to_numpy(describer.extract_features(frames))
    said, theirs = describer.caption(frames)[0][0], trained.caption(features)[0][0]
    assert said.text == theirs.text and said.score == pytest.approx(theirs.score, rel=1e-5)


def test_a_name_that_is_not_the_runs_is_refused(tmp_path):
    make_run(tmp_path)
    for name in ("captioner_base.made_up", "captioner_small", "captioner_small."):
        with pytest.raises(ValueError, match="--name.*captioner_small.TAG"):
            publish(tmp_path, SmallBackbone(), EVALUATION, name, "the command", tmp_path / "zoo")


@pytest.mark.parametrize(
    ("facts", "score"),
    [
        ({"video_accuracy": 0.97512}, "0.975"),
        ({"bleu4": 0.9, "sentence_accuracy": 0.81}, "BLEU-4 0.900, whole sentences 0.810"),
        ({"bleu4": 0.371, "sentence_accuracy": None}, "BLEU-4 0.371"),
    ],
)
def test_a_card_says_what_its_model_scores(facts, score):
    assert WeightsCard("a.b", "a.b.keras", "0", "none", "none", facts).score == score


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""The shipped weights: what their cards say, measured again, and the table in the README."""

import dataclasses
import pathlib

import numpy as np
import pytest

import glimpse
from glimpse.models.weights_card import read_cards
from glimpse.pipelines.zoo_table import zoo_table

ROOT = pathlib.Path(__file__).parent.parent
TRAINED = glimpse.list_models(pretrained=True)
CAPTIONERS = [name for name in TRAINED if name.startswith("captioner")]
CLASSIFIERS = [name for name in TRAINED if name not in CAPTIONERS]


def test_something_is_shipped_and_small():
    assert {"soft_attention_small.tiny_actions", "captioner_small.tiny_actions"} <= set(TRAINED)
    assert sum(card.path.stat().st_size for card in read_cards().values()) < 30e6


def test_the_readme_shows_the_table_of_the_registry_and_the_cards():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert zoo_table() in readme, "paste the output of `glimpse models --markdown` into README.md"


def _noise():
    return np.random.default_rng(0).integers(0, 256, (1, 3, 90, 120, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_weights_load_by_name_and_answer(name, capsys):
    model = glimpse.load_model(name)
    assert "Apache-2.0" in capsys.readouterr().err
    outputs = model(_noise())
    assert outputs["probabilities"].shape == (1, len(model.label_names))
    np.testing.assert_allclose(np.sum(outputs["attention_weights"], (2, 3)), 1, rtol=1e-5)
    assert {"num_frames", "frames_per_second"} <= set(model.sampling)


@pytest.mark.parametrize("name", CAPTIONERS)
def test_captioners_load_by_name_and_describe(name, capsys):
    model = glimpse.load_model(name)
    assert "Apache-2.0" in capsys.readouterr().err
    (captions,) = model.caption(_noise())
    best = captions[0]
    assert best.ended and best.text == " ".join(best.words) and len(best.words) > 3
    assert set(best.words) <= set(model.vocabulary) and len(captions) == 4
    sums = best.attention_weights.sum(axis=(1, 2, 3))
    np.testing.assert_allclose(sums, 1, rtol=1e-5)
    assert {"num_frames", "spread_over"} <= set(model.captioner.sampling)


def test_a_changed_file_is_refused(tmp_path):
    card = read_cards()[TRAINED[0]]
    changed = bytearray(card.path.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / card.file).write_bytes(changed)

    class Moved(type(card)):
        @property
        def path(self):
            return tmp_path / self.file

    moved = Moved(**{f.name: getattr(card, f.name) for f in dataclasses.fields(card)})
    with pytest.raises(ValueError, match="SHA-256"):
        moved.verified_path()


@pytest.fixture(scope="module")
def test_clips(tmp_path_factory):
    """The same test clips rendered anew: each depends on seed, split and number alone."""
    from glimpse.pipelines import TinyActionsConfig, read_clips, render_tiny_actions

    folder = tmp_path_factory.mktemp("zoo") / "clips"
    config = TinyActionsConfig(train_clips=8, val_clips=8, test_clips=160)
    render_tiny_actions(folder, config, progress=False)
    return read_clips(folder).in_split("test")


def _assert_as_on_the_card(name, figure, right):
    """The first 160 of the card's 480 clips: within three standard errors of its figure."""
    facts = read_cards()[name].facts
    assert facts["dataset"] == "tiny_actions" and facts["split"] == "test"
    expected = facts[figure]
    allowed = 3 * np.sqrt(max(expected * (1 - expected), 0.01) / len(right))
    assert np.mean(right) == pytest.approx(expected, abs=allowed)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_cards_figures_are_measured_again(name, test_clips):
    from glimpse.pipelines import VideoAnswerer

    answerer = VideoAnswerer(glimpse.load_model(name))
    right = [int(answerer.answer(c.path).probabilities.argmax()) == c.label for c in test_clips]
    _assert_as_on_the_card(name, "video_accuracy", right)


@pytest.mark.slow
@pytest.mark.parametrize("name", CAPTIONERS)
def test_a_captioners_sentences_are_measured_again(name, test_clips):
    from glimpse.pipelines.caption_answer import VideoCaptionAnswerer

    answerer = VideoCaptionAnswerer(glimpse.load_model(name))
    right = [
        answerer.answer(clip.path).captions[0].text in clip.truth["captions"] for clip in test_clips
    ]
    _assert_as_on_the_card(name, "sentence_accuracy", right)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

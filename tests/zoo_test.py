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


def test_something_is_shipped_and_small():
    assert "soft_attention_small.tiny_actions" in TRAINED
    assert sum(card.path.stat().st_size for card in read_cards().values()) < 30e6


def test_the_readme_shows_the_table_of_the_registry_and_the_cards():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert zoo_table() in readme, "paste the output of `glimpse models --markdown` into README.md"


@pytest.mark.parametrize("name", TRAINED)
def test_weights_load_by_name_and_answer(name, capsys):
    model = glimpse.load_model(name)
    assert "Apache-2.0" in capsys.readouterr().err
    frames = np.random.default_rng(0).integers(0, 256, (1, 3, 90, 120, 3), dtype=np.uint8)
    outputs = model(frames)
    assert outputs["probabilities"].shape == (1, len(model.label_names))
    np.testing.assert_allclose(np.sum(outputs["attention_weights"], (2, 3)), 1, rtol=1e-5)
    assert {"num_frames", "frames_per_second"} <= set(model.sampling)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_the_cards_figures_are_measured_again(name, tmp_path):
    """Renders the same test clips anew (each depends on seed, split and number alone)."""
    from glimpse.pipelines import (
        TinyActionsConfig,
        VideoAnswerer,
        read_clips,
        render_tiny_actions,
    )

    card = read_cards()[name]
    assert card.facts["dataset"] == "tiny_actions" and card.facts["split"] == "test"
    config = TinyActionsConfig(train_clips=8, val_clips=8, test_clips=160)
    render_tiny_actions(tmp_path / "clips", config, progress=False)
    answerer = VideoAnswerer(glimpse.load_model(name))
    clips = read_clips(tmp_path / "clips").in_split("test")
    right = [int(answerer.answer(c.path).probabilities.argmax()) == c.label for c in clips]
    # The first 160 of the card's 480 clips: within three standard errors of its figure.
    expected = card.facts["video_accuracy"]
    allowed = 3 * np.sqrt(max(expected * (1 - expected), 0.01) / len(clips))
    assert np.mean(right) == pytest.approx(expected, abs=allowed)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

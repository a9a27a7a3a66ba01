"""Backbones by name, and the weights that ship."""

import json
import shutil

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models import weights_card
from glimpse.models.backbones import create_backbone, list_backbones
from glimpse.models.small_backbone import SmallBackbone

pytestmark = pytest.mark.backends


def _features(backbone, seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, size=(2, 112, 112, 3), dtype=np.uint8)
    return ops.convert_to_numpy(ops.stop_gradient(backbone(frames)))


def test_names_are_sorted_and_known():
    names = list_backbones()
    assert names == sorted(names)
    assert "small" in names


def test_every_backbone_yields_the_maps_it_declares():
    for name in list_backbones():
        backbone = create_backbone(name, weights=None)
        frames = np.zeros((1, *backbone.input_size, 3), "uint8")
        assert tuple(backbone(frames).shape) == (1, *backbone.feature_shape)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"'smal'.*small"):
        create_backbone("smal")
    with pytest.raises(ValueError, match=r"'zzz'.*small"):
        create_backbone("zzz")


def test_shipped_weights_load_and_match_their_card():
    backbone = create_backbone()
    assert type(backbone) is SmallBackbone
    card = weights_card.read_cards()["small"]
    assert card.facts["parameters"] == backbone.count_params()
    assert card.license == "Apache-2.0"
    assert card.path.stat().st_size < 1_000_000
    assert not backbone.compiled
    np.testing.assert_array_equal(_features(backbone), _features(create_backbone("small")))
    assert np.abs(_features(backbone) - _features(create_backbone(weights=None))).mean() > 0.1


def test_shipped_weights_give_the_same_features_on_every_backend():
    features = _features(create_backbone())
    # From the TensorFlow backend; the others round differently.
    expected = [-0.1464, 1.1104, -0.4977]
    np.testing.assert_allclose(
        [features.mean(), features.std(), features[1, 3, 3, 5]], expected, atol=2e-3
    )


def test_weights_from_a_path(tmp_path):
    backbone = create_backbone(weights=None)
    backbone.save(tmp_path / "mine.keras")
    reloaded = create_backbone("small", weights=tmp_path / "mine.keras")
    np.testing.assert_allclose(_features(reloaded), _features(backbone), atol=1e-6)
    with pytest.raises(FileNotFoundError, match=r"gone\.keras"):
        create_backbone("small", weights=tmp_path / "gone.keras")


def test_another_model_is_refused(tmp_path):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    other.save(tmp_path / "other.keras")
    with pytest.raises(ValueError, match="holds a Sequential"):
        create_backbone("small", weights=tmp_path / "other.keras")


def test_a_tampered_file_is_refused(tmp_path, monkeypatch):
    card = weights_card.read_cards()["small"]
    shutil.copy(card.path, tmp_path)
    monkeypatch.setattr(weights_card, "_WEIGHTS", tmp_path)
    create_backbone()
    data = bytearray((tmp_path / card.file).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / card.file).write_bytes(data)
    with pytest.raises(ValueError, match="not the file that its card describes"):
        create_backbone()
    (tmp_path / card.file).unlink()
    with pytest.raises(FileNotFoundError, match=r"small\.keras"):
        create_backbone()


def test_the_card_is_json_with_measured_figures():
    card = weights_card.read_cards()["small"]
    text = (card.path.parent.parent / "cards" / "small.json").read_text(encoding="utf-8")
    validation = json.loads(text)["validation"]
    assert validation["type_accuracy"] > 0.9
    assert validation["hat_accuracy"] > 0.85
    assert validation["colour_accuracy"] > 0.9
    assert validation["wrist_error_in_heights"] < 0.15


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

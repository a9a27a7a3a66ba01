"""The small backbone: sizes, serialisation, and what reads its features may rely on."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models.small_backbone import SmallBackbone

pytestmark = pytest.mark.backends


def _frames(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, size=(*shape, 3), dtype=np.uint8)


def _numpy(values):
    return ops.convert_to_numpy(ops.stop_gradient(values))


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    backbone = SmallBackbone()
    backbone.build((None, 112, 112, 3))
    return backbone


def test_parameter_count_and_declared_shapes(backbone):
    assert backbone.count_params() == 133_360
    assert backbone.feature_shape == (7, 7, 64)
    assert backbone.input_size == (112, 112)
    assert backbone.compute_output_shape((5, 240, 320, 3)) == (5, 7, 7, 64)


@pytest.mark.parametrize("size", [(112, 112), (240, 320), (64, 50), (112, 200)])
def test_frames_of_any_size_give_seven_by_seven_maps(backbone, size):
    assert tuple(backbone(_frames(2, *size)).shape) == (2, 7, 7, 64)


def test_integers_and_floats_from_0_to_255_are_the_same_pixels(backbone):
    frames = _frames(2, 112, 112)
    np.testing.assert_allclose(
        _numpy(backbone(frames)), _numpy(backbone(frames.astype("float32"))), atol=1e-5
    )


def test_a_frame_enlarged_without_new_detail_keeps_its_features(backbone):
    small = np.repeat(np.repeat(_frames(1, 14, 14), 8, axis=1), 8, axis=2)
    large = np.repeat(np.repeat(small, 2, axis=1), 2, axis=2)
    one, two = _numpy(backbone(small)), _numpy(backbone(large))
    other = _numpy(backbone(_frames(1, 112, 112, seed=1)))
    assert np.abs(one - two).mean() < 0.3 * np.abs(one - other).mean()


def test_each_frame_is_encoded_by_itself(backbone):
    frames = _frames(3, 112, 112)
    np.testing.assert_allclose(
        _numpy(backbone(frames))[1:2], _numpy(backbone(frames[1:2])), atol=1e-5
    )


def test_features_of_a_training_batch_are_standardised(backbone):
    features = _numpy(backbone(_frames(16, 112, 112), training=True)).reshape(-1, 64)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-4)
    assert 0.9 < np.median(features.std(axis=0)) < 1.01


def test_a_saved_backbone_reloads_with_its_weights(backbone, tmp_path):
    backbone.save(tmp_path / "small.keras")
    reloaded = keras.saving.load_model(tmp_path / "small.keras")
    assert type(reloaded) is SmallBackbone
    frames = _frames(2, 90, 112)
    np.testing.assert_allclose(_numpy(reloaded(frames)), _numpy(backbone(frames)), atol=1e-6)


def test_config_round_trip_keeps_name_and_dtype():
    backbone = SmallBackbone(name="eyes", dtype="mixed_bfloat16")
    copy = SmallBackbone.from_config(backbone.get_config())
    assert copy.name == "eyes"
    assert copy.compute_dtype == "bfloat16"
    assert copy.variable_dtype == "float32"


@pytest.mark.parametrize("shape", [(112, 112, 3), (2, 4, 112, 112, 3), (2, 112, 112, 1)])
def test_frames_of_a_wrong_shape_are_refused(backbone, shape):
    with pytest.raises(ValueError, match="frames must have shape"):
        backbone(np.zeros(shape, "uint8"))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

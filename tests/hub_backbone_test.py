"""Backbones from KerasHub: tokens become the grid of their patches."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models.backbones import create_backbone
from glimpse.models.hub_backbone import HubBackbone
from tests.gradients import compiled

pytestmark = pytest.mark.backends
keras_hub = pytest.importorskip(
    "keras_hub", reason="KerasHub is not installed: pip install 'glimpse[hub]'"
)

TRANSFORMER = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8}


def vit():
    return keras_hub.models.ViTBackbone(
        image_shape=(32, 48, 3), patch_size=16, mlp_dim=8, **TRANSFORMER
    )


def dinov2():
    return keras_hub.models.DINOV2Backbone(
        patch_size=8,
        intermediate_dim=8,
        num_register_tokens=2,
        image_shape=(32, 32, 3),
        position_embedding_shape=(32, 32, 3),
        **TRANSFORMER,
    )


def siglip():
    image = {"patch_size": 8, "intermediate_dim": 8, "image_shape": (32, 32, 3), **TRANSFORMER}
    text = {"vocabulary_size": 5, "embedding_dim": 8, "intermediate_dim": 8, **TRANSFORMER}
    from keras_hub.src.models.siglip.siglip_text_encoder import SigLIPTextEncoder
    from keras_hub.src.models.siglip.siglip_vision_encoder import SigLIPVisionEncoder

    return keras_hub.models.SigLIPBackbone(SigLIPVisionEncoder(**image), SigLIPTextEncoder(**text))


def resnet():
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )


def numpy(value):
    return ops.convert_to_numpy(ops.stop_gradient(value))


def run(model, frames):
    return numpy(compiled(model)(ops.convert_to_tensor(frames)))


def frames(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), "uint8")


@pytest.fixture(scope="module", params=[vit, dinov2, siglip], ids=lambda make: make.__name__)
def backbone(request):
    keras.utils.set_random_seed(0)
    return HubBackbone(request.param(), scale=1 / 127.5, offset=-1.0)


def test_tokens_lie_where_their_patches_are(backbone):
    """Only what follows a changed patch changes most, wherever it is."""
    height, width = backbone.input_size
    rows, columns, _ = backbone.feature_shape
    assert (rows, columns) == ((2, 3) if height == 32 and width == 48 else (4, 4))
    patch_height, patch_width = height // rows, width // columns
    places = [(row, column) for row in range(rows) for column in range(columns)]
    batch = np.repeat(frames(1, height, width), len(places) + 1, axis=0)
    for index, (row, column) in enumerate(places):
        y, x = row * patch_height, column * patch_width
        batch[index, y : y + patch_height, x : x + patch_width] = (
            255 - batch[index, y : y + patch_height, x : x + patch_width]
        )
    features = run(backbone, batch)
    assert features.shape == (len(places) + 1, rows, columns, 8)
    change = np.abs(features[:-1] - features[-1]).sum(-1).reshape(len(places), -1)
    assert change.argmax(axis=1).tolist() == list(range(len(places)))


def test_tokens_are_those_of_keras_hub(backbone):
    batch = frames(2, *backbone.input_size)
    tokens = run(backbone.network, batch.astype("float32") / 127.5 - 1)
    rows, columns, channels = backbone.feature_shape
    extra = tokens.shape[1] - rows * columns
    assert extra == {"ViTBackbone": 1, "DINOV2Backbone": 3}.get(type(backbone.backbone).__name__, 0)
    expected = tokens[:, extra:].reshape(2, rows, columns, channels)
    np.testing.assert_allclose(run(backbone, batch), expected, atol=1e-5)


def test_a_file_keeps_the_weights(backbone, tmp_path):
    backbone.save(tmp_path / "hub.keras")
    again = keras.saving.load_model(tmp_path / "hub.keras")
    assert type(again) is HubBackbone
    assert json.dumps(again.get_config()) == json.dumps(backbone.get_config())
    for ours, theirs in zip(backbone.weights, again.weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))


def test_maps_pass_as_they_are():
    keras.utils.set_random_seed(0)
    inner = resnet()
    backbone = HubBackbone(inner, scale=[0.1, 0.2, 0.3], offset=[1, 2, 3], input_size=(32, 64))
    assert backbone.feature_shape == (8, 16, 64)
    batch = frames(1, 32, 64)
    pixels = batch.astype("float32") * np.float32([0.1, 0.2, 0.3]) + np.float32([1, 2, 3])
    np.testing.assert_allclose(run(backbone, batch), run(inner, pixels), atol=1e-5)
    assert HubBackbone(inner).feature_shape == (56, 56, 64)


def test_a_preset_brings_its_scaling(tmp_path):
    keras.utils.set_random_seed(0)
    folder = str(tmp_path / "preset")
    inner = dinov2()
    inner.save_to_preset(folder)
    keras_hub.layers.DINOV2ImageConverter(
        image_size=(32, 32),
        scale=[1 / 58, 1 / 57, 1 / 56],
        offset=[-2.0, -2.1, -1.9],
        interpolation="bicubic",
        antialias=True,
    ).save_to_preset(folder)
    backbone = create_backbone(f"hub/{folder}", weights="preset")
    assert backbone.interpolation == "bicubic" and backbone.antialias
    np.testing.assert_allclose(backbone.scale, [1 / 58, 1 / 57, 1 / 56], rtol=1e-5)
    np.testing.assert_allclose(backbone.offset, [-2.0, -2.1, -1.9], rtol=1e-5)
    for ours, theirs in zip(backbone.weights, inner.weights, strict=True):
        np.testing.assert_array_equal(numpy(ours), numpy(theirs))
    random = create_backbone(f"hub/{folder}", weights=None)
    kernels = [w for w in zip(random.weights, inner.weights, strict=True) if w[0].name == "kernel"]
    assert any((numpy(ours) != numpy(theirs)).any() for ours, theirs in kernels)
    with pytest.raises(FileNotFoundError, match='weights="preset"'):
        create_backbone(f"hub/{folder}")


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="`backbone` must be a KerasHub backbone, got 'dinov2'"):
        HubBackbone("dinov2")
    with pytest.raises(ValueError, match=r"`input_size`.*\(32, 48\); got \(64, 48\)"):
        HubBackbone(vit(), input_size=(64, 48))
    text = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="must read frames"):
        HubBackbone(text)
    images = keras.Input((8, 8, 3))
    flat = keras.Model(images, keras.layers.Reshape((64, 3))(images), name="flat")
    with pytest.raises(ValueError, match="flat gives features of shape .*no `patch_size`"):
        HubBackbone(flat)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

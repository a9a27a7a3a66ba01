"""Backbones from keras.applications: features, sizes and scaling are Keras's own."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.applications import imagenet_utils

from glimpse.models.application_backbone import ApplicationBackbone, list_applications
from tests.gradients import compiled
from tests.shapes_only import shapes_only

pytestmark = pytest.mark.backends


def numpy(value):
    return ops.convert_to_numpy(ops.stop_gradient(value))


def run(model, frames):
    return numpy(compiled(model)(ops.convert_to_tensor(frames)))


def frames(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), "uint8")


def make_shapes(application, **options):
    """A backbone whose weights have shapes but no values."""
    with shapes_only():
        return ApplicationBackbone(application, **options)


@pytest.fixture(scope="module")
def backbone():
    """The first blocks of MobileNet, on small frames."""
    keras.utils.set_random_seed(0)
    return ApplicationBackbone("MobileNet", output="conv_pw_2_relu", input_size=(32, 48))


def test_features_are_those_of_keras(backbone):
    batch = frames(2, 32, 48)
    features = run(backbone, batch)
    assert features.shape == (2, *backbone.feature_shape) == (2, 8, 12, 128)
    scaled = keras.applications.mobilenet.preprocess_input(batch.astype("float32"))
    np.testing.assert_allclose(run(backbone.network, scaled), features, atol=1e-5)
    assert features.std() > 0


def test_frames_of_any_size_and_type_are_read(backbone):
    batch = frames(1, 32, 48)
    pixels = [numpy(backbone.preprocess(batch.astype(kind))) for kind in ("uint8", "float32")]
    np.testing.assert_array_equal(*pixels)
    enlarged = np.repeat(np.repeat(batch, 2, axis=1), 2, axis=2)
    assert numpy(backbone.preprocess(enlarged)).shape == (1, 32, 48, 3)
    assert backbone.compute_output_shape((5, 64, 96, 3)) == (5, 8, 12, 128)
    with pytest.raises(ValueError, match=r"frames must have shape \(batch, height"):
        backbone(np.zeros((32, 48, 3), "uint8"))


def test_a_file_keeps_the_weights(backbone, tmp_path):
    backbone.save(tmp_path / "application.keras")
    again = keras.saving.load_model(tmp_path / "application.keras")
    assert type(again) is ApplicationBackbone and again.get_config() == backbone.get_config()
    batch = frames(2, 32, 48)
    np.testing.assert_array_equal(run(again, batch), run(backbone, batch))


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        ("MobileNetV2", [v / 127.5 - 1 for v in (10, 20, 250)]),
        ("VGG16", [250 - 103.939, 20 - 116.779, 10 - 123.68]),
        (
            "DenseNet121",
            [
                (v / 255 - m) / d
                for v, m, d in zip(
                    (10, 20, 250), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True
                )
            ],
        ),
        ("EfficientNetB0", [10, 20, 250]),  # Scales inside.
    ],
)
def test_each_network_gets_the_pixels_that_it_was_trained_on(application, expected):
    backbone = make_shapes(application, input_size=(32, 32))
    colour = np.broadcast_to(np.array([10, 20, 250], "uint8"), (1, 40, 50, 3))
    pixels = numpy(backbone.preprocess(colour))
    np.testing.assert_allclose(
        pixels, np.broadcast_to(np.float32(expected), (1, 32, 32, 3)), atol=1e-4
    )


@pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="Keras has NASNet on TensorFlow and JAX only"
)
def test_input_sizes_are_kerass_defaults(monkeypatch):
    class Asked(Exception):
        pass

    def asked(input_shape, default_size, **_):
        raise Asked(default_size if input_shape is None else input_shape[0])

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", asked)
    assert len(list_applications()) > 30
    # MobileNetV3 takes any size, and its weights are for the default, 224.
    for name in (name for name in list_applications() if not name.startswith("MobileNetV3")):
        with pytest.raises(Asked) as default:
            getattr(keras.applications, name)(weights=None)
        with pytest.raises(Asked) as ours:
            ApplicationBackbone(name)
        assert ours.value.args == default.value.args, name


def test_its_own_type_does_not_change_the_global_one():
    before = keras.config.dtype_policy()
    backbone = make_shapes("MobileNet", input_size=(32, 32), dtype="mixed_bfloat16")
    assert keras.config.dtype_policy() == before
    assert backbone.network.get_layer("conv1").compute_dtype == "bfloat16"


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'MobileNetv2'.*MobileNetV2"):
        ApplicationBackbone("MobileNetv2")
    with pytest.raises(ValueError, match="No such layer: nothing"):
        make_shapes("MobileNet", output="nothing")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

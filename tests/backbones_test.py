"""Backbones by name, the sizes of VGG-19 and ResNet-152, and the weights that ship."""

import json
import math
import shutil
import zipfile

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.models import weights_card
from glimpse.models.backbones import create_backbone, describe_backbones, list_backbones
from glimpse.models.googlenet import GoogLeNet
from glimpse.models.resnet152 import ResNet152
from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.vgg19 import VGG19
from tests.shapes_only import shapes_only

pytestmark = pytest.mark.backends
# What the papers read, of frames or chunks of 16.
FEATURES = {
    "c3d": (4096,),
    "googlenet": (7, 7, 1024),
    "googlenet_slim": (7, 7, 1024),
    "googlenet_torchvision": (7, 7, 1024),
    "pixels": (128, 171, 3),
    "resnet152": (7, 7, 2048),
    "small": (7, 7, 64),
    "vgg19": (7, 7, 512),
}
# Of the published networks, as Keras names their weights.
VGG19_LAYERS = {"fc6": 102_764_544, "fc7": 16_781_312, "fc8": 4_097_000}


def _make_shapes(name, **options):
    """A backbone whose weights have shapes but no values."""
    with shapes_only():
        return create_backbone(name, weights=None, **options)


def _layer_shapes(model):
    """Layer and weight name: shape, of a model's weights."""
    return {"/".join(w.path.split("/")[-2:]): tuple(w.shape) for w in model.weights}


def _features(backbone, seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, size=(2, 112, 112, 3), dtype=np.uint8)
    return ops.convert_to_numpy(ops.stop_gradient(backbone(frames)))


def test_names_are_sorted_and_known():
    names = list_backbones()
    assert names == sorted(names)
    assert "small" in names


def test_every_backbone_declares_its_features():
    assert set(FEATURES) == {name for name in list_backbones() if "/" not in name}
    for name, shape in FEATURES.items():
        backbone = _make_shapes(name)
        assert backbone.feature_shape == shape
        count = getattr(backbone, "frames_per_input", 1)
        assert count == (16 if name == "c3d" else 1)
        frames = (3, *([count] if count > 1 else []), 50, 60, 3)
        assert tuple(backbone.compute_output_shape(frames)) == (3, *shape)
    assert _make_shapes("applications/MobileNetV2").feature_shape == (7, 7, 1280)


def test_the_table_tells_the_options_and_where_weights_come_from():
    rows = {row["name"]: row for row in describe_backbones("[csg]*")}
    assert list(rows) == ["c3d", "googlenet", "googlenet_slim", "googlenet_torchvision", "small"]
    assert rows["small"] == {
        "name": "small",
        "class": "SmallBackbone",
        "weights": "shipped",
        "options": "",
    }
    assert rows["c3d"]["options"].startswith("output='fc6', classes=487, mean='cube'")
    assert rows["googlenet_slim"]["options"] == "output='inception_5b', classes=None"
    assert rows["googlenet_slim"]["weights"] == "glimpse convert"
    (row,) = describe_backbones("applications/VGG16")
    assert row["options"] == "output=None, input_size=None" and row["weights"] == "imagenet"
    (row,) = describe_backbones("pix*")
    assert row["weights"] == "none"


def test_names_of_families_stand_for_their_option():
    assert _make_shapes("googlenet").family == "caffe"
    assert _make_shapes("googlenet", family="slim").family == "slim"
    assert _make_shapes("googlenet_torchvision", output="pool5").family == "torchvision"
    with pytest.raises(ValueError, match="'googlenet_slim' has `family` = 'slim', and .*'caffe'"):
        create_backbone("googlenet_slim", weights=None, family="caffe")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"'smal'.*small"):
        create_backbone("smal")
    with pytest.raises(ValueError, match=r"'zzz'.*small"):
        create_backbone("zzz")


def test_what_does_not_ship_is_said_with_a_way_to_get_it():
    with pytest.raises(FileNotFoundError, match="'vgg19'.*glimpse convert.*weights=None"):
        create_backbone("vgg19")
    with pytest.raises(FileNotFoundError, match="'applications/ResNet50'.*weights=.imagenet"):
        create_backbone("applications/ResNet50")
    with pytest.raises(FileNotFoundError, match="gone.keras"):
        create_backbone("vgg19", weights="gone.keras")


def test_vgg19_has_the_published_parameters():
    counts = dict.fromkeys(VGG19_LAYERS, 0)
    backbone = _make_shapes("vgg19", output="fc8")
    for name, shape in _layer_shapes(backbone).items():
        if name.startswith("fc"):
            counts[name.split("/")[0]] += math.prod(shape)
    assert counts == VGG19_LAYERS
    assert backbone.count_params() == 143_667_240
    assert _make_shapes("vgg19").count_params() == 20_024_384
    assert _make_shapes("vgg19", output="fc8", classes=205).count_params() == 140_410_125
    assert _make_shapes("vgg19", output="fc8", classes=203).count_params() == 140_401_931
    assert _make_shapes("vgg19", output="fc6").feature_shape == (4096,)
    assert _make_shapes("vgg19", output="conv5_4").feature_shape == (14, 14, 512)
    with shapes_only():
        theirs = keras.applications.VGG19(weights=None, classifier_activation=None)
    shapes = [tuple(weight.shape) for weight in theirs.weights]
    assert list(_layer_shapes(backbone).values()) == shapes


def test_resnet152_is_that_of_keras():
    backbone = _make_shapes("resnet152", output="logits")
    with shapes_only():
        theirs = keras.applications.ResNet152(weights=None, classifier_activation=None)
    assert _layer_shapes(backbone) == _layer_shapes(theirs)
    for ours in backbone.network.layers[1:]:
        layer = theirs.get_layer(ours.name)
        assert tuple(ours.output.shape) == tuple(layer.output.shape), ours.name
        for option in ("strides", "padding", "epsilon", "pool_size"):
            assert getattr(ours, option, None) == getattr(layer, option, None), ours.name
    assert len(backbone.network.layers) == len(theirs.layers)
    assert backbone.count_params() == 60_419_944
    trainable = sum(math.prod(weight.shape) for weight in backbone.trainable_weights)
    assert trainable == 60_268_520
    assert _make_shapes("resnet152").count_params() == 58_370_944
    assert _make_shapes("resnet152", output="conv4_block36_out").feature_shape == (14, 14, 1024)


@pytest.mark.parametrize(
    ("model_class", "options", "mean"),
    [
        (VGG19, {}, (103.939, 116.779, 123.68)),
        (VGG19, {"mean": (105, 114, 116)}, (105, 114, 116)),
        (ResNet152, {}, (103.939, 116.779, 123.68)),
    ],
)
def test_pixels_become_bgr_minus_the_mean(model_class, options, mean):
    with shapes_only():
        backbone = model_class(**options)
    expected = np.float32([250, 20, 10]) - np.float32(mean)
    colour = np.broadcast_to(np.array([10, 20, 250], "uint8"), (1, 30, 40, 3))
    for kind in ("uint8", "float32"):
        pixels = ops.convert_to_numpy(backbone.preprocess(colour.astype(kind)))
        assert pixels.shape == (1, 224, 224, 3)
        np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=1e-4)


@pytest.mark.parametrize(
    ("model_class", "options", "words"),
    [
        (VGG19, {"output": "fc9"}, "`output`.*block5_pool.*'fc9'"),
        (VGG19, {"classes": -1}, "`classes`.*got -1"),
        (VGG19, {"mean": (1, 2)}, r"`mean`.*\(1, 2\)"),
        (ResNet152, {"output": "conv6"}, "`output`.*conv5_block3_out.*'conv6'"),
    ],
)
def test_bad_arguments_are_named(model_class, options, words):
    with pytest.raises(ValueError, match=words):
        model_class(**options)


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


def test_a_file_without_a_model_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as file:
        file.writestr("readme.txt", "not a model")
    (tmp_path / "text.keras").write_text("not a zip")
    for name in ("other.keras", "text.keras"):
        with pytest.raises(ValueError, match=f"{name} is not a .keras file"):
            create_backbone("small", weights=tmp_path / name)


def test_options_must_agree_with_the_file(tmp_path):
    path = tmp_path / "googlenet.keras"
    GoogLeNet("slim", "inception_3a").save(path)
    options = {"output": "inception_3a", "classes": 1001}
    for name in ("googlenet", "googlenet_slim"):
        backbone = create_backbone(name, weights=path, **options)
        assert backbone.family == "slim" and backbone.feature_shape == (28, 28, 256)
    with pytest.raises(ValueError, match=r"googlenet.keras has `family` = 'slim', .*'torchvision'"):
        create_backbone("googlenet_torchvision", weights=path)
    with pytest.raises(ValueError, match=r"has `output` = 'inception_3a', .*'inception_5b'"):
        create_backbone("googlenet", weights=path, output="inception_5b")
    for weights in (path, None):
        with pytest.raises(ValueError, match="colour"):
            create_backbone("googlenet", weights=weights, colour="blue")
    with pytest.raises(ValueError, match="holds a GoogLeNet, not the backbone 'vgg19'"):
        create_backbone("vgg19", weights=path)


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

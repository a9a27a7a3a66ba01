"""A run that starts from the weights of another: what is taken, and what is refused."""

import dataclasses

import keras
import numpy as np
import pytest

from glimpse.models import C3D, C3DClassifier, VideoClassifier, load_model
from glimpse.pipelines.initial_weights import find_initial_model, take_initial_weights
from glimpse.pipelines.model_building import make_classifier, prepare_classifier
from glimpse.pipelines.training import train
from glimpse.pipelines.training_config import TrainingConfig

CONFIG = TrainingConfig(
    model="soft_attention_small",
    model_options={"units": 6, "attention_units": 5, "hidden_units": 4},
    num_frames=2,
)
LABEL_NAMES = ("left", "right", "still")


def make(config=CONFIG, names=LABEL_NAMES):
    model = make_classifier(config, names)
    prepare_classifier(model, config, {"features": (2, 1, 2, 3)}, 1)
    return model


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    make().save(run / "best.keras")
    return run / "best.keras"


def test_the_same_classes_take_every_weight(source):
    model = make()
    assert take_initial_weights(model, source.parent)
    assert find_initial_model(source.parent) == str(source)
    for ours, theirs in zip(model.weights, load_model(source).weights, strict=True):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))


def test_a_model_with_a_backbone_gives_its_classifier(source, tmp_path):
    whole = VideoClassifier(keras.Sequential([keras.layers.Conv2D(3, 1)]), load_model(source))
    whole.build((None, 2, 1, 2, 3))
    whole.save(tmp_path / "whole.keras")
    model = make()
    assert take_initial_weights(model, tmp_path / "whole.keras")
    np.testing.assert_array_equal(
        np.array(model.weights[0]), np.array(load_model(source).weights[0])
    )


def test_c3d_begins_with_its_converted_backbone(tmp_path):
    sizes = {"filters": [2] * 5, "units": 3, "frame_size": [8, 8], "input_size": [8, 8]}
    C3D("fc8", mean=[1, 2, 3], **sizes).save(tmp_path / "c3d.keras")
    model = C3DClassifier(3, mean=[1, 2, 3], **sizes)
    model.build((None, 16, 8, 8, 3))
    head = np.array(model.classes.kernel)
    assert not take_initial_weights(model, tmp_path / "c3d.keras")
    source = load_model(tmp_path / "c3d.keras")
    for ours, theirs in zip(model.backbone.weights, source.weights, strict=False):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))
    np.testing.assert_array_equal(np.array(model.classes.kernel), head)
    with pytest.raises(ValueError, match=r"--initialize_from=.*c3d.keras: `source` has `mean`"):
        take_initial_weights(C3DClassifier(3, mean=[0, 0, 0], **sizes), tmp_path / "c3d.keras")


@pytest.mark.parametrize("names", [("left", "right"), ("up", "down", "still")])
def test_the_layer_of_other_classes_is_drawn_anew(source, names):
    model = make(CONFIG, names)
    drawn = [np.array(weight) for weight in model.head.classes.weights]
    assert not take_initial_weights(model, source)
    for ours, theirs in zip(model.weights[:-2], load_model(source).weights[:-2], strict=True):
        np.testing.assert_array_equal(np.array(ours), np.array(theirs))
    for weight, before in zip(model.head.classes.weights, drawn, strict=True):
        np.testing.assert_array_equal(np.array(weight), before)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"model": "softmax_regression", "model_options": {}},
            "SoftAttentionClassifier, not a Soft",
        ),
        ({"model_options": {**CONFIG.model_options, "units": 4}}, "only the classes' layer"),
        ({"model_options": {**CONFIG.model_options, "depth": 2}}, "the same options"),
    ],
)
def test_weights_of_another_model_are_refused(source, changes, words):
    config = dataclasses.replace(CONFIG, attention_penalty=0.0, **changes)
    model = make(config)
    with pytest.raises(ValueError, match=words):
        take_initial_weights(model, source)


def test_a_folder_without_a_model_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="--initialize_from=.*no best.keras"):
        find_initial_model(tmp_path)


@pytest.mark.parametrize("name", ["RUN_ON_ACTIVITYNET", "runs/none.keras"])
def test_a_name_of_nothing_is_told_with_its_flag_before_features_are_read(tmp_path, name):
    config = dataclasses.replace(CONFIG, initialize_from=name)
    words = f"^--initialize_from={name}: no such run folder, .keras file or weights by name"
    with pytest.raises(FileNotFoundError, match=words):
        train(tmp_path / "no_features", tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

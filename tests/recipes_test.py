"""Every published number's recipe: its model and optimizer at the paper's size, and a small step.

The features that a recipe asks for are read from its comments, so that these hold as well.
"""

import dataclasses
import functools
import inspect
import json
import re

import keras
import numpy as np
import pytest

from glimpse.caption_flags import read_caption_recipe
from glimpse.models import CaptionVocabulary
from glimpse.models.c3d_classifier import C3DClassifier
from glimpse.pipelines.captioner_building import make_captioner, prepare_captioner
from glimpse.pipelines.model_building import (
    make_classifier,
    make_optimizer,
    prepare_classifier,
)
from glimpse.pipelines.published_numbers import RECIPES, read_published_numbers, recipe_flags
from glimpse.pipelines.recipe_plan import plan_recipe
from glimpse.training_flags import read_recipe

DATASETS = {number.recipe: number.dataset for number in read_published_numbers()}
DESCRIBING = sorted(n for n in DATASETS if plan_recipe(n).describes)
TRAINED = sorted(
    n
    for n in DATASETS
    if n not in DESCRIBING and "members" not in recipe_flags(RECIPES / f"{n}.flags")
)
CLASSES = {
    "UCF-11": 11,
    "HMDB-51": 51,
    "Hollywood2": 12,
    "ActivityNet": 203,
    "UCF Sports": 10,
    "Olympic Sports": 16,
}
MAPS = {"googlenet": (7, 7, 1024), "resnet152": (7, 7, 2048), "pixels": (128, 171, 3)}
DEFAULT_CLASSES = {"vgg19": 1000, "c3d": 487}
SMALL_CLASSES = 3
# Sizes of each class's smallest self.
SMALL = {
    "SoftAttentionClassifier": {"units": 4},
    "PooledLSTMClassifier": {"units": 4},
    "SoftmaxRegressionClassifier": {},
    "TemporalAttentionClassifier": {"units": 4, "attention_units": 3},
    "LSTMClassifier": {"units": 4},
    "C3DClassifier": {
        "filters": (8, 8, 8, 8, 8),
        "units": 32,
        "mean": (127.5, 127.5, 127.5),
        "frame_size": (32, 32),
        "input_size": (32, 32),
    },
    "ConvAttentionClassifier": {"filters": 4},
    "HierarchicalConvAttentionClassifier": {"filters": 4},
}


def read(name):
    return read_recipe(RECIPES / f"{name}.flags")


def label_names(count):
    return [f"class {number}" for number in range(count)]


def features(name):
    """Shapes of one frame's or chunk's features, {input name: shape}, from the comments."""
    text = (RECIPES / f"{name}.flags").read_text(encoding="utf-8")
    found = {}
    for what, backbone, options in re.findall(
        r"^# (Features|Attended features): glimpse extract --backbone=(\w+)"
        r"(?: --backbone_options='(\{.*?\})')?",
        text,
        flags=re.M,
    ):
        options = json.loads(options or "{}")
        classes = options.get("classes", DEFAULT_CLASSES.get(backbone))
        vectors = {"fc6": (4096,), "fc8": (classes,)}
        found[what] = vectors[options["output"]] if options else MAPS[backbone]
    return found


def input_shapes(config, model, name):
    """As `FeatureWindows.input_shapes` of the extracted features."""
    found = features(name)
    first = {model.input_names[0]: (config.num_frames, *found["Features"])}
    if len(model.input_names) == 1:
        assert set(found) == {"Features"}
        return first
    attended = config.attended_frames or config.num_frames
    return {**first, model.input_names[1]: (attended, *found["Attended features"])}


@functools.lru_cache(maxsize=1)
def number_of_weights(model, options, classes, shapes):
    """Of the paper's model, which is built once for all recipes that share it."""
    config = dataclasses.replace(read(TRAINED[0]), model=model, model_options=json.loads(options))
    config = dataclasses.replace(config, attention_penalty=0.0)
    built = make_classifier(config, label_names(classes))
    shapes = {name: (None, *shape) for name, shape in shapes}
    built.build(shapes if len(shapes) > 1 else next(iter(shapes.values())))
    return built.count_params()


def by_model(name):
    """Sorts recipes so that those of one model stand together."""
    flags = recipe_flags(RECIPES / f"{name}.flags")
    return flags["model"], DATASETS[name], str(features(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRAINED, key=by_model))
def test_the_papers_model_and_optimizer_are_built(name):
    config, classes = read(name), CLASSES[DATASETS[name]]
    model = make_classifier(config, label_names(classes))
    shapes = input_shapes(config, model, name)
    options = json.dumps(config.model_options)
    count = number_of_weights(config.model, options, classes, tuple(shapes.items()))
    # Each class has a weight for every number that the last layer reads.
    assert count > classes * next(iter(shapes.values()))[-1] / 10
    optimizer = make_optimizer(config, steps_per_epoch=100)
    if name.startswith("torabi"):
        assert isinstance(optimizer, keras.optimizers.SGD)
        assert optimizer.momentum == (0.6 if DATASETS[name] == "Hollywood2" else 0.9)
    else:
        assert isinstance(optimizer, keras.optimizers.Adam)
    assert float(optimizer.learning_rate) == pytest.approx(config.learning_rate)
    if config.schedule == "decay":
        optimizer.iterations.assign(config.decay_after + 2 * config.decay_every + 1)
        falls = 1 + (2 if config.decay_every > 1 else 0)
        slowed = config.learning_rate * config.decay_rate**falls
        assert float(optimizer.learning_rate) == pytest.approx(slowed, rel=0.01)


@pytest.mark.parametrize("name", TRAINED)
def test_a_small_model_takes_a_step(name):
    """With the recipe's loss, optimizer and options; sizes alone are small."""
    keras.utils.set_random_seed(0)
    config = read(name)
    kind = type(make_classifier(config, label_names(SMALL_CLASSES))).__name__
    config = dataclasses.replace(config, model_options={**config.model_options, **SMALL[kind]})
    model = make_classifier(config, label_names(SMALL_CLASSES))
    # Maps stay maps and vectors stay vectors, both narrow.
    shapes = {
        key: (32 if kind == "C3DClassifier" else 4, *small(shape[1:]))
        for key, shape in input_shapes(config, model, name).items()
    }
    prepare_classifier(model, config, shapes, steps_per_epoch=10)
    model.run_eagerly = True
    rng = np.random.default_rng(0)
    scale = 255 if kind == "C3DClassifier" else 1
    x = {key: scale * rng.random((2, *shape), "float32") for key, shape in shapes.items()}
    several = DATASETS[name] == "Hollywood2"
    y = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]) if several else np.array([0, 2])
    before = [weight.numpy().copy() for weight in model.trainable_variables]
    loss = model.train_on_batch(x if len(x) > 1 else next(iter(x.values())), y)
    assert np.isfinite(np.asarray(loss, "float64")).all()
    moved = [
        np.abs(weight.numpy() - old).max() > 0
        for weight, old in zip(model.trainable_variables, before, strict=True)
    ]
    # A ReLU may sleep at first; the classes' layer never does.
    assert np.mean(moved) > 0.5 and moved[-1]


def small(shape):
    if shape == MAPS["pixels"]:
        return (32, 32, 3)
    return (2, 2, 5) if len(shape) == 3 else (5,)


def test_the_protocols_are_the_papers():
    """What tells the papers' protocols apart, from their sections 4.2, 4.1 and 3.2."""
    for name in TRAINED:
        config = read(name)
        rule = {"sharma": "blocks", "torabi": "random_windows", "cham": "random_frames"}
        assert config.sampling_rule == rule[name.partition("_")[0]], name
        if name.startswith("sharma"):
            assert (config.num_frames, config.block_stride, config.epochs) == (30, 1, 15)
            assert config.weight_decay == 1e-5 and config.windows_per_clip is None
        elif name.startswith("torabi"):
            frames = 192 // (1 if name.endswith("c3d") else 16)
            assert config.num_frames == frames and config.windows_per_clip == 1
            assert config.flips and config.eval_windows == 40
            assert config.batch_size == (100 if "hollywood2" in name else 200)
            # Section 4: "video samples with minimum 192 frames", of ActivityNet alone.
            assert config.min_video_frames == (None if "hollywood2" in name else 192)
        else:
            frames = 60 if "hierarchical" in name else 30
            assert (config.num_frames, config.batch_size) == (frames, 64)


def make_describing(name, words=9, **options):
    """A recipe's config and its captioner, with a vocabulary of made words."""
    config = read_caption_recipe(RECIPES / f"{name}.flags")
    config = dataclasses.replace(config, model_options={**config.model_options, **options})
    made = [f"word{number}" for number in range(words)]
    return config, make_captioner(config, CaptionVocabulary.from_captions([made]))


@pytest.mark.parametrize("name", DESCRIBING)
def test_captioners_are_the_theses(name):
    """Sharma's thesis, section 3.2.2, and what tells its three models apart."""
    config, model = make_describing(name)
    context = {"soft_attention": "attention", "average_pooling": "average"}
    assert model.context == context.get(name.removeprefix("sharma_msvd_"), "first_step")
    assert (model.units, model.embedding_dim, model.dropout) == (4096, 512, 0.5)
    assert (model.attention, model.deep_output, model.beam_width) == ("state", "paper", 4)
    assert config.attention_penalty == (0 if model.context == "average" else 1)
    assert (config.weight_decay, config.epochs, config.optimizer) == (1e-5, 15, "adam")
    sampling = config.window_sampling
    assert (sampling.num_frames, sampling.spread_over) == (26, 240)
    assert sampling.sampling_rule == "first_frames"
    assert features(name) == {"Features": MAPS["googlenet"]}


@pytest.mark.parametrize("name", DESCRIBING)
def test_a_small_captioner_takes_a_step(name):
    keras.utils.set_random_seed(0)
    config, model = make_describing(name, units=5, embedding_dim=4)
    prepare_captioner(model, config, (26, 2, 2, 3), steps_per_epoch=10)
    model.run_eagerly = True
    x = {
        "features": np.random.default_rng(0).random((2, 26, 2, 2, 3), "float32"),
        "token_ids": np.array([[1, 4, 5], [1, 6, 0]], "int32"),
    }
    before = [weight.numpy().copy() for weight in model.trainable_variables]
    loss = model.train_on_batch(x, np.array([[4, 5, 2], [6, 2, 0]], "int32"))
    assert np.isfinite(np.asarray(loss, "float64")).all()
    moved = [
        np.abs(weight.numpy() - old).max() > 0
        for weight, old in zip(model.trainable_variables, before, strict=True)
    ]
    assert all(moved)


def test_the_cnn_reads_the_frames_that_its_recipe_extracts():
    sizes = inspect.signature(C3DClassifier.__init__).parameters
    assert sizes["frame_size"].default == MAPS["pixels"][:2]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

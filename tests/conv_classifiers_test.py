"""Tests of CHAM's two models and of their head: equations, joins, masks, switches, bad input."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.layers.map_head import MapHead
from glimpse.models import ConvAttentionClassifier, HierarchicalConvAttentionClassifier
from tests import conv_references
from tests.conv_lstm_attention_test import paper_weights
from tests.layer_checks import run_layer_checks

# Every call compiles anew on JAX, so that the other backends run what could differ there.
_ON_ALL = pytest.mark.backends

_SHAPE = (2, 5, 3, 3, 4)  # batch, frames, height, width, features
_MASK = np.array([[True] * 5, [True] * 3 + [False] * 2])
_CLOSE = {"rtol": 1e-4, "atol": 1e-5}
_ATTENTION = ("input_attention_kernel", "hidden_attention_kernel", "attention_bias", "score_kernel")
_LSTM = ("kernel", "recurrent_kernel", "bias")
_JOINS = pytest.mark.parametrize("join", ["features", "time"])


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _features(seed=0):
    return np.random.default_rng(seed).normal(size=_SHAPE).astype("float32")


def _randomise(layer):
    generator = np.random.default_rng(5)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.5)
    return layer


def make(**options):
    """A flat model of random weights, or a hierarchical one where `join` is among the options."""
    model_class = HierarchicalConvAttentionClassifier if "join" in options else None
    model = (model_class or ConvAttentionClassifier)(3, **{"filters": 3, **options})
    model.build(_SHAPE)
    return _randomise(model)


def _dense(layer):
    return tuple(_numpy(weight).astype("float64") for weight in (layer.kernel, layer.bias))


@pytest.mark.parametrize(
    "pooling", ["average", pytest.param("blocks_2x2", marks=_ON_ALL), "flatten"]
)
@pytest.mark.parametrize("order", ["dense_first", "pooling_first"])
def test_head_matches_the_references(pooling, order):
    head = MapHead(3, 5, hidden_layers=2, spatial_pooling=pooling, head_order=order)
    maps = _features()
    head.build(maps.shape)
    _randomise(head)
    found = _numpy(head(maps))
    assert found.shape == (2, 5, 3)
    hidden = [_dense(layer) for layer in head.hidden]
    for n in range(2):
        for t in range(5):
            expected = conv_references.map_logits(
                hidden, _dense(head.classes), maps[n, t], pooling, order
            )
            np.testing.assert_allclose(found[n, t], expected, **_CLOSE)


def test_head_may_have_no_hidden_layer_and_relu_on_the_logits():
    head = MapHead(3, 5, hidden_layers=0, logits_activation="relu")
    head.build(_SHAPE)
    _randomise(head)
    kernel, bias = _dense(head.classes)
    expected = np.maximum(_features().mean((2, 3)) @ kernel + bias, 0)
    np.testing.assert_allclose(_numpy(head(_features())), expected, **_CLOSE)
    assert (expected == 0).any() and (expected > 0).any()


@_ON_ALL
def test_layer_checks_of_the_head(tmp_path):
    run_layer_checks(
        MapHead,
        {"num_classes": 3, "hidden_units": 5, "hidden_activation": "relu"},
        {"hidden_states": _features()},
        num_weights=4,
        folder=tmp_path,
        unknown_axes=(1,),
    )


def _reference_logits(model, features, real):
    """The references' maps and logits of every step, with the model's weights."""
    cell = model.recurrence.cell
    fast, weights, _ = conv_references.conv_lstm(
        paper_weights(cell, _LSTM), features, paper_weights(cell, _ATTENTION), real=real
    )
    maps = fast
    if isinstance(model, HierarchicalConvAttentionClassifier):
        lstm = paper_weights(model.slow_recurrence, _LSTM)
        maps = []
        for n, clip in enumerate(fast):
            slow, read = conv_references.slow_maps(lstm, clip, real[n], model.skip)
            maps.append(conv_references.joined_maps(clip, slow, read, model.skip, model.join))
    head = model.head
    logits = [
        [
            conv_references.map_logits(
                [_dense(layer) for layer in head.hidden],
                _dense(head.classes),
                M,
                model.spatial_pooling,
                model.head_order,
            )
            for M in clip
        ]
        for clip in maps
    ]
    return np.array(logits), weights


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 5),
        pytest.param({"join": "features", "skip": 2}, 5, marks=_ON_ALL),
        ({"join": "features", "skip": 3}, 5),
        ({"join": "time", "skip": 2}, 5 + 3),
        ({"join": "time", "skip": 3}, 5 + 2),
    ],
)
def test_models_match_the_equations(options, steps):
    model = make(**options)
    mask = np.array([[True] * 5, [False, True, True, False, True]])
    outputs = {key: _numpy(value) for key, value in model(_features(), mask=mask).items()}
    logits, weights = _reference_logits(model, _features(), mask)
    assert outputs["step_logits"].shape == logits.shape == (2, steps, 3)
    real = outputs["step_mask"]
    np.testing.assert_array_equal(real[:, :5], mask)
    counts = -(-mask.sum(1) // options["skip"]) if steps > 5 else np.zeros(2)
    np.testing.assert_array_equal(real[:, 5:], np.arange(steps - 5) < counts[:, None])
    np.testing.assert_allclose(outputs["step_logits"][real], logits[real], **_CLOSE)
    np.testing.assert_allclose(outputs["attention_weights"], weights, **_CLOSE)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for n in range(2):
        mean = probabilities[n, real[n]].mean(0)
        np.testing.assert_allclose(outputs["probabilities"][n], mean, **_CLOSE)


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({}, 3),
        ({"join": "features", "skip": 2}, 3),
        ({"join": "features", "skip": 2}, 4),
        ({"join": "time", "skip": 2}, 3),
        ({"join": "time", "skip": 2}, 4),
        pytest.param({"join": "time", "skip": 3, "time_average": "logits"}, 3, marks=_ON_ALL),
    ],
)
def test_padding_changes_nothing_wherever_the_clip_ends(options, length):
    """Also where the last real frame is one that the second layer skips."""
    model = make(**options)
    model.compile("sgd")
    padded = _features()
    padded[:, length:] = np.nan
    mask = np.arange(5)[None] < np.full((2, 1), length)
    longer, short = model(padded, mask=mask), model(padded[:, :length])
    for name in ("probabilities", "logits"):
        np.testing.assert_allclose(_numpy(longer[name]), _numpy(short[name]), **_CLOSE)
    np.testing.assert_allclose(
        _numpy(longer["attention_weights"])[:, :length],
        _numpy(short["attention_weights"]),
        **_CLOSE,
    )
    np.testing.assert_array_equal(_numpy(longer["attention_weights"])[:, length:], 0)
    real = _numpy(longer["step_mask"])
    kept = _numpy(longer["step_logits"])[real].reshape(_numpy(short["step_logits"]).shape)
    np.testing.assert_allclose(kept, _numpy(short["step_logits"]), **_CLOSE)
    losses = [
        float(_numpy(model.compute_loss(None, np.array([0, 2]), outputs, None)))
        for outputs in (longer, short)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize(
    ("join", "skip"),
    [
        ("features", 2),
        ("features", 3),
        ("time", 2),
        pytest.param("time", 3, marks=_ON_ALL),
    ],
)
def test_masked_frames_change_nothing_wherever_they_are(join, skip):
    """In front, in the middle, at the end, and at several places of one clip."""
    model = make(join=join, skip=skip)
    frames = [[2, 3, 4, 5], [0, 1, 4, 5], [0, 1, 2, 3], [0, 1, 3, 5], [1, 2, 3, 4], [0, 2, 4, 5]]
    clip = _features()[:1, :4]
    padded = np.full((6, 6, *_SHAPE[2:]), np.nan, "float32")
    mask = np.zeros((6, 6), bool)
    for n, real in enumerate(frames):
        padded[n, real], mask[n, real] = clip[0], True
    found = {key: _numpy(value) for key, value in model(padded, mask=mask).items()}
    expected = {key: _numpy(value) for key, value in model(clip).items()}
    real = found["step_mask"]
    for n in range(6):
        np.testing.assert_allclose(
            found["probabilities"][n], expected["probabilities"][0], **_CLOSE
        )
        np.testing.assert_allclose(
            found["step_logits"][n, real[n]], expected["step_logits"][0], **_CLOSE
        )
        np.testing.assert_allclose(
            found["attention_weights"][n, mask[n]], expected["attention_weights"][0], **_CLOSE
        )
    np.testing.assert_array_equal(found["attention_weights"][~mask], 0)


def test_features_joined_by_channels_answer_from_the_past_alone():
    model = make(join="features")
    before = _numpy(model(_features())["step_logits"])
    features = _features()
    features[:, 3:] += 1
    after = _numpy(model(features)["step_logits"])
    np.testing.assert_allclose(after[:, :3], before[:, :3], **_CLOSE)
    assert (np.abs(after - before)[:, 3:] > 1e-4).any()


def test_the_second_layer_reads_every_skipth_frame_alone():
    """With the first layer's channels cut off from the classes, only frames 0, 2, 4 answer."""
    model = make(join="features", hidden_layers=0)
    kernel = _numpy(model.head.classes.kernel).copy()
    kernel[:3] = 0
    model.head.classes.kernel.assign(kernel)
    logits = _numpy(model(_features())["step_logits"])
    np.testing.assert_array_equal(logits[:, 1], logits[:, 0])
    np.testing.assert_array_equal(logits[:, 3], logits[:, 2])
    assert np.abs(np.diff(logits[:, ::2], axis=1)).min() > 1e-6


def test_one_answer_from_the_mean_of_the_logits():
    model = make(time_average="logits")
    logits, _ = _reference_logits(model, _features(), _MASK)
    outputs = model(_features(), mask=_MASK)
    assert tuple(outputs["step_logits"].shape) == (2, 1, 3)
    expected = np.stack([logits[n, _MASK[n]].mean(0) for n in range(2)])
    np.testing.assert_allclose(_numpy(outputs["step_logits"])[:, 0], expected, **_CLOSE)
    softmax = np.exp(expected) / np.exp(expected).sum(-1, keepdims=True)
    np.testing.assert_allclose(_numpy(outputs["probabilities"]), softmax, **_CLOSE)


@_JOINS
def test_manual_glimpse_moves_the_gaze_and_nan_keeps_it(join):
    model = make(join=join)
    override = np.full(_SHAPE[:4], np.nan, "float32")
    own = model(_features())
    same = model(_features(), attention_override=override)
    np.testing.assert_allclose(_numpy(same["step_logits"]), _numpy(own["step_logits"]), **_CLOSE)
    override[:, 1] = 0
    override[:, 1, 2, 1] = 1
    moved = model(_features(), attention_override=override)
    assert _numpy(moved["attention_weights"])[:, 1, 2, 1].tolist() == [1] * 2
    assert np.abs(_numpy(moved["step_logits"]) - _numpy(own["step_logits"])).max() > 1e-4


def test_dropout_falls_before_the_classes_and_elsewhere_only_if_asked():
    for options, still in (({"dropout": 0.5}, True), ({"recurrence_dropout": 0.5}, False)):
        model = make(join="features", **{"dropout": 0.0, **options})
        inference, training = (model(_features(), training=on) for on in (False, True))
        difference, moved = (
            np.abs(_numpy(inference[name]) - _numpy(training[name])).max()
            for name in ("step_logits", "attention_weights")
        )
        assert difference > 1e-3
        assert (moved < 1e-6) == still


@pytest.mark.parametrize("name", ["small", "reference"])
def test_a_saved_model_answers_bit_for_bit(name, tmp_path):
    model = glimpse.create_model(f"hierarchical_conv_attention_{name}", 3, filters=3)
    answer = model.predict(_features(), verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert json.dumps(again.get_config()) == json.dumps(model.get_config())
    for key, value in again.predict(_features(), verbose=0).items():
        np.testing.assert_array_equal(value, answer[key])


def test_the_reference_variants_differ_from_the_paper_by_named_switches():
    flat = glimpse.create_model("conv_attention_reference", 3).get_config()
    base = glimpse.create_model("conv_attention_base", 3).get_config()
    assert {key for key in base if flat[key] != base[key]} - {"name"} == {
        "attention_kernel_size",
        "hidden_layers",
        "logits_activation",
        "recurrence_dropout",
        "spatial_pooling",
        "time_average",
    }
    name = "hierarchical_conv_attention"
    reference = glimpse.create_model(f"{name}_reference", 3).get_config()
    assert (reference["join"], reference["skip"]) == ("time", 2)
    assert glimpse.create_model(f"{name}_base", 3).join == "features"


# Attention 2048 * 512 + 512 * 512 + 512 + 512; LSTM 9 * (2048 + 512) * 2048 + 2048; dense
# 513 * 512; classes 513 * 51.
_FLAT = 1_311_744 + 47_187_968 + 262_656 + 26_163


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("conv_attention_base", _FLAT),
        # The second LSTM is 9 * (512 + 512) * 2048 + 2048; the dense layer has 512 inputs more.
        ("hierarchical_conv_attention_base", _FLAT + 18_876_416 + 512 * 512),
    ],
)
def test_parameter_counts_at_the_papers_size(name, count):
    model = glimpse.create_model(name, 51)
    # The default draw of a recurrent kernel factorises a matrix of 4,608 x 2,048.
    model.recurrence.cell.recurrent_initializer = keras.initializers.Zeros()
    if "hierarchical" in name:
        model.slow_recurrence.recurrent_initializer = keras.initializers.Zeros()
    model.build((None, 60, 7, 7, 2048))
    assert model.count_params() == count


@_JOINS
def test_a_clip_without_a_real_frame_has_no_probabilities(join):
    mask = np.array([[True] * 5, [False] * 5])
    features = _features()
    features[1] = np.nan
    outputs = make(join=join)(features, mask=mask)
    np.testing.assert_array_equal(_numpy(outputs["probabilities"])[1], 0)
    np.testing.assert_array_equal(_numpy(outputs["attention_weights"])[1], 0)
    np.testing.assert_allclose(_numpy(outputs["probabilities"])[0].sum(), 1, rtol=1e-5)


@_JOINS
def test_one_frame_is_a_clip(join):
    outputs = make(join=join)(_features()[:, :1])
    assert tuple(outputs["step_logits"].shape) == (2, 1 if join == "features" else 2, 3)
    np.testing.assert_allclose(_numpy(outputs["probabilities"]).sum(-1), 1, rtol=1e-5)


def test_one_class_needs_several_labels():
    with pytest.raises(ValueError, match="`num_classes` must be an integer of at least 2, got 1"):
        ConvAttentionClassifier(1)
    outputs = HierarchicalConvAttentionClassifier(1, filters=3, multi_label=True)(_features())
    assert tuple(outputs["probabilities"].shape) == (2, 1)
    assert ((_numpy(outputs["probabilities"]) > 0) & (_numpy(outputs["probabilities"]) < 1)).all()


def test_nan_in_a_real_frame_spoils_its_clip_and_no_other():
    model, features = make(join="features"), _features()
    expected = _numpy(model(features)["probabilities"])
    features[0, 2, 1, 1, 0] = np.nan
    found = _numpy(model(features)["probabilities"])
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], expected[1], **_CLOSE)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 9, 4), "`features` must be .batch, frames, height, width, 4., received"),
        ((2, 5, 3, 3, 6), "width, 4., received shape .2, 5, 3, 3, 6"),
    ],
)
def test_features_of_another_rank_or_size_are_refused(shape, message):
    features = np.zeros(shape, "float32")
    with pytest.raises(ValueError, match=message):
        make(join="time")(features)
    with pytest.raises(ValueError, match="`features` must be"):
        ConvAttentionClassifier(3, filters=3).build(shape[:4])


@_ON_ALL
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"skip": 0}, "`skip` .* received 0"),
        ({"skip": 1.5}, "`skip` .* received 1.5"),
        ({"join": "space"}, "`join` .* 'space'"),
        ({"time_average": "none"}, "`time_average` .* 'none'"),
        ({"spatial_pooling": "max"}, "`spatial_pooling` .* 'max'"),
        ({"head_order": "first"}, "`head_order` .* 'first'"),
        ({"hidden_activation": "elu"}, "`hidden_activation` .* 'elu'"),
        ({"hidden_layers": -1}, "`hidden_layers` .* received -1"),
        ({"hidden_units": 0}, "`hidden_units` .* received 0"),
        ({"logits_activation": "tanh"}, "`logits_activation` .* 'tanh'"),
        ({"dropout": -0.1}, "`dropout` .* received -0.1"),
        ({"filters": 0}, "`filters` .* received 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        HierarchicalConvAttentionClassifier(3, **arguments)


def test_bad_masks_and_maps_are_named():
    with pytest.raises(ValueError, match=r"`mask` must have .* \(2, 5\); received shape \(2, 4\)"):
        make(join="features")(_features(), mask=np.ones((2, 4), bool))
    with pytest.raises(ValueError, match="`attention_override` must have the shape"):
        make(join="features")(_features(), attention_override=np.zeros((2, 5, 9), "float32"))
    with pytest.raises(ValueError, match="'flatten' needs maps of known height and width"):
        ConvAttentionClassifier(3, filters=3, spatial_pooling="flatten").build(
            (None, 5, None, None, 4)
        )


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Tests of the convolutional LSTM with attention, and without: its cell and its layers."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import ConvLSTM, ConvLSTMAttention, ConvLSTMAttentionCell
from tests import conv_references, references
from tests.gradients import assert_gradients_match_differences, float64, gradients
from tests.layer_checks import run_layer_checks

# Every call compiles anew on JAX, so that the other backends run what could differ there.
_ON_ALL = pytest.mark.backends

_SHAPE = (2, 4, 3, 2, 5)  # batch, frames, height, width, features
_MASK = np.array([[True, True, True, True], [True, True, False, False]])
_CLOSE = {"rtol": 1e-5, "atol": 1e-6}
_ATTENTION = ("input_attention_kernel", "hidden_attention_kernel", "attention_bias", "score_kernel")
_LSTM = ("kernel", "recurrent_kernel", "bias")


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _features():
    return np.random.default_rng(3).normal(size=_SHAPE).astype("float32")


def _override():
    override = np.random.default_rng(4).random(_SHAPE[:4]).astype("float32")
    override[0, 1] = override[1, :2] = np.nan
    return override


def _randomise(layer):
    generator = np.random.default_rng(5)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.5)
    return layer


def random_layer(**kwargs):
    """A layer of 3 filters whose every weight is random, returning its states."""
    layer = ConvLSTMAttention(3, return_state=True, **kwargs)
    layer.build(_SHAPE)
    return _randomise(layer)


def paper_weights(cell, names):
    """Weights of a layer in float64, as the references take them."""
    return tuple(_numpy(getattr(cell, name)).astype("float64") for name in names)


def _reference(cell, features, **kwargs):
    candidate = references.sigmoid if cell.candidate_activation == "sigmoid" else np.tanh
    return conv_references.conv_lstm(
        paper_weights(cell, _LSTM),
        features,
        paper_weights(cell, _ATTENTION),
        candidate=candidate,
        **kwargs,
    )


def _states():
    return list(np.random.default_rng(6).normal(size=(2, 2, 3, 2, 3)).astype("float32"))


def test_layer_checks_of_the_cell(tmp_path):
    run_layer_checks(
        ConvLSTMAttentionCell,
        {"filters": 3, "attention_filters": 4},
        {"inputs": _features()[:, 0], "states": _states()},
        num_weights=7,
        folder=tmp_path,
    )


@pytest.mark.parametrize(
    "extra",
    [{}, pytest.param({"mask": _MASK, "attention_override": _override()}, marks=_ON_ALL)],
)
def test_layer_checks_of_the_layer(extra, tmp_path):
    run_layer_checks(
        ConvLSTMAttention,
        {"filters": 3, "attention_kernel_size": 3, "return_state": True},
        {"features": _features(), **extra},
        num_weights=7,
        folder=tmp_path,
        unknown_axes=() if extra else (1,),
    )


def test_layer_checks_without_attention(tmp_path):
    run_layer_checks(
        ConvLSTM,
        {"filters": 3},
        {"features": _features(), "mask": _MASK},
        num_weights=3,
        folder=tmp_path,
        unknown_axes=(),
    )


def test_weights_have_the_stated_shapes_and_start():
    cell = ConvLSTMAttentionCell(3, attention_filters=4)
    cell.build((None, 3, 2, 5))
    assert {name: tuple(getattr(cell, name).shape) for name in (*_ATTENTION, *_LSTM)} == {
        "input_attention_kernel": (1, 1, 5, 4),
        "hidden_attention_kernel": (1, 1, 3, 4),
        "attention_bias": (4,),
        "score_kernel": (1, 1, 4, 1),
        "kernel": (3, 3, 5, 12),
        "recurrent_kernel": (3, 3, 3, 12),
        "bias": (12,),
    }
    np.testing.assert_array_equal(_numpy(cell.bias), [0] * 3 + [1] * 3 + [0] * 6)
    wide = ConvLSTMAttentionCell(3, attention_kernel_size=3, unit_forget_bias=False)
    wide.build((None, 3, 2, 5))
    assert tuple(wide.score_kernel.shape) == (3, 3, 3, 1)
    np.testing.assert_array_equal(_numpy(wide.bias), 0)
    assert [tuple(x.shape) for x in wide.get_initial_state(batch_size=7)] == [(7, 3, 2, 3)] * 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"attention_filters": 4},
        pytest.param(
            {"kernel_size": 2, "attention_kernel_size": 3, "candidate_activation": "sigmoid"},
            marks=_ON_ALL,
        ),
    ],
)
def test_cell_matches_the_equations(arguments):
    cell = ConvLSTMAttentionCell(3, **arguments)
    cell.build((None, *_SHAPE[2:]))
    _randomise(cell)
    frame, states = _features()[:, 0], _states()
    hidden_state, new_states = cell(frame, states)
    attended, weights = cell.attend(frame, states)
    expected, maps, last = _reference(cell, frame[:, None], start=states)
    np.testing.assert_allclose(_numpy(hidden_state), expected[:, 0], **_CLOSE)
    np.testing.assert_array_equal(_numpy(new_states[0]), _numpy(hidden_state))
    np.testing.assert_allclose(_numpy(new_states[1]), last[1], **_CLOSE)
    np.testing.assert_allclose(_numpy(weights), maps[:, 0], **_CLOSE)
    np.testing.assert_allclose(_numpy(weights).sum((1, 2)), 1, rtol=1e-6)
    assert _numpy(weights).std() > 0.01
    for n in range(2):
        seen = conv_references.weighed_map(maps[n, 0], frame[n])
        np.testing.assert_allclose(_numpy(attended)[n], seen, **_CLOSE)


@pytest.mark.parametrize(
    ("masked", "overridden"),
    [(False, False), (True, False), (False, True), pytest.param(True, True, marks=_ON_ALL)],
)
def test_layer_matches_the_equations(masked, overridden):
    layer = random_layer()
    mask, override = _MASK if masked else None, _override() if overridden else None
    found = layer(_features(), mask=mask, initial_state=_states(), attention_override=override)
    expected = _reference(layer.cell, _features(), start=_states(), real=mask, given=override)
    for x, y in zip((*found[:2], *found[2]), (*expected[:2], *expected[2]), strict=True):
        np.testing.assert_allclose(_numpy(x), y, **_CLOSE)


@_ON_ALL
def test_the_layer_without_attention_matches_the_equations():
    layer = ConvLSTM(3, candidate_activation="sigmoid")
    layer.build(_SHAPE)
    _randomise(layer)
    found = layer(_features(), mask=_MASK)
    expected, _, _ = conv_references.conv_lstm(
        paper_weights(layer, _LSTM), _features(), real=_MASK, candidate=references.sigmoid
    )
    np.testing.assert_allclose(_numpy(found), expected, **_CLOSE)


def _keras_conv_lstm(weights):
    reference = keras.layers.ConvLSTM2D(
        3, 3, padding="same", recurrent_activation="sigmoid", return_sequences=True
    )
    reference.build(_SHAPE)
    reference.set_weights([getattr(weights, name) for name in _LSTM])
    return reference


@pytest.mark.parametrize("weight", [1.0, 1 / 6])
def test_is_keras_conv_lstm_where_attention_is_overridden(weight):
    """With 1 everywhere on F itself, with the uniform map on F divided by the places."""
    layer = random_layer()
    hidden_states, weights, _ = layer(
        _features(), attention_override=np.full(_SHAPE[:4], weight, "float32")
    )
    np.testing.assert_allclose(_numpy(weights), weight, rtol=1e-6)
    expected = _keras_conv_lstm(layer.cell)(_features() * np.float32(weight))
    np.testing.assert_allclose(_numpy(hidden_states), _numpy(expected), **_CLOSE)


def test_equal_scores_see_every_place_alike():
    layer = random_layer()
    layer.cell.score_kernel.assign(np.zeros(layer.cell.score_kernel.shape))
    hidden_states, weights, _ = layer(_features())
    np.testing.assert_allclose(_numpy(weights), 1 / 6, rtol=1e-6)
    expected = _keras_conv_lstm(layer.cell)(_features() / 6)
    np.testing.assert_allclose(_numpy(hidden_states), _numpy(expected), **_CLOSE)


def test_without_attention_it_is_keras_conv_lstm():
    layer = ConvLSTM(3)
    layer.build(_SHAPE)
    _randomise(layer)
    expected = _keras_conv_lstm(layer)(_features())
    np.testing.assert_allclose(_numpy(layer(_features())), _numpy(expected), **_CLOSE)


@_ON_ALL
def test_step_by_step_equals_the_whole_clip_and_its_two_halves():
    layer = random_layer()
    features = _features()
    hidden_states, attention_weights, last = layer(features)
    states = layer.cell.get_initial_state(batch_size=2)
    for t in range(4):
        _, weights = layer.cell.attend(features[:, t], states)
        hidden_state, states = layer.cell(features[:, t], states)
        np.testing.assert_allclose(_numpy(weights), _numpy(attention_weights)[:, t], **_CLOSE)
        np.testing.assert_allclose(_numpy(hidden_state), _numpy(hidden_states)[:, t], **_CLOSE)
    _, _, middle = layer(features[:, :2])
    second, _, end = layer(features[:, 2:], initial_state=middle)
    np.testing.assert_allclose(_numpy(second), _numpy(hidden_states)[:, 2:], **_CLOSE)
    for found in (states, end):
        for x, y in zip(found, last, strict=True):
            np.testing.assert_allclose(_numpy(x), _numpy(y), **_CLOSE)


def test_keras_rnn_around_the_cell_equals_the_layer():
    layer = random_layer()
    cell = ConvLSTMAttentionCell(3)
    rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    rnn.build(_SHAPE)
    cell.set_weights(layer.cell.get_weights())
    hidden_states, _, states = layer(_features())
    for x, y in zip(rnn(_features()), (hidden_states, *states), strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), **_CLOSE)


@pytest.mark.parametrize("filler", [1e3, np.nan])
def test_padding_changes_nothing(filler):
    layer = random_layer()
    features = _features()
    features[1, 2:] = filler
    hidden_states, weights, states = keras.tree.map_structure(_numpy, layer(features, mask=_MASK))
    short = keras.tree.map_structure(_numpy, layer(features[1:, :2]))
    np.testing.assert_allclose(hidden_states[1:, :2], short[0], **_CLOSE)
    np.testing.assert_allclose(weights[1:, :2], short[1], **_CLOSE)
    np.testing.assert_array_equal(hidden_states[1, 2:], hidden_states[1, [1, 1]])
    np.testing.assert_allclose(weights.sum((2, 3)), _MASK, rtol=1e-6)
    for x, y in zip(states, short[2], strict=True):
        np.testing.assert_allclose(x[1:], y, **_CLOSE)


def test_masked_frames_stay_unseen_even_where_overridden():
    override = np.full(_SHAPE[:4], 0.5, "float32")
    _, weights, _ = random_layer()(_features(), mask=_MASK, attention_override=override)
    np.testing.assert_array_equal(_numpy(weights), override * _MASK[..., None, None])


def test_a_clip_without_real_frames_stays_where_it_starts():
    features = np.full(_SHAPE, np.nan, "float32")
    hidden_states, weights, states = random_layer()(features, mask=np.zeros((2, 4), bool))
    for value in (hidden_states, weights, *states):
        np.testing.assert_array_equal(_numpy(value), 0)


def test_nan_in_a_real_frame_makes_nan_of_its_clip_from_there_on():
    layer, features = random_layer(), _features()
    expected = _numpy(layer(features)[0])
    features[0, 2, 1, 1, 0] = np.nan
    found = _numpy(layer(features)[0])
    np.testing.assert_allclose(found[1], expected[1], **_CLOSE)
    np.testing.assert_allclose(found[0, :2], expected[0, :2], **_CLOSE)
    assert np.isnan(found[0, 2:]).all()


def _scalar(layer):
    """A scalar of every output, as a function of features, weights, start and override."""
    probes = np.random.default_rng(8)
    num_weights = len(layer.trainable_variables)
    fixed = [_numpy(v) for v in layer.non_trainable_variables]
    sizes = [(2, 4, 3, 2, 3), (2, 4, 3, 2), (2, 3, 2, 3), (2, 3, 2, 3)]
    probes = [probes.normal(size=size) for size in sizes]

    def scalar(features, *rest):
        outputs, _ = layer.stateless_call(
            list(rest[:num_weights]),
            [ops.convert_to_tensor(v) for v in fixed],
            features,
            mask=_MASK,
            initial_state=list(rest[num_weights : num_weights + 2]),
            training=True,
            attention_override=rest[-1],
        )
        return sum(
            ops.sum(x * ops.convert_to_tensor(p, layer.compute_dtype))
            for x, p in zip(keras.tree.flatten(outputs), probes, strict=True)
        )

    return scalar


@_ON_ALL
def test_gradients():
    generator = np.random.default_rng(8)
    with float64():
        layer = random_layer(dropout=0.4, candidate_activation="sigmoid", seed=2, dtype="float64")
        names = ["features", *(v.path for v in layer.trainable_variables), "h", "c", "override"]
        values = [generator.normal(size=_SHAPE)]
        values += [generator.normal(size=v.shape) * 0.5 for v in layer.trainable_variables]
        values += [generator.normal(size=(2, 3, 2, 3)) for _ in range(2)]
        values.append(_override().astype("float64"))
        assert_gradients_match_differences(_scalar(layer), values, names)


@_ON_ALL
def test_padding_gets_a_gradient_of_exactly_zero_even_where_it_is_nan():
    layer = random_layer()
    features = _features()
    features[1, 2:] = np.nan

    def total(features, *weights):
        outputs, _ = layer.stateless_call(list(weights), [], features, mask=_MASK)
        return ops.sum(outputs[0]) + ops.sum(ops.square(outputs[1]))

    found, *of_weights = gradients(total, [features, *map(_numpy, layer.trainable_variables)])
    assert np.all(found[1, 2:] == 0)
    assert np.all(np.abs(found[_MASK]).max(axis=(1, 2, 3)) > 0)
    assert all(np.isfinite(gradient).all() for gradient in of_weights)


def test_one_graph_serves_clips_of_any_length():
    layer = random_layer()
    clip, mask = keras.Input((None, *_SHAPE[2:])), keras.Input((None,), dtype="bool")
    model = keras.Model([clip, mask], layer(clip, mask=mask)[:2])
    for frames in (1, 3):
        features, real = _features()[:, :frames], np.ones((2, frames), bool)
        found = model.predict([features, real], verbose=0)
        expected = layer(features)
        np.testing.assert_allclose(found[0], _numpy(expected[0]), **_CLOSE)
        np.testing.assert_allclose(found[1], _numpy(expected[1]), **_CLOSE)


def test_dropout_is_inverted_falls_on_the_weighed_map_alone_and_is_fresh_each_time():
    cell = ConvLSTMAttentionCell(8, kernel_size=1, dropout=0.5, seed=1)
    cell.build((None, 3, 2, 8))
    _randomise(cell)
    frame = np.random.default_rng(0).random((2, 3, 2, 8)).astype("float32") + 1
    # With an identity for a kernel the gate g shows the cell's input.
    kernel = np.zeros((1, 1, 8, 32), "float32")
    kernel[0, 0, :, 16:24] = np.eye(8)
    cell.kernel.assign(kernel)
    cell.recurrent_kernel.assign(np.zeros((1, 1, 8, 32)))
    cell.bias.assign(np.repeat([50.0, -50.0, 0.0, 50.0], 8))
    states = [np.zeros((2, 3, 2, 8), "float32")] * 2
    attended, _ = cell.attend(frame, states)

    def shares():
        _, (_, cell_state) = cell(frame, states, training=True)
        return np.round(np.arctanh(_numpy(cell_state)) / _numpy(attended), 3)

    first, second = shares(), shares()
    assert set(np.unique(first)) == {0, 2}
    assert np.abs(first - second).max() > 0
    _, (_, kept) = cell(frame, states, training=False)
    np.testing.assert_allclose(np.arctanh(_numpy(kept)), _numpy(attended), rtol=1e-3)


def test_the_layers_drop_as_their_cell_does():
    for layer in (random_layer(dropout=0.5, seed=1), ConvLSTM(3, dropout=0.5, seed=1)):
        still, first, second = (
            _numpy(keras.tree.flatten(layer(_features(), training=training))[0])
            for training in (False, True, True)
        )
        assert np.abs(first - second).max() > 1e-3
        assert np.abs(first - still).max() > 1e-3


def test_a_keras_mask_is_passed_on():
    layer = ConvLSTMAttention(3)
    assert layer.compute_mask(None, _MASK) == [_MASK, None]
    assert layer.supports_masking and ConvLSTM(3).supports_masking


@_ON_ALL
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 0}, "`filters` .* received 0"),
        ({"filters": 4, "kernel_size": 2.5}, "`kernel_size` .* received 2.5"),
        ({"filters": 4, "attention_filters": -1}, "`attention_filters` .* received -1"),
        ({"filters": 4, "attention_kernel_size": 0}, "`attention_kernel_size` .* received 0"),
        ({"filters": 4, "candidate_activation": "relu"}, "`candidate_activation` .* 'relu'"),
        ({"filters": 4, "dropout": 1.0}, r"`dropout` must be in \[0, 1\); received 1.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvLSTMAttention(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"features": np.zeros((2, 4, 6, 5))}, "`features` must be .batch, frames, height"),
        ({"features": np.zeros((2, 4, 3, 2, 7))}, "width, 5., received shape .2, 4, 3, 2, 7"),
        ({"mask": np.ones((2, 3), bool)}, r"`mask` .* \(2, 4\); received shape \(2, 3\)"),
        (
            {"initial_state": [np.zeros((2, 3, 2, 3))]},
            r"`initial_state` must be a list of 2 states, \[h, c\]",
        ),
        ({"initial_state": [np.zeros((2, 3, 1, 3))] * 2}, r"`initial_state`.*\(2, 3, 2, 3\)"),
        ({"attention_override": np.zeros((2, 4, 6))}, "`attention_override` must have the shape"),
        ({"attention_override": np.where(np.arange(2), 1, np.nan)}, "8 of 8 rows"),
    ],
)
def test_bad_calls(call, message):
    call = {"features": _features(), **call}
    if call.get("attention_override", np.zeros(0)).shape == (2,):
        call["attention_override"] = np.tile(call["attention_override"], (2, 4, 3, 1))
    call = keras.tree.map_structure(lambda x: x.astype("float32") if x.dtype != bool else x, call)
    with pytest.raises(ValueError, match=message):
        random_layer()(**call)


def test_maps_of_unknown_size_have_no_initial_state():
    cell = ConvLSTMAttentionCell(3)
    with pytest.raises(ValueError, match="known height and width"):
        cell.get_initial_state(batch_size=2)
    with pytest.raises(ValueError, match="`inputs` must be .batch, height, width, features"):
        cell.build((None, 6, 5))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Tests of one step of the soft attention LSTM against the paper's equations."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import SoftAttentionLSTM, SoftAttentionLSTMCell
from tests import references
from tests.layer_checks import run_layer_checks

pytestmark = pytest.mark.backends

_FORMS = pytest.mark.parametrize("attention", ["state", "content"])
# On the other backends, where each new loop is compiled, the case with most in it runs alone.
_DEPTHS = [1, 3] if keras.config.backend() == "tensorflow" else [3]


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def random_cell(attention="state", depth=1, units=4, regions=5, features=6, **kwargs):
    """A cell whose every weight is random, with a frame and states to run it on."""
    generator = np.random.default_rng(7)
    cell = SoftAttentionLSTMCell(units, depth=depth, attention=attention, **kwargs)
    cell.build((None, regions, features))
    cell.set_weights([generator.normal(size=w.shape) * 0.7 for w in cell.weights])
    frame = generator.normal(size=(3, regions, features)).astype("float32")
    states = [generator.normal(size=(3, units)).astype("float32") for _ in range(2 * depth)]
    return cell, frame, states


def paper_form(cell):
    """The cell's weights as the references take them: its attention, and its layers."""
    weights = {w.name: _numpy(w).astype("float64") for w in cell.trainable_weights}
    layers = [
        tuple(_numpy(w).astype("float64") for w in triple)
        for triple in zip(cell.kernels, cell.recurrent_kernels, cell.biases, strict=True)
    ]
    if cell.attention == "state":
        W = weights["attention_kernel"]
        return lambda X_t, h: references.location_softmax(W, h), layers
    V, U = weights["value_kernel"], weights["query_kernel"]
    b, w = weights["attention_bias"], weights["score_kernel"]
    return lambda X_t, h: references.content_softmax(V, U, b, w, X_t, h), layers


@_FORMS
@pytest.mark.parametrize("depth", _DEPTHS)
def test_layer_checks(attention, depth, tmp_path):
    arguments = {"units": 4, "depth": depth, "attention": attention, "attention_units": 3}
    _, frame, states = random_cell(attention, depth)
    inputs = {"inputs": frame, "states": states}
    run_layer_checks(
        SoftAttentionLSTMCell,
        arguments,
        inputs,
        num_weights=3 * depth + (1 if attention == "state" else 4),
        folder=tmp_path,
    )


@_FORMS
@pytest.mark.parametrize("depth", _DEPTHS)
def test_matches_the_equations(attention, depth):
    cell, frame, states = random_cell(attention, depth, attention_units=3)
    attend, layers = paper_form(cell)
    expected, expected_map, expected_states = references.soft_attention_lstm(
        attend, layers, frame[:, None], states
    )
    hidden_state, new_states = cell(frame, states)
    context, attention_weights = cell.attend(frame, states)
    np.testing.assert_allclose(_numpy(hidden_state), expected[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_numpy(attention_weights), expected_map[:, 0], rtol=1e-5)
    for n in range(3):
        seen = references.expected_slice(expected_map[n, 0], frame[n])
        np.testing.assert_allclose(_numpy(context)[n], seen, rtol=1e-5, atol=1e-6)
    for found, wanted in zip(new_states, expected_states, strict=True):
        np.testing.assert_allclose(_numpy(found), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(_numpy(new_states[-2]), _numpy(hidden_state))


def test_weights_have_the_stated_shapes():
    cell, _, _ = random_cell("content", depth=2, attention_units=3)
    assert [tuple(w.shape) for w in cell.kernels] == [(6, 16), (4, 16)]
    assert [tuple(w.shape) for w in cell.recurrent_kernels] == [(4, 16)] * 2
    assert [tuple(w.shape) for w in cell.biases] == [(16,)] * 2
    assert tuple(cell.value_kernel.shape) == (6, 3)
    assert tuple(cell.query_kernel.shape) == (4, 3)
    assert tuple(cell.attention_bias.shape) == (3,)
    assert tuple(cell.score_kernel.shape) == (3, 1)
    assert tuple(random_cell("state")[0].attention_kernel.shape) == (4, 5)
    assert cell.state_size == [4] * 4
    assert cell.output_size == 4


def test_layers_start_from_different_numbers():
    cell = SoftAttentionLSTMCell(4, depth=3)
    cell.build((None, 5, 4))
    kernels = [_numpy(w) for w in [*cell.kernels, *cell.recurrent_kernels]]
    for number, kernel in enumerate(kernels):
        assert all(np.abs(kernel - other).max() > 0.01 for other in kernels[:number])
    np.testing.assert_array_equal(_numpy(cell.biases[2]), [0] * 4 + [1] * 4 + [0] * 8)


@_FORMS
def test_equal_scores_see_the_mean(attention):
    cell, frame, states = random_cell(attention)
    weight = cell.attention_kernel if attention == "state" else cell.score_kernel
    weight.assign(np.zeros(weight.shape))
    context, attention_weights = cell.attend(frame, states)
    np.testing.assert_allclose(_numpy(attention_weights), 1 / 5, rtol=1e-6)
    np.testing.assert_allclose(_numpy(context), frame.mean(1), rtol=1e-5, atol=1e-6)


def test_a_huge_score_sees_one_region():
    cell, frame, states = random_cell("state")
    kernel = np.zeros((4, 5))
    kernel[:, 2] = 1e4 * states[-2].mean(0)
    cell.attention_kernel.assign(kernel)
    context, _ = cell.attend(frame[:1], [np.tile(s.mean(0), (1, 1)) for s in states])
    np.testing.assert_allclose(_numpy(context), frame[:1, 2], rtol=1e-5)


def test_regions_in_another_order_get_their_weights_in_that_order():
    cell, frame, states = random_cell("content")
    order = [3, 0, 4, 1, 2]
    context, weights = cell.attend(frame, states)
    moved_context, moved_weights = cell.attend(frame[:, order], states)
    np.testing.assert_allclose(_numpy(moved_weights), _numpy(weights)[:, order], rtol=1e-5)
    np.testing.assert_allclose(_numpy(moved_context), _numpy(context), rtol=1e-4, atol=1e-6)


def test_is_keras_lstm_cell_where_attention_is_frozen():
    cell, frame, states = random_cell("state")
    reference = keras.layers.LSTMCell(4)
    reference.build((None, 6))
    reference.set_weights([cell.kernels[0], cell.recurrent_kernels[0], cell.biases[0]])
    gaze = np.tile(np.array([0, 0, 0, 1, 0], "float32"), (3, 1))
    hidden_state, new_states = cell(frame, states, attention_override=gaze)
    expected, expected_states = reference(frame[:, 3], states)
    np.testing.assert_allclose(_numpy(hidden_state), _numpy(expected), rtol=1e-5, atol=1e-6)
    for found, wanted in zip(new_states, expected_states, strict=True):
        np.testing.assert_allclose(_numpy(found), _numpy(wanted), rtol=1e-5, atol=1e-6)


def test_override_is_used_as_given_and_nan_keeps_the_own():
    cell, frame, states = random_cell("content")
    _, own = cell.attend(frame, states)
    override = np.full((3, 5), np.nan, "float32")
    override[1] = [0, 2, 0, 0, -1]
    context, weights = cell.attend(frame, states, attention_override=override)
    np.testing.assert_array_equal(_numpy(weights)[1], override[1])
    np.testing.assert_array_equal(_numpy(weights)[[0, 2]], _numpy(own)[[0, 2]])
    expected = 2 * frame[1, 1] - frame[1, 4]
    np.testing.assert_allclose(_numpy(context)[1], expected, rtol=1e-5, atol=1e-6)
    override[0, 0] = 0.5
    with pytest.raises(ValueError, match="1 of 3 rows in which only some values are NaN"):
        cell(frame, states, attention_override=override)


@_FORMS
@pytest.mark.parametrize("depth", _DEPTHS)
def test_keras_rnn_around_the_cell_equals_the_layer(attention, depth):
    features = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype("float32")
    mask = np.array([[True] * 4, [True, True, False, False]])
    layer = SoftAttentionLSTM(
        4, depth=depth, attention=attention, initial_state="zeros", return_state=True
    )
    layer.build(features.shape)
    cell = SoftAttentionLSTMCell(4, depth=depth, attention=attention)
    rnn = keras.layers.RNN(cell, return_sequences=True, return_state=True)
    rnn.build(features.shape)
    cell.set_weights(layer.cell.get_weights())
    for clip_mask in (None, mask):
        hidden_states, _, states = layer(features, mask=clip_mask)
        found, *found_states = rnn(features, mask=clip_mask)
        # In padding Keras repeats the first state on JAX, which is the bottom layer's.
        real = mask if clip_mask is not None else np.ones_like(mask)
        np.testing.assert_allclose(
            _numpy(found)[real], _numpy(hidden_states)[real], rtol=1e-5, atol=1e-6
        )
        for x, y in zip(found_states, states, strict=True):
            np.testing.assert_allclose(_numpy(x), _numpy(y), rtol=1e-5, atol=1e-6)


def test_dropout_is_inverted_and_falls_on_the_inputs_of_layers_alone():
    cell, frame, states = random_cell(depth=2, units=64, dropout=0.5, seed=1)
    still = [np.zeros_like(s) for s in states]
    # With an identity for a kernel the gate g of a layer shows that layer's input.
    for layer, size in enumerate((6, 64)):
        kernel = np.zeros((size, 256), "float32")
        kernel[:, 128 : 128 + size] = np.eye(size) * 0.01
        cell.kernels[layer].assign(kernel)
        cell.biases[layer].assign(np.repeat([50.0, -50.0, 0.0, 50.0], 64))
        cell.recurrent_kernels[layer].assign(np.zeros((64, 256)))
    context, _ = cell.attend(frame, still)
    seen, states_dropped = cell(frame, still, training=True)
    _, states_kept = cell(frame, still, training=False)
    shown = np.arctanh(_numpy(states_dropped[1]))[:, :6] * 100
    ratio = shown / _numpy(context)
    assert np.all(np.isclose(ratio, 0, atol=1e-3) | np.isclose(ratio, 2, rtol=1e-2))
    assert np.any(np.abs(ratio) < 1) and np.any(ratio > 1)
    below = _numpy(states_dropped[0])
    upper = np.arctanh(_numpy(states_dropped[3])) * 100
    where = np.abs(below) > 1e-3
    ratio = upper[where] / below[where]
    assert np.all(np.isclose(ratio, 0, atol=1e-2) | np.isclose(ratio, 2, rtol=2e-2))
    np.testing.assert_allclose(
        np.arctanh(_numpy(states_kept[1]))[:, :6] * 100, _numpy(context), rtol=1e-2, atol=1e-3
    )
    np.testing.assert_array_equal(_numpy(seen), _numpy(states_dropped[2]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be an integer of at least 1; received 0"),
        ({"units": 4, "depth": 1.5}, "`depth` must be an integer of at least 1; received 1.5"),
        ({"units": 4, "attention": "hard"}, "`attention` .* received 'hard'"),
        ({"units": 4, "attention_units": -2}, "`attention_units` .* received -2"),
        ({"units": 4, "dropout": 1.0}, r"`dropout` must be in \[0, 1\); received 1.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SoftAttentionLSTMCell(**arguments)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"`inputs` must be \(batch, regions, features\)"):
        SoftAttentionLSTMCell(4).build((None, 3, 5, 6))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Tests of the LSTM that attends to a clip's frames: one step, and the whole clip."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import TemporalAttentionLSTM, TemporalAttentionLSTMCell
from glimpse.layers.peephole_lstm_cell import PeepholeLSTMCell
from tests import temporal_references
from tests.gradients import assert_gradients_match_differences, float64, gradients
from tests.layer_checks import run_layer_checks
from tests.temporal_attention_test import paper_weights

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends

# Two clips of four steps that attend to three frames; the second clip is shorter.
_STEPS = np.array([[True] * 4, [True, True, False, False]])
_FRAMES = np.array([[True] * 3, [True, False, True]])


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _data(dtype="float32"):
    generator = np.random.default_rng(2)
    shapes = (2, 4, 5), (2, 3, 6)
    return [generator.normal(size=shape).astype(dtype) for shape in shapes]


def _states(dtype="float32"):
    return [np.random.default_rng(3).normal(size=(2, 4)).astype(dtype)] * 2


def _override():
    override = np.random.default_rng(4).random((2, 4, 3)).astype("float32")
    override[0, 1:3] = override[1, :1] = np.nan
    return override


def random_layer(**kwargs):
    """A layer of 4 units whose every weight is random, returning its states."""
    layer = TemporalAttentionLSTM(4, attention_units=3, return_state=True, **kwargs)
    layer.build((2, 4, 5), (2, 3, 6))
    generator = np.random.default_rng(5)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.7)
    return layer


def paper_lstm(cell):
    """W, K, U, b and the peepholes of Eq. 7-10."""
    names = ["kernel", "context_kernel", "recurrent_kernel", "bias"]
    weights = [_numpy(getattr(cell, name)).astype("float64") for name in names]
    if not cell.peepholes:
        return [*weights, None]
    names = ["input_peephole", "forget_peephole", "output_peephole"]
    return [*weights, [_numpy(getattr(cell, name)).astype("float64") for name in names]]


def assert_equal(found, expected):
    for x, y in zip(keras.tree.flatten(found), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), rtol=1e-5, atol=1e-6)


def test_cell_checks(tmp_path):
    inputs, values = _data()
    run_layer_checks(
        TemporalAttentionLSTMCell,
        {"units": 4, "attention_units": 3},
        {"inputs": inputs[:, 0], "states": _states(), "values": values, "values_mask": _FRAMES},
        num_weights=8,
        folder=tmp_path,
    )


@_BACKENDS
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ({"peepholes": True, "learned_initial_state": True}, {}),
        ({"fusion": "last_step"}, {"mask": _STEPS, "values_mask": _FRAMES}),
    ],
)
def test_layer_checks(arguments, extra, tmp_path):
    inputs, values = _data()
    run_layer_checks(
        TemporalAttentionLSTM,
        {"units": 4, "return_state": True, **arguments},
        {"inputs": inputs, "values": values, **extra},
        num_weights=8 if extra else 13,
        folder=tmp_path,
        unknown_axes=() if extra else (1,),
    )


@_BACKENDS
def test_peephole_cell_checks(tmp_path):
    inputs, _ = _data()
    run_layer_checks(
        PeepholeLSTMCell,
        {"units": 4},
        {"inputs": inputs[:, 0], "states": _states()},
        num_weights=6,
        folder=tmp_path,
    )


def test_weights_have_the_stated_shapes():
    cell = random_layer(peepholes=True).cell
    assert {w.path.split("cell/")[1]: tuple(w.shape) for w in cell.weights} == {
        "kernel": (5, 16),
        "context_kernel": (6, 16),
        "recurrent_kernel": (4, 16),
        "bias": (16,),
        "input_peephole": (4,),
        "forget_peephole": (4,),
        "output_peephole": (4,),
        "attention/value_kernel": (6, 3),
        "attention/query_kernel": (4, 3),
        "attention/bias": (3,),
        "attention/score_kernel": (3, 1),
    }
    cell = TemporalAttentionLSTMCell(4)
    cell.build((None, 5), values_shape=(None, None, 6))
    assert tuple(cell.attention.value_kernel.shape) == (6, 4)
    np.testing.assert_array_equal(_numpy(cell.bias), [0] * 4 + [1] * 4 + [0] * 8)


@_BACKENDS
@pytest.mark.parametrize("peepholes", [False, True])
def test_one_step_matches_the_equations(peepholes):
    cell, (inputs, values), states = random_layer(peepholes=peepholes).cell, _data(), _states()
    hidden_state, new_states, weights = cell(inputs[:, 0], states, values, values_mask=_FRAMES)
    context, again = cell.attend(inputs[:, 0], states, values, values_mask=_FRAMES)
    W, K, U, b, p = paper_lstm(cell)
    for n in range(2):
        h, c = states[0][n], states[1][n]
        w, k = temporal_references.attend(*paper_weights(cell.attention), h, values[n], _FRAMES[n])
        h, c = temporal_references.lstm_step(W, K, U, b, inputs[n, 0], k, h, c, p)
        assert_equal([weights[n], again[n], context[n]], [w, w, k])
        assert_equal([hidden_state[n], new_states[0][n], new_states[1][n]], [h, h, c])


@_BACKENDS
@pytest.mark.parametrize(
    ("fusion", "masked", "overridden"),
    [
        ("every_step", False, False),
        ("every_step", True, True),
        ("last_step", True, False),
        ("last_step", False, True),
    ],
)
def test_a_clip_matches_the_equations(fusion, masked, overridden):
    layer = random_layer(fusion=fusion, peepholes=masked)
    (inputs, values), states = _data(), _states()
    steps, frames = (_STEPS, _FRAMES) if masked else (None, None)
    given = _override() if overridden else None
    found = layer(
        inputs,
        values,
        mask=steps,
        values_mask=frames,
        initial_state=states,
        attention_override=given,
    )
    *expected, h, c = temporal_references.attention_lstm(
        paper_weights(layer.cell.attention),
        paper_lstm(layer.cell),
        inputs,
        values,
        *states,
        steps,
        frames,
        given,
        last=fusion == "last_step",
    )
    assert_equal(found, [*expected, [h, c]])


@_BACKENDS
def test_step_by_step_equals_the_whole_clip():
    layer, (inputs, values) = random_layer(), _data()
    hidden_states, weights, last = layer(inputs, values, values_mask=_FRAMES)
    states = layer.cell.get_initial_state(2)
    for t in range(4):
        h, states, w = layer.cell(inputs[:, t], states, values, values_mask=_FRAMES)
        assert_equal([h, w], [hidden_states[:, t], weights[:, t]])
    assert_equal(states, last)


def test_is_keras_lstm_where_the_context_is_left_out():
    layer, (inputs, values) = random_layer(), _data()
    layer.cell.context_kernel.assign(np.zeros((6, 16)))
    lstm = keras.layers.LSTM(4, return_sequences=True)
    lstm.build((2, 4, 5))
    lstm.set_weights([layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias])
    assert_equal(layer(inputs, values)[0], lstm(inputs))
    assert np.ptp(_numpy(layer(inputs, values)[1]), axis=2).min() > 1e-3


def test_the_last_step_alone_attends_on_a_plain_lstm():
    """Variant (b) is variant (a) with no attention before the last step."""
    last, every, (inputs, values) = random_layer(fusion="last_step"), random_layer(), _data()
    blank = np.zeros((2, 4, 3), "float32")
    blank[:, -1] = np.nan
    assert_equal(last(inputs, values), every(inputs, values, attention_override=blank))


@_BACKENDS
@pytest.mark.parametrize("fusion", ["every_step", "last_step"])
def test_padding_changes_nothing_whatever_it_holds(fusion):
    layer, (inputs, values) = random_layer(fusion=fusion), _data()
    short = layer(inputs[1:, :2], values[1:, [0, 2]])
    inputs[~_STEPS] = values[~_FRAMES] = np.nan
    hidden_states, weights, states = layer(inputs, values, mask=_STEPS, values_mask=_FRAMES)
    assert_equal([hidden_states[1:, :2], states[0][1:], states[1][1:]], [short[0], *short[2]])
    assert_equal(weights[1:, :2, ::2], short[1])
    np.testing.assert_array_equal(_numpy(weights)[1, 2:], 0)
    np.testing.assert_array_equal(_numpy(weights)[1, :, 1], 0)
    np.testing.assert_array_equal(_numpy(hidden_states)[1, 2:], _numpy(hidden_states)[1, [1, 1]])


def _scalar(layer, **fixed):
    """A scalar of every output, as a function of inputs, values and weights."""
    untrained = [_numpy(v) for v in layer.non_trainable_variables]

    def scalar(inputs, values, *weights):
        outputs, _ = layer.stateless_call(
            list(weights),
            [ops.convert_to_tensor(v) for v in untrained],
            inputs,
            values,
            **fixed,
        )
        generator = np.random.default_rng(6)
        return sum(
            ops.sum(x * ops.convert_to_tensor(generator.normal(size=x.shape), x.dtype))
            for x in keras.tree.flatten(outputs)
        )

    return scalar


@_BACKENDS
def test_gradients():
    generator = np.random.default_rng(8)
    with float64():
        layer = random_layer(
            peepholes=True,
            learned_initial_state=True,
            dropout=0.3,
            seed=1,
            dtype="float64",
        )
        scalar = _scalar(layer, mask=_STEPS, values_mask=_FRAMES, training=True)
        names = ["inputs", "values", *(v.path for v in layer.trainable_variables)]
        values = _data("float64")
        values += [generator.normal(size=v.shape) * 0.7 for v in layer.trainable_variables]
        assert_gradients_match_differences(scalar, values, names)


@_BACKENDS
def test_padding_gets_a_gradient_of_exactly_zero_and_poisons_no_other():
    layer, (inputs, values) = random_layer(), _data()
    inputs[~_STEPS] = values[~_FRAMES] = np.nan
    scalar = _scalar(layer, mask=_STEPS, values_mask=_FRAMES)
    found = gradients(scalar, [inputs, values, *map(_numpy, layer.trainable_variables)])
    assert all(np.isfinite(gradient).all() for gradient in found)
    for gradient, real in zip(found, (_STEPS, _FRAMES), strict=False):
        assert (gradient[~real] == 0).all() and (np.abs(gradient[real]).max(axis=1) > 0).all()


@pytest.mark.parametrize("fusion", ["every_step", "last_step"])
def test_clips_without_a_real_step_or_frame(fusion):
    layer, (inputs, values), states = random_layer(fusion=fusion), _data(), _states()
    none = np.zeros((2, 4), bool)
    hidden_states, weights, last = layer(inputs, values, mask=none, initial_state=states)
    np.testing.assert_array_equal(_numpy(weights), 0)
    assert_equal([hidden_states, last], [np.repeat(states[0][:, None], 4, 1), states])
    hidden_states, weights, _ = layer(inputs, values, values_mask=np.zeros((2, 3), bool))
    np.testing.assert_array_equal(_numpy(weights), 0)
    blank = np.zeros((2, 4, 3), "float32")
    assert_equal(hidden_states, layer(inputs, values, attention_override=blank)[0])


@_BACKENDS
def test_one_graph_serves_any_number_of_steps_and_frames():
    layer, (inputs, values) = random_layer(), _data()
    clip, frames = keras.Input((None, 5)), keras.Input((None, 6))
    real = keras.Input((None,), dtype="bool")
    model = keras.Model([clip, frames, real], layer(clip, frames, values_mask=real))
    for N, T in ((1, 3), (4, 1)):
        mask = np.ones((2, T), bool)
        found = model.predict([inputs[:, :N], values[:, :T], mask], verbose=0)
        assert_equal(found, layer(inputs[:, :N], values[:, :T]))
        assert found[1].shape == (2, N, T)


@_BACKENDS
def test_the_clip_starts_from_learned_states():
    layer, (inputs, values) = random_layer(learned_initial_state=True), _data()
    states = [
        np.tile(_numpy(state), (2, 1))
        for state in (layer.first_hidden_state, layer.first_cell_state)
    ]
    assert_equal(layer(inputs, values), layer(inputs, values, initial_state=states))
    fresh = TemporalAttentionLSTM(4, learned_initial_state=True)
    fresh.build((2, 4, 5), (2, 3, 6))
    np.testing.assert_array_equal(_numpy(fresh.first_cell_state), 0)


def test_dropout_is_inverted_and_falls_on_the_input_and_the_context_alone():
    cell = TemporalAttentionLSTMCell(64, dropout=0.5, seed=1)
    frames = np.full((3, 2, 64), 2.0, "float32")
    step, still = np.ones((3, 64), "float32"), [np.zeros((3, 64), "float32")] * 2
    cell.build(step.shape, values_shape=frames.shape)
    # With an identity for a kernel the gate g shows what enters: 1 of the input, 2 of the context.
    for weight in (cell.kernel, cell.context_kernel):
        kernel = np.zeros((64, 256), "float32")
        kernel[:, 128:192] = np.eye(64) * 0.01
        weight.assign(kernel)
    cell.recurrent_kernel.assign(np.zeros((64, 256)))
    cell.bias.assign(np.repeat([50.0, -50.0, 0.0, 50.0], 64))
    _, (_, kept), _ = cell(step, still, frames)
    np.testing.assert_allclose(np.arctanh(_numpy(kept)) * 100, 3, rtol=1e-2)
    _, (_, dropped), _ = cell(step, still, frames, training=True)
    seen = np.round(np.arctanh(_numpy(dropped)) * 100).astype(int)
    assert set(np.unique(seen)) == {0, 2, 4, 6}


@_BACKENDS
def test_dropout_is_drawn_anew_for_every_step_and_off_at_inference():
    layer, plain, (inputs, values) = random_layer(dropout=0.5, seed=1), random_layer(), _data()
    assert_equal(layer(inputs, values), plain(inputs, values))
    same = np.repeat(inputs[:, :1], 4, axis=1)
    # With a state that is forgotten the steps differ by their draws alone.
    layer.cell.recurrent_kernel.assign(np.zeros((4, 16)))
    layer.cell.bias.assign(np.repeat([0.0, -50.0, 0.0, 0.0], 4))
    layer.cell.attention.score_kernel.assign(np.zeros((3, 1)))
    steps = _numpy(layer(same, values)[0])
    np.testing.assert_allclose(steps, steps[:, [0] * 4], rtol=1e-5, atol=1e-6)
    steps = _numpy(layer(same, values, training=True)[0])
    assert all(np.abs(steps[:, t] - steps[:, t + 1]).max() > 1e-3 for t in range(3))


def test_a_keras_mask_is_used_and_passed_on():
    layer, (inputs, values) = random_layer(), _data()
    inputs[~_STEPS] = values[~_FRAMES] = 0
    masking = keras.layers.Masking()
    hidden_states, weights, _ = layer(masking(inputs), masking(values))
    np.testing.assert_array_equal(_numpy(weights) > 0, _STEPS[:, :, None] & _FRAMES[:, None])
    pooled = keras.layers.GlobalAveragePooling1D()(hidden_states)
    means = [_numpy(hidden_states)[n, _STEPS[n]].mean(0) for n in range(2)]
    np.testing.assert_allclose(_numpy(pooled), means, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units` must be an integer of at least 1; received 0"),
        ({"units": 4, "attention_units": 0}, "`units` .*received 0|`attention_units` .*received 0"),
        ({"units": 4, "dropout": 1}, r"`dropout` must be in \[0, 1\); received 1"),
        ({"units": 4, "fusion": "first"}, "`fusion` must be .* received 'first'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        TemporalAttentionLSTM(**arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"mask": (2, 3)}, r"`mask` must have the shape of the inputs' .* \(2, 4\)"),
        ({"values_mask": (2, 4)}, r"`values_mask` must have the shape of .* \(2, 3\)"),
        ({"values": (3, 3, 6)}, r"`values` must be \(2, frames, 6\), received shape \(3, 3, 6\)"),
        ({"values": (2, 3, 1, 6)}, r"`values` must be \(batch, frames, features\)"),
        ({"inputs": (2, 5)}, r"`inputs` must be \(batch, steps, input_features\)"),
        ({"inputs": (2, 0, 5)}, "`inputs` must have a step"),
        ({"attention_override": (2, 3, 4)}, r"`attention_override` must .* \(2, 4, 3\)"),
        ({"attention_override": (2, 4)}, "`attention_override` must"),
    ],
)
def test_bad_calls(call, message):
    call = {"inputs": (2, 4, 5), "values": (2, 3, 6), **call}
    with pytest.raises(ValueError, match=message):
        TemporalAttentionLSTM(4)(**{name: np.ones(x, "float32") for name, x in call.items()})


def test_bad_states():
    inputs, values = _data()
    for states, message in (
        ([np.ones((2, 4))], r"`initial_state` must be a list of 2 states, \[h, c\]; received 1"),
        ([np.ones((2, 3))] * 2, r"`initial_state`'s `h` must be \(2, 4\), received shape \(2, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            TemporalAttentionLSTM(4)(inputs, values, initial_state=states)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

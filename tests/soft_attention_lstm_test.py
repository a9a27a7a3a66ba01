"""Tests of the soft attention LSTM over clips: equations, masks, overrides, gradients, files."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import SoftAttentionLSTM
from tests import references
from tests.gradients import (
    assert_gradients_match_differences,
    compiled,
    float64,
    gradients,
)
from tests.layer_checks import run_layer_checks
from tests.soft_attention_lstm_cell_test import paper_form

pytestmark = pytest.mark.backends

_FORMS = pytest.mark.parametrize("attention", ["state", "content"])
# On the other backends, where each new loop is compiled, the case with most in it runs alone.
_ON_TENSORFLOW = keras.config.backend() == "tensorflow"
_EITHER = [False, True] if _ON_TENSORFLOW else [True]
_DEPTHS = [1, 3] if _ON_TENSORFLOW else [3]
_SHAPE = (2, 4, 5, 6)  # batch, frames, regions, features
_MASK = np.array([[True, True, True, True], [True, True, False, False]])


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _features(*shape):
    return np.random.default_rng(3).normal(size=shape or _SHAPE).astype("float32")


def _override():
    override = np.random.default_rng(4).random(_SHAPE[:3]).astype("float32")
    override[0, 1] = override[1, :2] = np.nan
    return override


def random_layer(shape=_SHAPE, **kwargs):
    """A layer of 4 units whose every weight is random, returning its states."""
    layer = SoftAttentionLSTM(4, return_state=True, **kwargs)
    layer.build(shape)
    generator = np.random.default_rng(5)
    for weight in layer.trainable_weights:
        weight.assign(generator.normal(size=weight.shape) * 0.7)
    return layer


def _paper_states(layer, features, mask=None):
    states = []
    for number, output in enumerate(layer.first_states.output_layers):
        hidden = layer.first_states.hidden_layers
        pairs = [hidden[number] if hidden else None, output]
        pairs = [p and (_numpy(p.kernel), _numpy(p.bias)) for p in pairs]
        states.append(
            np.stack(
                [
                    references.initial_state(*pairs, clip, None if mask is None else mask[n])
                    for n, clip in enumerate(features)
                ]
            )
        )
    return states


@_FORMS
@pytest.mark.parametrize(
    "extra",
    [{"mask": _MASK, "attention_override": _override()}, *([{}] if _ON_TENSORFLOW else [])],
)
def test_layer_checks(attention, extra, tmp_path):
    run_layer_checks(
        SoftAttentionLSTM,
        {"units": 4, "depth": 2, "attention": attention, "return_state": True},
        {"features": _features(), **extra},
        num_weights=6 + (1 if attention == "state" else 4) + 16,
        folder=tmp_path,
        unknown_axes=() if extra else (1,),
    )


@_FORMS
@pytest.mark.parametrize("depth", _DEPTHS)
@pytest.mark.parametrize("masked", _EITHER)
@pytest.mark.parametrize("overridden", _EITHER)
def test_matches_the_equations(attention, depth, masked, overridden):
    layer = random_layer(attention=attention, depth=depth, attention_units=3)
    features = _features()
    mask, override = _MASK if masked else None, _override() if overridden else None
    attend, layers = paper_form(layer.cell)
    expected = references.soft_attention_lstm(
        attend, layers, features, _paper_states(layer, features, mask), mask, override
    )
    hidden_states, attention_weights, states = layer(
        features, mask=mask, attention_override=override
    )
    np.testing.assert_allclose(_numpy(hidden_states), expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(_numpy(attention_weights), expected[1], rtol=1e-5, atol=1e-7)
    for found, wanted in zip(states, expected[2], strict=True):
        np.testing.assert_allclose(_numpy(found), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("units", "sizes"), [(None, [4]), (3, [3]), (0, [])])
def test_initial_state_units(units, sizes):
    layer = random_layer(initial_state_units=units)
    assert [x.units for x in layer.first_states.hidden_layers] == sizes * 2
    features = _features()
    started = layer._initial_states(ops.convert_to_tensor(features), None)
    for found, wanted in zip(started, _paper_states(layer, features), strict=True):
        np.testing.assert_allclose(_numpy(found), wanted, rtol=1e-5, atol=1e-6)


@_FORMS
@pytest.mark.parametrize("depth", _DEPTHS)
def test_step_by_step_equals_the_whole_clip(attention, depth):
    layer = random_layer(attention=attention, depth=depth, initial_state="zeros")
    features = _features()
    hidden_states, attention_weights, last = layer(features)
    states = layer.cell.get_initial_state(batch_size=2)
    for t in range(4):
        _, weights = layer.cell.attend(features[:, t], states)
        hidden_state, states = layer.cell(features[:, t], states)
        np.testing.assert_allclose(
            _numpy(weights), _numpy(attention_weights)[:, t], rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(
            _numpy(hidden_state), _numpy(hidden_states)[:, t], rtol=1e-5, atol=1e-6
        )
    for x, y in zip(states, last, strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), rtol=1e-5, atol=1e-6)


def test_a_clip_in_two_halves_equals_the_whole():
    layer = random_layer(depth=2)
    features = _features()
    hidden_states, _, last = layer(features)
    start = layer._initial_states(ops.convert_to_tensor(features), None)
    first, _, states = layer(features[:, :2], initial_state=start)
    second, _, states = layer(features[:, 2:], initial_state=states)
    joined = np.concatenate([_numpy(first), _numpy(second)], axis=1)
    np.testing.assert_allclose(joined, _numpy(hidden_states), rtol=1e-5, atol=1e-6)
    for x, y in zip(states, last, strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y), rtol=1e-5, atol=1e-6)


@_FORMS
@pytest.mark.parametrize("filler", [0.0, 1e3, np.nan][None if _ON_TENSORFLOW else 2 :])
def test_padding_changes_nothing(attention, filler):
    layer = random_layer(attention=attention, depth=2)
    features = _features()
    features[1, 2:] = filler
    hidden_states, attention_weights, states = map_numpy(layer(features, mask=_MASK))
    short_states, short_weights, short_last = map_numpy(layer(features[1:, :2]))
    np.testing.assert_allclose(hidden_states[1:, :2], short_states, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(attention_weights[1:, :2], short_weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(hidden_states[1, 2:], hidden_states[1, [1, 1]])
    for x, y in zip(states, short_last, strict=True):
        np.testing.assert_allclose(x[1:], y, rtol=1e-5, atol=1e-6)


def map_numpy(outputs):
    return keras.tree.map_structure(_numpy, outputs)


@_FORMS
def test_weights_sum_to_one_and_to_zero_in_padding_even_where_overridden(attention):
    layer = random_layer(attention=attention)
    _, weights, _ = layer(_features(), mask=_MASK)
    np.testing.assert_allclose(_numpy(weights).sum(-1), _MASK, rtol=1e-6)
    override = np.full(_SHAPE[:3], 0.5, "float32")
    _, weights, _ = layer(_features(), mask=_MASK, attention_override=override)
    np.testing.assert_array_equal(_numpy(weights), override * _MASK[..., None])


def test_a_clip_without_real_frames_keeps_its_start():
    layer = random_layer(depth=2)
    features = np.full(_SHAPE, np.nan, "float32")
    hidden_states, weights, states = layer(features, mask=np.zeros((2, 4), bool))
    expected = _paper_states(layer, np.zeros(_SHAPE), None)
    np.testing.assert_array_equal(_numpy(weights), 0)
    np.testing.assert_allclose(
        _numpy(hidden_states), np.repeat(expected[2][:, None], 4, 1), rtol=1e-5, atol=1e-6
    )
    for found, wanted in zip(states, expected, strict=True):
        np.testing.assert_allclose(_numpy(found), wanted, rtol=1e-5, atol=1e-6)


def _scalar(layer, **fixed):
    """A scalar of every output, as a function of features, weights, states and override."""
    generator = np.random.default_rng(6)
    probes = None
    untrained = [_numpy(v) for v in layer.non_trainable_variables]
    num_weights = len(layer.trainable_variables)

    def scalar(features, *rest):
        nonlocal probes
        weights, rest = list(rest[:num_weights]), list(rest[num_weights:])
        override = rest.pop() if fixed.get("overridden") else None
        outputs, _ = layer.stateless_call(
            weights,
            [ops.convert_to_tensor(v) for v in untrained],
            features,
            mask=fixed.get("mask"),
            initial_state=rest or None,
            training=fixed.get("training"),
            attention_override=override,
        )
        flat = keras.tree.flatten(outputs)
        if probes is None:
            probes = [generator.normal(size=x.shape) for x in flat]
        return sum(
            ops.sum(x * ops.convert_to_tensor(p, layer.compute_dtype))
            for x, p in zip(flat, probes, strict=True)
        )

    return scalar


@_FORMS
@pytest.mark.parametrize(
    ("depth", "masked", "overridden", "dropout", "given_start"),
    [
        (1, True, True, 0.4, True),
        (1, False, False, 0.0, False),
        (3, False, True, 0.0, True),
        (3, True, False, 0.4, False),
    ][: None if _ON_TENSORFLOW else 1],
)
def test_gradients(attention, depth, masked, overridden, dropout, given_start):
    generator = np.random.default_rng(8)
    with float64():
        layer = random_layer(
            attention=attention,
            depth=depth,
            attention_units=3,
            dropout=dropout,
            seed=2,
            dtype="float64",
        )
        scalar = _scalar(
            layer, mask=_MASK if masked else None, overridden=overridden, training=True
        )
        names = ["features", *(v.path for v in layer.trainable_variables)]
        values = [generator.normal(size=_SHAPE)]
        values += [generator.normal(size=v.shape) * 0.7 for v in layer.trainable_variables]
        if given_start:
            names += layer.cell.state_names
            values += [generator.normal(size=(2, 4)) for _ in range(2 * depth)]
        if overridden:
            names.append("attention_override")
            values.append(_override().astype("float64"))
        assert_gradients_match_differences(scalar, values, names)


@_FORMS
def test_gradients_equal_those_of_the_single_steps(attention):
    # The layer differentiates by hand; the cell leaves it to the backend.
    layer = random_layer(attention=attention, depth=2, initial_state="zeros")
    num_weights = len(layer.cell.trainable_variables)
    probe = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(2, 4, 4)), "float32")

    def whole(features, *weights):
        (hidden_states, _, _), _ = layer.stateless_call(list(weights), [], features)
        return ops.sum(hidden_states * probe)

    def stepwise(features, *weights):
        states, total = layer.cell.get_initial_state(2), 0.0
        for t in range(4):
            (hidden_state, states), _ = layer.cell.stateless_call(
                list(weights), [], features[:, t], states
            )
            total = total + ops.sum(hidden_state * probe[:, t])
        return total

    assert num_weights == len(layer.trainable_variables)
    values = [_features(), *(_numpy(v) for v in layer.trainable_variables)]
    for x, y in zip(gradients(whole, values), gradients(stepwise, values), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


@_FORMS
def test_padding_gets_a_gradient_of_exactly_zero(attention):
    layer = random_layer(attention=attention, depth=2, initial_state="zeros")
    features = _features()
    features[1, 2:] = 1e3

    def total(features):
        hidden_states, attention_weights, _ = layer(features, mask=_MASK)
        return ops.sum(hidden_states) + ops.sum(ops.square(attention_weights))

    (found,) = gradients(total, [features])
    assert np.all(found[1, 2:] == 0)
    assert np.all(np.abs(found[_MASK]).max(axis=(1, 2)) > 0)


@_FORMS
def test_graph_and_eager_gradients_agree(attention):
    layer = random_layer(attention=attention, depth=2, dropout=0.3, seed=1)
    scalar = _scalar(layer, mask=_MASK, training=True)
    values = [_features(), *(_numpy(v) for v in layer.trainable_variables)]
    traced, eager = gradients(scalar, values, jit=True), gradients(scalar, values, jit=False)
    for x, y in zip(traced, eager, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)


def test_one_graph_serves_clips_of_any_length():
    layer = random_layer(depth=2, attention="content")
    clip = keras.Input((None, 5, 6))
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([clip, mask], layer(clip, mask=mask))
    for frames in (1, 3, 7):
        features, real = _features(2, frames, 5, 6), np.ones((2, frames), bool)
        found = model.predict([features, real], verbose=0)
        expected = layer(features)
        np.testing.assert_allclose(found[0], _numpy(expected[0]), rtol=1e-4, atol=1e-5)
        assert found[1].shape == (2, frames, 5)


def test_dropout_is_fresh_at_every_step_and_off_at_inference():
    layer = random_layer(dropout=0.5, seed=1)
    features = _features()
    plain = random_layer()
    np.testing.assert_array_equal(_numpy(layer(features)[0]), _numpy(plain(features)[0]))
    first, second = (_numpy(layer(features, training=True)[0]) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    masks = [_numpy(x) for x in layer._draw_dropout(ops.ones((64, 10, 5, 6)))]
    assert [x.shape for x in masks] == [(10, 64, 6)]
    assert set(np.unique(masks[0])) == {0.0, 2.0}
    assert abs(masks[0].mean() - 1) < 0.1
    assert all(np.abs(masks[0][t] - masks[0][t + 1]).max() > 0 for t in range(9))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains(dtype):
    layer = random_layer(depth=2, dropout=0.2, attention="content", dtype=dtype)
    exact = random_layer(depth=2, dropout=0.2, attention="content")
    features = _features()
    found, expected = _numpy(ops.cast(layer(features)[0], "float32")), _numpy(exact(features)[0])
    np.testing.assert_allclose(found, expected, atol=0.1)
    clip = keras.Input(_SHAPE[1:])
    probabilities = keras.layers.Dense(3, activation="softmax", dtype="float32")(layer(clip)[0])
    model = keras.Model(clip, probabilities)
    optimizer = keras.optimizers.Adam(0.02)
    # Step by step JAX would compile every operation of every step by itself.
    is_jax = keras.config.backend() == "jax"
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=is_jax)
    history = model.fit(features, np.ones((2, 4), int), epochs=8, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    assert history[-1] < 0.8 * history[0]


class _MaskBlackFrames(keras.layers.Layer):
    """Hands its input on, with a Keras mask of the frames that are not all zero."""

    def call(self, features):
        return features + 0

    def compute_mask(self, features, previous_mask=None):
        return ops.any(ops.not_equal(features, 0), axis=(2, 3))


def test_a_keras_mask_is_used_and_passed_on():
    features = _features() * _MASK[:, :, None, None]
    clip = keras.Input(_SHAPE[1:])
    hidden_states, weights = SoftAttentionLSTM(4)(_MaskBlackFrames()(clip))
    pooled = keras.layers.GlobalAveragePooling1D()(hidden_states)
    hidden_states, weights, pooled = keras.Model(clip, [hidden_states, weights, pooled])(features)
    np.testing.assert_allclose(_numpy(weights).sum(-1), _MASK, rtol=1e-6)
    real_mean = [_numpy(hidden_states)[n, _MASK[n]].mean(0) for n in range(2)]
    np.testing.assert_allclose(_numpy(pooled), real_mean, rtol=1e-5, atol=1e-6)


def test_outputs_without_return_state():
    layer = SoftAttentionLSTM(3, initial_state="zeros")
    hidden_states, weights = layer(_features())
    assert tuple(hidden_states.shape) == (2, 4, 3)
    assert tuple(weights.shape) == (2, 4, 5)
    run = compiled(lambda x: layer(x)[0])
    np.testing.assert_allclose(
        _numpy(run(ops.convert_to_tensor(_features()))), _numpy(hidden_states), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initial_state": "ones"}, "`initial_state` .* received 'ones'"),
        ({"initial_state_units": -1}, "`initial_state_units` .* received -1"),
        ({"depth": 0}, "`depth` .* received 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        SoftAttentionLSTM(4, **arguments)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"mask": np.ones((2, 3), bool)}, r"`mask` .* \(2, 4\); received shape \(2, 3\)"),
        ({"mask": np.ones((2, 4, 1), bool)}, "`mask` must have"),
        ({"initial_state": [np.zeros((2, 4))]}, "`initial_state` .* 2 states.* received 1 values"),
        ({"initial_state": [np.zeros((2, 3))] * 2}, r"h_1` must be \(2, 4\)"),
        ({"attention_override": np.zeros((2, 4, 3))}, "`attention_override` must have the shape"),
        ({"attention_override": np.array([[[np.nan, 1, 1, 1, 1]] * 4] * 2)}, "8 of 8 rows"),
    ],
)
def test_bad_calls(call, message):
    call = keras.tree.map_structure(lambda x: x.astype("float32") if x.dtype != bool else x, call)
    with pytest.raises(ValueError, match=message):
        SoftAttentionLSTM(4)(_features(), **call)


def test_a_feature_map_that_was_not_flattened_is_refused():
    with pytest.raises(ValueError, match="Reshape a feature map"):
        SoftAttentionLSTM(4)(np.zeros((2, 3, 7, 7, 8), "float32"))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

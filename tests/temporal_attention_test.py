"""Tests of the attention over frames against the paper's equations and Keras's own layer."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers import TemporalAttention
from tests import temporal_references
from tests.gradients import gradients
from tests.layer_checks import run_layer_checks

pytestmark = pytest.mark.backends

_MASK = np.array([[True] * 5, [True, False, True, True, False], [False] * 5])


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def random_attention(units=3, **kwargs):
    """A layer whose every weight is random, with queries and frames to run it on."""
    generator = np.random.default_rng(1)
    layer = TemporalAttention(units, **kwargs)
    layer.build((None, 4), (None, 5, 6))
    layer.set_weights([generator.normal(size=w.shape) for w in layer.weights])
    query = generator.normal(size=(3, 4)).astype("float32")
    values = generator.normal(size=(3, 5, 6)).astype("float32")
    return layer, query, values


def paper_weights(layer):
    weights = (layer.value_kernel, layer.query_kernel, layer.bias, layer.score_kernel)
    return [_numpy(w).astype("float64") for w in weights]


@pytest.mark.parametrize("extra", [{}, {"mask": _MASK}])
def test_layer_checks(extra, tmp_path):
    _, query, values = random_attention()
    run_layer_checks(
        TemporalAttention,
        {"units": 3},
        {"query": query, "values": values, **extra},
        num_weights=4,
        folder=tmp_path,
    )


@pytest.mark.parametrize("mask", [None, _MASK])
def test_matches_the_equations(mask):
    layer, query, values = random_attention()
    context, weights = layer(query, values, mask=mask)
    for n in range(3):
        real = None if mask is None else mask[n]
        w, k = temporal_references.attend(*paper_weights(layer), query[n], values[n], real)
        np.testing.assert_allclose(_numpy(weights)[n], w, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(_numpy(context)[n], k, rtol=1e-5, atol=1e-6)
    sums = np.ones(3) if mask is None else [1, 1, 0]
    np.testing.assert_allclose(_numpy(weights).sum(1), sums, rtol=1e-6)


def test_is_keras_additive_attention_on_projected_queries_and_keys():
    layer, query, values = random_attention()
    V, U, b, z = (_numpy(w) for w in (layer.value_kernel, layer.query_kernel, layer.bias,
                                      layer.score_kernel))  # fmt: skip
    peer = keras.layers.AdditiveAttention(use_scale=True)
    projected = [(query @ U)[:, None], values, values @ V + b]
    peer.build([x.shape for x in projected])
    peer.scale.assign(z[:, 0])
    mask = _MASK[:2]
    found = layer(query[:2], values[:2], mask=mask)
    expected = peer([x[:2] for x in projected], mask=[None, mask], return_attention_scores=True)
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(_numpy(x), _numpy(y)[:, 0], rtol=1e-5, atol=1e-6)


def test_weights_have_the_stated_shapes():
    layer, _, _ = random_attention()
    shapes = {w.name: tuple(w.shape) for w in layer.weights}
    assert shapes == {
        "value_kernel": (6, 3),
        "query_kernel": (4, 3),
        "bias": (3,),
        "score_kernel": (3, 1),
    }


def test_equal_scores_see_the_mean_of_the_real_frames():
    layer, query, values = random_attention()
    layer.score_kernel.assign(np.zeros((3, 1)))
    context, _ = layer(query, values)
    np.testing.assert_allclose(_numpy(context), values.mean(1), rtol=1e-5, atol=1e-6)
    context, _ = layer(query, values, mask=_MASK)
    mean = values[1, _MASK[1]].mean(0)
    np.testing.assert_allclose(_numpy(context)[1], mean, rtol=1e-5, atol=1e-6)


def test_one_frame_and_a_huge_score_are_seen_alone():
    layer, query, values = random_attention()
    context, weights = layer(query, values[:, 2:3])
    np.testing.assert_array_equal(_numpy(weights), 1)
    np.testing.assert_allclose(_numpy(context), values[:, 2], rtol=1e-6)
    layer.value_kernel.assign(np.eye(6, 3) * 10)
    layer.query_kernel.assign(np.zeros((4, 3)))
    layer.bias.assign(np.zeros(3))
    layer.score_kernel.assign([[1e3], [0], [0]])
    values[:, :, 0] = [-1, -1, 1, -1, -1]
    context, _ = layer(query, values)
    np.testing.assert_allclose(_numpy(context), values[:, 2], rtol=1e-6)


def test_frames_in_another_order_get_their_weights_in_that_order():
    layer, query, values = random_attention()
    order = [3, 0, 4, 1, 2]
    context, weights = layer(query, values)
    moved_context, moved_weights = layer(query, values[:, order])
    np.testing.assert_allclose(_numpy(moved_weights), _numpy(weights)[:, order], rtol=1e-5)
    np.testing.assert_allclose(_numpy(moved_context), _numpy(context), rtol=1e-4, atol=1e-6)


def test_padding_may_hold_anything_and_gets_no_gradient():
    layer, query, values = random_attention()
    clean = layer(query, values, mask=_MASK)
    values[~_MASK] = np.nan
    for x, y in zip(layer(query, values, mask=_MASK), clean, strict=True):
        np.testing.assert_array_equal(_numpy(x), _numpy(y))

    def total(query, values, *weights):
        (context, attention), _ = layer.stateless_call(list(weights), [], query, values, mask=_MASK)
        return ops.sum(ops.sin(context)) + ops.sum(ops.square(attention))

    found = gradients(total, [query, values, *map(_numpy, layer.weights)])
    assert all(np.isfinite(gradient).all() for gradient in found)
    assert (found[1][~_MASK] == 0).all() and (np.abs(found[1][_MASK]).max(1) > 0).all()


def test_nan_in_a_real_frame_shows():
    layer, query, values = random_attention()
    values[0, 1] = np.nan
    context, weights = layer(query, values)
    assert np.isnan(_numpy(context)[0]).all() and np.isnan(_numpy(weights)[0]).all()
    assert np.isfinite(_numpy(context)[1:]).all() and np.isfinite(_numpy(weights)[1:]).all()


def test_override_is_used_as_given_but_for_padding_and_nan_keeps_the_own():
    layer, query, values = random_attention()
    _, own = layer(query, values, mask=_MASK)
    override = np.full((3, 5), np.nan, "float32")
    override[1] = [0.5, 2, 0, -1, 3]
    context, weights = layer(query, values, mask=_MASK, attention_override=override)
    np.testing.assert_array_equal(_numpy(weights)[1], [0.5, 0, 0, -1, 0])
    np.testing.assert_array_equal(_numpy(weights)[[0, 2]], _numpy(own)[[0, 2]])
    expected = 0.5 * values[1, 0] - values[1, 3]
    np.testing.assert_allclose(_numpy(context)[1], expected, rtol=1e-5, atol=1e-6)


def test_a_keras_mask_of_the_frames_is_used():
    layer, query, values = random_attention()
    values[~_MASK] = 0
    masked = keras.layers.Masking()(values)
    _, weights = layer(query, masked)
    np.testing.assert_array_equal(_numpy(weights) > 0, _MASK)


@pytest.mark.parametrize("units", [0, 1.5, None])
def test_bad_units(units):
    with pytest.raises(ValueError, match=f"`units` must be an integer .* received {units}"):
        TemporalAttention(units)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"query": (3, 2, 4)}, r"`query` must be \(batch, query_features\)"),
        ({"values": (3, 6)}, r"`values` must be \(batch, frames, features\)"),
        ({"values": (2, 5, 6)}, r"`values` must be \(3, frames, 6\), received shape \(2, 5, 6\)"),
        ({"mask": (3, 4)}, r"`mask` must have the shape of .* \(3, 5\); received shape \(3, 4\)"),
        ({"attention_override": (3, 4)}, "`attention_override` must have the shape"),
    ],
)
def test_bad_calls(shapes, message):
    shapes = {"query": (3, 4), "values": (3, 5, 6), **shapes}
    with pytest.raises(ValueError, match=message):
        TemporalAttention(3)(**{name: np.ones(shape, "float32") for name, shape in shapes.items()})


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

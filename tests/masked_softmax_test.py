"""Tests of the one softmax that honours masks."""

import numpy as np
import pytest
from keras import ops

from glimpse.layers.masked_softmax import masked_softmax
from tests.gradients import gradients

pytestmark = pytest.mark.backends


def _weights(scores, mask=None, axis=-1):
    return ops.convert_to_numpy(masked_softmax(ops.convert_to_tensor(scores), mask, axis))


def test_equals_softmax_over_the_real_places():
    scores = np.array([[1.0, 2.0, 3.0, -1.0]], "float32")
    found = _weights(scores, np.array([[True, False, True, True]]))
    e = np.exp([1.0, 3.0, -1.0])
    np.testing.assert_allclose(found[0, [0, 2, 3]], e / e.sum(), rtol=1e-6)
    assert found[0, 1] == 0


def test_a_row_with_nothing_real_is_zero():
    found = _weights(np.ones((2, 3), "float32"), np.array([[False] * 3, [True] * 3]))
    np.testing.assert_allclose(found, [[0, 0, 0], [1 / 3] * 3], rtol=1e-6)


def test_normalises_over_two_axes():
    scores = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    mask = np.ones((2, 3, 4), bool)
    mask[1, 2] = False
    found = _weights(scores, mask, axis=(1, 2))
    np.testing.assert_allclose(found.sum((1, 2)), 1, rtol=1e-6)
    np.testing.assert_allclose(_weights(scores, axis=(1, 2))[0], found[0], rtol=1e-6)


@pytest.mark.parametrize("filler", [np.nan, np.inf, -np.inf, 3e38])
def test_padding_may_hold_anything(filler):
    scores = np.array([[0.5, filler, -1e4, 88.0]], "float32")
    mask = np.array([[True, False, True, True]])
    plain = _weights(np.array([[0.5, 0.0, -1e4, 88.0]], "float32"), mask)
    np.testing.assert_array_equal(_weights(scores, mask), plain)
    probe = ops.convert_to_tensor([[3.0, 2.0, 1.0, 5.0]])
    (gradient,) = gradients(lambda s: ops.sum(masked_softmax(s, mask) * probe), [scores])
    assert np.isfinite(gradient).all()
    assert gradient[0, 1] == 0


def test_gradient_is_that_of_the_softmax():
    scores = np.array([[0.2, -0.4, 0.9]], "float32")
    probe = ops.convert_to_tensor([[1.0, -2.0, 0.5]])
    masked, plain = (
        gradients(lambda s: ops.sum(masked_softmax(s, mask) * probe), [scores])[0]  # noqa: B023
        for mask in (np.ones((1, 3), bool), None)
    )
    np.testing.assert_allclose(masked, plain, rtol=1e-5)
    assert np.abs(plain).max() > 0.01


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

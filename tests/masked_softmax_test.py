"""The softmax over real places alone, whatever the scores are."""

import numpy as np
import pytest
from keras import ops

from glimpse.layers.masked_softmax import masked_softmax

pytestmark = pytest.mark.backends

_MASK = np.array([[True, True, False], [False, True, True], [False, False, False]])


@pytest.mark.parametrize(
    ("dtype", "scale"), [("float32", 1), ("float32", 3e38), ("float16", 6e4), ("bfloat16", 3e38)]
)
def test_real_places_share_all_of_it(dtype, scale):
    scores = np.array([[-1.0, -1.0, 1.0], [1.0, -0.5, -0.5], [0.0, 1.0, -1.0]]) * scale
    scores = ops.cast(ops.convert_to_tensor(scores, "float32"), dtype)
    found = ops.convert_to_numpy(ops.cast(masked_softmax(scores, _MASK), "float32"))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 0]])


def test_equals_its_definition():
    scores = np.random.default_rng(0).normal(size=(3, 3)).astype("float32")
    found = ops.convert_to_numpy(masked_softmax(ops.convert_to_tensor(scores), _MASK))
    for score, real, shares in zip(scores.astype("float64"), _MASK, found, strict=True):
        expected = np.zeros(3)
        if real.any():
            expected[real] = np.exp(score[real]) / np.exp(score[real]).sum()
        np.testing.assert_allclose(shares, expected, rtol=1e-6)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

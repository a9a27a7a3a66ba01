"""Local response normalisation against loops over the paper's sum."""

import keras
import numpy as np
import pytest
from keras import ops

from glimpse.layers.local_response_normalization import LocalResponseNormalization
from tests.layer_checks import run_layer_checks

pytestmark = pytest.mark.backends


def reference(a, n, alpha, beta, k):
    """b[i] of section 3.3, for inputs `(batch, height, width, features)`."""
    a = a.astype("float64")
    b = np.zeros_like(a)
    count = a.shape[-1]
    for place in np.ndindex(a.shape[:-1]):
        for i in range(count):
            total = 0.0
            for j in range(max(0, i - n // 2), min(count - 1, i + n // 2) + 1):
                total += a[place][j] ** 2
            b[place][i] = a[place][i] / (k + alpha / n * total) ** beta
    return b


def inputs(features=7, scale=100.0):
    return np.random.default_rng(0).normal(0, scale, (2, 3, 2, features)).astype("float32")


def test_layer_checks(tmp_path):
    run_layer_checks(
        LocalResponseNormalization,
        {"size": 3, "alpha": 0.5},
        {"inputs": inputs(4, 1.0)},
        0,
        tmp_path,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"size": 3, "alpha": 0.5, "beta": 0.5, "k": 2.0},
        {"size": 1, "alpha": 0.1},
        # More neighbours than there are features.
        {"size": 15, "alpha": 0.01},
    ],
)
def test_is_the_sum_of_the_paper(arguments):
    layer = LocalResponseNormalization(**arguments)
    expected = reference(inputs(), layer.size, layer.alpha, layer.beta, layer.k)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(inputs())), expected, rtol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own operation")
def test_is_tensorflows_operation_with_alpha_divided_by_the_size():
    tf = pytest.importorskip("tensorflow")
    theirs = tf.nn.local_response_normalization(
        inputs(), depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75
    )
    np.testing.assert_allclose(LocalResponseNormalization()(inputs()), theirs, rtol=1e-5)


def test_half_precision_does_not_overflow():
    layer = LocalResponseNormalization(dtype="float16")
    large = inputs(scale=1000.0).astype("float16")
    outputs = ops.convert_to_numpy(layer(large))
    assert outputs.dtype == np.float16
    np.testing.assert_allclose(outputs, reference(large, 5, 1e-4, 0.75, 1.0), rtol=2e-3)


@pytest.mark.parametrize("arguments", [{"size": 4}, {"size": 0}, {"size": -3}, {"k": 0.0}])
def test_bad_arguments_are_named(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=rf"`{name}`.*got {value}"):
        LocalResponseNormalization(**arguments)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

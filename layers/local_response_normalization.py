"""Normalisation across neighbouring features, as GoogLeNet has it.

Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012,
section 3.3, in Caffe's form (lrn_layer.cpp).
"""

import operator

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glimpse")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each feature by the energy of its neighbours on the last axis.

        b[i] = a[i] / (k + alpha / n * sum_j a[j]^2)^beta     |j - i| <= (n - 1) / 2, j a feature

    a are the inputs, b the outputs, n is `size`.

    Differs from the paper: alpha is divided by the size, as Caffe does; the paper's is not.

    Args:
        size: How many features are added up, odd.
        alpha: Factor on their mean square.
        beta: Exponent.
        k: Offset, above 0.

    Call arguments:
        inputs: `(..., features)`.

    Returns:
        The same shape.

    Raises:
        ValueError: If `size` is not odd and positive, or `k` is not positive.
    """

    def __init__(self, size=5, alpha=1e-4, beta=0.75, k=1.0, **kwargs):
        super().__init__(**kwargs)
        if operator.index(size) < 1 or size % 2 == 0:
            raise ValueError(f"`size` must be odd and at least 1, got {size!r}.")
        if not k > 0:
            raise ValueError(f"`k` must be above 0, got {k!r}.")
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def call(self, inputs):
        # Squares of what a convolution of pixels gives are beyond float16.
        half = self.compute_dtype in ("float16", "bfloat16")
        values = ops.cast(inputs, "float32" if half else self.compute_dtype)
        reach, features = self.size // 2, values.shape[-1]
        squares = ops.square(values)
        squares = ops.pad(squares, [(0, 0)] * (len(values.shape) - 1) + [(reach, reach)])
        energy = sum(squares[..., first : first + features] for first in range(self.size))
        values = values * ops.power(self.k + self.alpha / self.size * energy, -self.beta)
        return ops.cast(values, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "size": self.size,
            "alpha": self.alpha,
            "beta": self.beta,
            "k": self.k,
        }

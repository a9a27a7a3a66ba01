"""Gradients of a scalar function, by the same call on every backend, and by differences."""

import contextlib

import keras
import numpy as np
from keras import ops


def float64():
    """A context in which float64 tensors keep their precision: JAX has to be told."""
    if keras.config.backend() == "jax":
        import jax

        return jax.enable_x64(True)
    return contextlib.nullcontext()


def compiled(function):
    """The function traced as a graph, where the backend has graphs."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    return function


def gradient_function(function):
    """A function that returns the gradient of `function`, a scalar, to each of its tensors."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        def compute(*tensors):
            with tf.GradientTape() as tape:
                tape.watch(tensors)
                result = function(*tensors)
            return tape.gradient(result, tensors, unconnected_gradients="zero")

        return compute
    if keras.config.backend() == "jax":
        import jax

        return lambda *tensors: jax.grad(function, argnums=tuple(range(len(tensors))))(*tensors)
    import torch

    def compute(*tensors):
        tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        return torch.autograd.grad(
            function(*tensors), tensors, allow_unused=True, materialize_grads=True
        )

    return compute


def gradients(function, values, jit=True):
    """The gradient of `function(*values)` to each value, all as NumPy arrays."""
    compute = gradient_function(function)
    found = (compiled(compute) if jit else compute)(*map(ops.convert_to_tensor, values))
    return [ops.convert_to_numpy(gradient) for gradient in found]


def assert_gradients_match_differences(function, values, names, jit=True, seed=0):
    """Compares every gradient with central differences along random directions.

    Keras keeps float64 all through a layer on TensorFlow alone (tanh on JAX and products on
    PyTorch are rounded to float32), so elsewhere the differences are coarser.
    """
    exact = keras.config.backend() == "tensorflow"
    step, tolerance = (1e-5, 1e-6) if exact else (1e-2, 2e-2)
    generator = np.random.default_rng(seed)
    found = gradients(function, values, jit=jit)
    evaluate = compiled(function)
    for position, name in enumerate(names):
        assert found[position].shape == values[position].shape, name
        direction = generator.normal(size=values[position].shape)
        results = []
        for sign in (1, -1):
            moved = list(values)
            moved[position] = values[position] + sign * step * direction
            results.append(float(evaluate(*map(ops.convert_to_tensor, moved))))
        np.testing.assert_allclose(
            np.sum(np.nan_to_num(found[position]) * direction),
            (results[0] - results[1]) / (2 * step),
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"gradient of {name}",
        )

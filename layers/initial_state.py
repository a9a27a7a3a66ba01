"""Where a recurrence over a clip starts from: the clip's mean feature.

Sharma et al., "Action Recognition using Visual Attention", 2015, Eq. 6.
"""

import keras
from keras import ops

from glimpse.layers.soft_attention_lstm_cell import copy_initializer


@keras.saving.register_keras_serializable(package="glimpse")
class InitialState(keras.layers.Layer):
    """Computes the first states of a recurrence from a clip's features.

    Each of the states is a perceptron of the mean feature (Eq. 6):

        state_0 = tanh(A tanh(B m + b) + a)     m = mean of X[t, i] over regions i, real frames t

    with weights of its own: `hidden_layers` hold B, b and `output_layers` hold A, a, in the
    order of the states.

    Args:
        units: Size of each state.
        num_states: Number of states, at least 1.
        hidden_units: Size of the inner tanh layer; None means `units`, 0 leaves the layer out as
            the released code does.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: Of all the layers, as in `keras.layers.Dense`.

    Call arguments:
        features: `(batch, frames, regions, features)`.
        mask: `(batch, frames)`, True where the frame is real. A clip without a real frame has
            the mean 0.

    Returns:
        A list of `num_states` tensors `(batch, units)`.

    Raises:
        ValueError: If `hidden_units` is negative or no integer.
    """

    def __init__(
        self,
        units,
        num_states,
        hidden_units=None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if hidden_units is not None and (not isinstance(hidden_units, int) or hidden_units < 0):
            raise ValueError(
                f"`hidden_units` must be None or an integer of at least 0, got {hidden_units!r}."
            )
        self.supports_masking = True
        self.units = units
        self.num_states = num_states
        self.hidden_units = hidden_units
        self.dense_options = {
            "kernel_initializer": keras.initializers.get(kernel_initializer),
            "bias_initializer": keras.initializers.get(bias_initializer),
            "kernel_regularizer": keras.regularizers.get(kernel_regularizer),
            "bias_regularizer": keras.regularizers.get(bias_regularizer),
            "kernel_constraint": keras.constraints.get(kernel_constraint),
            "bias_constraint": keras.constraints.get(bias_constraint),
        }
        inner = units if hidden_units is None else hidden_units
        numbers = range(1, num_states + 1)
        self.hidden_layers = [self._tanh(inner, f"hidden_{n}") for n in numbers if inner]
        self.output_layers = [self._tanh(units, f"state_{n}") for n in numbers]

    def build(self, features_shape, mask_shape=None):
        batch, features = features_shape[0], features_shape[-1]
        for layer in self.hidden_layers:
            layer.build((batch, features))
            features = layer.units if layer is self.hidden_layers[-1] else features
        for layer in self.output_layers:
            layer.build((batch, features))

    def call(self, features, mask=None):
        frame_means = ops.mean(features, axis=2)  # (batch, frames, features)
        if mask is None:
            mean = ops.mean(frame_means, axis=1)
        else:
            real = ops.expand_dims(mask, -1)
            count = ops.sum(ops.cast(real, frame_means.dtype), axis=1, keepdims=True)
            # Divided before the sum, which might not fit into float16.
            shares = frame_means / ops.maximum(count, 1)
            mean = ops.sum(ops.where(real, shares, ops.zeros_like(shares)), axis=1)
        inner = [layer(mean) for layer in self.hidden_layers] or [mean] * self.num_states
        return [layer(x) for layer, x in zip(self.output_layers, inner, strict=True)]

    def compute_mask(self, *args, **kwargs):
        return None

    def compute_output_shape(self, features_shape, mask_shape=None):
        return [(features_shape[0], self.units)] * self.num_states

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "num_states": self.num_states,
            "hidden_units": self.hidden_units,
            **{
                name: keras.saving.serialize_keras_object(value)
                for name, value in self.dense_options.items()
            },
        }

    def _tanh(self, units, name):
        # An initializer with a seed would give every layer the same weights, were it shared.
        options = {
            key: copy_initializer(value) if key.endswith("initializer") else value
            for key, value in self.dense_options.items()
        }
        return keras.layers.Dense(units, "tanh", dtype=self.dtype_policy, name=name, **options)

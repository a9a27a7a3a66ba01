"""A convolutional LSTM over the frames of a clip: the layer above CHAM's attention.

Yan et al., "CHAM: action recognition using convolutional hierarchical attention model", 2017,
https://arxiv.org/abs/1705.03146.
"""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_mask, check_rank, check_shape
from glimpse.layers.soft_attention_lstm_cell import (
    check_dropout_rate,
    check_positive_integer,
    copy_initializer,
)
from glimpse.layers.soft_attention_recurrence import tanh
from glimpse.layers.step_loop import iterate_steps


@keras.saving.register_keras_serializable(package="glimpse")
class ConvLSTM(keras.layers.Layer):
    """Steps a convolutional LSTM over feature maps, from zero.

    For the map x of a frame, last states h and c, and * a convolution that keeps height and width
    (Eq. 1-6 of the paper):

        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid (W_x * x + W_h * h + b)       Eq. 1-4
        c          = f c + i g                                                     Eq. 5
        h          = o tanh(c)                                                     Eq. 6

    `kernel`, `recurrent_kernel` and `bias` are W_x, W_h and b, gates in the order i, f, g, o. With
    `candidate_activation="tanh"` it is `keras.layers.ConvLSTM2D` with sigmoid gates, but W_x is
    applied to all frames at once. A masked frame leaves the states as they are and repeats h.

    Args:
        filters: Number of channels of the states.
        kernel_size: Height and width of W_x and W_h.
        candidate_activation: "tanh", or "sigmoid" as Eq. 4 prints for g.
        dropout: Share dropped of each frame's map, in [0, 1).
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.ConvLSTM2D`.
        seed: Seed of the dropout.

    Call arguments:
        features: `(batch, frames, height, width, features)`, float. `frames` may be unknown.
        mask: `(batch, frames)`, bool; True where the frame is real.

    Returns:
        hidden_states: `(batch, frames, height, width, filters)`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        candidate_activation="tanh",
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_conv_lstm_arguments(filters, kernel_size, candidate_activation, dropout)
        self.supports_masking = True
        self.filters = filters
        self.kernel_size = kernel_size
        self.candidate_activation = candidate_activation
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, features_shape, mask_shape=None):
        check_rank("features", features_shape, "(batch, frames, height, width, features)")
        add_conv_lstm_weights(self, features_shape[-1])

    def call(self, features, mask=None, training=None):
        features = ops.convert_to_tensor(features, self.compute_dtype)
        axes = "(batch, frames, height, width, features)"
        check_shape("features", features.shape, axes, features=self.kernel.shape[2])
        real = None
        if mask is not None:
            features, real = hide_padding(features, mask)
        if self.dropout and training:
            features = keras.random.dropout(features, self.dropout, seed=self.seed_generator)
        kernel, recurrent_kernel, bias = (
            ops.cast(weight, self.compute_dtype)  # `stateless_call` enters no autocast scope
            for weight in (self.kernel, self.recurrent_kernel, self.bias)
        )
        sequences = {"inputs": convolve(features, kernel) + bias}
        if real is not None:
            sequences["real"] = real

        def step(states, t, current):
            gates = current["inputs"] + convolve(states[0], recurrent_kernel)
            new_states = step_conv_lstm(gates, states[1], self.candidate_activation)
            return keep_states(new_states, states, current.get("real"))

        batch, frames, height, width, _ = ops.shape(features)
        start = [ops.zeros((batch, height, width, self.filters), self.compute_dtype)] * 2
        _, (hidden_states, _) = iterate_steps(
            step, start, frames, differentiable=True, sequences=sequences
        )
        return ops.transpose(hidden_states, (1, 0, 2, 3, 4))

    def compute_output_shape(self, features_shape, mask_shape=None):
        return (*features_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "candidate_activation": self.candidate_activation,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }


def convolve(values, kernel):
    """`values * kernel` over height and width, with zeros around, of one or of all frames."""
    *leading, height, width, _ = ops.shape(values)
    maps = ops.reshape(values, (-1, height, width, values.shape[-1]))
    maps = ops.conv(maps, kernel, padding="same")
    return ops.reshape(maps, (*leading, height, width, kernel.shape[-1]))


def step_conv_lstm(gates, cell_state, candidate_activation):
    """`[h, c]` after a step, from the pre-activations `(..., 4 * filters)` and the old c."""
    i, f, g, o = ops.split(gates, 4, axis=-1)
    candidate = ops.sigmoid(g) if candidate_activation == "sigmoid" else tanh(g)
    cell_state = ops.sigmoid(f) * cell_state + ops.sigmoid(i) * candidate
    return [ops.sigmoid(o) * tanh(cell_state), cell_state]


def keep_states(new_states, states, real):
    """The new states, but the old ones of clips whose frame is padding (`real` may be None)."""
    if real is None:
        return new_states
    return [ops.where(real, new, old) for new, old in zip(new_states, states, strict=True)]


def hide_padding(features, mask):
    """Zeros the padding of a clip, which may hold NaN, whose gradient no `where` would stop.

    Returns:
        features: With zeros in the frames that are not real.
        real: `mask` with the axes of the features, `(batch, frames, 1, 1, 1)`.

    Raises:
        ValueError: If `mask` is not (batch, frames) of the features.
    """
    mask = check_mask("mask", mask, "the features'", features.shape[:2])
    mask = ops.reshape(mask, (*ops.shape(mask), 1, 1, 1))
    return ops.where(mask, features, ops.zeros_like(features)), mask


def check_conv_lstm_arguments(filters, kernel_size, candidate_activation, dropout):
    """Raises a ValueError that names the argument that is out of its range."""
    check_positive_integer("filters", filters)
    check_positive_integer("kernel_size", kernel_size)
    if candidate_activation not in ("tanh", "sigmoid"):
        raise ValueError(
            '`candidate_activation` must be "tanh" or "sigmoid"; '
            f"received {candidate_activation!r}."
        )
    check_dropout_rate("dropout", dropout)


def add_conv_lstm_weights(layer, features):
    """Gives a layer `kernel`, `recurrent_kernel` and `bias` by the names of its arguments."""
    size, filters = layer.kernel_size, layer.filters

    def initialize_bias(shape, dtype=None):
        bias = layer.bias_initializer(shape, dtype=dtype)
        if not layer.unit_forget_bias:
            return bias
        ones = ops.ones((filters,), dtype=dtype)
        return ops.concatenate([bias[:filters], ones, bias[2 * filters :]])

    layer.kernel = layer.add_weight(
        name="kernel",
        shape=(size, size, features, 4 * filters),
        initializer=copy_initializer(layer.kernel_initializer),
        regularizer=layer.kernel_regularizer,
        constraint=layer.kernel_constraint,
    )
    layer.recurrent_kernel = layer.add_weight(
        name="recurrent_kernel",
        shape=(size, size, filters, 4 * filters),
        initializer=copy_initializer(layer.recurrent_initializer),
        regularizer=layer.recurrent_regularizer,
        constraint=layer.recurrent_constraint,
    )
    layer.bias = layer.add_weight(
        name="bias",
        shape=(4 * filters,),
        initializer=initialize_bias,
        regularizer=layer.bias_regularizer,
        constraint=layer.bias_constraint,
    )

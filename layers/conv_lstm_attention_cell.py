"""One step of a convolutional LSTM that looks at a feature map through soft attention.

Yan et al., "CHAM: action recognition using convolutional hierarchical attention model", 2017,
https://arxiv.org/abs/1705.03146.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import apply_attention_override
from glimpse.layers.conv_lstm import (
    add_conv_lstm_weights,
    check_conv_lstm_arguments,
    convolve,
    step_conv_lstm,
)
from glimpse.layers.shape_checks import check_rank, check_shape, check_states
from glimpse.layers.soft_attention_lstm_cell import check_positive_integer, copy_initializer
from glimpse.layers.soft_attention_recurrence import tanh


@keras.saving.register_keras_serializable(package="glimpse")
class ConvLSTMAttentionCell(keras.layers.Layer):
    """Weighs the places of a feature map by the last state, then steps a convolutional LSTM.

    For the map F of a frame, last states h and c, and * a convolution that keeps height and width
    (Eq. 1-8 of the paper):

        l          = softmax_ij(W_z * tanh(W_ha * h + W_xa * F + b_a))             Eq. 8
        x[i, j]    = l[i, j] F[i, j]                                               Eq. 7
        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid (W_x * x + W_h * h + b)       Eq. 1-4
        c          = f c + i g                                                     Eq. 5
        h          = o tanh(c)                                                     Eq. 6

    `input_attention_kernel`, `hidden_attention_kernel`, `attention_bias` and `score_kernel` are
    W_xa, W_ha, b_a and W_z; `kernel`, `recurrent_kernel` and `bias` are W_x, W_h and b, gates in
    the order i, f, g, o. Kernels have the shape (size, size, inputs, outputs).

    Args:
        filters: Number of channels of the states.
        kernel_size: Height and width of W_x and W_h.
        attention_filters: Number of channels under the tanh of Eq. 8. Default: `filters`.
        attention_kernel_size: Height and width of W_xa, W_ha and W_z.
        candidate_activation: "tanh", or "sigmoid" as Eq. 4 prints for g.
        dropout: Share dropped of the weighed map x, in [0, 1). States and pre-activations are
            never dropped. Inside `keras.layers.RNN` on JAX it needs `unroll=True`, since each
            step draws anew.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.ConvLSTM2D`. Those of the
            kernel and bias serve the attention's weights too.
        seed: Seed of the dropout.

    Call arguments:
        inputs: One frame, `(batch, height, width, features)`, float.
        states: `[h, c]`, each `(batch, height, width, filters)`.
        attention_override: `(batch, height, width)`; see `apply_attention_override`.

    Returns:
        hidden_state: `(batch, height, width, filters)`.
        states: `[h, c]` after this step.

    `keras.layers.RNN` runs the cell on tensors, but cannot tell a functional model the shape of a
    map; `ConvLSTMAttention` can.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: Eq. 8 prints x_t under the tanh, which Eq. 7 makes from l; the text
    names the "input features", F, instead. W_z has one channel, though "all these convolutional
    kernels have 512", for l has one number a place. Eq. 4 prints a sigmoid for g, though LSTMs
    and the paper's own phi have tanh. The softmax runs over all places; the public
    re-implementation runs it over that single channel, which makes every weight 1 and is not
    offered. The forget gate's bias starts at 1 (`unit_forget_bias`); the paper does not say.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        attention_filters=None,
        attention_kernel_size=1,
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
        check_positive_integer("attention_kernel_size", attention_kernel_size)
        if attention_filters is not None:
            check_positive_integer("attention_filters", attention_filters)
        self.filters = filters
        self.kernel_size = kernel_size
        self.attention_filters = attention_filters
        self.attention_kernel_size = attention_kernel_size
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
        self.state_size = [filters, filters]
        self.output_size = None

    def build(self, inputs_shape, states_shape=None, attention_override_shape=None):
        check_rank("inputs", inputs_shape, "(batch, height, width, features)")
        self.output_size = (*inputs_shape[1:3], self.filters)
        size, features = self.attention_kernel_size, inputs_shape[-1]
        channels = self.attention_filters or self.filters
        self.input_attention_kernel = self._add_kernel(
            "input_attention_kernel", (size, size, features, channels)
        )
        self.hidden_attention_kernel = self._add_kernel(
            "hidden_attention_kernel", (size, size, self.filters, channels)
        )
        self.attention_bias = self.add_weight(
            name="attention_bias",
            shape=(channels,),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        self.score_kernel = self._add_kernel("score_kernel", (size, size, channels, 1))
        add_conv_lstm_weights(self, features)

    def call(self, inputs, states, training=None, attention_override=None):
        attended, _ = self.attend(inputs, states, attention_override)
        if self.dropout and training:
            attended = keras.random.dropout(attended, self.dropout, seed=self.seed_generator)
        states = self.step(attended, states)
        return states[0], states

    def attend(self, inputs, states, attention_override=None):
        """Where the next step looks, and what it sees there.

        Returns:
            attended: The map with every place weighed, `(batch, height, width, features)`.
            attention_weights: `(batch, height, width)`; each map sums to 1 unless overridden.
        """
        if not self.built:
            self.build(inputs.shape)
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        axes, features = "(batch, height, width, features)", self.kernel.shape[2]
        check_shape("inputs", inputs.shape, axes, features=features)
        sizes = dict(zip(("batch", "height", "width"), inputs.shape, strict=False))
        axes = "(batch, height, width, filters)"
        check_states("states", states, ["h", "c"], axes, **sizes, filters=self.filters)
        weights = self.weigh(self.project_inputs(inputs), states[0])
        weights = apply_attention_override(weights, attention_override, axis=(-2, -1))
        return ops.expand_dims(weights, -1) * inputs, weights

    def project_inputs(self, inputs):
        """W_xa * F + b_a of one or of all frames, `(..., height, width, attention_filters)`."""
        return convolve(inputs, self._cast(self.input_attention_kernel)) + self._cast(
            self.attention_bias
        )

    def weigh(self, projected, hidden_state):
        """The attention weights of Eq. 8, `(batch, height, width)`, from `project_inputs`."""
        hidden_state = ops.convert_to_tensor(hidden_state, self.compute_dtype)
        query = convolve(hidden_state, self._cast(self.hidden_attention_kernel))
        scores = convolve(tanh(projected + query), self._cast(self.score_kernel))
        batch, height, width, _ = ops.shape(scores)
        weights = ops.softmax(ops.reshape(scores, (batch, height * width)))
        return ops.reshape(weights, (batch, height, width))

    def step(self, attended, states):
        """`[h, c]` after a step on an attended map."""
        hidden_state, cell_state = (ops.convert_to_tensor(x, self.compute_dtype) for x in states)
        gates = (
            convolve(attended, self._cast(self.kernel))
            + convolve(hidden_state, self._cast(self.recurrent_kernel))
            + self._cast(self.bias)
        )
        return step_conv_lstm(gates, cell_state, self.candidate_activation)

    def get_initial_state(self, batch_size=None):
        if self.output_size is None or None in self.output_size:
            raise ValueError(
                "The cell's states have the height and width of its inputs: build it with inputs "
                f"of known height and width first; received {self.output_size}."
            )
        return [ops.zeros((batch_size, *self.output_size), self.compute_dtype) for _ in range(2)]

    def _cast(self, variable):
        # `attend` and `stateless_call` run outside of Keras's autocast scope.
        return ops.cast(variable, self.compute_dtype)

    def _add_kernel(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=copy_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "attention_filters": self.attention_filters,
            "attention_kernel_size": self.attention_kernel_size,
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

"""One step of an LSTM that looks at the frames of a clip through soft attention.

Torabi, Sigal, "Action Classification and Highlighting in Videos", 2017,
https://arxiv.org/abs/1708.09522.
"""

import keras
from keras import ops

from glimpse.layers.peephole_lstm_cell import add_lstm_weights, step_lstm
from glimpse.layers.shape_checks import check_rank, check_shape, check_states
from glimpse.layers.soft_attention_lstm_cell import (
    check_dropout_rate,
    check_positive_integer,
    copy_initializer,
    project_regions,
)
from glimpse.layers.temporal_attention import TemporalAttention


@keras.saving.register_keras_serializable(package="glimpse")
class TemporalAttentionLSTMCell(keras.layers.Layer):
    """Attends to a clip's frames with the last hidden state, then steps the LSTM.

    For the input v[t] and the attended frames a[1..T] (Eq. 3-12 of the paper):

        k          = TemporalAttention(h[t-1], a)                       Eq. 3-5
        i, f, g, o = sigmoid, sigmoid, tanh, sigmoid (W v[t] + K k + U h[t-1] + b)   Eq. 7-10
        c[t]       = f * c[t-1] + i * g                                 Eq. 11
        h[t]       = o * tanh(c[t])                                     Eq. 12

    `kernel` is W, `context_kernel` is K, `recurrent_kernel` is U and `bias` is b, gates in the
    order i, f, g, o. The weights of the attention lie in the sub-layer `attention`.

    Args:
        units: Size of the state.
        attention_units: Size of the matching vector. Default: `units`.
        dropout: Share dropped of what enters the LSTM, the input and the context, in [0, 1).
            The state and the pre-activations are never dropped.
        peepholes: Whether gates also see the cell state, through diagonal weights
            `input_peephole`, `forget_peephole` and `output_peephole`; see `PeepholeLSTMCell`.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.LSTMCell`. Those of the kernel
            and bias serve the context's kernel and the attention too.
        seed: Seed of the dropout.

    Call arguments:
        inputs: v[t], `(batch, input_features)`, float.
        states: `[h, c]`, each `(batch, units)`.
        values: The attended frames, `(batch, frames, features)`, float.
        values_mask: `(batch, frames)`, True where the frame is real.
        attention_override: `(batch, frames)`; see `apply_attention_override`.

    Returns:
        hidden_state: `(batch, units)`.
        states: `[h, c]` after this step.
        attention_weights: `(batch, frames)`; each row sums to 1, or to 0 without a real frame.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: its Eq. 7-10 leave the context out, though Eq. 6 has it and the text
    says that it is "distributed across the input-data". So K joins it to the pre-activations, as
    the brick `Distribute` of Blocks does, in which the authors wrote their model. Blocks' LSTM has
    peepholes, the equations have none: `peepholes`. The forget gate's bias starts at 1
    (`unit_forget_bias`); the paper does not say.
    """

    def __init__(
        self,
        units,
        attention_units=None,
        dropout=0.0,
        peepholes=False,
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
        check_positive_integer("units", units)
        if attention_units is not None:
            check_positive_integer("attention_units", attention_units)
        check_dropout_rate("dropout", dropout)
        self.units = units
        self.attention_units = attention_units
        self.dropout = dropout
        self.peepholes = peepholes
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
        self.state_size = [units, units]
        self.output_size = units
        self.attention = TemporalAttention(
            attention_units or units,
            kernel_initializer=copy_initializer(self.kernel_initializer),
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name="attention",
        )

    def build(
        self,
        inputs_shape,
        states_shape=None,
        values_shape=None,
        values_mask_shape=None,
        attention_override_shape=None,
    ):
        check_rank("inputs", inputs_shape, "(batch, input_features)")
        check_rank("values", values_shape, "(batch, frames, features)")
        self.attention.build((inputs_shape[0], self.units), values_shape)
        add_lstm_weights(self, inputs_shape[-1])
        self.context_kernel = self.add_weight(
            name="context_kernel",
            shape=(values_shape[-1], 4 * self.units),
            initializer=copy_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def call(
        self,
        inputs,
        states,
        values,
        values_mask=None,
        attention_override=None,
        training=None,
    ):
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        context, attention_weights = self.attend(
            inputs, states, values, values_mask, attention_override
        )
        states = [ops.convert_to_tensor(state, self.compute_dtype) for state in states]
        if self.dropout and training:
            inputs, context = (
                keras.random.dropout(x, self.dropout, seed=self.seed_generator)
                for x in (inputs, context)
            )
        states = self.step(self.project_inputs(inputs), context, states)
        return states[0], states, attention_weights

    def attend(self, inputs, states, values, values_mask=None, attention_override=None):
        """Where the next step looks, and what it sees there. `inputs` has no say in it.

        Returns:
            context: `(batch, features)`.
            attention_weights: `(batch, frames)`.
        """
        if not self.built:
            self.build(inputs.shape, values_shape=values.shape)
        features = self.kernel.shape[0]
        check_shape("inputs", inputs.shape, "(batch, input_features)", input_features=features)
        sizes = {"batch": inputs.shape[0], "features": self.context_kernel.shape[0]}
        check_shape("values", values.shape, "(batch, frames, features)", **sizes)
        sizes = {"batch": inputs.shape[0], "units": self.units}
        check_states("states", states, ["h", "c"], "(batch, units)", **sizes)
        return self.attention(
            states[0], values, mask=values_mask, attention_override=attention_override
        )

    def project_inputs(self, inputs):
        """W v + b of the inputs of one or of all steps, `(..., 4 * units)`."""
        return project_regions(inputs, self._cast(self.kernel)) + self._cast(self.bias)

    def step(self, input_gates, context, states):
        """`[h, c]` after a step, from `project_inputs`' answer and the context."""
        hidden_state, cell_state = states
        gates = (
            input_gates
            + ops.matmul(context, self._cast(self.context_kernel))
            + ops.matmul(hidden_state, self._cast(self.recurrent_kernel))
        )
        return step_lstm(self, gates, cell_state)

    def _cast(self, variable):
        # `stateless_call` runs outside of Keras's autocast scope.
        return ops.cast(variable, self.compute_dtype)

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "attention_units": self.attention_units,
            "dropout": self.dropout,
            "peepholes": self.peepholes,
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

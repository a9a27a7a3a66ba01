"""One step of an LSTM whose gates may see the cell state.

Graves, "Generating Sequences With Recurrent Neural Networks", 2013, Eq. 7-11,
https://arxiv.org/abs/1308.0850.
"""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_rank, check_shape, check_states
from glimpse.layers.soft_attention_lstm_cell import check_positive_integer, copy_initializer
from glimpse.layers.soft_attention_recurrence import tanh


@keras.saving.register_keras_serializable(package="glimpse")
class PeepholeLSTMCell(keras.layers.Layer):
    """Steps an LSTM with peepholes, as `keras.layers.RNN` runs it over a clip.

        i, f = sigmoid(W v + U h + b + p * c)                 Eq. 7 and 8 of the paper
        g    = tanh(W v + U h + b)
        c'   = f * c + i * g                                  Eq. 9
        o    = sigmoid(W v + U h + b + p * c')                Eq. 10: the new cell state
        h'   = o * tanh(c')                                   Eq. 11

    `kernel` is W, `recurrent_kernel` is U and `bias` is b, gates in the order i, f, g, o; p is
    `input_peephole`, `forget_peephole` or `output_peephole`, a weight for each unit.

    Args:
        units: Size of the state.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `keras.layers.LSTMCell`. Those of the kernel
            serve the peepholes too.

    Call arguments:
        inputs: `(batch, input_features)`, float.
        states: `[h, c]`, each `(batch, units)`.

    Returns:
        hidden_state: `(batch, units)`.
        states: `[h, c]` after this step.

    Raises:
        ValueError: If `units` is below 1 or a shape does not fit.
    """

    peepholes = True

    def __init__(
        self,
        units,
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
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("units", units)
        self.units = units
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
        self.state_size = [units, units]
        self.output_size = units

    def build(self, inputs_shape, states_shape=None):
        check_rank("inputs", inputs_shape, "(batch, input_features)")
        add_lstm_weights(self, inputs_shape[-1])

    def call(self, inputs, states, training=None):
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        features = self.kernel.shape[0]
        check_shape("inputs", inputs.shape, "(batch, input_features)", input_features=features)
        sizes = {"batch": inputs.shape[0], "units": self.units}
        check_states("states", states, ["h", "c"], "(batch, units)", **sizes)
        hidden_state, cell_state = (ops.convert_to_tensor(x, self.compute_dtype) for x in states)
        gates = (
            ops.matmul(inputs, ops.cast(self.kernel, self.compute_dtype))
            + ops.matmul(hidden_state, ops.cast(self.recurrent_kernel, self.compute_dtype))
            + ops.cast(self.bias, self.compute_dtype)
        )
        states = step_lstm(self, gates, cell_state)
        return states[0], states

    def get_initial_state(self, batch_size=None):
        return [ops.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
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
        }


def add_lstm_weights(cell, input_features):
    """Gives a cell `kernel`, `recurrent_kernel`, `bias` and, with `cell.peepholes`, those."""
    units = cell.units

    def add_kernel(name, shape):
        return cell.add_weight(
            name=name,
            shape=shape,
            initializer=copy_initializer(cell.kernel_initializer),
            regularizer=cell.kernel_regularizer,
            constraint=cell.kernel_constraint,
        )

    def initialize_bias(shape, dtype=None):
        bias = cell.bias_initializer(shape, dtype=dtype)
        if not cell.unit_forget_bias:
            return bias
        ones = ops.ones((units,), dtype=dtype)
        return ops.concatenate([bias[:units], ones, bias[2 * units :]])

    cell.kernel = add_kernel("kernel", (input_features, 4 * units))
    cell.recurrent_kernel = cell.add_weight(
        name="recurrent_kernel",
        shape=(units, 4 * units),
        initializer=copy_initializer(cell.recurrent_initializer),
        regularizer=cell.recurrent_regularizer,
        constraint=cell.recurrent_constraint,
    )
    cell.bias = cell.add_weight(
        name="bias",
        shape=(4 * units,),
        initializer=initialize_bias,
        regularizer=cell.bias_regularizer,
        constraint=cell.bias_constraint,
    )
    if cell.peepholes:
        cell.input_peephole = add_kernel("input_peephole", (units,))
        cell.forget_peephole = add_kernel("forget_peephole", (units,))
        cell.output_peephole = add_kernel("output_peephole", (units,))


def step_lstm(cell, gates, cell_state):
    """`[h, c]` after a step, from the pre-activations `(batch, 4 * units)` and the old c."""

    def peep(name, state):
        return state * ops.cast(getattr(cell, name), cell.compute_dtype) if cell.peepholes else 0

    i, f, g, o = ops.split(gates, 4, axis=-1)
    i = ops.sigmoid(i + peep("input_peephole", cell_state))
    f = ops.sigmoid(f + peep("forget_peephole", cell_state))
    cell_state = f * cell_state + i * tanh(g)
    o = ops.sigmoid(o + peep("output_peephole", cell_state))
    return [o * tanh(cell_state), cell_state]

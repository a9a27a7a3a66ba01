"""An LSTM over a clip that looks at the frames of the whole clip through soft attention.

Torabi, Sigal, "Action Classification and Highlighting in Videos", 2017,
https://arxiv.org/abs/1708.09522.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import check_override_shape, split_attention_override
from glimpse.layers.mask_reader import MaskReader
from glimpse.layers.shape_checks import (
    check_mask,
    check_rank,
    check_shape,
    check_states,
)
from glimpse.layers.step_loop import iterate_steps
from glimpse.layers.temporal_attention import clear_padding, weighted_sum
from glimpse.layers.temporal_attention_lstm_cell import TemporalAttentionLSTMCell


@keras.saving.register_keras_serializable(package="glimpse")
class TemporalAttentionLSTM(keras.layers.Layer):
    """Runs `TemporalAttentionLSTMCell` over the steps of a clip.

    Steps and attended frames are two axes: N steps attend to the same T frames each, T = N or not.
    `fusion` names the two variants of the paper's Fig. 4:

        "every_step"  (a)  every step attends
        "last_step"   (b)  the last real step alone attends; the steps before it are a plain
                           LSTM's, with a context and attention weights of zero

    A masked step leaves the state as it is, repeats it in `hidden_states`, and has zero attention.
    What does not change from step to step, W v + b and V a + b, is computed once a clip.

    Args:
        units, attention_units, dropout, peepholes: As in `TemporalAttentionLSTMCell`, which holds
            the weights as the attribute `cell`. Dropout is drawn anew for every step.
        fusion: "every_step" or "last_step".
        learned_initial_state: Whether the clip starts from two weights of this layer,
            `first_hidden_state` and `first_cell_state`, which start at zero, as in Blocks. The
            paper does not say; by default the state starts at zero.
        return_state: Whether the call also returns the states after the last step.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `TemporalAttentionLSTMCell`.
        seed: Seed of the dropout.

    Call arguments:
        inputs: `(batch, steps, input_features)`, float. `steps` may be unknown.
        values: The attended frames, `(batch, frames, features)`, float. `frames` may be unknown.
        mask: `(batch, steps)`, True where the step is real.
        values_mask: `(batch, frames)`, True where the frame is real.
        initial_state: `[h, c]` to start from instead, each `(batch, units)`.
        attention_override: `(batch, steps, frames)`; see `apply_attention_override`. Steps that
            do not attend keep their zeros.

    Returns:
        hidden_states: `(batch, steps, units)`.
        attention_weights: `(batch, steps, frames)`; each row of a step that attends sums to 1, or
            to 0 for a clip without a real frame.
        states: With `return_state`, `[h, c]` after the last step.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    def __init__(
        self,
        units,
        attention_units=None,
        dropout=0.0,
        peepholes=False,
        fusion="every_step",
        learned_initial_state=False,
        return_state=False,
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
        if fusion not in ("every_step", "last_step"):
            raise ValueError(f'`fusion` must be "every_step" or "last_step"; received {fusion!r}.')
        self.fusion = fusion
        self.learned_initial_state = learned_initial_state
        self.return_state = return_state
        self.supports_masking = True
        self.mask_reader = MaskReader(name="mask_reader")
        self.cell = TemporalAttentionLSTMCell(
            units,
            attention_units=attention_units,
            dropout=dropout,
            peepholes=peepholes,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            seed=seed,
            dtype=self.dtype_policy,
            name="cell",
        )

    def build(
        self,
        inputs_shape,
        values_shape,
        mask_shape=None,
        values_mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        check_rank("inputs", inputs_shape, "(batch, steps, input_features)")
        check_rank("values", values_shape, "(batch, frames, features)")
        batch, steps, input_features = inputs_shape
        if steps == 0:
            raise ValueError(f"`inputs` must have a step; received shape {tuple(inputs_shape)}.")
        self.cell.build((batch, input_features), values_shape=values_shape)
        if self.learned_initial_state:
            units = (self.cell.units,)
            self.first_hidden_state = self.add_weight(units, "zeros", name="first_hidden_state")
            self.first_cell_state = self.add_weight(units, "zeros", name="first_cell_state")

    def call(
        self,
        inputs,
        values,
        mask=None,
        values_mask=None,
        initial_state=None,
        training=None,
        attention_override=None,
    ):
        if mask is None:  # Keras fills `mask` in for layers of one tensor alone.
            mask = self.mask_reader(inputs)
        inputs = ops.convert_to_tensor(inputs, self.compute_dtype)
        values = ops.convert_to_tensor(values, self.compute_dtype)
        axes, features = "(batch, steps, input_features)", self.cell.kernel.shape[0]
        check_shape("inputs", inputs.shape, axes, input_features=features)
        sizes = {"batch": inputs.shape[0], "features": self.cell.context_kernel.shape[0]}
        check_shape("values", values.shape, "(batch, frames, features)", **sizes)
        if mask is not None:
            mask = check_mask("mask", mask, "the inputs'", inputs.shape[:2])
            inputs = clear_padding(inputs, mask)
        if values_mask is not None:
            values_mask = check_mask("values_mask", values_mask, "the values'", values.shape[:2])
            values = clear_padding(values, values_mask)
        if initial_state is None:
            states = self._first_states(ops.shape(inputs)[0])
        else:
            sizes = {"batch": inputs.shape[0], "units": self.cell.units}
            check_states("initial_state", initial_state, ["h", "c"], "(batch, units)", **sizes)
            states = [ops.cast(state, self.compute_dtype) for state in initial_state]
        hidden_states, attention_weights, states = self._iterate(
            inputs, values, mask, values_mask, states, training, attention_override
        )
        if self.return_state:
            return hidden_states, attention_weights, states
        return hidden_states, attention_weights

    def _iterate(self, inputs, values, mask, values_mask, states, training, attention_override):
        cell = self.cell
        (batch, steps, _), frames = ops.shape(inputs), ops.shape(values)[1]
        sequences = self._attends(inputs, mask)
        if attention_override is not None:
            shape = (*inputs.shape[:2], values.shape[1])
            sequences["own"], sequences["given"] = split_attention_override(
                attention_override, shape, self.compute_dtype
            )
        if training and cell.dropout:
            inputs = self._drop(inputs)
            ones = ops.ones((batch, steps, values.shape[-1]), self.compute_dtype)
            sequences["kept"] = self._drop(ones)
        sequences["gates"] = cell.project_inputs(inputs)
        projected = cell.attention.project(values)

        def step(previous, t, now):
            weights = cell.attention.weigh(previous["h"], projected, values_mask)
            if "own" in now:
                weights = ops.where(now["own"], weights, now["given"])
                if values_mask is not None:
                    weights = ops.where(values_mask, weights, ops.zeros_like(weights))
            if "attends" in now:
                weights = ops.where(now["attends"], weights, ops.zeros_like(weights))
            context = weighted_sum(weights, values)
            if "kept" in now:
                context = context * now["kept"]
            old = [previous["h"], previous["c"]]
            new = cell.step(now["gates"], context, old)
            if "real" in now:
                new = [ops.where(now["real"], x, y) for x, y in zip(new, old, strict=True)]
            return {"h": new[0], "c": new[1], "attention": weights}

        start = {"h": states[0], "c": states[1]}
        start["attention"] = ops.zeros((batch, frames), self.compute_dtype)
        last, trace = iterate_steps(step, start, steps, differentiable=True, sequences=sequences)
        hidden_states, attention_weights = (
            ops.transpose(trace[name], (1, 0, 2)) for name in ("h", "attention")
        )
        return hidden_states, attention_weights, [last["h"], last["c"]]

    def _attends(self, inputs, mask):
        """Which steps are `real`, and which attend, `(batch, steps, 1)`, where it is not all."""
        real = {} if mask is None else {"real": ops.expand_dims(mask, -1)}
        if self.fusion == "every_step":
            return real if mask is None else {**real, "attends": real["real"]}
        batch, steps = ops.shape(inputs)[:2]
        numbers = ops.broadcast_to(ops.arange(1, steps + 1, dtype="int32"), (batch, steps))
        if mask is not None:
            numbers = ops.where(mask, numbers, ops.zeros_like(numbers))
        last = ops.maximum(ops.max(numbers, axis=1, keepdims=True), 1)  # no real step: none is it
        return {**real, "attends": ops.expand_dims(numbers == last, -1)}

    def _drop(self, values):
        return keras.random.dropout(values, self.cell.dropout, seed=self.cell.seed_generator)

    def _first_states(self, batch):
        if not self.learned_initial_state:
            return self.cell.get_initial_state(batch)
        return [
            ops.broadcast_to(ops.cast(state, self.compute_dtype), (batch, self.cell.units))
            for state in (self.first_hidden_state, self.first_cell_state)
        ]

    def compute_mask(self, inputs, previous_mask=None):
        masks = [previous_mask, None]
        return [*masks, None, None] if self.return_state else masks

    def compute_output_shape(
        self,
        inputs_shape,
        values_shape,
        mask_shape=None,
        values_mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        batch, steps, frames = *inputs_shape[:2], values_shape[1]
        if attention_override_shape is not None:
            check_override_shape(attention_override_shape, (batch, steps, frames))
        shapes = ((batch, steps, self.cell.units), (batch, steps, frames))
        return (*shapes, [(batch, self.cell.units)] * 2) if self.return_state else shapes

    def get_config(self):
        cell = self.cell.get_config()
        for name in ("name", "trainable", "dtype"):
            del cell[name]
        return {
            **super().get_config(),
            **cell,
            "fusion": self.fusion,
            "learned_initial_state": self.learned_initial_state,
            "return_state": self.return_state,
        }

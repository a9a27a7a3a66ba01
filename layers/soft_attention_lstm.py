"""A deep LSTM over a clip that looks at the regions of each frame through soft attention.

Sharma, Kiros, Salakhutdinov, "Action Recognition using Visual Attention", 2015,
https://arxiv.org/abs/1511.04119.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import check_override_shape, split_attention_override
from glimpse.layers.initial_state import InitialState
from glimpse.layers.shape_checks import check_mask, check_shape, check_states
from glimpse.layers.soft_attention_lstm_cell import SoftAttentionLSTMCell
from glimpse.layers.soft_attention_recurrence import soft_attention_recurrence
from glimpse.layers.temporal_attention import clear_padding


@keras.saving.register_keras_serializable(package="glimpse")
class SoftAttentionLSTM(keras.layers.Layer):
    """Runs `SoftAttentionLSTMCell` over the frames of a clip.

    With `initial_state="features"` each of the 2 * depth states starts at (Eq. 6 of the paper)

        state_0 = tanh(A tanh(B m + b) + a)     m = mean of X[t, i] over regions i, real frames t

    where B, b have `initial_state_units` and A, a have `units`; both differ for each state. The
    layers lie in the sub-layer `first_states`, an `InitialState`.

    A masked frame leaves the states as they are, repeats the top one in `hidden_states`, and has
    zero attention. Features are read frame by frame where they lie: no transposed copy is made.

    Args:
        units, depth, attention, attention_units, dropout: As in `SoftAttentionLSTMCell`, which
            holds the weights as the attribute `cell`. Dropout is drawn anew for every step.
        initial_state: "features" as above, or "zeros", which needs no frame of the future.
        initial_state_units: Size of the inner tanh layer. Default: `units`; 0 leaves it out, as
            the released code does.
        return_state: Whether the call also returns the states after the last frame.
        attention_depth, value_initializer: As in `SoftAttentionLSTMCell`.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `SoftAttentionLSTMCell`. Those of the kernel
            and bias serve the initial state's layers too.
        seed: Seed of the dropout.

    Call arguments:
        features: `(batch, frames, regions, features)`, float. `frames` may be unknown.
        mask: `(batch, frames)`, bool; True where the frame is real.
        initial_state: `[h_1, c_1, ...]` to start from instead, each `(batch, units)`.
        attention_override: `(batch, frames, regions)`; see `apply_attention_override`.

    Returns:
        hidden_states: The top layer's, `(batch, frames, units)`.
        attention_weights: `(batch, frames, regions)`.
        states: With `return_state`, `[h_1, c_1, ..., h_depth, c_depth]` after the last frame.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: Eq. 6 starts "the" cell state and "the" hidden state, without saying
    how many layers' there are; here each of the depth layers has two perceptrons of its own.
    """

    def __init__(
        self,
        units,
        depth=1,
        attention="state",
        attention_units=None,
        dropout=0.0,
        initial_state="features",
        initial_state_units=None,
        return_state=False,
        attention_depth=1,
        value_initializer=None,
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
        if initial_state not in ("features", "zeros"):
            raise ValueError(
                f'`initial_state` must be "features" or "zeros"; received {initial_state!r}.'
            )
        if initial_state_units is not None and (
            not isinstance(initial_state_units, int) or initial_state_units < 0
        ):
            raise ValueError(
                "`initial_state_units` must be None or an integer of at least 0; "
                f"received {initial_state_units!r}."
            )
        self.initial_state = initial_state
        self.initial_state_units = initial_state_units
        self.return_state = return_state
        self.supports_masking = True
        self.cell = SoftAttentionLSTMCell(
            units,
            depth=depth,
            attention=attention,
            attention_units=attention_units,
            dropout=dropout,
            attention_depth=attention_depth,
            value_initializer=value_initializer,
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
        self.first_states = None
        if initial_state == "features":
            cell = self.cell
            self.first_states = InitialState(
                units,
                2 * depth,
                initial_state_units,
                kernel_initializer=cell.kernel_initializer,
                bias_initializer=cell.bias_initializer,
                kernel_regularizer=cell.kernel_regularizer,
                bias_regularizer=cell.bias_regularizer,
                kernel_constraint=cell.kernel_constraint,
                bias_constraint=cell.bias_constraint,
                dtype=self.dtype_policy,
                name="first_states",
            )

    def build(
        self,
        features_shape,
        mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        if len(features_shape) != 4 or None in features_shape[2:]:
            raise ValueError(
                "`features` must be (batch, frames, regions, features) with the last two known; "
                f"received shape {tuple(features_shape)}. Reshape a feature map of (height, "
                "width) to height * width regions first."
            )
        batch, _, regions, features = features_shape
        self.cell.build((batch, regions, features))
        if self.first_states is not None:
            self.first_states.build(features_shape)

    def call(self, features, mask=None, initial_state=None, training=None, attention_override=None):
        features = ops.convert_to_tensor(features, self.compute_dtype)
        sizes = {"regions": self.cell.regions, "features": self.cell.kernels[0].shape[0]}
        check_shape("features", features.shape, "(batch, frames, regions, features)", **sizes)
        arguments = {}
        if mask is not None:
            mask = check_mask("mask", mask, "the features'", features.shape[:2])
            arguments["mask"] = ops.cast(mask, self.compute_dtype)
            if self.cell.attention == "content":
                # All frames are projected at once, and NaN in padding would reach the gradients.
                features = clear_padding(features, ops.expand_dims(mask, -1))
        arguments["features"] = features
        if initial_state is None:
            arguments["states"] = self._initial_states(features, mask)
        else:
            names, sizes = self.cell.state_names, {"batch": features.shape[0]}
            axes, sizes["units"] = "(batch, units)", self.cell.units
            check_states("initial_state", initial_state, names, axes, **sizes)
            arguments["states"] = [ops.cast(state, self.compute_dtype) for state in initial_state]
        if attention_override is not None:
            own, given = split_attention_override(
                attention_override, features.shape[:3], self.compute_dtype
            )
            arguments.update(own=ops.cast(own, self.compute_dtype), given=given)
        if training and self.cell.dropout:
            arguments["dropout"] = self._draw_dropout(features)
        arguments.update(self._weights(features))
        hidden_states, attention_weights, states = soft_attention_recurrence(arguments)
        if self.return_state:
            return hidden_states, attention_weights, states
        return hidden_states, attention_weights

    def _weights(self, features):
        cell = self.cell

        def weight(variable):  # `stateless_call` enters no autocast scope
            return ops.cast(variable.value, self.compute_dtype)

        weights = {
            name: [weight(variable) for variable in getattr(cell, name)]
            for name in ("kernels", "recurrent_kernels", "biases")
        }
        if cell.attention == "state":
            return {**weights, "attention_kernel": weight(cell.attention_kernel)}
        return {
            **weights,
            "values": cell.project_values(features),
            "query_kernel": weight(cell.query_kernel),
            "score_kernel": weight(cell.score_kernel),
        }

    def _initial_states(self, features, mask):
        if self.initial_state == "zeros":
            return self.cell.get_initial_state(ops.shape(features)[0])
        states = self.first_states(features, mask=mask)
        return [ops.cast(state, self.compute_dtype) for state in states]

    def _draw_dropout(self, features):
        cell = self.cell
        batch, frames = ops.shape(features)[:2]
        sizes = [features.shape[-1]] + [cell.units] * (cell.depth - 1)
        return [
            keras.random.dropout(
                ops.ones((frames, batch, size), self.compute_dtype),
                cell.dropout,
                seed=cell.seed_generator,
            )
            for size in sizes
        ]

    def compute_mask(self, features, previous_mask=None):
        masks = [previous_mask, None]
        return masks + [None] * (2 * self.cell.depth) if self.return_state else masks

    def compute_output_shape(
        self,
        features_shape,
        mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        batch, frames, regions, _ = features_shape
        if attention_override_shape is not None:
            check_override_shape(attention_override_shape, features_shape[:3])
        shapes = ((batch, frames, self.cell.units), (batch, frames, regions))
        if not self.return_state:
            return shapes
        return (*shapes, [(batch, self.cell.units)] * (2 * self.cell.depth))

    def get_config(self):
        cell = self.cell.get_config()
        for name in ("name", "trainable", "dtype"):
            del cell[name]
        return {
            **super().get_config(),
            **cell,
            "initial_state": self.initial_state,
            "initial_state_units": self.initial_state_units,
            "return_state": self.return_state,
        }

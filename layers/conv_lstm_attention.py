"""A convolutional LSTM over a clip that looks at the map of each frame through soft attention.

Yan et al., "CHAM: action recognition using convolutional hierarchical attention model", 2017,
https://arxiv.org/abs/1705.03146.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import check_override_shape, split_attention_override
from glimpse.layers.conv_lstm import hide_padding, keep_states
from glimpse.layers.conv_lstm_attention_cell import ConvLSTMAttentionCell
from glimpse.layers.shape_checks import check_rank, check_shape, check_states
from glimpse.layers.step_loop import iterate_steps

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class ConvLSTMAttention(keras.layers.Layer):
    """Runs `ConvLSTMAttentionCell` over the frames of a clip, from states of zero.

        h[t], c[t] = cell(F[t], h[t-1], c[t-1])     h[0] = c[0] = 0

    A masked frame leaves the states as they are, repeats h in `hidden_states`, and has zero
    attention. W_xa * F + b_a of Eq. 8 is computed for all frames at once. A NaN in a real frame
    makes the states of its clip NaN from there on, and of no other clip.

    Args:
        filters, kernel_size, attention_filters, attention_kernel_size, candidate_activation,
        dropout: As in `ConvLSTMAttentionCell`, which holds the weights as the attribute `cell`.
            Dropout is drawn anew for every step.
        return_state: Whether the call also returns the states after the last frame.
        kernel_initializer, recurrent_initializer, bias_initializer, unit_forget_bias,
        kernel_regularizer, recurrent_regularizer, bias_regularizer, kernel_constraint,
        recurrent_constraint, bias_constraint: As in `ConvLSTMAttentionCell`.
        seed: Seed of the dropout.

    Call arguments:
        features: `(batch, frames, height, width, features)`, float. `frames` may be unknown.
        mask: `(batch, frames)`, bool; True where the frame is real.
        initial_state: `[h, c]` to start from instead, each `(batch, height, width, filters)`.
        attention_override: `(batch, frames, height, width)`; see `apply_attention_override`.

    Returns:
        hidden_states: `(batch, frames, height, width, filters)`.
        attention_weights: `(batch, frames, height, width)`.
        states: With `return_state`, `[h, c]` after the last frame.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        attention_filters=None,
        attention_kernel_size=1,
        candidate_activation="tanh",
        dropout=0.0,
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
        self.return_state = return_state
        self.supports_masking = True
        self.cell = ConvLSTMAttentionCell(
            filters,
            kernel_size=kernel_size,
            attention_filters=attention_filters,
            attention_kernel_size=attention_kernel_size,
            candidate_activation=candidate_activation,
            dropout=dropout,
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
        features_shape,
        mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        check_rank("features", features_shape, _AXES)
        self.cell.build((features_shape[0], *features_shape[2:]))

    def call(self, features, mask=None, initial_state=None, training=None, attention_override=None):
        cell = self.cell
        features = ops.convert_to_tensor(features, self.compute_dtype)
        check_shape("features", features.shape, _AXES, features=cell.kernel.shape[2])
        sequences = {}
        if mask is not None:
            features, sequences["real"] = hide_padding(features, mask)
        if attention_override is not None:
            own, given = split_attention_override(
                attention_override, features.shape[:4], self.compute_dtype, axis=(2, 3)
            )
            sequences["own"], sequences["given"] = own, given
        sequences["projected"] = cell.project_inputs(features)
        if cell.dropout and training:
            # Eq. 7 multiplies place by place, so dropout of F is dropout of x = l F.
            features = keras.random.dropout(features, cell.dropout, seed=cell.seed_generator)
        sequences["features"] = features

        def step(previous, t, current):
            weights = cell.weigh(current["projected"], previous["states"][0])
            real = current.get("real")
            if attention_override is not None:
                weights = ops.where(current["own"], weights, current["given"])
            if real is not None:
                weights = ops.where(real[..., 0], weights, ops.zeros_like(weights))
            attended = ops.expand_dims(weights, -1) * current["features"]
            states = keep_states(cell.step(attended, previous["states"]), previous["states"], real)
            return {"states": states, "attention_weights": weights}

        states = self._first_states(initial_state, features)
        start = {"states": states, "attention_weights": ops.zeros_like(states[0][..., 0])}
        last, steps = iterate_steps(
            step, start, ops.shape(features)[1], differentiable=True, sequences=sequences
        )
        hidden_states = ops.transpose(steps["states"][0], (1, 0, 2, 3, 4))
        attention_weights = ops.transpose(steps["attention_weights"], (1, 0, 2, 3))
        if self.return_state:
            return hidden_states, attention_weights, last["states"]
        return hidden_states, attention_weights

    def _first_states(self, initial_state, features):
        batch, _, height, width, _ = ops.shape(features)
        shape = (batch, height, width, self.cell.filters)
        if initial_state is None:
            return [ops.zeros(shape, self.compute_dtype) for _ in range(2)]
        batch, _, height, width, _ = features.shape
        sizes = {"batch": batch, "height": height, "width": width, "filters": self.cell.filters}
        axes = "(batch, height, width, filters)"
        check_states("initial_state", initial_state, ["h", "c"], axes, **sizes)
        return [ops.cast(state, self.compute_dtype) for state in initial_state]

    def compute_mask(self, features, previous_mask=None):
        masks = [previous_mask, None]
        return [*masks, None, None] if self.return_state else masks

    def compute_output_shape(
        self,
        features_shape,
        mask_shape=None,
        initial_state_shape=None,
        attention_override_shape=None,
    ):
        batch, frames, height, width, _ = features_shape
        if attention_override_shape is not None:
            check_override_shape(attention_override_shape, features_shape[:4])
        filters = self.cell.filters
        shapes = ((batch, frames, height, width, filters), (batch, frames, height, width))
        if not self.return_state:
            return shapes
        return (*shapes, [(batch, height, width, filters)] * 2)

    def get_config(self):
        cell = self.cell.get_config()
        for name in ("name", "trainable", "dtype"):
            del cell[name]
        return {**super().get_config(), **cell, "return_state": self.return_state}

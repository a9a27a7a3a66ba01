"""Soft attention over the frames of a clip.

Torabi, Sigal, "Action Classification and Highlighting in Videos", 2017,
https://arxiv.org/abs/1708.09522.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import apply_attention_override
from glimpse.layers.mask_reader import MaskReader
from glimpse.layers.masked_softmax import masked_softmax
from glimpse.layers.shape_checks import check_mask, check_rank, check_shape
from glimpse.layers.soft_attention_lstm_cell import (
    check_positive_integer,
    copy_initializer,
    project_regions,
)
from glimpse.layers.soft_attention_recurrence import tanh


@keras.saving.register_keras_serializable(package="glimpse")
class TemporalAttention(keras.layers.Layer):
    """Weighs the frames of a clip by how well they match a query.

    For the query h and the attended vectors a[1..T] of a clip (Eq. 3-5 of the paper):

        m[i] = z . tanh(V a[i] + U h + b)                            Eq. 3
        w[i] = exp(m[i]) / sum_j exp(m[j])      over real frames j   Eq. 4
        k    = sum_i w[i] a[i]                                       Eq. 5

    `value_kernel` is V, `query_kernel` is U, `bias` is b, `score_kernel` is z.

    Args:
        units: Size of the matching vector, V a[i] + U h + b. At least 1.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: As in `keras.layers.Dense`; those of the kernel serve
            all three kernels.

    Call arguments:
        query: `(batch, query_features)`, float.
        values: The attended frames, `(batch, frames, features)`, float.
        mask: `(batch, frames)`, True where the frame is real. What padding holds, NaN included,
            changes nothing. NaN in a real frame gives NaN.
        attention_override: `(batch, frames)`; see `apply_attention_override`.

    Returns:
        context: `(batch, features)`.
        attention_weights: `(batch, frames)`; each row sums to 1. A clip without a real frame has
            a context and weights of zero.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: it tells Eq. 3 in words alone, a state and a frame summed to a matching
    vector and that transformed into a number. The form is that of Bahdanau et al., "Neural Machine
    Translation by Jointly Learning to Align and Translate", which the paper adopts, with the bias
    as in Blocks, the framework it names.
    """

    def __init__(
        self,
        units,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("units", units)
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.supports_masking = True
        self.mask_reader = MaskReader(name="mask_reader")

    def build(self, query_shape, values_shape, mask_shape=None, attention_override_shape=None):
        for name, shape, axes in (
            ("query", query_shape, "(batch, query_features)"),
            ("values", values_shape, "(batch, frames, features)"),
        ):
            check_rank(name, shape, axes)
        self.value_kernel = self._add_kernel("value_kernel", (values_shape[-1], self.units))
        self.query_kernel = self._add_kernel("query_kernel", (query_shape[-1], self.units))
        self.bias = self.add_weight(
            name="bias",
            shape=(self.units,),
            initializer=self.bias_initializer,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )
        self.score_kernel = self._add_kernel("score_kernel", (self.units, 1))

    def call(self, query, values, mask=None, attention_override=None):
        if mask is None:  # Keras fills `mask` in for layers of one tensor alone.
            mask = self.mask_reader(values)
        query = ops.convert_to_tensor(query, self.compute_dtype)
        values = ops.convert_to_tensor(values, self.compute_dtype)
        query_features, features = self.query_kernel.shape[0], self.value_kernel.shape[0]
        axes = "(batch, query_features)"
        check_shape("query", query.shape, axes, query_features=query_features)
        sizes = {"batch": query.shape[0], "features": features}
        check_shape("values", values.shape, "(batch, frames, features)", **sizes)
        if mask is not None:
            mask = check_mask("mask", mask, "the values'", values.shape[:2])
            values = clear_padding(values, mask)
        weights = self.weigh(query, self.project(values), mask)
        weights = apply_attention_override(weights, attention_override, mask)
        return weighted_sum(weights, values), weights

    def project(self, values):
        """V a[i] + b of every frame, `(batch, frames, units)`: all that no query changes."""
        return project_regions(values, self._cast(self.value_kernel)) + self._cast(self.bias)

    def weigh(self, query, projected, mask=None):
        """The weights, `(batch, frames)`, of frames as `project` returns them."""
        query = ops.matmul(query, self._cast(self.query_kernel))
        hidden = tanh(projected + ops.expand_dims(query, 1))  # (batch, frames, units)
        scores = ops.squeeze(project_regions(hidden, self._cast(self.score_kernel)), axis=-1)
        return masked_softmax(scores, mask)

    def _cast(self, variable):
        # `stateless_call` and callers of `weigh` run outside of Keras's autocast scope.
        return ops.cast(variable, self.compute_dtype)

    def _add_kernel(self, name, shape):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=copy_initializer(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )

    def compute_mask(self, *args, **kwargs):
        """Neither a context nor its weights lie along an axis of the frames' mask."""
        return None

    def compute_output_shape(
        self, query_shape, values_shape, mask_shape=None, attention_override_shape=None
    ):
        batch, frames, features = values_shape
        return (batch, features), (batch, frames)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


def weighted_sum(weights, values):
    """`sum_i weights[i] values[i]`, `(batch, features)`."""
    return ops.squeeze(ops.matmul(ops.expand_dims(weights, 1), values), axis=1)


def clear_padding(values, mask):
    """`values (batch, frames, features)` with 0 in place of whatever padding holds."""
    return ops.where(ops.expand_dims(mask, -1), values, ops.zeros_like(values))

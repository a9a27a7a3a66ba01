"""Convolutions in space and time between a backbone's features and what attends to them."""

import keras
from keras import layers, ops

from glimpse.layers.mask_reader import MaskReader
from glimpse.layers.shape_checks import check_mask, check_rank, check_shape
from glimpse.layers.soft_attention_lstm_cell import check_dropout_rate, check_positive_integer

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class ClipEncoder(keras.layers.Layer):
    """Tells every region what is around it and what happens there, without any attention.

    A backbone that reads single frames says what a region shows. Whether somebody there raises or
    lowers the arms, and what stands next to it, is known only from other frames and regions. For
    the features x[0] = A X + a of all regions, and n = 1..depth:

        y[n] = relu(S[n] * x[n - 1] + s[n])             a convolution over each frame's map
        z[n] = relu(T[n] * y[n] + t[n])                 a convolution over the frames, per place
        x[n] = x[n - 1] + drop(z[n])

    where * keeps the frames and the size of the map, and pads with zeros. `projection` holds A and
    a, `space[n - 1]` S[n] and s[n], `time[n - 1]` T[n] and t[n]. Not in the papers: theirs attend
    to what the backbone gives.

    Args:
        filters: Features of a region in all x, y and z.
        depth: Pairs of convolutions; 0 leaves the projection alone.
        kernel_size: Height and width of S, odd.
        frame_kernel_size: Frames that T spans, odd.
        dropout: Share of z dropped, in [0, 1).
        seed: Seed of the dropout.

    Call arguments:
        features: `(batch, frames, height, width, features)`, float; frames may be unknown.
        mask: `(batch, frames)`, True where the frame is real. Whatever padding holds, NaN
            included, changes nothing.

    Returns:
        `(batch, frames, height, width, filters)`, 0 where the frame is padding.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    def __init__(
        self,
        filters,
        depth=2,
        kernel_size=3,
        frame_kernel_size=3,
        dropout=0.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("filters", filters)
        if depth != 0:
            check_positive_integer("depth", depth)
        for name, size in (("kernel_size", kernel_size), ("frame_kernel_size", frame_kernel_size)):
            check_positive_integer(name, size)
            if size % 2 == 0:
                raise ValueError(f"`{name}` must be odd, got {size}.")
        check_dropout_rate("dropout", dropout)
        self.filters = filters
        self.depth = depth
        self.kernel_size = kernel_size
        self.frame_kernel_size = frame_kernel_size
        self.dropout = dropout
        self.seed = seed
        self.supports_masking = True
        self.mask_reader = MaskReader(name="mask_reader")
        self.projection = layers.Dense(filters, dtype=self.dtype_policy, name="projection")
        self.space = [self._convolution(kernel_size, f"space_{n + 1}") for n in range(depth)]
        # The regions of a map lie along one axis then, each of which is convolved for itself.
        size = (frame_kernel_size, 1)
        self.time = [self._convolution(size, f"time_{n + 1}") for n in range(depth)]
        self.dropouts = [
            layers.Dropout(
                dropout,
                # Else all would drop the same places.
                seed=None if seed is None else seed + n,
                dtype=self.dtype_policy,
                name=f"dropout_{n + 1}",
            )
            for n in range(depth)
        ]

    def _convolution(self, kernel_size, name):
        return layers.Conv2D(
            self.filters,
            kernel_size,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )

    def build(self, features_shape, mask_shape=None):
        check_rank("features", features_shape, _AXES)
        self.projection.build((None, features_shape[-1]))
        for convolution in [*self.space, *self.time]:
            convolution.build((None, None, None, self.filters))

    def call(self, features, mask=None, training=None):
        if mask is None:
            mask = self.mask_reader(features)
        features = ops.convert_to_tensor(features, self.compute_dtype)
        check_shape("features", features.shape, _AXES, features=self.projection.kernel.shape[0])
        if mask is not None:
            mask = check_mask("mask", mask, "the features'", features.shape[:2])
            features = _clear_padding(features, mask)
        batch, frames, height, width, _ = ops.shape(features)
        maps = (batch * frames, height, width, self.filters)
        tracks = (batch, frames, height * width, self.filters)
        # Two axes: TensorFlow multiplies five as many small matrices.
        encoded = self.projection(ops.reshape(features, (-1, features.shape[-1])))
        encoded = ops.reshape(encoded, tracks)
        for space, time, dropout in zip(self.space, self.time, self.dropouts, strict=True):
            around = ops.reshape(space(ops.reshape(encoded, maps)), tracks)
            if mask is not None:
                around = _clear_padding(around, mask)
            encoded = encoded + dropout(time(around), training=training)
        if mask is not None:
            encoded = _clear_padding(encoded, mask)
        return ops.reshape(encoded, (batch, frames, height, width, self.filters))

    def compute_output_shape(self, features_shape, mask_shape=None):
        return (*features_shape[:-1], self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "depth": self.depth,
            "kernel_size": self.kernel_size,
            "frame_kernel_size": self.frame_kernel_size,
            "dropout": self.dropout,
            "seed": self.seed,
        }


def _clear_padding(features, mask):
    """`features (batch, frames, ...)` with 0 in place of whatever padding holds."""
    shape = (*ops.shape(mask), *(1,) * (len(features.shape) - 2))
    return ops.where(ops.reshape(mask, shape), features, ops.zeros_like(features))

"""C3D, what Torabi and Sigal read: convolutions over space and time on chunks of 16 frames.

Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", 2015,
https://arxiv.org/abs/1412.0767, section 3.3, with the settings of its released code.
"""

import keras
from keras import layers, ops

from glimpse.models.frame_backbone import FrameBackbone, check_arguments

# Names of the convolutions before each pool.
_BLOCKS = (
    ("conv1a",),
    ("conv2a",),
    ("conv3a", "conv3b"),
    ("conv4a", "conv4b"),
    ("conv5a", "conv5b"),
)
_OUTPUTS = ("pool5", "fc6", "fc7", "fc8", "probabilities")


@keras.saving.register_keras_serializable(package="glimpse")
class C3D(FrameBackbone):
    """C3D, by default up to `fc6`, 4096 features; 79,991,015 parameters with 487 classes.

    Frames are warped to 128 x 171, the mean is subtracted, and the centre of 112 x 112 goes
    through eight 3 x 3 x 3 convolutions and five max pools. A pool's last window may be cut by the
    border, as in Caffe: `pool5` turns 2 x 7 x 7 into 1 x 4 x 4.

    The published weights need the mean of Sports-1M at each place of a chunk: the weight
    `mean_cube`, 1,050,624 numbers that are not trained. It is grey until it is loaded. Since it
    belongs to the preprocessing, `count_params` leaves it out.

    Differs from the released code: frames are not rounded to integers after they are resized.

    Args:
        output: "pool5" (1 x 4 x 4 x 512), "fc6" or "fc7" (4096 features after the ReLU), "fc8"
            (logits) or "probabilities".
        classes: Number of classes, where `output` has classes. Sports-1M has 487.
        mean: "cube", or three numbers, for B, G and R.
        scale: Factor on the pixels minus the mean. The published weights need 1.
        filters: Of the convolutions of the five blocks.
        units: Of `fc6` and `fc7`.
        frame_size: (height, width) that frames are resized to.
        input_size: (height, width) of their centre that the network reads.
        dropout: Rate in [0, 1), after `fc6` and `fc7`.

    Call arguments:
        frames: `(batch, 16, height, width, 3)`, RGB, 0 to 255, uint8 or float, of any size.
        training: Whether to apply dropout.

    Attributes: see `FrameBackbone`.

    Raises:
        ValueError: If `output` is unknown, a size is below 1, `mean` is neither, or `input_size`
            is larger than `frame_size`.
    """

    frames_per_input = 16

    def __init__(
        self,
        output="fc6",
        classes=487,
        mean="cube",
        scale=1.0,
        filters=(64, 128, 256, 512, 512),
        units=4096,
        frame_size=(128, 171),
        input_size=(112, 112),
        dropout=0.5,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # The resize is not antialiased, and so can be compiled everywhere.
        self.supports_jit = True
        check_arguments(output, _OUTPUTS, classes)
        if mean != "cube" and (isinstance(mean, str) or len(mean) != 3):
            raise ValueError(
                f'`mean` must be "cube" or three numbers, for B, G and R; got {mean!r}.'
            )
        if len(filters) != len(_BLOCKS) or min(filters) < 1:
            raise ValueError(f"`filters` must be {len(_BLOCKS)} positive integers, got {filters}.")
        if any(inner > outer for inner, outer in zip(input_size, frame_size, strict=True)):
            raise ValueError(
                f"`input_size` must fit into `frame_size` {tuple(frame_size)}, got {input_size}."
            )
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.classes = classes
        self.mean = mean if mean == "cube" else tuple(float(value) for value in mean)
        self.scale = scale
        self.filters = tuple(filters)
        self.units = units
        self.frame_size = tuple(frame_size)
        self.input_size = tuple(input_size)
        self.dropout = dropout
        if mean == "cube":
            self.mean_cube = self.add_weight(
                name="mean_cube",
                shape=(self.frames_per_input, *self.frame_size, 3),  # B, G, R
                initializer=keras.initializers.Constant(127.5),
                dtype="float32",
                trainable=False,
            )
        self.make_network()

    def preprocess(self, frames):
        pixels = ops.flip(self.resized(frames, self.frame_size, antialias=False), axis=-1)
        mean = self.mean_cube if self.mean == "cube" else self.mean
        pixels = pixels - ops.convert_to_tensor(mean, "float32")
        (top, height), (left, width) = (
            ((outer - inner) // 2, inner)
            for outer, inner in zip(self.frame_size, self.input_size, strict=True)
        )
        return self.scale * pixels[:, :, top : top + height, left : left + width]

    def outputs(self, pixels):
        x = pixels
        for block, (names, filters) in enumerate(zip(_BLOCKS, self.filters, strict=True), start=1):
            for name in names:
                x = layers.Conv3D(
                    filters,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    data_format="channels_last",
                    dtype=self.dtype_policy,
                    name=name,
                )(x)
            # Padding goes behind the last frame, row and column, as Caffe's; on both sides it
            # would give other windows.
            x = layers.MaxPooling3D(
                (1, 2, 2) if block == 1 else 2,
                padding="same",
                data_format="channels_last",
                dtype=self.dtype_policy,
                name=f"pool{block}",
            )(x)
        if self.output_stage == "pool5":
            return x
        x = layers.Flatten(data_format="channels_last", dtype=self.dtype_policy, name="flatten")(x)
        for name in ("fc6", "fc7"):
            x = layers.Dense(
                self.units,
                activation="relu",
                kernel_initializer="he_normal",
                dtype=self.dtype_policy,
                name=name,
            )(x)
            if name == self.output_stage:
                return x
            x = layers.Dropout(self.dropout, dtype=self.dtype_policy, name=f"{name}_dropout")(x)
        x = layers.Dense(self.classes, dtype=self.dtype_policy, name="fc8")(x)
        if self.output_stage == "fc8":
            return x
        return layers.Softmax(dtype="float32", name="probabilities")(x)

    def count_params(self):
        """The number of parameters of the network, without the preprocessing's mean."""
        return self.network.count_params()

    def get_config(self):
        return {
            **super().get_config(),
            "output": self.output_stage,
            "classes": self.classes,
            "mean": self.mean if self.mean == "cube" else list(self.mean),
            "scale": self.scale,
            "filters": list(self.filters),
            "units": self.units,
            "frame_size": list(self.frame_size),
            "input_size": list(self.input_size),
            "dropout": self.dropout,
        }

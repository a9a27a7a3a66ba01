"""ResNet-152, what CHAM reads.

He et al., "Deep Residual Learning for Image Recognition", 2015, https://arxiv.org/abs/1512.03385,
Table 1.
"""

import keras
from keras import layers, ops

from glimpse.models.frame_backbone import FrameBackbone, check_arguments

# Filters and number of the blocks of each stack, conv2 to conv5.
_STACKS = {2: (64, 3), 3: (128, 8), 4: (256, 36), 5: (512, 3)}
_OUTPUTS = ("conv4_block36_out", "conv5_block3_out", "avg_pool", "logits", "probabilities")
_MEAN = (103.939, 116.779, 123.68)  # B, G, R


@keras.saving.register_keras_serializable(package="glimpse")
class ResNet152(FrameBackbone):
    """ResNet-152, by default up to its last map, 7 x 7 x 2048; 60,419,944 parameters with classes.

    He's first version, as its Caffe weights have it: a block's stride is in its first 1 x 1
    convolution, and convolutions have biases beside the batch norms. Layers are called as those of
    `keras.applications.ResNet152`, whose weights fit.

    Differs from the paper: frames are warped to 224 x 224, not cropped.

    Args:
        output: "conv5_block3_out" (7 x 7 x 2048), "conv4_block36_out" (14 x 14 x 1024), "avg_pool"
            (2048 features), "logits" or "probabilities".
        classes: Number of classes, where `output` has classes.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ValueError: If `output` is unknown, or `classes` is below 1.
    """

    def __init__(self, output="conv5_block3_out", classes=1000, **kwargs):
        super().__init__(**kwargs)
        check_arguments(output, _OUTPUTS, classes)
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.classes = classes
        self.make_network()

    def preprocess(self, frames):
        pixels = self.resized(frames, self.input_size)
        return ops.flip(pixels, axis=-1) - ops.convert_to_tensor(_MEAN, "float32")

    def outputs(self, pixels):
        x = self._pad(pixels, "conv1_pad", 3)
        x = self._relu(self._convolution(x, "conv1", 64, 7, strides=2), "conv1")
        x = self._pad(x, "pool1_pad", 1)
        x = layers.MaxPooling2D(
            3, 2, data_format="channels_last", dtype=self.dtype_policy, name="pool1_pool"
        )(x)
        for stack, (filters, count) in _STACKS.items():
            for block in range(1, count + 1):
                x = self._block(x, f"conv{stack}_block{block}", filters, block == 1, stack)
            if self.output_stage == f"conv{stack}_block{count}_out":
                return x
        x = layers.GlobalAveragePooling2D(
            data_format="channels_last", dtype=self.dtype_policy, name="avg_pool"
        )(x)
        if self.output_stage == "avg_pool":
            return x
        x = layers.Dense(self.classes, dtype=self.dtype_policy, name="predictions")(x)
        if self.output_stage == "logits":
            return x
        return layers.Softmax(dtype="float32", name="probabilities")(x)

    def _block(self, x, name, filters, first, stack):
        strides = 2 if first and stack > 2 else 1
        shortcut = x
        if first:
            shortcut = self._convolution(x, f"{name}_0", 4 * filters, 1, strides=strides)
        x = self._relu(self._convolution(x, f"{name}_1", filters, 1, strides=strides), f"{name}_1")
        x = self._convolution(x, f"{name}_2", filters, 3, padding="same")
        x = self._relu(x, f"{name}_2")
        x = self._convolution(x, f"{name}_3", 4 * filters, 1)
        x = layers.Add(dtype=self.dtype_policy, name=f"{name}_add")([shortcut, x])
        return layers.ReLU(dtype=self.dtype_policy, name=f"{name}_out")(x)

    def _convolution(self, x, name, filters, size, strides=1, padding="valid"):
        x = layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=f"{name}_conv",
        )(x)
        return layers.BatchNormalization(
            epsilon=1.001e-5, dtype=self.dtype_policy, name=f"{name}_bn"
        )(x)

    def _relu(self, x, name):
        return layers.ReLU(dtype=self.dtype_policy, name=f"{name}_relu")(x)

    def _pad(self, x, name, size):
        return layers.ZeroPadding2D(
            size, data_format="channels_last", dtype=self.dtype_policy, name=name
        )(x)

    def get_config(self):
        return {**super().get_config(), "output": self.output_stage, "classes": self.classes}

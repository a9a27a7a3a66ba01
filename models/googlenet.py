"""GoogLeNet (Inception v1) in the three forms that published weights have.

Szegedy et al., "Going Deeper with Convolutions", 2014, https://arxiv.org/abs/1409.4842, Table 1.
"""

import keras
from keras import layers, ops

from glimpse.layers.local_response_normalization import LocalResponseNormalization
from glimpse.models.frame_backbone import FrameBackbone, check_arguments

# Filters of the 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5 and pool projection convolutions (Table 1).
_BLOCKS = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}
_OUTPUTS = (*_BLOCKS, "pool5", "loss3_classifier", "probabilities")
_FAMILIES = ("caffe", "torchvision", "slim")
_CAFFE_MEAN = (104.0, 117.0, 123.0)  # B, G, R


@keras.saving.register_keras_serializable(package="glimpse")
class GoogLeNet(FrameBackbone):
    """GoogLeNet, by default up to its last map: 7 x 7 x 1024, what Sharma et al. read.

    Published weights belong to three networks that differ in more than numbers:

                       caffe             torchvision       slim
        convolutions   bias              batch norm        batch norm without gamma
        after pool1    local response normalisation; so after conv2   -     -
        "5x5" branch   5 x 5             3 x 3             3 x 3
        conv1          3 zeros a side    3 zeros a side    2 before, 3 after
        pool4          3 x 3             2 x 2             2 x 2
        pixels         BGR minus mean    RGB, -1 to 1      RGB, -1 to 1
        classes        1000              1000              1001, the first "background"
        parameters     6,998,552         6,639,464         6,633,209

    Layers are called as Caffe's, "/" being "_": `conv1_7x7_s2`, `inception_3a_3x3_reduce`; batch
    norms have `_bn` behind the convolution's name, the activation after it `_relu`.

    Differs from the paper: frames are warped to 224 x 224, as Sharma et al. do, not cropped; there
    are no auxiliary classifiers.

    Args:
        family: "caffe", "torchvision" or "slim".
        output: "inception_3a" to "inception_5b" (maps), "pool5" (their mean, 1024 features),
            "loss3_classifier" (logits) or "probabilities".
        classes: Number of classes, where `output` has classes; default: as the published weights.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ValueError: If a name is unknown, or `classes` is below 1.
    """

    def __init__(self, family="caffe", output="inception_5b", classes=None, **kwargs):
        super().__init__(**kwargs)
        if family not in _FAMILIES:
            raise ValueError(f"`family` must be one of {', '.join(_FAMILIES)}; got {family!r}.")
        if classes is None:
            classes = 1001 if family == "slim" else 1000
        check_arguments(output, _OUTPUTS, classes)
        self.family = family
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.classes = classes
        self.make_network()

    def preprocess(self, frames):
        pixels = self.resized(frames, self.input_size)
        if self.family == "caffe":
            return ops.flip(pixels, axis=-1) - ops.convert_to_tensor(_CAFFE_MEAN, "float32")
        # For torchvision: its `transform_input` undoes ImageNet's mean and deviation again.
        return pixels / 127.5 - 1.0

    def outputs(self, pixels):
        caffe = self.family == "caffe"
        x = self._convolution(pixels, "conv1_7x7_s2", 64, 7, strides=2)
        x = self._pool(x, "pool1_3x3_s2")
        if caffe:
            x = LocalResponseNormalization(dtype=self.dtype_policy, name="pool1_norm1")(x)
        x = self._convolution(x, "conv2_3x3_reduce", 64, 1)
        x = self._convolution(x, "conv2_3x3", 192, 3)
        if caffe:
            x = LocalResponseNormalization(dtype=self.dtype_policy, name="conv2_norm2")(x)
        x = self._pool(x, "pool2_3x3_s2")
        for block, filters in _BLOCKS.items():
            x = self._inception(x, block, *filters)
            if block == self.output_stage:
                return x
            if block == "inception_3b":
                x = self._pool(x, "pool3_3x3_s2")
            if block == "inception_4e":
                x = self._pool(x, "pool4_3x3_s2") if caffe else self._pool(x, "pool4_2x2_s2", 2)
        x = layers.GlobalAveragePooling2D(
            data_format="channels_last", dtype=self.dtype_policy, name="pool5"
        )(x)
        if self.output_stage == "pool5":
            return x
        x = layers.Dropout(0.4 if caffe else 0.2, dtype=self.dtype_policy, name="pool5_dropout")(x)
        x = layers.Dense(self.classes, dtype=self.dtype_policy, name="loss3_classifier")(x)
        if self.output_stage == "loss3_classifier":
            return x
        return layers.Softmax(dtype="float32", name="probabilities")(x)

    def _inception(self, x, block, one, reduce3, three, reduce5, five, projection):
        y1 = self._convolution(x, f"{block}_1x1", one, 1)
        y3 = self._convolution(x, f"{block}_3x3_reduce", reduce3, 1)
        y3 = self._convolution(y3, f"{block}_3x3", three, 3)
        y5 = self._convolution(x, f"{block}_5x5_reduce", reduce5, 1)
        y5 = self._convolution(y5, f"{block}_5x5", five, 5 if self.family == "caffe" else 3)
        pooled = self._pool(x, f"{block}_pool", strides=1)
        pooled = self._convolution(pooled, f"{block}_pool_proj", projection, 1)
        return layers.Concatenate(dtype=self.dtype_policy, name=f"{block}_output")(
            [y1, y3, y5, pooled]
        )

    def _convolution(self, x, name, filters, size, strides=1):
        padding = "same"
        if strides == 2 and self.family != "slim":
            # "same" would put one zero less before the pixels than after them.
            x = layers.ZeroPadding2D(
                size // 2, data_format="channels_last", dtype=self.dtype_policy, name=f"{name}_pad"
            )(x)
            padding = "valid"
        x = layers.Conv2D(
            filters,
            size,
            strides=strides,
            padding=padding,
            use_bias=self.family == "caffe",
            kernel_initializer="he_normal",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )(x)
        if self.family != "caffe":
            x = layers.BatchNormalization(
                epsilon=1e-3,
                momentum=0.9997 if self.family == "slim" else 0.9,
                scale=self.family != "slim",
                dtype=self.dtype_policy,
                name=f"{name}_bn",
            )(x)
        return layers.ReLU(dtype=self.dtype_policy, name=f"{name}_relu")(x)

    def _pool(self, x, name, size=3, strides=2):
        # At these sizes "same" is Caffe's rule: whole windows first, a last one cut by the border.
        return layers.MaxPooling2D(
            size,
            strides,
            padding="same",
            data_format="channels_last",
            dtype=self.dtype_policy,
            name=name,
        )(x)

    def get_config(self):
        return {
            **super().get_config(),
            "family": self.family,
            "output": self.output_stage,
            "classes": self.classes,
        }

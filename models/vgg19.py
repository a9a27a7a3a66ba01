"""VGG-19, what Torabi and Sigal attend to.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014,
https://arxiv.org/abs/1409.1556, Table 1, column E.
"""

import keras
from keras import layers, ops

from glimpse.models.frame_backbone import FrameBackbone, check_arguments

# Filters and number of the 3x3 convolutions of each block.
_BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))
_OUTPUTS = ("block5_pool", "conv5_4", "fc6", "fc7", "fc8", "probabilities")
_UNITS = 4096


@keras.saving.register_keras_serializable(package="glimpse")
class VGG19(FrameBackbone):
    """VGG-19, by default up to its last map, 7 x 7 x 512; 143,667,240 parameters with 1000 classes.

    Torabi and Sigal attend to `fc6` (after its ReLU) and `fc8` (before the softmax) of three of
    these: for objects (ImageNet, 1000 classes), scenes (Places205, 205) and activities (203).

    Differs from the paper: frames are warped to 224 x 224, not cropped.

    Args:
        output: "block5_pool" (7 x 7 x 512), "conv5_4" (14 x 14 x 512), "fc6" or "fc7" (4096
            features after the ReLU), "fc8" (logits) or "probabilities".
        classes: Number of classes, where `output` has classes.
        mean: What is subtracted from the pixels: B, G and R. Default: ImageNet's.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ValueError: If `output` is unknown, `classes` is below 1, or `mean` has not three numbers.
    """

    def __init__(
        self, output="block5_pool", classes=1000, mean=(103.939, 116.779, 123.68), **kwargs
    ):
        super().__init__(**kwargs)
        check_arguments(output, _OUTPUTS, classes)
        if len(mean) != 3:
            raise ValueError(f"`mean` must be three numbers, for B, G and R; got {mean!r}.")
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.classes = classes
        self.mean = tuple(float(value) for value in mean)
        self.make_network()

    def preprocess(self, frames):
        pixels = self.resized(frames, self.input_size)
        return ops.flip(pixels, axis=-1) - ops.convert_to_tensor(self.mean, "float32")

    def outputs(self, pixels):
        x = pixels
        for block, (filters, count) in enumerate(_BLOCKS, start=1):
            for index in range(1, count + 1):
                x = layers.Conv2D(
                    filters,
                    3,
                    padding="same",
                    activation="relu",
                    kernel_initializer="he_normal",
                    data_format="channels_last",
                    dtype=self.dtype_policy,
                    name=f"conv{block}_{index}",
                )(x)
            if self.output_stage == f"conv{block}_{count}":
                return x
            x = layers.MaxPooling2D(
                2, data_format="channels_last", dtype=self.dtype_policy, name=f"block{block}_pool"
            )(x)
        if self.output_stage == "block5_pool":
            return x
        x = layers.Flatten(data_format="channels_last", dtype=self.dtype_policy, name="flatten")(x)
        for name in ("fc6", "fc7"):
            x = layers.Dense(
                _UNITS,
                activation="relu",
                kernel_initializer="he_normal",
                dtype=self.dtype_policy,
                name=name,
            )(x)
            if name == self.output_stage:
                return x
            x = layers.Dropout(0.5, dtype=self.dtype_policy, name=f"{name}_dropout")(x)
        x = layers.Dense(self.classes, dtype=self.dtype_policy, name="fc8")(x)
        if self.output_stage == "fc8":
            return x
        return layers.Softmax(dtype="float32", name="probabilities")(x)

    def get_config(self):
        return {
            **super().get_config(),
            "output": self.output_stage,
            "classes": self.classes,
            "mean": list(self.mean),
        }

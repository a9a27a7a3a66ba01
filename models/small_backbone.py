"""The backbone that ships with glimpse: small enough for a CPU, trained on rendered figures."""

import keras
from keras import layers, ops

_INPUT_SIZE = (112, 112)
_FEATURE_SHAPE = (7, 7, 64)
# Filters, kernel size and stride of each convolution.
_CONVOLUTIONS = (
    (16, 5, 2),
    (32, 3, 2),
    (32, 3, 1),
    (64, 3, 2),
    (64, 3, 1),
    (96, 3, 2),
    (64, 1, 1),
)
_MOMENTUM = 0.97


@keras.saving.register_keras_serializable(package="glimpse")
class SmallBackbone(keras.Model):
    """Turns frames into standardised 7 x 7 maps of 64 features; 133 360 parameters.

    Seven convolutions with batch normalisation and ReLU. A last normalisation without scale or
    offset gives each feature mean 0 and variance 1 over the training frames, so that what reads
    the features needs no preprocessing. A cell sees 57 x 57 pixels of the resized frame.

    Call arguments:
        frames: `(batch, height, width, 3)` RGB, 0 to 255, uint8 or float, of any size; resized to
            112 x 112 inside.
        training: Whether to normalise with the batch's own statistics.

    Returns:
        `(batch, 7, 7, 64)` feature maps.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # XLA has no kernel for TensorFlow's antialiased resize.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self.feature_shape = _FEATURE_SHAPE
        self.input_size = _INPUT_SIZE
        self.convolutions, self.normalizations = [], []
        for index, (filters, kernel_size, stride) in enumerate(_CONVOLUTIONS, start=1):
            self.convolutions.append(
                layers.Conv2D(
                    filters,
                    kernel_size,
                    strides=stride,
                    padding="same",
                    use_bias=False,
                    data_format="channels_last",
                    kernel_initializer="he_normal",
                    dtype=self.dtype_policy,
                    name=f"convolution_{index}",
                )
            )
            self.normalizations.append(
                layers.BatchNormalization(
                    momentum=_MOMENTUM,
                    dtype=self.dtype_policy,
                    name=f"normalization_{index}",
                )
            )
        self.standardization = layers.BatchNormalization(
            center=False,
            scale=False,
            momentum=_MOMENTUM,
            dtype=self.dtype_policy,
            name="standardization",
        )

    def build(self, input_shape):
        _check_shape(input_shape)
        shape = (input_shape[0], *_INPUT_SIZE, 3)
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            normalization.build(shape)
        self.standardization.build(shape)
        self.built = True

    def call(self, frames, training=None):
        _check_shape(frames.shape)
        features = ops.cast(frames, self.compute_dtype)
        if tuple(frames.shape[1:3]) != _INPUT_SIZE:
            features = ops.image.resize(
                features,
                _INPUT_SIZE,
                interpolation="bilinear",
                antialias=True,
                data_format="channels_last",
            )
        features = features / 127.5 - 1.0
        for convolution, normalization in zip(self.convolutions, self.normalizations, strict=True):
            features = ops.relu(normalization(convolution(features), training=training))
        return self.standardization(features, training=training)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *_FEATURE_SHAPE)


def _check_shape(shape):
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(
            f"frames must have shape (batch, height, width, 3), got {tuple(shape)}; fold a clip's "
            "frames into the batch axis."
        )

"""What every backbone that reads frames has in common: sizes, resizing, and a network of layers."""

import operator

import keras
from keras import ops


class FrameBackbone(keras.Model):
    """A model from RGB frames of any size to features, with its preprocessing inside.

    A subclass says what its layers are (`outputs`) and what they read (`preprocess`), and calls
    `make_network` at the end of its constructor: its weights exist from then on. The layers have
    the names of the published network; activations inside are read with
    `keras.Model(backbone.network.input, backbone.network.get_layer(name).output)`.

    Call arguments:
        frames: `(batch, height, width, 3)` RGB, 0 to 255, uint8 or float, of any size; where
            `frames_per_input` is above 1, `(batch, frames_per_input, height, width, 3)`.
        training: Whether dropout and batch normalisation work as in training.

    Returns:
        Features `(batch, *feature_shape)`.

    Attributes:
        input_size: (height, width) of the frames that the network reads.
        feature_shape: Shape of the features of one input.
        frames_per_input: How many frames one input has.
        network: The functional model on preprocessed frames.
    """

    frames_per_input = 1
    input_size = (224, 224)

    def __init__(self, **kwargs):
        # Pixels stay float32 until the network, whatever the policy: bfloat16 cannot hold 0-255.
        super().__init__(autocast=False, **kwargs)
        # XLA has no kernel for TensorFlow's antialiased resize.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    @property
    def feature_shape(self):
        return tuple(self.network.output_shape[1:])

    def make_network(self):
        """Makes the layers, and their weights."""
        frames = [self.frames_per_input] if self.frames_per_input > 1 else []
        pixels = keras.Input((*frames, *self.input_size, 3), dtype="float32", name="pixels")
        self.network = keras.Model(pixels, self.outputs(pixels), name="network")
        self.built = True

    def build(self, frames_shape):
        self._check_shape(frames_shape)

    def call(self, frames, training=None):
        return self.network(self.preprocess(frames), training=training)

    def preprocess(self, frames):
        """Returns frames as the network reads them: resized and scaled, float32."""
        raise NotImplementedError

    def outputs(self, pixels):
        """Returns the features of preprocessed frames, layer after layer."""
        raise NotImplementedError

    def resized(self, frames, size, antialias=True, interpolation="bilinear"):
        """Returns float32 frames warped to `size`, (height, width), without regard to aspect."""
        self._check_shape(frames.shape)
        pixels = ops.cast(frames, "float32")
        if tuple(frames.shape[-3:-1]) == tuple(size):
            return pixels
        shape = ops.shape(pixels)
        if len(shape) > 4:
            pixels = ops.reshape(pixels, (-1, *shape[-3:]))
        pixels = ops.image.resize(
            pixels,
            size,
            interpolation=interpolation,
            antialias=antialias,
            data_format="channels_last",
        )
        return ops.reshape(pixels, (-1, *shape[1:-3], *size, 3)) if len(shape) > 4 else pixels

    def compute_output_shape(self, frames_shape):
        return (frames_shape[0], *self.feature_shape)

    def _check_shape(self, shape):
        count = self.frames_per_input
        axes = ("batch", *([str(count)] if count > 1 else []), "height", "width", "3")
        wrong_count = count > 1 and len(shape) == 5 and shape[1] not in (None, count)
        if len(shape) != len(axes) or shape[-1] != 3 or wrong_count:
            advice = (
                f"cut a clip into chunks of {count} frames."
                if count > 1
                else "fold a clip's frames into the batch axis."
            )
            raise ValueError(
                f"frames must have shape ({', '.join(axes)}), got {tuple(shape)}; {advice}"
            )


def check_arguments(output, known, classes):
    """Raises ValueError unless `output` is a stage of the backbone and `classes` a number."""
    if output not in known:
        raise ValueError(f"`output` must be one of {', '.join(known)}; got {output!r}.")
    try:
        positive = operator.index(classes) > 0
    except TypeError:
        positive = False
    if not positive:
        raise ValueError(f"`classes` must be an integer of at least 1, got {classes!r}.")

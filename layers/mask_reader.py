"""Reads the mask that Keras carries along with a tensor."""

import keras


@keras.saving.register_keras_serializable(package="glimpse")
class MaskReader(keras.layers.Layer):
    """Returns the Keras mask of a tensor, such as `keras.layers.Masking` makes, or None.

    Keras fills `mask` in for a layer of one tensor, whatever the backend, but not for one of two,
    and where it keeps the mask differs: JAX's tracers take no attributes.

    Call arguments:
        inputs: Any tensor.
        mask: Left to Keras.

    Returns:
        The mask, or None.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, inputs_shape, mask_shape=None):
        """There is nothing to build."""

    def call(self, inputs, mask=None):
        return mask

    def compute_mask(self, inputs, previous_mask=None):
        """A mask has no mask."""
        return None

"""Frames themselves as features, for models that learn from pixels."""

import keras

from glimpse.models.frame_backbone import FrameBackbone


@keras.saving.register_keras_serializable(package="glimpse")
class PixelsBackbone(FrameBackbone):
    """Gives frames resized to one size, RGB, 0 to 255: `(batch, height, width, 3)`.

    So that `C3DClassifier` trains on a store of features, as every other classifier does. The
    default is the size that C3D resizes frames to, by the same rule, so that it sees what it
    would see of the video itself.

    Args:
        height: Rows, at least 1.
        width: Columns, at least 1.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ValueError: If a size is below 1.
    """

    def __init__(self, height=128, width=171, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("height", height), ("width", width)):
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, got {value!r}.")
        self.supports_jit = True
        self.height = height
        self.width = width
        self.input_size = (height, width)

    @property
    def feature_shape(self):
        return (self.height, self.width, 3)

    def call(self, frames, training=None):
        return self.preprocess(frames)

    def preprocess(self, frames):
        return self.resized(frames, self.input_size, antialias=False)

    def get_config(self):
        return {**super().get_config(), "height": self.height, "width": self.width}

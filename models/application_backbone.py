"""Any network of keras.applications, up to its last feature map."""

import difflib
import inspect

import keras

from glimpse.models.frame_backbone import FrameBackbone

# What each network reads by default, where it is not 224 x 224.
_SIZES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


@keras.saving.register_keras_serializable(package="glimpse")
class ApplicationBackbone(FrameBackbone):
    """A network of `keras.applications` without its classes, with its own preprocessing inside.

    Args:
        application: Name in `keras.applications`, such as "MobileNetV2".
        output: Name of the layer whose output is taken; None for the last feature map.
        input_size: (height, width) that frames are warped to; None for the network's own.
        weights: None for random ones, "imagenet" (downloads them) or the path of a file that
            `keras.applications` reads. Not kept in the configuration: a saved file has the weights.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ValueError: If there is no such network or layer.
    """

    def __init__(self, application, output=None, input_size=None, weights=None, **kwargs):
        super().__init__(**kwargs)
        known = list_applications()
        if application not in known:
            near = difflib.get_close_matches(str(application), known, n=3, cutoff=0.4) or known[:3]
            raise ValueError(
                f"`application` must be a network of keras.applications, got {application!r}. "
                f"Nearest: {', '.join(near)}."
            )
        if keras.config.image_data_format() != "channels_last":
            raise ValueError(
                "keras.applications builds networks in the global image data format, and frames "
                "are channels_last: call keras.config.set_image_data_format('channels_last')."
            )
        side = _SIZES.get(application, 224)
        self.application = application
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.input_size = (side, side) if input_size is None else tuple(input_size)
        self.network = self._make_application(weights)
        self.built = True

    def preprocess(self, frames):
        pixels = self.resized(frames, self.input_size)
        # The module that defines a network has its preprocessing.
        module = inspect.getmodule(getattr(keras.applications, self.application))
        return module.preprocess_input(pixels, data_format="channels_last")

    def _make_application(self, weights):
        # These functions take no dtype, only the global policy.
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.dtype_policy)
        try:
            network = getattr(keras.applications, self.application)(
                include_top=False, weights=weights, input_shape=(*self.input_size, 3)
            )
        finally:
            keras.config.set_dtype_policy(policy)
        if self.output_stage is None:
            return network
        return keras.Model(network.input, network.get_layer(self.output_stage).output)

    def get_config(self):
        return {
            **super().get_config(),
            "application": self.application,
            "output": self.output_stage,
            "input_size": list(self.input_size),
            "weights": None,
        }


def list_applications():
    """Returns the names of the networks in `keras.applications`, sorted."""
    return sorted(
        name for name, value in vars(keras.applications).items() if inspect.isfunction(value)
    )

"""Any image backbone of KerasHub, its patch tokens laid out as a map."""

import keras
from keras import ops

from glimpse.models.frame_backbone import FrameBackbone


@keras.saving.register_keras_serializable(package="glimpse")
class HubBackbone(FrameBackbone):
    """Gives the feature map of a KerasHub backbone: `(batch, height, width, features)`.

    Maps pass as they are. The tokens of a vision transformer (ViT, DINOv2, SigLIP) become the grid
    of patches that they stand for; the tokens before them (class, registers) are dropped. Of a
    model of images and text the image encoder is taken, and of an encoder that ends in a vector
    the layer before it. KerasHub is an optional dependency: `pip install 'glimpse[hub]'`.

    Differs from KerasHub's converters: frames are warped to the input size, never cropped, so
    that the map covers the whole frame.

    Args:
        backbone: A `keras_hub.models.Backbone`, or an encoder of images from it.
        scale: Factor on the pixels (0 to 255): a number, or one each for R, G and B.
        offset: What is added after that: a number, or one each for R, G and B.
        output: Name of the backbone's layer whose output is taken; None for the last one that
            gives a map or tokens.
        input_size: (height, width) that frames are resized to; None for the backbone's own, or
            224 x 224 where it takes any.
        interpolation: How frames are resized, as in `keras.ops.image.resize`.
        antialias: Whether frames are smoothed when they shrink.

    Call arguments and attributes: see `FrameBackbone`.

    Raises:
        ImportError: If a preset or a saved file is read and KerasHub is not installed.
        ValueError: If the backbone reads no frames, gives no map, or has another input size.
    """

    def __init__(
        self,
        backbone,
        scale=1.0,
        offset=0.0,
        output=None,
        input_size=None,
        interpolation="bilinear",
        antialias=True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(backbone, keras.Model):
            raise ValueError(f"`backbone` must be a KerasHub backbone, got {backbone!r}.")
        backbone = getattr(backbone, "vision_encoder", backbone)
        images = _images(backbone)
        self.backbone = backbone
        self.scale = scale
        self.offset = offset
        self.output_stage = output  # `output` is a property of every Keras layer.
        self.input_size = _input_size(images.shape[1:3], input_size)
        self.interpolation = interpolation
        self.antialias = antialias
        self.network = keras.Model(images, self._features(), name="network")
        self._grid = self._patch_grid()
        self.built = True

    @classmethod
    def from_preset(cls, preset, weights="preset", output=None, **options):
        """Returns the backbone of a preset, with the scaling and resizing of its preset.

        Args:
            preset: A name such as "dinov2_base", a handle of Kaggle or Hugging Face, or a folder.
                All but a folder are downloaded.
            weights: "preset", or None for random ones.
            output: As of the class.
            **options: Options of the KerasHub backbone, such as `image_shape=(224, 224, 3)`.
        """
        hub = _keras_hub()
        if weights not in ("preset", None):
            raise ValueError(f'`weights` must be "preset" or None, got {weights!r}.')
        backbone = hub.models.Backbone.from_preset(
            preset, load_weights=weights == "preset", **options
        )
        converter = hub.layers.ImageConverter.from_preset(preset)
        scale, offset = _scale_and_offset(converter)
        return cls(
            backbone,
            scale,
            offset,
            output=output,
            interpolation=converter.interpolation,
            antialias=converter.antialias,
        )

    @property
    def feature_shape(self):
        shape = self.network.compute_output_shape((None, *self.input_size, 3))
        return tuple(shape[1:]) if self._grid is None else (*self._grid, shape[-1])

    def preprocess(self, frames):
        pixels = self.resized(frames, self.input_size, self.antialias, self.interpolation)
        scale, offset = (ops.convert_to_tensor(x, "float32") for x in (self.scale, self.offset))
        return pixels * scale + offset

    def call(self, frames, training=None):
        features = super().call(frames, training=training)
        if self._grid is None:
            return features
        # Symbolic shapes of KerasHub's encoders may count a token that is not there.
        patches = self._grid[0] * self._grid[1]
        extra = ops.shape(features)[1] - patches
        told = self._told_extra()
        if extra < 0 or told not in (None, extra):
            raise ValueError(
                f"{self.backbone.name} gives {patches + extra} tokens for {self._grid[0]} x "
                f"{self._grid[1]} patches{'' if told is None else f' and {told} other tokens'}."
            )
        return ops.reshape(features[:, extra:], (-1, *self._grid, features.shape[-1]))

    def _features(self):
        """The symbolic map or tokens."""
        if self.output_stage is not None:
            return self.backbone.get_layer(self.output_stage).output
        outputs = [self.backbone.output, *(layer.output for layer in self.backbone.layers[::-1])]
        for features in outputs:
            if isinstance(features, keras.KerasTensor) and len(features.shape) in (3, 4):
                return features
        raise ValueError(f"`backbone` {self.backbone.name} gives neither a map nor tokens.")

    def _patch_grid(self):
        """(height, width) in patches, or None where the features are a map already."""
        if len(self.network.output_shape) == 4:
            return None
        size = getattr(self.backbone, "patch_size", None)
        if size is None or len(self.network.output_shape) != 3:
            raise ValueError(
                f"`backbone` {self.backbone.name} gives features of shape "
                f"{self.network.output_shape}, which are no map, and has no `patch_size`: name a "
                "layer that gives a map with `output`."
            )
        sizes = (size, size) if isinstance(size, int) else size
        return tuple(length // patch for length, patch in zip(self.input_size, sizes, strict=True))

    def _told_extra(self):
        """How many tokens beside patches the backbone's configuration tells of, if it does."""
        if hasattr(self.backbone, "num_register_tokens"):
            return 1 + self.backbone.num_register_tokens
        if hasattr(self.backbone, "use_class_token"):
            return int(self.backbone.use_class_token)
        return None

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "scale": self.scale,
            "offset": self.offset,
            "output": self.output_stage,
            "input_size": list(self.input_size),
            "interpolation": self.interpolation,
            "antialias": self.antialias,
        }

    @classmethod
    def from_config(cls, config):
        _keras_hub()  # Registers its classes.
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})


def _keras_hub():
    try:
        import keras_hub
    except ImportError as error:
        raise ImportError(
            f"KerasHub cannot be imported ({error}): pip install 'glimpse[hub]'."
        ) from error
    return keras_hub


def _images(backbone):
    """The symbolic frames that a backbone reads."""
    inputs = known = getattr(backbone, "input", None)
    if isinstance(inputs, dict):
        inputs = inputs.get("images") if len(inputs) == 1 else None
    shape = getattr(inputs, "shape", ())
    if len(shape) != 4 or shape[-1] != 3:
        raise ValueError(
            f"`backbone` must read frames (batch, height, width, 3) and nothing else; "
            f"{backbone.name} reads {known}."
        )
    return inputs


def _input_size(own, wanted):
    size = tuple(wanted or (224 if length is None else length for length in own))
    if any(length not in (None, side) for length, side in zip(own, size, strict=True)):
        raise ValueError(f"`input_size` must be the backbone's own, {tuple(own)}; got {wanted}.")
    return size


def _scale_and_offset(converter):
    """What a converter does to pixels, measured: a factor and an offset for R, G and B."""

    def values(pixel):
        frame = ops.full((1, *(converter.image_size or (8, 8)), 3), float(pixel))
        return [float(x) for x in ops.convert_to_numpy(converter(frame))[0, 0, 0]]

    zero, full, half = values(0), values(255), values(127.5)
    if any(abs(a + b - 2 * c) > 1e-3 for a, b, c in zip(zero, full, half, strict=True)):
        raise ValueError(f"The image converter {converter.name} is no scaling and offset.")
    return [(high - low) / 255 for low, high in zip(zero, full, strict=True)], zero

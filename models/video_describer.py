"""From pixels to sentences: a backbone and a captioner in one model, so in one file."""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_shape
from glimpse.models.caption_training import CaptionTraining
from glimpse.models.video_captioner import VideoCaptioner

_AXES = "(batch, frames, height, width, channels)"


@keras.saving.register_keras_serializable(package="glimpse")
class VideoDescriber(CaptionTraining):
    """Runs every frame of a clip through a backbone and describes the features.

    The backbone owns resizing and scaling, so frames go in as they were decoded. The answer is
    that of `captioner`, with the same names, and so is the loss: `fit` on frames tunes the
    backbone through the gaze (set `backbone.trainable = False` to leave it as it is).

    Args:
        backbone: A model that maps frames `(batch, height, width, 3)`, RGB 0-255, to feature maps
            `(batch, map_height, map_width, features)`.
        captioner: A `VideoCaptioner` on features
            `(batch, frames, map_height, map_width, features)`.

    Call arguments:
        frames: `(batch, frames, height, width, 3)`, uint8 or float, RGB 0-255, any height, width;
            or a dict of all tensors by name.
        token_ids: `(batch, words)`, integers: the tokens before each word, `<start>` first.
        mask: `(batch, words)`, True where the word is real.
        features_mask: `(batch, frames)`, True where the frame is real.
        attention_override: As the captioner takes it.

    Returns:
        The captioner's dict.

    >>> captions = describer.caption(frames)  # doctest: +SKIP
    >>> captions[0][0].text  # doctest: +SKIP
    'a red figure in a hat waves'
    """

    input_names = ("frames", "token_ids")

    def __init__(self, backbone, captioner, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(backbone, keras.Model):
            raise ValueError(f"`backbone` must be a keras.Model, got {backbone!r}.")
        if not isinstance(captioner, VideoCaptioner):
            raise ValueError(f"`captioner` must be a VideoCaptioner, got {captioner!r}.")
        self.backbone = backbone
        self.captioner = captioner

    @property
    def vocabulary(self):
        return self.captioner.vocabulary

    @property
    def max_words(self):
        return self.captioner.max_words

    @property
    def sampling(self):
        return self.captioner.sampling

    def build(
        self,
        frames_shape,
        token_ids_shape=None,
        mask_shape=None,
        features_mask_shape=None,
        attention_override_shape=None,
    ):
        if isinstance(frames_shape, dict):
            frames_shape = frames_shape["frames"]
        check_shape("frames", frames_shape, _AXES, channels=3)
        frames, height, width, channels = frames_shape[1:]
        if not self.backbone.built:
            self.backbone.build((None, height, width, channels))
        if not self.captioner.built:
            maps = self.backbone.compute_output_shape((None, height, width, channels))
            self.captioner.build((None, frames, *maps[1:]))

    def call(
        self,
        frames,
        token_ids=None,
        mask=None,
        features_mask=None,
        training=None,
        attention_override=None,
    ):
        if isinstance(frames, dict):
            return self.call(training=training, **self.read_inputs(frames, mask))
        return self.captioner(
            self.extract_features(frames, training=training),
            token_ids,
            mask=mask,
            features_mask=features_mask,
            training=training,
            attention_override=attention_override,
        )

    def check_clips(self, shape, mask_shape=None):
        """Raises ValueError unless frames, and their mask if any, are of a shape that it reads."""
        check_shape("frames", shape, _AXES, channels=3)
        # What a backbone makes of a size is asked once: it may be traced for it.
        maps = vars(self).setdefault("_map_shapes", {})
        if shape[2:] not in maps:
            maps[shape[2:]] = self.backbone.compute_output_shape((None, *shape[2:]))[1:]
        self.captioner.check_clips((*shape[:2], *maps[shape[2:]]), mask_shape)

    def search_settings(self, **options):
        """As `VideoCaptioner.search_settings`."""
        return self.captioner.search_settings(**options)

    def extract_features(self, frames, training=False):
        """Returns the backbone's maps `(batch, frames, map_height, map_width, features)`."""
        check_shape("frames", frames.shape, _AXES, channels=3)
        batch, count, height, width, channels = ops.shape(frames)
        pixels = ops.reshape(frames, (batch * count, height, width, channels))
        maps = self.backbone(pixels, training=training)
        return ops.reshape(maps, (batch, count, *ops.shape(maps)[1:]))

    def beam_search(self, frames, features_mask=None, **options):
        """As `VideoCaptioner.beam_search`, of frames."""
        return self.captioner.beam_search(self.extract_features(frames), features_mask, **options)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "captioner": keras.saving.serialize_keras_object(self.captioner),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("backbone", "captioner"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

"""From pixels to classes: a backbone and a classifier in one model, so in one file."""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_shape
from glimpse.models.step_training import StepTraining

_AXES = "(batch, frames, height, width, channels)"


@keras.saving.register_keras_serializable(package="glimpse")
class VideoClassifier(StepTraining):
    """Runs every frame of a clip through a backbone and classifies the features.

    The backbone owns resizing and scaling, so frames go in as they were decoded. The answer is
    that of `classifier`, with the same names, and so is the loss: `fit` on frames tunes the
    backbone through the gaze (set `backbone.trainable = False` to leave it as it is).

    Args:
        backbone: A model that maps frames `(batch, height, width, 3)`, RGB 0-255, to feature maps
            `(batch, map_height, map_width, features)`.
        classifier: A classifier on features `(batch, frames, map_height, map_width, features)`.

    Call arguments:
        frames: `(batch, frames, height, width, 3)`, uint8 or float, RGB 0-255, any height, width.
        mask: `(batch, frames)`, True where the frame is real.
        attention_override: As the classifier takes it.

    Returns:
        The classifier's dict.
    """

    input_names = ("frames",)

    def __init__(self, backbone, classifier, **kwargs):
        super().__init__(**kwargs)
        for name, model in (("backbone", backbone), ("classifier", classifier)):
            if not isinstance(model, keras.Model):
                raise ValueError(f"`{name}` must be a keras.Model, got {model!r}.")
        self.backbone = backbone
        self.classifier = classifier

    @property
    def num_classes(self):
        return self.classifier.num_classes

    @property
    def multi_label(self):
        return self.classifier.multi_label

    @property
    def label_names(self):
        return self.classifier.label_names

    @property
    def sampling(self):
        return self.classifier.sampling

    def build(self, frames_shape, mask_shape=None, attention_override_shape=None):
        check_shape("frames", frames_shape, _AXES, channels=3)
        batch, frames, height, width, channels = frames_shape
        if not self.backbone.built:
            self.backbone.build((None, height, width, channels))
        if not self.classifier.built:
            maps = self.backbone.compute_output_shape((None, height, width, channels))
            self.classifier.build((batch, frames, *maps[1:]))

    def call(self, frames, mask=None, training=None, attention_override=None):
        check_shape("frames", frames.shape, _AXES, channels=3)
        batch, count, height, width, channels = ops.shape(frames)
        pixels = ops.reshape(frames, (batch * count, height, width, channels))
        maps = self.backbone(pixels, training=training)
        features = ops.reshape(maps, (batch, count, *ops.shape(maps)[1:]))
        return self.classifier(
            features, mask=mask, training=training, attention_override=attention_override
        )

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "classifier": keras.saving.serialize_keras_object(self.classifier),
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        for name in ("backbone", "classifier"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

"""Softmax regression on the full feature cube: a baseline of Sharma et al., 2015, section 4.2.1."""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_mask, check_shape
from glimpse.layers.soft_attention_lstm_cell import check_dropout_rate
from glimpse.layers.temporal_attention import clear_padding
from glimpse.models.step_classifier import StepClassifier

VARIANTS = {"softmax_regression": {}}

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class SoftmaxRegressionClassifier(StepClassifier):
    """Classifies each frame by a linear map of all its features, then averages over the frames.

        logits[t] = W vec(X[t]) + b

    "The softmax regression model uses the complete 7x7x1024 feature cube as its input to predict
    the label at each time-step t" (section 4.2.1).

    Args:
        num_classes: Number of classes.
        dropout: Rate in [0, 1), on the cube.
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        features: `(batch, frames, height, width, features)`.
        mask: `(batch, frames)`, True where the frame is real.
        attention_override: Must be None: this model has no gaze to override.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, frames,
        classes)` and `step_probabilities`.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        num_classes,
        dropout=0.5,
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        check_dropout_rate("dropout", dropout)
        self.dropout = dropout
        self.cube_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.classes = keras.layers.Dense(self.num_classes, dtype=self.dtype_policy, name="classes")

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        check_shape("features", features_shape, _AXES)
        batch, frames, height, width, features = features_shape
        if height is None or width is None or features is None:
            raise ValueError(
                "`features` must have a known height, width and number of features, got shape "
                f"{tuple(features_shape)}."
            )
        self.map_sizes = {"height": height, "width": width, "features": features}
        self.classes.build((batch, frames, height * width * features))

    def call(self, features, mask=None, training=None, attention_override=None):
        if attention_override is not None:
            raise ValueError("`attention_override` must be None: softmax regression has no gaze.")
        check_shape("features", features.shape, _AXES, **self.map_sizes)
        batch, frames, height, width, channels = ops.shape(features)
        cube = ops.reshape(features, (batch, frames, height * width * channels))
        if mask is not None:  # NaN in padding would reach the gradients.
            mask = check_mask("mask", mask, "the features'", features.shape[:2])
            cube = clear_padding(cube, mask)
        step_logits = self.classes(self.cube_dropout(cube, training=training))
        return self.answer(step_logits, mask)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout}

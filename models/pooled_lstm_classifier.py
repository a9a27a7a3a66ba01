"""The pooled LSTM baselines of Sharma et al., "Action Recognition using Visual Attention", 2015."""

import keras
from keras import ops

from glimpse.layers.initial_state import InitialState
from glimpse.layers.shape_checks import check_mask, check_shape
from glimpse.layers.soft_attention_lstm_cell import check_dropout_rate, check_positive_integer
from glimpse.layers.step_head import StepHead
from glimpse.layers.temporal_attention import clear_padding
from glimpse.models.step_classifier import StepClassifier

_SMALL = {"units": 128, "depth": 1, "hidden_units": 128, "dropout": 0.1}
_BASE = {"units": 512, "depth": 3}
VARIANTS = {
    "average_pooled_lstm_small": {"pooling": "average", **_SMALL},
    "average_pooled_lstm_base": {"pooling": "average", **_BASE},
    "average_pooled_lstm_large": {"pooling": "average", **_BASE, "units": 1024},
    "max_pooled_lstm_small": {"pooling": "max", **_SMALL},
    "max_pooled_lstm_base": {"pooling": "max", **_BASE},
    "max_pooled_lstm_large": {"pooling": "max", **_BASE, "units": 1024},
}

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class PooledLSTMClassifier(StepClassifier):
    """Classifies a clip from feature maps pooled over all regions alike.

        x[t] = mean_i X[t, i]    or    x[t, d] = max_i X[t, i, d]

    "The average pooled and max pooled LSTM models use the same architecture as our model except
    that they do not have any attention mechanism" (section 4.2.1): LSTM layers from the mean
    feature (Eq. 6) over x, a tanh layer and a softmax at each step, the mean over the steps.

    Args:
        num_classes: Number of classes.
        pooling: `"average"` or `"max"`.
        units: Size of each LSTM layer.
        depth: Number of LSTM layers, at least 1.
        hidden_units: Size of the tanh layer before the classes; default `units`.
        dropout: Rate in [0, 1), at all non-recurrent connections.
        initial_state: `"features"` (Eq. 6) or `"zeros"` (causal).
        initial_state_units: Size of Eq. 6's hidden layer; default `units`; 0 leaves it out.
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

    Differs from the paper: each layer's two states start from perceptrons of their own, where
    Eq. 6 does not speak of layers.
    """

    def __init__(
        self,
        num_classes,
        pooling="average",
        units=512,
        depth=3,
        hidden_units=None,
        dropout=0.5,
        initial_state="features",
        initial_state_units=None,
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        if pooling not in ("average", "max"):
            raise ValueError(f"`pooling` must be 'average' or 'max', got {pooling!r}.")
        if initial_state not in ("features", "zeros"):
            raise ValueError(
                f"`initial_state` must be 'features' or 'zeros', got {initial_state!r}."
            )
        check_positive_integer("units", units)
        check_positive_integer("depth", depth)
        check_dropout_rate("dropout", dropout)
        self.pooling = pooling
        self.units = units
        self.depth = depth
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.initial_state = initial_state
        self.initial_state_units = initial_state_units
        policy = self.dtype_policy
        self.first_states = None
        if initial_state == "features":
            self.first_states = InitialState(
                units, 2 * depth, initial_state_units, dtype=policy, name="initial_state"
            )
        self.input_dropouts = [
            keras.layers.Dropout(dropout, dtype=policy, name=f"input_dropout_{n + 1}")
            for n in range(depth)
        ]
        self.lstms = [
            keras.layers.LSTM(units, return_sequences=True, dtype=policy, name=f"lstm_{n + 1}")
            for n in range(depth)
        ]
        hidden_units = units if hidden_units is None else hidden_units
        self.head = StepHead(self.num_classes, hidden_units, dropout, dtype=policy, name="head")

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        check_shape("features", features_shape, _AXES)
        batch, frames, height, width, features = features_shape
        if features is None:
            raise ValueError(
                "`features` must have a known number of features, got shape "
                f"{tuple(features_shape)}."
            )
        if self.first_states is not None:
            self.first_states.build((batch, frames, None, features))
        for lstm in self.lstms:
            lstm.build((batch, frames, features))
            features = self.units
        self.head.build((batch, frames, self.units))

    def call(self, features, mask=None, training=None, attention_override=None):
        if attention_override is not None:
            raise ValueError("`attention_override` must be None: a pooled LSTM has no gaze.")
        known = self.lstms[0].cell.kernel.shape[0]
        check_shape("features", features.shape, _AXES, features=known)
        batch, frames, height, width, channels = ops.shape(features)
        regions = ops.reshape(features, (batch, frames, height * width, channels))
        states = [None] * (2 * self.depth)
        if self.first_states is not None:
            states = self.first_states(regions, mask=mask)
        pool = ops.mean if self.pooling == "average" else ops.max
        hidden_states = pool(regions, axis=2)  # (batch, frames, features)
        if mask is not None:  # NaN in padding would reach the gradients.
            mask = check_mask("mask", mask, "the features'", features.shape[:2])
            hidden_states = clear_padding(hidden_states, mask)
        for number, (drop, lstm) in enumerate(zip(self.input_dropouts, self.lstms, strict=True)):
            start = states[2 * number : 2 * number + 2]
            hidden_states = lstm(
                drop(hidden_states, training=training),
                mask=mask,
                initial_state=None if start[0] is None else start,
                training=training,
            )
        return self.answer(self.head(hidden_states, training=training), mask)

    def get_config(self):
        return {
            **super().get_config(),
            "pooling": self.pooling,
            "units": self.units,
            "depth": self.depth,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "initial_state": self.initial_state,
            "initial_state_units": self.initial_state_units,
        }

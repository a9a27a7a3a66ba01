"""The soft attention model of Sharma et al., "Action Recognition using Visual Attention", 2015."""

import keras
from keras import ops

from glimpse.layers import SoftAttentionLSTM
from glimpse.layers.attention_override import check_override_shape
from glimpse.layers.shape_checks import check_shape
from glimpse.layers.square_orthogonal import SquareOrthogonal
from glimpse.layers.step_head import StepHead
from glimpse.models.step_classifier import StepClassifier

# The released code's model, on 1,024 features a region: one layer, and its draws of the weights.
_REFERENCE = {
    "units": 512,
    "depth": 1,
    "attention": "content",
    "attention_units": 1024,
    "initial_state_units": 0,
    "recurrence_dropout": 0.0,
    "unit_forget_bias": False,
    "initialization": "reference",
}
# Sizes of section 4.2; `small` is ours, in the released code's form, for the `small` backbone.
VARIANTS = {
    "soft_attention_small": {
        "units": 128,
        "depth": 1,
        "attention": "content",
        "attention_units": 64,
        "hidden_units": 128,
        "dropout": 0.1,
    },
    "soft_attention_base": {"units": 512, "depth": 3},
    "soft_attention_large": {"units": 1024, "depth": 3},
    "soft_attention_reference": _REFERENCE,
    "soft_attention_reference_large": {
        **_REFERENCE,
        "units": 1024,
        "attention_depth": 3,
        "scored_steps": 16,
    },
}

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class SoftAttentionClassifier(StepClassifier):
    """Classifies a clip from feature maps, gazing at some regions of each frame.

    Per frame t: attention weights l[t] from the top hidden state (Eq. 4), the expected feature
    slice x[t] = sum_i l[t, i] X[t, i] (Eq. 5), LSTM layers (Eq. 1-3) that start from the mean
    feature (Eq. 6), a tanh layer and a softmax over the classes; then the mean over the frames
    (section 4.2).

    Args:
        num_classes: Number of classes.
        units: Size of each LSTM layer; the paper's 512 (UCF-11, Hollywood2) or 1024 (HMDB-51).
        depth: Number of LSTM layers; the paper's 3.
        attention: `"state"` (Eq. 4) or `"content"` (the released code's form, which also reads
            the features that it weighs).
        attention_units: Size of the content form's hidden layer; default `units`.
        hidden_units: Size of the tanh layer before the classes; default `units`.
        dropout: Rate in [0, 1), at all non-recurrent connections.
        initial_state: `"features"` (Eq. 6) or `"zeros"` (causal).
        initial_state_units: Size of Eq. 6's hidden layer; default `units`; 0 leaves it out.
        attention_depth: Linear layers that the content form reads the features through.
        recurrence_dropout: Rate at the LSTM layers' inputs, where it differs from `dropout`; the
            released code's 0 leaves dropout to the hidden states and the tanh layer's output.
        unit_forget_bias: Whether the forget gates' biases start at 1; the released code's at 0.
        initialization: How kernels are drawn: `"keras"` (Glorot's uniform, recurrent kernels
            orthogonal) or `"reference"` (the released code's; see `SquareOrthogonal`).
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        features: `(batch, frames, height, width, features)`.
        mask: `(batch, frames)`, True where the frame is real.
        attention_override: `(batch, frames, height, width)`, maps to use in place of the
            model's own; a row of NaN keeps the model's.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, frames,
        classes)`, `step_probabilities` and `attention_weights (batch, frames, height, width)`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: as `SoftAttentionLSTM` says, and in the variants `..._reference`, which
    are the released code's model (kracwarlock/action-recognition-visual-attention).
    """

    def __init__(
        self,
        num_classes,
        units=512,
        depth=3,
        attention="state",
        attention_units=None,
        hidden_units=None,
        dropout=0.5,
        initial_state="features",
        initial_state_units=None,
        attention_depth=1,
        recurrence_dropout=None,
        unit_forget_bias=True,
        initialization="keras",
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        self.units = units
        self.depth = depth
        self.attention = attention
        self.attention_units = attention_units
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.initial_state = initial_state
        self.initial_state_units = initial_state_units
        self.attention_depth = attention_depth
        self.recurrence_dropout = recurrence_dropout
        self.unit_forget_bias = unit_forget_bias
        self.initialization = initialization
        initializers = _initializers(initialization)
        self.recurrence = SoftAttentionLSTM(
            units,
            depth=depth,
            attention=attention,
            attention_units=attention_units,
            dropout=dropout if recurrence_dropout is None else recurrence_dropout,
            initial_state=initial_state,
            initial_state_units=initial_state_units,
            attention_depth=attention_depth,
            unit_forget_bias=unit_forget_bias,
            **initializers,
            dtype=self.dtype_policy,
            name="recurrence",
        )
        self.head = StepHead(
            self.num_classes,
            units if hidden_units is None else hidden_units,
            dropout,
            kernel_initializer=initializers["kernel_initializer"],
            dtype=self.dtype_policy,
            name="head",
        )

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        check_shape("features", features_shape, _AXES)
        batch, frames, height, width, features = features_shape
        if height is None or width is None or features is None:
            raise ValueError(
                "`features` must have a known height, width and number of features, got shape "
                f"{tuple(features_shape)}."
            )
        self.recurrence.build((batch, frames, height * width, features))
        self.head.build((batch, frames, self.units))

    def call(self, features, mask=None, training=None, attention_override=None):
        known = self.recurrence.cell.kernels[0].shape[0]
        check_shape("features", features.shape, _AXES, features=known)
        batch, frames, height, width, channels = ops.shape(features)
        regions = ops.reshape(features, (batch, frames, height * width, channels))
        if attention_override is not None:
            check_override_shape(attention_override.shape, features.shape[:4])
            attention_override = ops.reshape(attention_override, (batch, frames, height * width))
        hidden_states, attention_weights = self.recurrence(
            regions, mask=mask, training=training, attention_override=attention_override
        )
        maps = ops.reshape(attention_weights, (batch, frames, height, width))
        step_logits = self.head(hidden_states, training=training)
        return self.answer(step_logits, mask, maps)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "depth": self.depth,
            "attention": self.attention,
            "attention_units": self.attention_units,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "initial_state": self.initial_state,
            "initial_state_units": self.initial_state_units,
            "attention_depth": self.attention_depth,
            "recurrence_dropout": self.recurrence_dropout,
            "unit_forget_bias": self.unit_forget_bias,
            "initialization": self.initialization,
        }


def _initializers(initialization):
    """The initializers of the recurrence; those of the kernel serve the head too."""
    if initialization == "keras":
        return {"kernel_initializer": "glorot_uniform", "recurrent_initializer": "orthogonal"}
    if initialization == "reference":
        return {
            "kernel_initializer": SquareOrthogonal(),
            "recurrent_initializer": SquareOrthogonal(),
            "value_initializer": keras.initializers.RandomNormal(stddev=0.01),
        }
    raise ValueError(
        f"`initialization` must be 'keras' or 'reference'; received {initialization!r}."
    )

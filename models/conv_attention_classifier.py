"""Conv-Attention, the flat model of Yan et al., "CHAM", 2017: one convolutional LSTM that attends.

"CHAM: action recognition using convolutional hierarchical attention model",
https://arxiv.org/abs/1705.03146.
"""

from keras import ops, saving

from glimpse.layers import ConvLSTMAttention
from glimpse.layers.map_head import MapHead
from glimpse.models.step_classifier import StepClassifier

# Where a public re-implementation of the paper (not by its authors) reads it in another way.
REFERENCE = {
    "filters": 512,
    "attention_kernel_size": 3,
    "recurrence_dropout": 0.5,
    "hidden_layers": 0,
    "spatial_pooling": "blocks_2x2",
    "logits_activation": "relu",
    "time_average": "logits",
}
# `base` has the sizes of section 3.2; `small` is ours, for the `small` backbone.
VARIANTS = {
    "conv_attention_small": {"filters": 32, "hidden_units": 128, "dropout": 0.1},
    "conv_attention_base": {"filters": 512},
    "conv_attention_reference": REFERENCE,
}


@saving.register_keras_serializable(package="glimpse")
class ConvAttentionClassifier(StepClassifier):
    """Classifies a clip from feature maps, weighing the places of each and keeping its layout.

    Per frame t: the map x[t] = l[t] F[t] (Eq. 7), with attention weights l[t] from the last
    hidden map and F[t] (Eq. 8), a convolutional LSTM (Eq. 1-6), a dense layer at every place,
    the average over the places and a softmax over the classes (section 2.2), which Eq. 9 compares
    with the label at every frame; then the mean over the frames.

    Args:
        num_classes: Number of classes.
        filters: Number of channels of the states; the paper's 512.
        kernel_size: Size of the LSTM's kernels; the paper's 3.
        attention_filters: Channels under the tanh of Eq. 8; default `filters`.
        attention_kernel_size: Size of the attention's kernels; the paper's 1.
        candidate_activation: `"tanh"`, or `"sigmoid"` as Eq. 4 prints.
        hidden_units: Size of each hidden dense layer; default `filters`. The paper does not say.
        hidden_layers: Number of them; 0 leaves them out.
        hidden_activation: `"tanh"`, as in the model that the paper compares with, or `"relu"`.
        spatial_pooling, head_order, logits_activation: See `MapHead`.
        time_average: `"probabilities"`: every frame has an answer, as in Eq. 9, and the clip the
            mean of their probabilities; or `"logits"`: the clip has a single step, whose logits
            are the mean over the frames.
        dropout: Rate in [0, 1) before the layer of the classes; the paper's 0.5.
        recurrence_dropout: Rate at the LSTM's input; none in the paper.
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        features: `(batch, frames, height, width, features)`. A NaN in a real frame makes the
            answer of its clip NaN.
        mask: `(batch, frames)`, True where the frame is real.
        attention_override: `(batch, frames, height, width)`, maps to use in place of the
            model's own; a row of NaN keeps the model's.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, frames,
        classes)`, `step_probabilities` and `attention_weights (batch, frames, height, width)`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: as `ConvLSTMAttentionCell` says. The variant `..._reference` makes the
    choices of a public re-implementation, but W_z has the size of the other attention kernels
    there (3, not 1), and its softmax over one channel, which attends to nothing, is left out.
    """

    def __init__(
        self,
        num_classes,
        filters=512,
        kernel_size=3,
        attention_filters=None,
        attention_kernel_size=1,
        candidate_activation="tanh",
        hidden_units=None,
        hidden_layers=1,
        hidden_activation="tanh",
        spatial_pooling="average",
        head_order="dense_first",
        logits_activation=None,
        time_average="probabilities",
        dropout=0.5,
        recurrence_dropout=0.0,
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        if time_average not in ("probabilities", "logits"):
            raise ValueError(
                f'`time_average` must be "probabilities" or "logits", got {time_average!r}.'
            )
        self.filters = filters
        self.kernel_size = kernel_size
        self.attention_filters = attention_filters
        self.attention_kernel_size = attention_kernel_size
        self.candidate_activation = candidate_activation
        self.hidden_units = hidden_units
        self.hidden_layers = hidden_layers
        self.hidden_activation = hidden_activation
        self.spatial_pooling = spatial_pooling
        self.head_order = head_order
        self.logits_activation = logits_activation
        self.time_average = time_average
        self.dropout = dropout
        self.recurrence_dropout = recurrence_dropout
        self.recurrence = ConvLSTMAttention(
            filters,
            kernel_size=kernel_size,
            attention_filters=attention_filters,
            attention_kernel_size=attention_kernel_size,
            candidate_activation=candidate_activation,
            dropout=recurrence_dropout,
            dtype=self.dtype_policy,
            name="recurrence",
        )
        self.head = MapHead(
            self.num_classes,
            filters if hidden_units is None else hidden_units,
            hidden_layers=hidden_layers,
            hidden_activation=hidden_activation,
            spatial_pooling=spatial_pooling,
            head_order=head_order,
            logits_activation=logits_activation,
            dropout=dropout,
            dtype=self.dtype_policy,
            name="head",
        )

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        self.recurrence.build(features_shape)
        self.head.build((*features_shape[:4], self.filters))

    def call(self, features, mask=None, training=None, attention_override=None):
        maps, attention_weights = self.recurrence(
            features, mask=mask, training=training, attention_override=attention_override
        )
        return self.classify(maps, mask, attention_weights, training)

    def classify(self, maps, mask, attention_weights, training):
        """The answer from maps `(batch, steps, height, width, channels)` and which are real."""
        step_logits = self.head(maps, training=training)
        if self.time_average == "logits":
            step_logits, mask = mean_step(step_logits, mask)
        return self.answer(step_logits, mask, attention_weights)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "attention_filters": self.attention_filters,
            "attention_kernel_size": self.attention_kernel_size,
            "candidate_activation": self.candidate_activation,
            "hidden_units": self.hidden_units,
            "hidden_layers": self.hidden_layers,
            "hidden_activation": self.hidden_activation,
            "spatial_pooling": self.spatial_pooling,
            "head_order": self.head_order,
            "logits_activation": self.logits_activation,
            "time_average": self.time_average,
            "dropout": self.dropout,
            "recurrence_dropout": self.recurrence_dropout,
        }


def mean_step(step_logits, mask):
    """The mean of the real steps' logits as a single step, and its mask `(batch, 1)` or None."""
    if mask is None:
        return ops.mean(step_logits, axis=1, keepdims=True), None
    mask = ops.cast(mask, "bool")
    real = ops.expand_dims(mask, -1)
    count = ops.sum(ops.cast(real, step_logits.dtype), axis=1, keepdims=True)
    total = ops.sum(ops.where(real, step_logits, 0.0), axis=1, keepdims=True)
    return total / ops.maximum(count, 1), ops.any(mask, axis=1, keepdims=True)

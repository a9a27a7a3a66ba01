"""CHAM, the hierarchical model of Yan et al., 2017: a second, slower convolutional LSTM on top.

"CHAM: action recognition using convolutional hierarchical attention model",
https://arxiv.org/abs/1705.03146.
"""

from keras import ops, saving

from glimpse.layers import ConvLSTM
from glimpse.layers.soft_attention_lstm_cell import check_positive_integer
from glimpse.models.conv_attention_classifier import REFERENCE, ConvAttentionClassifier

# As in `conv_attention_classifier.py`.
VARIANTS = {
    "hierarchical_conv_attention_small": {"filters": 32, "hidden_units": 128, "dropout": 0.1},
    "hierarchical_conv_attention_base": {"filters": 512},
    "hierarchical_conv_attention_reference": {**REFERENCE, "join": "time"},
}


@saving.register_keras_serializable(package="glimpse")
class HierarchicalConvAttentionClassifier(ConvAttentionClassifier):
    """Classifies a clip from feature maps by two convolutional LSTMs, one fast and one slow.

    The first is that of `ConvAttentionClassifier`: "the attention layer", which reads every
    frame. The second "directly connects with first layer but skip several steps": a
    convolutional LSTM without attention (Eq. 1-6) on the first's hidden maps h1 at the real
    frames 0, skip, 2 skip, ... Of 60 frames it reads 30. The hidden maps of both are joined before
    the dense layers and the pooling (section 2.2, Fig. 2).

    Args:
        num_classes: Number of classes.
        skip: The second layer reads every `skip`-th frame; the paper's 2. Real frames alone are
            counted, so that masked ones change nothing, wherever they are.
        join: `"features"`: a step has the channels of both layers, the second's h2 held until its
            next step, so that every frame has an answer, from the past alone, that sees both
            time scales. `"time"`: the second's steps follow the first's along time. The clip then
            has `frames + ceil(frames / skip)` steps: one for each frame, in their order, then one
            for each that the second layer read, without gaps. Where a mask leaves it fewer to
            read, the last steps are not real. `step_mask` says in this order which are.
        filters, kernel_size, candidate_activation: Of both layers, as in
            `ConvAttentionClassifier`.
        attention_filters, attention_kernel_size: Of the first layer.
        hidden_units, hidden_layers, hidden_activation, spatial_pooling, head_order,
        logits_activation, time_average, dropout: As in `ConvAttentionClassifier`.
        recurrence_dropout: Rate at both layers' inputs; none in the paper.
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
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, steps,
        classes)`, `step_probabilities` and `attention_weights (batch, frames, height, width)`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.

    Differs from the paper: it says that "the output features of the first layer and second layer
    are concatenated", not along which axis. `"features"` is the default since Eq. 9 has one
    answer for each of the T frames; a public re-implementation takes `"time"`. The rest as in
    `ConvAttentionClassifier`.
    """

    def __init__(
        self,
        num_classes,
        skip=2,
        join="features",
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
        super().__init__(
            num_classes,
            filters=filters,
            kernel_size=kernel_size,
            attention_filters=attention_filters,
            attention_kernel_size=attention_kernel_size,
            candidate_activation=candidate_activation,
            hidden_units=hidden_units,
            hidden_layers=hidden_layers,
            hidden_activation=hidden_activation,
            spatial_pooling=spatial_pooling,
            head_order=head_order,
            logits_activation=logits_activation,
            time_average=time_average,
            dropout=dropout,
            recurrence_dropout=recurrence_dropout,
            label_names=label_names,
            multi_label=multi_label,
            sampling=sampling,
            **kwargs,
        )
        check_positive_integer("skip", skip)
        if join not in ("features", "time"):
            raise ValueError(f'`join` must be "features" or "time", got {join!r}.')
        self.skip = skip
        self.join = join
        self.slow_recurrence = ConvLSTM(
            filters,
            kernel_size=kernel_size,
            candidate_activation=candidate_activation,
            dropout=recurrence_dropout,
            dtype=self.dtype_policy,
            name="slow_recurrence",
        )

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        self.recurrence.build(features_shape)
        maps_shape = (*features_shape[:4], self.filters)
        self.slow_recurrence.build(maps_shape)
        if self.join == "features":
            maps_shape = (*features_shape[:4], 2 * self.filters)
        self.head.build(maps_shape)

    def call(self, features, mask=None, training=None, attention_override=None):
        fast, attention_weights = self.recurrence(
            features, mask=mask, training=training, attention_override=attention_override
        )
        if mask is None:
            slow = self.slow_recurrence(fast[:, :: self.skip], training=training)
        else:
            mask = ops.cast(mask, "bool")
            frames, read, latest = self._frames_to_read(mask)
            slow = self.slow_recurrence(take_steps(fast, frames), mask=read, training=training)
        if self.join == "time":
            maps = ops.concatenate([fast, slow], axis=1)
            mask = None if mask is None else ops.concatenate([mask, read], axis=1)
        else:
            if mask is None:
                held = ops.repeat(slow, self.skip, axis=1)[:, : ops.shape(fast)[1]]
            else:
                held = take_steps(slow, latest)
            maps = ops.concatenate([fast, held], axis=-1)
        return self.classify(maps, mask, attention_weights, training)

    def _frames_to_read(self, mask):
        """What a mask `(batch, frames)` makes of every `skip`-th frame.

        Returns:
            The frame that each step of the second layer reads, `(batch, steps)`; which of these
            steps are real; and the latest step at each frame, `(batch, frames)`.
        """
        number = ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1  # of the last real frame so far
        steps = (ops.shape(mask)[1] + self.skip - 1) // self.skip
        due = ops.expand_dims(self.skip * ops.arange(steps, dtype="int32"), -1)
        found = ops.logical_and(ops.expand_dims(number, 1) == due, ops.expand_dims(mask, 1))
        frames = ops.argmax(ops.cast(found, "int32"), axis=-1)
        # Before the first real frame the number is -1.
        return frames, ops.any(found, axis=-1), ops.maximum(number, 0) // self.skip

    def get_config(self):
        return {**super().get_config(), "skip": self.skip, "join": self.join}


def take_steps(maps, index):
    """Of maps `(batch, steps, ...)` those at the steps `index (batch, chosen)` of each clip."""
    shape = ops.shape(maps)
    start = ops.expand_dims(shape[1] * ops.arange(shape[0], dtype="int32"), -1)
    flat = ops.reshape(maps, (-1, *shape[2:]))
    return ops.take(flat, start + ops.cast(index, "int32"), axis=0)

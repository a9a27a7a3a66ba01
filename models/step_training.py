"""How the zoo's classifiers are trained: the loss of Eq. 7 over the answers per step.

Sharma et al., "Action Recognition using Visual Attention", 2015, section 3.3.
"""

import keras
from keras import ops

from glimpse.layers import attention_penalty


class StepTraining(keras.Model):
    """A model whose `compile` and `fit` minimise Eq. 7 over its answers per step.

    As a mean over the clips of a batch:

        L = - sum_t sum_i y[t, i] log yhat[t, i]
            + lambda * sum_i (1 - sum_t l[t, i])^2
            + gamma * sum_j theta[j]^2

    with lambda = `attention_penalty`, gamma = `weight_decay`, l the attention weights and theta
    all trainable weights. With `multi_label` the first line is the binary cross-entropy summed
    over the classes, and labels are vectors of 0 and 1, `(batch, classes)`.

    A subclass has the attributes `num_classes` and `multi_label`, and its call returns the dict
    of `StepClassifier.answer`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention_penalty = 0.0
        self.weight_decay = 0.0

    def compute_mask(self, *args, **kwargs):
        """The outputs have no mask: what a step's mask means is said by `step_mask`."""
        return None

    def compile(
        self,
        optimizer="adam",
        loss=None,
        metrics=None,
        attention_penalty=0.0,
        weight_decay=0.0,
        **kwargs,
    ):
        """Configures training, by default with the loss of Eq. 7 and the accuracy of the clips.

        Args:
            optimizer: As in `keras.Model.compile`.
            loss: A Keras loss on `probabilities` to use in place of Eq. 7.
            metrics: Metrics on `probabilities`; default: accuracy (AUC with `multi_label`).
            attention_penalty: lambda of Eq. 7, at least 0.
            weight_decay: gamma of Eq. 7, at least 0. For decoupled decay leave it at 0 and pass
                `keras.optimizers.AdamW(weight_decay=...)`.
            **kwargs: Passed on to `keras.Model.compile`.
        """
        for name, value in (
            ("attention_penalty", attention_penalty),
            ("weight_decay", weight_decay),
        ):
            if not value >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {value!r}.")
            if value and loss is not None:
                raise ValueError(
                    f"`{name}` belongs to the loss of Eq. 7, got {value!r} beside another `loss`."
                )
        if metrics is None:
            metrics = [keras.metrics.AUC(name="auc", multi_label=True)]
            if not self.multi_label:
                metrics = [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
        self.attention_penalty = float(attention_penalty)
        self.weight_decay = float(weight_decay)
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config:
            config["attention_penalty"] = self.attention_penalty
            config["weight_decay"] = self.weight_decay
        return config

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if getattr(self, "_compile_loss", None) is not None:
            return super().compute_loss(x, y, y_pred["probabilities"], sample_weight, training)
        step_logits = y_pred["step_logits"]
        step_loss = self._cross_entropy(y, step_logits)  # (batch, steps)
        if "step_mask" in y_pred:
            step_loss = step_loss * ops.cast(y_pred["step_mask"], step_loss.dtype)
        clip_loss = ops.sum(step_loss, axis=1)  # (batch,)
        if sample_weight is not None:
            # (batch, 1) would broadcast against (batch,).
            weights = ops.reshape(ops.cast(sample_weight, clip_loss.dtype), (-1,))
            clip_loss = clip_loss * weights
        loss = ops.mean(clip_loss)
        if self.attention_penalty and "attention_weights" in y_pred:
            maps = ops.cast(y_pred["attention_weights"], loss.dtype)
            loss = loss + attention_penalty(maps, self.attention_penalty)
        if self.weight_decay:
            squares = [ops.sum(ops.square(weight)) for weight in self.trainable_variables]
            loss = loss + self.weight_decay * ops.cast(sum(squares), loss.dtype)
        for penalty in self.losses:
            loss = loss + ops.cast(penalty, loss.dtype)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred["probabilities"], sample_weight)

    def _cross_entropy(self, y, step_logits):
        """The cross-entropy of each step, `(batch, steps)`."""
        if self.multi_label:
            labels = ops.cast(y, step_logits.dtype)[:, None, :]
            # Stable form of -(y log p + (1 - y) log(1 - p)) for p = sigmoid(logits).
            each = ops.softplus(step_logits) - labels * step_logits
            return ops.sum(each, axis=2)
        labels = ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), self.num_classes)
        labels = ops.cast(labels, step_logits.dtype)[:, None, :]
        return -ops.sum(labels * ops.log_softmax(step_logits), axis=2)

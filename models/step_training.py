"""How the zoo's classifiers are trained: the loss of Eq. 7 over the answers per step.

Sharma et al., "Action Recognition using Visual Attention", 2015, section 3.3.
"""

import keras
from keras import ops

from glimpse.layers import attention_penalty
from glimpse.models.clip_accuracy import ClipAccuracy
from glimpse.models.clip_labels import check_labels, one_hot_labels
from glimpse.models.gaze_training import GazeTraining


class StepTraining(GazeTraining):
    """A model whose `compile` and `fit` minimise Eq. 7 over its answers per step.

    As a mean over the clips of a batch:

        L = - sum_t sum_i y[t, i] log yhat[t, i]
            + lambda * sum_i (1 - sum_t l[t, i])^2
            + gamma * sum_j theta[j]^2

    with lambda = `attention_penalty`, gamma = `weight_decay`, l the attention weights and theta
    all trainable weights. y is one-hot from labels `(batch,)`, or the labels themselves where they
    are `(batch, classes)`: of a clip with several labels, as in Hollywood2, every one counts.
    With `multi_label` the first line is the binary cross-entropy summed over the classes.

    A subclass has the attributes `num_classes` and `multi_label`, and its call returns the dict
    of `StepClassifier.answer`.

    Differs from the paper: with `multi_label`, which is the released code's loss on Hollywood2;
    `attention_penalty_reduction="mean"` and `batch_reduction="sum"` are the released code's too.
    """

    CHOICES = {"attention_penalty_reduction": ("sum", "mean"), "batch_reduction": ("mean", "sum")}
    SCORED = "probabilities"

    def compile(
        self,
        optimizer="adam",
        loss=None,
        metrics=None,
        attention_penalty=0.0,
        weight_decay=0.0,
        attention_penalty_reduction="sum",
        batch_reduction="mean",
        **kwargs,
    ):
        """Configures training, by default with the loss of Eq. 7 and the accuracy of the clips.

        Args:
            optimizer: As in `keras.Model.compile`.
            loss: A Keras loss on `probabilities` to use in place of Eq. 7.
            metrics: Metrics on `probabilities`; default: accuracy (AUC with `multi_label`).
            attention_penalty: lambda of Eq. 7, at least 0; above 0 only for models that attend.
            weight_decay: gamma of Eq. 7, at least 0. For decoupled decay leave it at 0 and pass
                `keras.optimizers.AdamW(weight_decay=...)`.
            attention_penalty_reduction: `"sum"` over the regions, or `"mean"` (released code).
            batch_reduction: `"mean"` over the clips of a batch, or `"sum"` (released code), which
                leaves the weight decay as it is.
            **kwargs: Passed on to `keras.Model.compile`.
        """
        self.configure_loss(
            loss,
            attention_penalty,
            weight_decay,
            attention_penalty_reduction=attention_penalty_reduction,
            batch_reduction=batch_reduction,
        )
        if metrics is None:
            metrics = [ClipAccuracy()]
            if self.multi_label:
                # With their number its variables are there at once, as distribution needs them.
                labels = self.num_classes
                metrics = [keras.metrics.AUC(name="auc", multi_label=True, num_labels=labels)]
        super().compile(optimizer=optimizer, loss=loss, metrics=metrics, **kwargs)

    def clip_loss(self, y, y_pred, sample_weight=None):
        """Returns what the clips of a batch add to the loss: the first two lines of Eq. 7.

        Of batches a and b, (count(a) * clip_loss(a) + count(b) * clip_loss(b)) / count(a and b) is
        that of both; where `batch_reduction` is `"sum"`, clip_loss(a) + clip_loss(b) is.
        """
        step_loss = self._cross_entropy(y, y_pred["step_logits"])  # (batch, steps)
        if "step_mask" in y_pred:
            step_loss = ops.where(ops.cast(y_pred["step_mask"], "bool"), step_loss, 0.0)
        clip_loss = ops.sum(step_loss, axis=1)  # (batch,)
        if sample_weight is not None:
            # (batch, 1) would broadcast against (batch,).
            weights = ops.reshape(ops.cast(sample_weight, clip_loss.dtype), (-1,))
            clip_loss = clip_loss * weights
        loss = ops.mean(clip_loss) + self._gaze_loss(y_pred, clip_loss.dtype)
        if self.batch_reduction == "sum":
            loss = loss * ops.cast(ops.shape(clip_loss)[0], loss.dtype)
        return loss

    def _gaze_loss(self, y_pred, dtype):
        """The second line of Eq. 7."""
        if not self.attention_penalty:
            return 0.0
        if "attention_weights" not in y_pred:
            raise ValueError(
                f"`attention_penalty` is {self.attention_penalty}, but {type(self).__name__} "
                "does not attend: compile it with 0."
            )
        maps = ops.cast(y_pred["attention_weights"], dtype)
        return attention_penalty(maps, self.attention_penalty, self.attention_penalty_reduction)

    def _cross_entropy(self, y, step_logits):
        """The cross-entropy of each step, `(batch, steps)`."""
        if self.multi_label:
            labels = ops.cast(y, step_logits.dtype)[:, None, :]
            # Stable form of -(y log p + (1 - y) log(1 - p)) for p = sigmoid(logits).
            each = ops.softplus(step_logits) - labels * step_logits
            return ops.sum(each, axis=2)
        labels = ops.cast(one_hot_labels(y, self.num_classes), step_logits.dtype)[:, None, :]
        return -ops.sum(labels * ops.log_softmax(step_logits), axis=2)

    def _check_targets(self, x, y):
        check_labels(y, self.num_classes, self.multi_label)

"""What every classifier of the zoo shares: answers per step, their mean, and the loss of Eq. 7.

Sharma et al., "Action Recognition using Visual Attention", 2015, sections 3.2, 3.3 and 4.2.
"""

import keras
from keras import ops

from glimpse.layers import attention_penalty


class StepClassifier(keras.Model):
    """A model that classifies every step of a clip and averages over the steps.

    A subclass computes `step_logits` from its inputs and returns `self.answer(...)`.
    `compile` and `fit` then minimise, as a mean over the clips of a batch (Eq. 7):

        L = - sum_t sum_i y[t, i] log yhat[t, i]
            + lambda * sum_i (1 - sum_t l[t, i])^2
            + gamma * sum_j theta[j]^2

    with lambda = `attention_penalty`, gamma = `weight_decay`, l the attention weights and theta
    all trainable weights. With `multi_label` the first line is the binary cross-entropy summed
    over the classes, and labels are vectors of 0 and 1, `(batch, classes)`.

    Args:
        num_classes: Number of classes, at least 1 (2 without `multi_label`).
        label_names: Name of each class, in the order of the outputs; saved with the model.
        multi_label: Whether a clip may have any number of labels: the step probabilities are then
            sigmoids, one a class, not a softmax over the classes.
        sampling: How the clips that the model was trained on were sampled, a dict such as
            `{"num_frames": 30, "frames_per_second": 30.0}`; saved with the model, and what the
            commands use where the user says nothing else.

    Raises:
        ValueError: If `num_classes` is too small, or `label_names` has another length or repeats.
    """

    def __init__(self, num_classes, label_names=None, multi_label=False, sampling=None, **kwargs):
        super().__init__(**kwargs)
        least = 1 if multi_label else 2
        if not isinstance(num_classes, int) or num_classes < least:
            raise ValueError(
                f"`num_classes` must be an integer of at least {least}, got {num_classes!r}."
            )
        if label_names is not None:
            label_names = [str(name) for name in label_names]
            if len(label_names) != num_classes or len(set(label_names)) != num_classes:
                raise ValueError(
                    f"`label_names` must hold {num_classes} different names, one a class; "
                    f"got {len(label_names)}: {label_names}."
                )
        self.supports_masking = True
        self.num_classes = num_classes
        self.label_names = label_names
        self.multi_label = multi_label
        self.sampling = None if sampling is None else dict(sampling)
        self.attention_penalty = 0.0
        self.weight_decay = 0.0

    def answer(self, step_logits, mask=None, attention_weights=None):
        """Returns the outputs that every classifier has.

        Args:
            step_logits: `(batch, steps, classes)`.
            mask: `(batch, steps)`, True where the step is real.
            attention_weights: The model's attention maps, if it has any.

        Returns:
            A dict of `probabilities (batch, classes)` (mean over the real steps; zeros for a clip
            without one), `logits` (their log), `step_logits`, `step_probabilities
            (batch, steps, classes)` and, if given, `attention_weights` and the mask as `step_mask`.
        """
        if keras.backend.standardize_dtype(step_logits.dtype) in ("float16", "bfloat16"):
            step_logits = ops.cast(step_logits, "float32")
        activation = ops.sigmoid if self.multi_label else ops.softmax
        step_probabilities = activation(step_logits)
        if mask is None:
            probabilities = ops.mean(step_probabilities, axis=1)
        else:
            real = ops.cast(mask, step_probabilities.dtype)
            steps = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
            probabilities = ops.sum(step_probabilities * real[:, :, None], axis=1) / steps
        outputs = {
            "probabilities": probabilities,
            "logits": ops.log(ops.maximum(probabilities, keras.config.epsilon())),
            "step_logits": step_logits,
            "step_probabilities": step_probabilities,
        }
        if mask is not None:
            outputs["step_mask"] = mask
        if attention_weights is not None:
            outputs["attention_weights"] = attention_weights
        return outputs

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
            clip_loss = clip_loss * ops.cast(sample_weight, clip_loss.dtype)
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

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "label_names": self.label_names,
            "multi_label": self.multi_label,
            "sampling": self.sampling,
        }

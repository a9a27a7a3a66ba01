"""What every classifier of the zoo shares: answers per step, and their mean.

Sharma et al., "Action Recognition using Visual Attention", 2015, sections 3.2 and 4.2.
"""

import operator

import keras
from keras import ops

from glimpse.layers.soft_attention_lstm_cell import check_positive_integer
from glimpse.models.step_training import StepTraining


class StepClassifier(StepTraining):
    """A model that classifies every step of a clip and averages over the steps.

    A subclass computes `step_logits` from its inputs and returns `self.answer(...)`;
    `StepTraining` says how it is trained.

    Args:
        num_classes: Number of classes, at least 1 (2 without `multi_label`).
        label_names: Name of each class, in the order of the outputs; saved with the model.
        multi_label: Whether a clip may have any number of labels: the step probabilities are then
            sigmoids, one a class, not a softmax over the classes.
        sampling: How the clips that the model was trained on were sampled, a dict such as
            `{"num_frames": 30, "frames_per_second": 30.0}`; saved with the model, and what the
            commands use where the user says nothing else.
        scored_steps: Real steps at the end of a clip that `probabilities` is the mean over. None
            takes all, as the paper does; the released code takes 16 on HMDB-51 and Hollywood2,
            and trains on all. Subclasses hand it on with their other keywords.

    Raises:
        ValueError: If `num_classes` or `scored_steps` is too small, or `label_names` has another
            length or repeats.

    `input_names` holds what the model reads, in the order of its call. A model with one name is
    called with the tensor itself, a model with several with a dict of tensors by these names.
    """

    input_names = ("features",)

    def __init__(
        self,
        num_classes,
        label_names=None,
        multi_label=False,
        sampling=None,
        scored_steps=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if scored_steps is not None:
            check_positive_integer("scored_steps", scored_steps)
        least = 1 if multi_label else 2
        try:
            whole = operator.index(num_classes)
        except TypeError:
            whole = 0
        if whole < least:
            raise ValueError(
                f"`num_classes` must be an integer of at least {least}, got {num_classes!r}."
            )
        num_classes = whole
        if label_names is not None:
            label_names = [str(name) for name in label_names]
            if len(label_names) != num_classes or len(set(label_names)) != num_classes:
                raise ValueError(
                    f"`label_names` must hold {num_classes} different names, one a class; "
                    f"got {len(label_names)}: {label_names}."
                )
        self.num_classes = num_classes
        self.label_names = label_names
        self.multi_label = multi_label
        self.sampling = None if sampling is None else dict(sampling)
        self.scored_steps = scored_steps

    def answer(self, step_logits, mask=None, attention_weights=None):
        """Returns the outputs that every classifier has.

        Args:
            step_logits: `(batch, steps, classes)`.
            mask: `(batch, steps)`, True where the step is real.
            attention_weights: The model's attention maps, if it has any.

        Returns:
            A dict of `probabilities (batch, classes)` (mean over the scored real steps; zeros for
            a clip without one), `logits` (their log), `step_logits`, `step_probabilities
            (batch, steps, classes)` and, if given, `attention_weights` and the mask as `step_mask`.
        """
        if keras.backend.standardize_dtype(step_logits.dtype) in ("float16", "bfloat16"):
            step_logits = ops.cast(step_logits, "float32")
        activation = ops.sigmoid if self.multi_label else ops.softmax
        step_probabilities = activation(step_logits)
        probabilities = self._clip_probabilities(step_probabilities, mask)
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

    def _clip_probabilities(self, step_probabilities, mask):
        """The mean over the real steps, or the last `scored_steps` of them."""
        if mask is None:
            if self.scored_steps is not None:
                step_probabilities = step_probabilities[:, -self.scored_steps :]
            return ops.mean(step_probabilities, axis=1)
        if len(mask.shape) != 2 or any(
            None not in pair and pair[0] != pair[1]
            for pair in zip(mask.shape, step_probabilities.shape[:2], strict=True)
        ):
            raise ValueError(
                f"`mask` must be (batch, steps), {tuple(step_probabilities.shape[:2])}; "
                f"got shape {tuple(mask.shape)}."
            )
        real = ops.cast(mask, "int32")
        if self.scored_steps is not None:
            from_end = ops.flip(ops.cumsum(ops.flip(real, axis=1), axis=1), axis=1)
            real = real * ops.cast(from_end <= self.scored_steps, "int32")
        steps = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1)
        # Not a product: padding may hold NaN.
        kept = ops.where(real[:, :, None] > 0, step_probabilities, 0.0)
        return ops.sum(kept, axis=1) / ops.cast(steps, step_probabilities.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "label_names": self.label_names,
            "multi_label": self.multi_label,
            "sampling": self.sampling,
            "scored_steps": self.scored_steps,
        }

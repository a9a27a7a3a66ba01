"""What training of all the zoo's models shares: the terms on the weights and on the gaze."""

import keras
from keras import ops


class GazeTraining(keras.Model):
    """A model whose loss is what its answers add, and gamma times the sum of squared weights.

    A subclass has `clip_loss` (what the clips of a batch add), `_check_targets`, and names
    its choices of loss in `CHOICES` and the answer that other losses and metrics read in `SCORED`.
    """

    CHOICES = {}
    SCORED = None

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.attention_penalty = 0.0
        self.weight_decay = 0.0
        for name, (default, *_) in self.CHOICES.items():
            setattr(self, name, default)

    def compute_mask(self, *args, **kwargs):
        """The outputs have no mask: what a step's mask means is said by the outputs."""
        return None

    def configure_loss(self, loss, attention_penalty, weight_decay, **choices):
        """Checks and keeps what `compile` got for the model's own loss."""
        own = {"attention_penalty": attention_penalty, "weight_decay": weight_decay}
        for name, value in own.items():
            if not value >= 0:
                raise ValueError(f"`{name}` must be at least 0, got {value!r}.")
            if value and loss is not None:
                raise ValueError(
                    f"`{name}` belongs to the model's own loss, got {value!r} beside another "
                    "`loss`."
                )
            setattr(self, name, float(value))
        for name, value in choices.items():
            allowed = self.CHOICES[name]
            if value not in allowed:
                raise ValueError(f"`{name}` must be one of {', '.join(allowed)}, got {value!r}.")
            setattr(self, name, value)

    def get_compile_config(self):
        config = super().get_compile_config()
        if config:
            for name in ("attention_penalty", "weight_decay", *self.CHOICES):
                config[name] = getattr(self, name)
        return config

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**config)
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.fit`; targets given as arrays are checked before it starts."""
        self._check_given(x, y)
        validation = kwargs.get("validation_data")
        if isinstance(validation, (list, tuple)) and len(validation) > 1:
            self._check_given(*validation[:2])
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """As `keras.Model.evaluate`; targets given as arrays are checked before it starts."""
        self._check_given(x, y)
        return super().evaluate(x, y, *args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if self._has_other_loss():
            return super().compute_loss(x, y, y_pred[self.SCORED], sample_weight, training)
        self._check_given(x, y)
        loss = self.clip_loss(y, y_pred, sample_weight)
        return loss + ops.cast(self.weight_loss(), loss.dtype)

    def weight_loss(self):
        """Returns what the weights add to the loss, whatever the clips.

        With it what layers add to the loss themselves, as by `keras.regularizers`.
        """
        loss = 0.0
        if self.weight_decay:
            squares = [ops.sum(ops.square(weight)) for weight in self.trainable_variables]
            loss = self.weight_decay * sum(squares)
        for penalty in self.losses:
            loss = loss + ops.cast(penalty, "float32")
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, y_pred[self.SCORED], sample_weight)

    def _has_other_loss(self):
        return getattr(self, "_compile_loss", None) is not None

    def _check_given(self, x, y):
        if hasattr(y, "shape") and not self._has_other_loss():
            self._check_targets(x, y)

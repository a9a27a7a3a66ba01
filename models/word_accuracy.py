"""How often the likeliest word is right, the words before it given."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="glimpse")
class WordAccuracy(keras.metrics.Mean):
    """The share of real words, end tokens included, that have the largest logit of their step.

    Targets are token ids `(batch, words)`, 0 where a caption is over; answers are logits
    `(batch, words, vocabulary)` of a captioner that was given the words before.

    Args:
        name: Name in logs.
        dtype: Of the result.
    """

    def __init__(self, name="word_accuracy", dtype=None):
        super().__init__(name=name, dtype=dtype)
        self._direction = "up"

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Counts a batch; `sample_weight` `(batch,)` weighs captions."""
        y_true = ops.cast(y_true, "int32")
        hits = ops.equal(ops.cast(ops.argmax(y_pred, axis=-1), "int32"), y_true)
        real = ops.cast(y_true > 0, self.dtype)
        if sample_weight is not None:
            real = real * ops.reshape(ops.cast(sample_weight, self.dtype), (-1, 1))
        super().update_state(ops.cast(hits, self.dtype), sample_weight=real)

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}

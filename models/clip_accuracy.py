"""How often the most probable class is right."""

import keras
from keras import ops

from glimpse.models.clip_labels import are_many_hot


@keras.saving.register_keras_serializable(package="glimpse")
class ClipAccuracy(keras.metrics.MeanMetricWrapper):
    """The share of clips whose most probable class is the label, or one of the labels.

    Labels are classes' numbers, `(batch,)` or `(batch, 1)`, as for
    `keras.metrics.SparseCategoricalAccuracy`, or `(batch, classes)` of 0 and 1.

    Args:
        name: Name in logs.
        dtype: Of the result.
    """

    def __init__(self, name="accuracy", dtype=None):
        super().__init__(_hits, name=name, dtype=dtype)
        self._direction = "up"

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def _hits(labels, probabilities):
    """1 for each clip whose best class is right, `(batch,)`."""
    best = ops.argmax(probabilities, axis=1)
    if are_many_hot(labels, probabilities.shape[1]):
        found = ops.take_along_axis(ops.cast(labels, "float32"), ops.expand_dims(best, 1), axis=1)
        return ops.cast(ops.squeeze(found, axis=1) > 0.5, "float32")
    return ops.cast(ops.equal(ops.cast(ops.reshape(labels, (-1,)), best.dtype), best), "float32")

"""The classifier that reads the recurrence at every step.

Sharma et al., 2015, section 3.2: "yt, a softmax over the label classes with an additional hidden
layer with tanh activations".
"""

import keras

from glimpse.layers.soft_attention_lstm_cell import (
    check_dropout_rate,
    check_positive_integer,
    copy_initializer,
)


@keras.saving.register_keras_serializable(package="glimpse")
class StepHead(keras.layers.Layer):
    """Maps each step's hidden state to class logits through one tanh layer.

        logits[t] = W_y tanh(W_h h[t] + b_h) + b_y

    Dropout falls on h[t] and on the tanh layer's output.

    Args:
        num_classes: Number of logits.
        hidden_units: Size of the tanh layer.
        dropout: Rate in [0, 1).
        kernel_initializer: Of both kernels.

    Call arguments:
        hidden_states: `(batch, steps, units)`.

    Returns:
        Logits, `(batch, steps, num_classes)`.

    Raises:
        ValueError: If a size is no positive integer or `dropout` no rate.
    """

    def __init__(
        self,
        num_classes,
        hidden_units,
        dropout=0.0,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("num_classes", num_classes)
        check_positive_integer("hidden_units", hidden_units)
        check_dropout_rate("dropout", dropout)
        self.supports_masking = True
        self.num_classes = num_classes
        self.hidden_units = hidden_units
        self.dropout = dropout
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        policy = self.dtype_policy
        self.state_dropout = keras.layers.Dropout(dropout, dtype=policy, name="state_dropout")
        self.hidden = self._dense(hidden_units, "tanh", "hidden")
        self.hidden_dropout = keras.layers.Dropout(dropout, dtype=policy, name="hidden_dropout")
        self.classes = self._dense(num_classes, None, "classes")

    def build(self, hidden_states_shape):
        self.hidden.build(hidden_states_shape)
        self.classes.build((*hidden_states_shape[:-1], self.hidden_units))

    def call(self, hidden_states, training=None):
        hidden_states = self.state_dropout(hidden_states, training=training)
        hidden = self.hidden_dropout(self.hidden(hidden_states), training=training)
        return self.classes(hidden)

    def _dense(self, units, activation, name):
        return keras.layers.Dense(
            units,
            activation,
            # With a seed, one initializer would start both kernels from the same numbers.
            kernel_initializer=copy_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def compute_output_shape(self, hidden_states_shape):
        return (*hidden_states_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

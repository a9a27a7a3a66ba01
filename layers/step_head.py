"""The classifier that reads the recurrence at every step.

Sharma et al., 2015, section 3.2: "yt, a softmax over the label classes with an additional hidden
layer with tanh activations".
"""

import keras


@keras.saving.register_keras_serializable(package="glimpse")
class StepHead(keras.layers.Layer):
    """Maps each step's hidden state to class logits through one tanh layer.

        logits[t] = W_y tanh(W_h h[t] + b_h) + b_y

    Dropout falls on h[t] and on the tanh layer's output.

    Args:
        num_classes: Number of logits.
        hidden_units: Size of the tanh layer.
        dropout: Rate in [0, 1).

    Call arguments:
        hidden_states: `(batch, steps, units)`.

    Returns:
        Logits, `(batch, steps, num_classes)`.
    """

    def __init__(self, num_classes, hidden_units, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(hidden_units, int) or hidden_units < 1:
            raise ValueError(f"`hidden_units` must be a positive integer, got {hidden_units!r}.")
        self.supports_masking = True
        self.num_classes = num_classes
        self.hidden_units = hidden_units
        self.dropout = dropout
        policy = self.dtype_policy
        self.state_dropout = keras.layers.Dropout(dropout, dtype=policy, name="state_dropout")
        self.hidden = keras.layers.Dense(hidden_units, "tanh", dtype=policy, name="hidden")
        self.hidden_dropout = keras.layers.Dropout(dropout, dtype=policy, name="hidden_dropout")
        self.classes = keras.layers.Dense(num_classes, dtype=policy, name="classes")

    def build(self, hidden_states_shape):
        self.hidden.build(hidden_states_shape)
        self.classes.build((*hidden_states_shape[:-1], self.hidden_units))

    def call(self, hidden_states, training=None):
        hidden_states = self.state_dropout(hidden_states, training=training)
        hidden = self.hidden_dropout(self.hidden(hidden_states), training=training)
        return self.classes(hidden)

    def compute_output_shape(self, hidden_states_shape):
        return (*hidden_states_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_units": self.hidden_units,
            "dropout": self.dropout,
        }

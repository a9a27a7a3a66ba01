"""The classifier that reads a recurrence of maps at every step.

Yan et al., "CHAM: action recognition using convolutional hierarchical attention model", 2017,
https://arxiv.org/abs/1705.03146, section 2.2.
"""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_rank
from glimpse.layers.soft_attention_lstm_cell import check_dropout_rate, check_positive_integer

_SWITCHES = {
    "hidden_activation": ("tanh", "relu"),
    "spatial_pooling": ("average", "blocks_2x2", "flatten"),
    "head_order": ("dense_first", "pooling_first"),
    "logits_activation": (None, "relu"),
}


@keras.saving.register_keras_serializable(package="glimpse")
class MapHead(keras.layers.Layer):
    """Maps each step's map of states to class logits through dense layers and a pooling.

        logits[t] = W_y pool(tanh(W_h h[t] + b_h)) + b_y        head_order="dense_first"
        logits[t] = W_y tanh(W_h pool(h[t]) + b_h) + b_y        head_order="pooling_first"

    where W_h is the same at every place of the map. "The output features ... are concatenated
    before forwarding to the fully connected layers and an average pooling layer. Then a softmax
    classifier is connected" (section 2.2): the paper leaves open how many layers there are, how
    wide, with which activation, in which order, and what the average runs over. Its loss (Eq. 9)
    has an answer for every step, so here it runs over the places of a map.

    Args:
        num_classes: Number of logits.
        hidden_units: Size of each hidden dense layer (W_h, b_h).
        hidden_layers: Number of them; 0 leaves the layer of the classes alone.
        hidden_activation: "tanh" or "relu".
        spatial_pooling: "average" over all places; "blocks_2x2", the average of every 2 x 2
            places (of what there is at an odd edge), flattened; or "flatten", no average at all.
        head_order: "dense_first" applies the hidden layers at every place, then pools, in the
            order of the paper's sentence; "pooling_first" pools first, as its Fig. 2 draws.
        logits_activation: None, or "relu" on the logits.
        dropout: Share dropped of what enters the layer of the classes, in [0, 1).

    Call arguments:
        hidden_states: `(batch, steps, height, width, filters)`.

    Returns:
        Logits, `(batch, steps, num_classes)`.

    Raises:
        ValueError: If an argument is out of its range, or a pooling that keeps places gets maps of
            unknown size.
    """

    def __init__(
        self,
        num_classes,
        hidden_units,
        hidden_layers=1,
        hidden_activation="tanh",
        spatial_pooling="average",
        head_order="dense_first",
        logits_activation=None,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("num_classes", num_classes)
        check_positive_integer("hidden_units", hidden_units)
        if hidden_layers != 0:
            check_positive_integer("hidden_layers", hidden_layers)
        check_dropout_rate("dropout", dropout)
        self.supports_masking = True
        self.num_classes = num_classes
        self.hidden_units = hidden_units
        self.hidden_layers = hidden_layers
        self.hidden_activation = hidden_activation
        self.spatial_pooling = spatial_pooling
        self.head_order = head_order
        self.logits_activation = logits_activation
        self.dropout = dropout
        for name, allowed in _SWITCHES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(map(repr, allowed))}; "
                    f"received {getattr(self, name)!r}."
                )
        policy = self.dtype_policy
        self.hidden = [
            keras.layers.Dense(hidden_units, hidden_activation, dtype=policy, name=f"hidden_{n}")
            for n in range(1, hidden_layers + 1)
        ]
        self.output_dropout = keras.layers.Dropout(dropout, dtype=policy, name="output_dropout")
        self.classes = keras.layers.Dense(
            num_classes, logits_activation, dtype=policy, name="classes"
        )

    def build(self, hidden_states_shape):
        check_rank("hidden_states", hidden_states_shape, "(batch, steps, height, width, filters)")
        *_, height, width, _ = shape = hidden_states_shape
        if self.spatial_pooling != "average" and None in (height, width):
            raise ValueError(
                f"`spatial_pooling`={self.spatial_pooling!r} needs maps of known height and width; "
                f"received shape {tuple(shape)}."
            )
        if self.head_order == "pooling_first":
            shape = self._pooled_shape(shape)
        for layer in self.hidden:
            layer.build(shape)
            shape = (*shape[:-1], self.hidden_units)
        if self.head_order == "dense_first":
            shape = self._pooled_shape(shape)
        self.classes.build(shape)

    def call(self, hidden_states, training=None):
        values = hidden_states
        if self.head_order == "pooling_first":
            values = self._pool(values)
        for layer in self.hidden:
            values = layer(values)
        if self.head_order == "dense_first":
            values = self._pool(values)
        return self.classes(self.output_dropout(values, training=training))

    def _pool(self, maps):
        if self.spatial_pooling == "average":
            return ops.mean(maps, axis=(2, 3))
        batch, steps, height, width, channels = ops.shape(maps)
        if self.spatial_pooling == "blocks_2x2":
            maps = ops.reshape(maps, (-1, height, width, channels))
            maps = ops.average_pool(maps, 2, strides=2, padding="same")
        places = self._places(height, width)
        return ops.reshape(maps, (batch, steps, places * channels))

    def _places(self, height, width):
        """How many places pooling leaves."""
        if self.spatial_pooling == "blocks_2x2":
            return -(-height // 2) * -(-width // 2)
        return 1 if self.spatial_pooling == "average" else height * width

    def _pooled_shape(self, shape):
        *leading, height, width, channels = shape
        return (*leading, self._places(height, width) * channels)

    def compute_output_shape(self, hidden_states_shape):
        return (*hidden_states_shape[:2], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden_units": self.hidden_units,
            "hidden_layers": self.hidden_layers,
            "hidden_activation": self.hidden_activation,
            "spatial_pooling": self.spatial_pooling,
            "head_order": self.head_order,
            "logits_activation": self.logits_activation,
            "dropout": self.dropout,
        }

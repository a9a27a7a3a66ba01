"""The arguments of the caption decoder and the weights they ask for.

Sharma, "Action Recognition and Video Description using Visual Attention", 2016, chapter 3.
"""

import keras

from glimpse.layers.initial_state import InitialState
from glimpse.layers.mask_reader import MaskReader
from glimpse.layers.peephole_lstm_cell import add_lstm_weights
from glimpse.layers.shape_checks import check_rank
from glimpse.layers.soft_attention_lstm_cell import (
    check_dropout_rate,
    check_positive_integer,
    copy_initializer,
)


class CaptionWeights(keras.layers.Layer):
    """What `GatedCaptionDecoder` is made of, before it computes anything; see there."""

    peepholes = False

    def __init__(
        self,
        vocabulary_size,
        units,
        embedding_dim,
        attention="state",
        context="attention",
        dropout=0.0,
        attention_units=None,
        deep_output="paper",
        initial_state_units=None,
        gate_units=None,
        initial_gate_bias=None,
        embedding_initializer="uniform",
        kernel_initializer="glorot_uniform",
        recurrent_initializer="orthogonal",
        bias_initializer="zeros",
        unit_forget_bias=True,
        embedding_regularizer=None,
        kernel_regularizer=None,
        recurrent_regularizer=None,
        bias_regularizer=None,
        embedding_constraint=None,
        kernel_constraint=None,
        recurrent_constraint=None,
        bias_constraint=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_integer("vocabulary_size", vocabulary_size)
        check_positive_integer("units", units)
        check_positive_integer("embedding_dim", embedding_dim)
        if attention_units is not None:
            check_positive_integer("attention_units", attention_units)
        if gate_units is not None:
            check_positive_integer("gate_units", gate_units)
        if initial_state_units != 0 and initial_state_units is not None:
            check_positive_integer("initial_state_units", initial_state_units)
        check_choice("attention", attention, ("state", "content"))
        check_choice("context", context, ("attention", "average", "first_step"))
        check_choice("deep_output", deep_output, ("paper", "reference"))
        check_dropout_rate("dropout", dropout)
        self.vocabulary_size = vocabulary_size
        self.units = units
        self.embedding_dim = embedding_dim
        self.attention = attention
        self.context = context
        self.dropout = dropout
        self.attention_units = attention_units
        self.deep_output = deep_output
        self.initial_state_units = initial_state_units
        self.gate_units = gate_units
        self.initial_gate_bias = initial_gate_bias
        self.embedding_initializer = keras.initializers.get(embedding_initializer)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.unit_forget_bias = unit_forget_bias
        self.embedding_regularizer = keras.regularizers.get(embedding_regularizer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.embedding_constraint = keras.constraints.get(embedding_constraint)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None
        self.supports_masking = True
        self.scores_by = None if context == "average" else attention
        self.mask_reader = MaskReader(name="mask_reader")
        self.first_states = InitialState(
            units,
            2,
            initial_state_units,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
            dtype=self.dtype_policy,
            name="first_states",
        )

    def build(
        self,
        features_shape,
        token_ids_shape=None,
        mask_shape=None,
        features_mask_shape=None,
        attention_override_shape=None,
    ):
        check_rank("features", features_shape, "(batch, regions, features)")
        batch, regions, features = features_shape
        if self.scores_by == "state" and regions is None:
            raise ValueError(
                '`features` must have a known number of regions with attention="state"; received '
                f"shape {tuple(features_shape)}."
            )
        self._add_weights(regions, features)
        self.first_states.build((batch, regions, 1, features))

    def _add_weights(self, regions, features):
        units, embedding_dim = self.units, self.embedding_dim

        def add_kernel(name, *shape, kind="kernel"):
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=copy_initializer(getattr(self, f"{kind}_initializer")),
                regularizer=getattr(self, f"{kind}_regularizer"),
                constraint=getattr(self, f"{kind}_constraint"),
            )
            setattr(self, name, weight)

        def add_bias(name, size, start=None):
            constant = None if start is None else keras.initializers.Constant(start)
            bias = self.add_weight(
                name=name,
                shape=(size,),
                initializer=constant or self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            setattr(self, name, bias)

        add_kernel("embedding", self.vocabulary_size, embedding_dim, kind="embedding")
        add_lstm_weights(self, embedding_dim + features)
        if self.scores_by == "state":
            add_kernel("attention_kernel", units, regions)
        elif self.scores_by == "content":
            size = self.attention_units or units
            add_kernel("value_kernel", features, size)
            add_kernel("query_kernel", units, size)
            add_bias("attention_bias", size)
            add_kernel("score_kernel", size, 1)
        gate_units = self.gate_units or units
        add_kernel("gate_hidden_kernel", units, gate_units)
        add_bias("gate_hidden_bias", gate_units)
        add_kernel("gate_kernel", gate_units, 1)
        add_bias("gate_bias", 1, self.initial_gate_bias)
        add_kernel("hidden_output_kernel", units, embedding_dim)
        add_kernel("context_output_kernel", features, embedding_dim)
        add_kernel("output_kernel", embedding_dim, self.vocabulary_size)
        if self.deep_output == "reference":
            add_bias("hidden_output_bias", embedding_dim)
            add_bias("output_bias", self.vocabulary_size)

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "units": self.units,
            "embedding_dim": self.embedding_dim,
            "attention": self.attention,
            "context": self.context,
            "dropout": self.dropout,
            "attention_units": self.attention_units,
            "deep_output": self.deep_output,
            "initial_state_units": self.initial_state_units,
            "gate_units": self.gate_units,
            "initial_gate_bias": self.initial_gate_bias,
            "embedding_initializer": keras.initializers.serialize(self.embedding_initializer),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "unit_forget_bias": self.unit_forget_bias,
            "embedding_regularizer": keras.regularizers.serialize(self.embedding_regularizer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "embedding_constraint": keras.constraints.serialize(self.embedding_constraint),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }


def check_choice(name, value, choices):
    """Raises a ValueError that names the argument unless its value is one of the choices."""
    if value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}; received {value!r}.")

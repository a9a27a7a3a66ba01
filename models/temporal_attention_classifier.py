"""The model of Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017."""

import keras
from keras import ops

from glimpse.layers import TemporalAttentionLSTM
from glimpse.layers.attention_override import check_override_shape
from glimpse.layers.mask_reader import MaskReader
from glimpse.layers.shape_checks import check_mask, check_rank, check_shape
from glimpse.layers.temporal_attention import clear_padding
from glimpse.models.step_classifier import StepClassifier

# Sizes of section 4.1, with inputs of 4096 numbers; `small` is ours, for the `small` backbone.
_SMALL = {"units": 128, "attention_units": 64, "input_units": 0, "dropout": 0.1}
_BASE = {"units": 512, "attention_units": 512}
VARIANTS = {
    "temporal_attention_small": _SMALL,
    "temporal_attention_last_step_small": {**_SMALL, "fusion": "last_step"},
    "temporal_attention_base": _BASE,
    "temporal_attention_last_step_base": {**_BASE, "fusion": "last_step"},
}


@keras.saving.register_keras_serializable(package="glimpse")
class TemporalAttentionClassifier(StepClassifier):
    """Classifies a clip from one sequence of features while it attends to another.

    Per step t: a sigmoid layer on the input data v[t] (section 4.1), weights w[t] of the attended
    frames from the last hidden state (Eq. 3-5), an LSTM step on both (Eq. 6-12), and a softmax over
    the classes (Eq. 13); then the mean over the steps (section 3.4). In variant (b) of section 4.3
    the last step alone attends and answers.

    Args:
        num_classes: Number of classes.
        units: Size of the LSTM; the paper's 512.
        attention_units: Size of the matching vector; default `units`, as in the paper.
        input_units: Size of the sigmoid layer before the LSTM. Default: that of the input data,
            as in the paper (4096); 0 leaves the layer out.
        fusion: `"every_step"` (a) or `"last_step"` (b), Fig. 4.
        dropout: Rate in [0, 1): of the sigmoid layer's output and of the context, as they enter
            the LSTM, and of the hidden states before the classes.
        peepholes: Whether the LSTM's gates see its cell state, as in Blocks, in which the authors
            wrote their model; the paper's Eq. 7-9 have no such term.
        learned_initial_state: Whether the LSTM starts from weights, as in Blocks, not from zero.
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels, as in Hollywood2.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        inputs: The input data, `(batch, steps, input_features)`. As `fit` and `predict` pass one
            first argument, it may also be a dict of `inputs` and `attended`, or a list of the two.
        attended: The attended data, `(batch, frames, features)`, of as many frames as one likes.
        mask: `(batch, steps)`, True where the step is real; with a dict or list of inputs it may
            be a dict or list of both masks.
        attended_mask: `(batch, frames)`, True where the attended frame is real.
        attention_override: `(batch, steps, frames)`, maps to use in place of the model's own; a
            row of NaN keeps the model's. With `"last_step"` there is one step.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, steps,
        classes)`, `step_probabilities` and `attention_weights (batch, steps, frames)`. With
        `"last_step"` there is one step.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    input_names = ("inputs", "attended")

    def __init__(
        self,
        num_classes,
        units=512,
        attention_units=None,
        input_units=None,
        fusion="every_step",
        dropout=0.5,
        peepholes=False,
        learned_initial_state=False,
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        check_input_units(input_units)
        self.units = units
        self.attention_units = attention_units
        self.input_units = input_units
        self.fusion = fusion
        self.dropout = dropout
        self.peepholes = peepholes
        self.learned_initial_state = learned_initial_state
        policy = self.dtype_policy
        self.input_layer = None
        self.mask_reader = MaskReader(name="mask_reader")
        self.recurrence = TemporalAttentionLSTM(
            units,
            attention_units=attention_units,
            dropout=dropout,
            peepholes=peepholes,
            fusion=fusion,
            learned_initial_state=learned_initial_state,
            dtype=policy,
            name="recurrence",
        )
        self.state_dropout = keras.layers.Dropout(dropout, dtype=policy, name="state_dropout")
        self.classes = keras.layers.Dense(self.num_classes, dtype=policy, name="classes")

    def build(
        self,
        inputs_shape,
        attended_shape=None,
        mask_shape=None,
        attended_mask_shape=None,
        attention_override_shape=None,
    ):
        inputs_shape, attended_shape = split_pair(inputs_shape, attended_shape)
        check_rank("inputs", inputs_shape, "(batch, steps, input_features)")
        check_rank("attended", attended_shape, "(batch, frames, features)")
        if self.input_units != 0:
            width = self.input_units or inputs_shape[-1]
            self.input_layer = keras.layers.Dense(
                width, "sigmoid", dtype=self.dtype_policy, name="input_layer"
            )
            self.input_layer.build(inputs_shape)
            inputs_shape = (*inputs_shape[:-1], width)
        self.recurrence.build(inputs_shape, attended_shape)
        self.classes.build((*inputs_shape[:-1], self.units))

    def call(
        self,
        inputs,
        attended=None,
        mask=None,
        attended_mask=None,
        training=None,
        attention_override=None,
    ):
        inputs, attended = split_pair(inputs, attended)
        if isinstance(mask, (dict, list, tuple)):
            mask, attended_mask = split_pair(mask, attended_mask)
        if mask is None:  # Keras fills `mask` in for models of one argument alone.
            mask = self.mask_reader(inputs)
        first = self.recurrence.cell if self.input_layer is None else self.input_layer
        axes, features = "(batch, steps, input_features)", first.kernel.shape[0]
        check_shape("inputs", inputs.shape, axes, input_features=features)
        features = self.recurrence.cell.context_kernel.shape[0]
        sizes = {"batch": inputs.shape[0], "features": features}
        check_shape("attended", attended.shape, "(batch, frames, features)", **sizes)
        if mask is not None:
            mask = check_mask("mask", mask, "the inputs'", inputs.shape[:2])
            inputs = clear_padding(inputs, mask)
        if attended_mask is not None:
            shape = attended.shape[:2]
            attended_mask = check_mask("attended_mask", attended_mask, "the attended", shape)
        hidden_states, attention_weights = self.recurrence(
            inputs if self.input_layer is None else self.input_layer(inputs),
            attended,
            mask=mask,
            values_mask=attended_mask,
            training=training,
            attention_override=self._spread(attention_override, inputs, attended),
        )
        if self.fusion == "last_step":
            # Masked steps repeat the state of the last real one, and the others' maps are zero.
            hidden_states = hidden_states[:, -1:]
            attention_weights = ops.sum(attention_weights, axis=1, keepdims=True)
            mask = None if mask is None else ops.any(mask, axis=1, keepdims=True)
        step_logits = self.classes(self.state_dropout(hidden_states, training=training))
        return self.answer(step_logits, mask, attention_weights)

    def _spread(self, attention_override, inputs, attended):
        """The override for every step of the LSTM, of which the last reads it in variant (b)."""
        if attention_override is None or self.fusion == "every_step":
            return attention_override
        check_override_shape(attention_override.shape, (inputs.shape[0], 1, attended.shape[1]))
        batch, steps = ops.shape(inputs)[:2]
        return ops.broadcast_to(attention_override, (batch, steps, ops.shape(attended)[1]))

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "attention_units": self.attention_units,
            "input_units": self.input_units,
            "fusion": self.fusion,
            "dropout": self.dropout,
            "peepholes": self.peepholes,
            "learned_initial_state": self.learned_initial_state,
        }


def split_pair(inputs, attended):
    """What belongs to the input data and what to the attended data, however they were passed."""
    names = TemporalAttentionClassifier.input_names
    if attended is None and isinstance(inputs, dict):
        if set(inputs) != set(names):
            raise ValueError(
                f"`inputs` must hold {' and '.join(names)}; received {sorted(inputs)}."
            )
        return tuple(inputs[name] for name in names)
    if attended is None and isinstance(inputs, (list, tuple)) and len(inputs) == 2:
        return tuple(inputs)
    if attended is None:
        raise ValueError(
            "`attended` must be given, or `inputs` be a dict of inputs and attended or a list of "
            f"the two; received {type(inputs).__name__} alone."
        )
    return inputs, attended


def check_input_units(input_units):
    """Raises ValueError unless it is None or an integer of at least 0."""
    whole = isinstance(input_units, int) and not isinstance(input_units, bool)
    if input_units is not None and (not whole or input_units < 0):
        raise ValueError(
            f"`input_units` must be None or an integer of at least 0; received {input_units!r}."
        )

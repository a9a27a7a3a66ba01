"""The vanilla LSTM of Torabi, Sigal, "Action Classification and Highlighting in Videos", 2017."""

import keras
from keras import ops

from glimpse.layers.peephole_lstm_cell import PeepholeLSTMCell
from glimpse.layers.shape_checks import check_mask, check_rank, check_shape
from glimpse.layers.temporal_attention import clear_padding
from glimpse.models.step_classifier import StepClassifier
from glimpse.models.temporal_attention_classifier import check_input_units

# The sizes of the model that attends, so that the attention is all they differ in.
VARIANTS = {
    "lstm_small": {"units": 128, "input_units": 0, "dropout": 0.1},
    "lstm_base": {"units": 512},
}


@keras.saving.register_keras_serializable(package="glimpse")
class LSTMClassifier(StepClassifier):
    """Classifies a clip from one sequence of features, without attention.

    `TemporalAttentionClassifier` without attended data: a sigmoid layer on the input data, an LSTM
    (Eq. 7-12), a softmax over the classes at each step (Eq. 13), and the mean over the steps.

    Args:
        num_classes: Number of classes.
        units: Size of the LSTM.
        input_units: Size of the sigmoid layer before the LSTM. Default: that of the input data,
            as in the paper (4096); 0 leaves the layer out.
        dropout: Rate in [0, 1): of what enters the LSTM, and of the hidden states before the
            classes.
        peepholes: Whether the LSTM's gates see its cell state, as in Blocks, in which the authors
            wrote their model; the paper's Eq. 7-9 have no such term.
        learned_initial_state: Whether the LSTM starts from weights, as in Blocks, not from zero.
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        inputs: `(batch, steps, input_features)`.
        mask: `(batch, steps)`, True where the step is real.
        attention_override: Must be None: this model has no gaze to override.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, steps,
        classes)` and `step_probabilities`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    input_names = ("inputs",)

    def __init__(
        self,
        num_classes,
        units=512,
        input_units=None,
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
        self.input_units = input_units
        self.dropout = dropout
        self.peepholes = peepholes
        self.learned_initial_state = learned_initial_state
        policy = self.dtype_policy
        self.input_layer = None
        self.input_dropout = keras.layers.Dropout(dropout, dtype=policy, name="input_dropout")
        options = {"return_sequences": True, "dtype": policy, "name": "recurrence"}
        if peepholes:
            cell = PeepholeLSTMCell(units, dtype=policy, name="cell")
            self.recurrence = keras.layers.RNN(cell, **options)
        else:
            self.recurrence = keras.layers.LSTM(units, **options)
        self.state_dropout = keras.layers.Dropout(dropout, dtype=policy, name="state_dropout")
        self.classes = keras.layers.Dense(self.num_classes, dtype=policy, name="classes")

    def build(self, inputs_shape, mask_shape=None, attention_override_shape=None):
        check_rank("inputs", inputs_shape, "(batch, steps, input_features)")
        if self.input_units != 0:
            width = self.input_units or inputs_shape[-1]
            self.input_layer = keras.layers.Dense(
                width, "sigmoid", dtype=self.dtype_policy, name="input_layer"
            )
            self.input_layer.build(inputs_shape)
            inputs_shape = (*inputs_shape[:-1], width)
        self.recurrence.build(tuple(inputs_shape))
        if self.learned_initial_state:
            units = (self.units,)
            self.first_hidden_state = self.add_weight(units, "zeros", name="first_hidden_state")
            self.first_cell_state = self.add_weight(units, "zeros", name="first_cell_state")
        self.classes.build((*inputs_shape[:-1], self.units))

    def call(self, inputs, mask=None, training=None, attention_override=None):
        if attention_override is not None:
            raise ValueError("`attention_override` must be None: a plain LSTM has no gaze.")
        first = self.recurrence.cell if self.input_layer is None else self.input_layer
        axes, features = "(batch, steps, input_features)", first.kernel.shape[0]
        check_shape("inputs", inputs.shape, axes, input_features=features)
        states = None
        if mask is not None:
            mask = check_mask("mask", mask, "the inputs'", inputs.shape[:2])
            inputs = clear_padding(inputs, mask)
        if self.learned_initial_state:
            states = [
                ops.broadcast_to(
                    ops.cast(state, self.compute_dtype), (ops.shape(inputs)[0], self.units)
                )
                for state in (self.first_hidden_state, self.first_cell_state)
            ]
        if self.input_layer is not None:
            inputs = self.input_layer(inputs)
        hidden_states = self.recurrence(
            self.input_dropout(inputs, training=training),
            mask=mask,
            initial_state=states,
            training=training,
        )
        step_logits = self.classes(self.state_dropout(hidden_states, training=training))
        return self.answer(step_logits, mask)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "input_units": self.input_units,
            "dropout": self.dropout,
            "peepholes": self.peepholes,
            "learned_initial_state": self.learned_initial_state,
        }

"""C3D with its own classes: the CNN baseline of Torabi, Sigal, "Action Classification and
Highlighting in Videos", 2017, section 4.1.
"""

import keras
from keras import ops

from glimpse.layers.shape_checks import check_mask
from glimpse.layers.soft_attention_lstm_cell import check_dropout_rate
from glimpse.layers.temporal_attention import clear_padding
from glimpse.models.c3d import C3D
from glimpse.models.keras_file import load_keras_file
from glimpse.models.step_classifier import StepClassifier

VARIANTS = {
    # Trained from scratch on few clips; it sees the whole frame.
    "c3d_small": {
        "filters": (8, 16, 32, 32, 32),
        "units": 64,
        "frame_size": (56, 56),
        "input_size": (56, 56),
        "scale": 1 / 127.5,
        "dropout": 0.1,
    },
    # What the weights of Sports-1M fit.
    "c3d_base": {"mean": "cube"},
}
_CHUNK = C3D.frames_per_input


@keras.saving.register_keras_serializable(package="glimpse")
class C3DClassifier(StepClassifier):
    """Classifies each chunk of 16 frames by C3D, then averages over the chunks.

    The paper fine-tunes C3D, trained on Sports-1M, with a new last layer; `load_backbone` takes
    over the weights of a converted file.

    Args:
        num_classes: Number of classes.
        mean: "cube" for the weight `mean_cube`, which the weights of Sports-1M need, or three
            numbers, for B, G and R. The cube is no parameter to `count_params`, as in `C3D`.
        scale: Factor on the pixels minus the mean; 1 for the weights of Sports-1M.
        filters: Of the convolutions of C3D's five blocks.
        units: Of `fc6` and `fc7`.
        frame_size: (height, width) that frames are resized to.
        input_size: (height, width) of their centre that the network reads.
        dropout: Rate in [0, 1), after `fc6` and `fc7`.
        label_names: Name of each class.
        multi_label: Whether a clip may have several labels.
        sampling: How the training clips were sampled; see `StepClassifier`.

    Call arguments:
        frames: `(batch, frames, height, width, 3)`, RGB, 0 to 255, of any size; the number of
            frames is a multiple of 16, and a step is 16 frames.
        mask: `(batch, steps)`, True where the chunk is real.
        attention_override: Must be None: this model has no gaze to override.

    Returns:
        A dict of `probabilities (batch, classes)`, `logits`, `step_logits (batch, steps,
        classes)` and `step_probabilities`.

    Raises:
        ValueError: If an argument is out of its range or a shape does not fit.
    """

    input_names = ("frames",)

    def __init__(
        self,
        num_classes,
        mean=(127.5, 127.5, 127.5),
        scale=1.0,
        filters=(64, 128, 256, 512, 512),
        units=4096,
        frame_size=(128, 171),
        input_size=(112, 112),
        dropout=0.5,
        label_names=None,
        multi_label=False,
        sampling=None,
        **kwargs,
    ):
        super().__init__(num_classes, label_names, multi_label, sampling, **kwargs)
        check_dropout_rate("dropout", dropout)
        self.mean = mean
        self.scale = scale
        self.filters = filters
        self.units = units
        self.frame_size = frame_size
        self.input_size = input_size
        self.dropout = dropout
        self.backbone = C3D(
            output="fc7", **self._sizes(), dropout=dropout, dtype=self.dtype_policy, name="backbone"
        )
        self.fc7_dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.classes = keras.layers.Dense(self.num_classes, dtype=self.dtype_policy, name="classes")

    def load_backbone(self, source):
        """Takes over every weight of a C3D but its classes, as fine-tuning begins.

        Args:
            source: A `C3D`, or the path of the `.keras` file of one, such as `glimpse convert`
                writes; up to `fc7` or further.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is another model, or was made with other sizes or another mean.
        """
        if not isinstance(source, keras.Model):
            source = load_keras_file(source, compile=False)
        if not isinstance(source, C3D):
            raise ValueError(f"`source` must be a C3D, got a {type(source).__name__}.")
        theirs, ours = source.get_config(), self.backbone.get_config()
        for name in self._sizes():
            if theirs[name] != ours[name]:
                raise ValueError(
                    f"`source` has `{name}` = {theirs[name]}, and this model {ours[name]}."
                )
        known = {_layer_and_weight(weight): weight for weight in source.weights}
        for weight in self.backbone.weights:
            if _layer_and_weight(weight) not in known:
                raise ValueError(
                    f"`source` ends in {theirs['output']!r} and has no {weight.path}: convert the "
                    'weights with the output "fc7" or "fc8".'
                )
        for weight in self.backbone.weights:
            weight.assign(known[_layer_and_weight(weight)])

    def build(self, frames_shape, mask_shape=None, attention_override_shape=None):
        _count_steps(frames_shape)
        self.classes.build((None, self.units))

    def call(self, frames, mask=None, training=None, attention_override=None):
        if attention_override is not None:
            raise ValueError("`attention_override` must be None: C3D has no gaze.")
        steps = _count_steps(frames.shape)
        shape = ops.shape(frames)
        if mask is not None:  # NaN in padding would reach the gradients.
            mask = check_mask("mask", mask, "the chunks of 16 frames", (frames.shape[0], steps))
            flat = ops.reshape(frames, (-1, shape[1] // _CHUNK, _CHUNK * shape[2] * shape[3] * 3))
            frames = clear_padding(flat, mask)
        chunks = ops.reshape(frames, (-1, _CHUNK, *shape[2:]))
        features = self.fc7_dropout(self.backbone(chunks, training=training), training=training)
        step_logits = self.classes(features)
        step_logits = ops.reshape(step_logits, (-1, shape[1] // _CHUNK, self.num_classes))
        return self.answer(step_logits, mask)

    def count_params(self):
        """The number of parameters of the network, without the preprocessing's mean."""
        return self.backbone.count_params() + self.classes.count_params()

    def _sizes(self):
        """What decides whether weights fit."""
        names = ("mean", "scale", "filters", "units", "frame_size", "input_size")
        return {name: getattr(self, name) for name in names}

    def get_config(self):
        config = {**super().get_config(), **self._sizes(), "dropout": self.dropout}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}


def _count_steps(shape):
    """How many chunks frames of a shape have, None if that is unknown."""
    if len(shape) != 5 or shape[-1] != 3 or shape[1] == 0 or (shape[1] or 0) % _CHUNK:
        raise ValueError(
            f"`frames` must be (batch, frames, height, width, 3), the frames a multiple of "
            f"{_CHUNK}; received shape {tuple(shape)}."
        )
    return None if shape[1] is None else shape[1] // _CHUNK


def _layer_and_weight(weight):
    """A weight's own name and its layer's; the mean cube belongs to the model itself."""
    layer, name = weight.path.split("/")[-2:]
    return name if name == "mean_cube" else f"{layer}/{name}"

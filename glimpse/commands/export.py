"""Write a trained model as files for others.

These are model.keras for Keras, and a SavedModel for TensorFlow Serving and for programs that do
not have glimpse: it answers a classifier's labels, or a captioner's sentences. Both are read back
by fresh processes and compared with the model before they get their names.

Example: glimpse export --model=runs/soft_attention --output=exported
"""

import os

from absl import flags
from tabulate import tabulate

from glimpse.models import VideoClassifier, VideoDescriber
from glimpse.models.caption_training import CaptionTraining
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP, load_trained_model

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_BACKBONE = flags.DEFINE_string(
    "backbone",
    None,
    BACKBONE_HELP + " `none` exports a model on features alone.",
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "Folder to write to; made if absent. (required)", required=True
)
_NAME = flags.DEFINE_string(
    "name", None, "The model's name for servers. Default: its class in lower case."
)
_VERSION = flags.DEFINE_integer(
    "version", None, "The version's number. Default: the next free one.", lower_bound=1
)
_TOP_K = flags.DEFINE_integer(
    "top_k", None, "Number of labels in an answer of a classifier. Default: 5.", lower_bound=1
)
_BEAM_WIDTH = flags.DEFINE_integer(
    "beam_width",
    None,
    "Captions that a captioner's search keeps, and answers. Default: the model's.",
    lower_bound=1,
)
_MAX_WORDS = flags.DEFINE_integer(
    "max_words",
    None,
    "Words at which a captioner's search stops, the end counted. Default: the model's.",
    lower_bound=1,
)
_LENGTH_PENALTY = flags.DEFINE_float(
    "length_penalty",
    None,
    "0 compares a captioner's captions by their sums of log-probabilities, which favours short "
    "ones, 1 nearly by their mean. Default: the model's.",
    lower_bound=0.0,
)


def main(argv):
    """Exports a model and prints where it went and how to serve it."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is not a flag; flags are written --name=value.")
    report = export_model(
        _MODEL.value,
        _OUTPUT.value,
        _BACKBONE.value,
        _NAME.value,
        _VERSION.value,
        top_k=_TOP_K.value,
        beam_width=_BEAM_WIDTH.value,
        max_words=_MAX_WORDS.value,
        length_penalty=_LENGTH_PENALTY.value,
    )
    print(describe(report))


def export_model(model, output, backbone=None, name=None, version=None, **options):
    """Loads what the flags name, exports it and returns the `ExportReport`.

    Args:
        model, output, backbone, name, version: The flags' values.
        **options: Those of the flags for one kind of model: `top_k` for classifiers, `beam_width`,
            `max_words` and `length_penalty` for captioners. None stands for the default.

    Raises:
        ValueError: If a flag is for the other kind, or the backbone is not said.
    """
    from glimpse.exports import export_captioner, export_classifier

    on_features = backbone == "none"
    loaded, loaded_backbone = load_trained_model(
        model, None if on_features else backbone, kinds=("classifier", "captioner")
    )
    captions = isinstance(loaded, CaptionTraining)
    options = {option: value for option, value in options.items() if value is not None}
    for option, value in options.items():
        if captions == (option == "top_k"):
            kind = "captioner" if captions else "classifier"
            raise ValueError(f"--{option}={value} must be left out: {model} holds a {kind}.")
    whole = isinstance(loaded, (VideoClassifier, VideoDescriber))
    if loaded_backbone is None and not on_features and not whole:
        raise ValueError(
            f"--backbone is needed: {model} reads features and does not say whose. Name the "
            "backbone, or --backbone=none for a SavedModel that reads features."
        )
    export = export_captioner if captions else export_classifier
    return export(
        loaded,
        output,
        name=name,
        version=version,
        backbone=None if on_features else loaded_backbone,
        metadata={"exported_from": os.path.basename(os.path.abspath(model))},
        **options,
    )


def describe(report):
    """Returns the paths, the table of signatures and how to serve them, as text."""
    rows = [
        (
            signature.name,
            "\n".join(map(str, signature.inputs)),
            "\n".join(map(str, signature.outputs)),
        )
        for signature in report.signatures
    ]
    keras_file = [value for key, value in report.differences.items() if "model.keras" in key]
    saved_model = [value for key, value in report.differences.items() if "model.keras" not in key]
    return "\n".join(
        [
            tabulate(rows, headers=("signature", "inputs", "outputs"), tablefmt="simple_grid"),
            f"serving_default is {report.signatures[0].name}.",
            "",
            "Read back in fresh processes; largest difference from the model in memory:",
            f"  {report.keras_path}: {max(keras_file):.2g}",
            f"  {report.saved_model_path}: {max(saved_model):.2g} (glimpse could not be imported)",
            f"  {report.metadata_path}: what they are",
            "",
            "Serve it:  tensorflow_model_server --rest_api_port=8501 "
            f"--model_name={report.name} --model_base_path={report.saved_model_path.parent}",
        ]
    )

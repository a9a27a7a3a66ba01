"""Write a trained model as files for others.

These are model.keras for Keras, and a SavedModel for TensorFlow Serving and for programs that do
not have glimpse. Both are read back by fresh processes and compared with the model before they
get their names.

Example: glimpse export --model=runs/soft_attention --output=exported
"""

import os

from absl import flags
from tabulate import tabulate

from glimpse.models import VideoClassifier
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
_TOP_K = flags.DEFINE_integer("top_k", 5, "Number of labels in an answer.", lower_bound=1)


def main(argv):
    """Exports a model and prints where it went and how to serve it."""
    if len(argv) > 1:
        raise ValueError(f"{argv[1]!r} is not a flag; flags are written --name=value.")
    report = export_model(
        _MODEL.value, _OUTPUT.value, _BACKBONE.value, _NAME.value, _VERSION.value, _TOP_K.value
    )
    print(describe(report))


def export_model(model, output, backbone=None, name=None, version=None, top_k=5):
    """Loads what the flags name, exports it and returns the `ExportReport`."""
    from glimpse.exports import export_classifier

    on_features = backbone == "none"
    loaded, loaded_backbone = load_trained_model(model, None if on_features else backbone)
    if loaded_backbone is None and not on_features and not isinstance(loaded, VideoClassifier):
        raise ValueError(
            f"--backbone is needed: {model} reads features and does not say whose. Name the "
            "backbone, or --backbone=none for a SavedModel that reads features."
        )
    return export_classifier(
        loaded,
        output,
        name=name,
        version=version,
        backbone=None if on_features else loaded_backbone,
        top_k=top_k,
        metadata={"exported_from": os.path.basename(os.path.abspath(model))},
    )


def describe(report):
    """Returns the paths, the table of signatures and how to serve them, as text."""
    rows = [
        (signature.name, str(signature.input), "\n".join(map(str, signature.outputs)))
        for signature in report.signatures
    ]
    keras_file = [value for key, value in report.differences.items() if "model.keras" in key]
    saved_model = [value for key, value in report.differences.items() if "model.keras" not in key]
    return "\n".join(
        [
            tabulate(rows, headers=("signature", "input", "outputs"), tablefmt="simple_grid"),
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

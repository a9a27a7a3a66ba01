"""Write a trained model as files for others.

These are model.keras for Keras, and a SavedModel for TensorFlow Serving and for programs that do
not have glimpse. Both are read back by fresh processes and compared with the model before they
get their names.

Example: glimpse export --model=runs/soft_attention --output=exported
"""

import json
import os
import pathlib

from absl import flags
from tabulate import tabulate

_MODEL = flags.DEFINE_string(
    "model",
    None,
    "What to export: the folder of a training run (its best.keras is taken), a .keras file, or the "
    "name of trained weights (`glimpse models --pretrained` lists them).",
    required=True,
)
_BACKBONE = flags.DEFINE_string(
    "backbone",
    None,
    "What turns frames into the model's features: a backbone's name, or its .keras file. Default: "
    "the one that the run's results.json names. --backbone=none exports a model on features alone.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write to; made if absent.", required=True)
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
    from glimpse.models import VideoClassifier, load_model

    path, run_backbone = _find_model(model)
    classifier = load_model(path)
    metadata = {"exported_from": os.path.basename(os.fspath(model).rstrip("/"))}
    if isinstance(classifier, VideoClassifier):
        if backbone is not None:
            raise ValueError(f"--backbone={backbone}: {path} has its own backbone; leave it out.")
        return export_classifier(classifier, output, name, version, top_k=top_k, metadata=metadata)
    chosen = run_backbone if backbone is None else backbone
    metadata["backbone"] = chosen
    loaded = None if chosen in (None, "none") else _load_backbone(chosen)
    return export_classifier(classifier, output, name, version, loaded, top_k, metadata)


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


def _find_model(model):
    """Returns the model's path or name, and the backbone that its run names, or None."""
    path = pathlib.Path(model)
    if not path.is_dir():
        return model, None
    best = path / "best.keras"
    if not best.is_file():
        raise ValueError(
            f"--model={model}: the folder holds no best.keras. Name the folder that `glimpse "
            "train` wrote, or a .keras file."
        )
    results = path / "results.json"
    if not results.is_file():
        return best, None
    try:
        stamp = json.loads(results.read_text(encoding="utf-8")).get("stamp", {})
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{results} is not a run's results ({error}); pass --backbone.") from error
    return best, stamp.get("backbone")


def _load_backbone(backbone):
    import keras

    from glimpse.models import create_backbone, load_model

    if not backbone.endswith(".keras"):
        return create_backbone(backbone)
    loaded = load_model(backbone)
    if not isinstance(loaded, keras.Model) or hasattr(loaded, "num_classes"):
        raise ValueError(
            f"--backbone={backbone} holds a {type(loaded).__name__}, not a backbone; it must map "
            "frames (batch, height, width, 3) to feature maps."
        )
    return loaded

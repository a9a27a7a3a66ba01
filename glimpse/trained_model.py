"""What `--model` and `--backbone` may name on the command line, and how it is loaded."""

import json
import pathlib

import keras

from glimpse.models import VideoClassifier, create_backbone, list_backbones, load_model
from glimpse.models.step_classifier import StepClassifier
from glimpse.pipelines.feature_store import backbone_fingerprint

MODEL_HELP = (
    "A folder that `glimpse train` wrote, a .keras file, or trained weights by name "
    "(`glimpse models --pretrained`)."
)
BACKBONE_HELP = (
    "Backbone of a model that reads features: a name or a .keras file. Default: the one that the "
    "run's features were extracted with."
)


def load_trained_model(model, backbone=None):
    """Returns the model that `--model` names and the backbone it needs, or None if it has one.

    Raises:
        ValueError: If a name is unknown or the backbone cannot be told.
        FileNotFoundError: If a file is missing.
    """
    path, results = pathlib.Path(model), {}
    if path.is_dir():
        path = path / "best.keras"
        if not path.is_file():
            raise ValueError(f"--model={model}: no best.keras in this folder; train first.")
    recorded = path.with_name("config.json")
    if path.is_file() and recorded.is_file():
        try:
            results = json.loads(recorded.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{recorded} is damaged ({error}).") from error
    loaded = load_model(str(path) if path.exists() else model)
    if not isinstance(loaded, VideoClassifier | StepClassifier):
        raise ValueError(
            f"--model={model}: holds a {type(loaded).__name__}, not a classifier of glimpse."
        )
    if isinstance(loaded, VideoClassifier):
        if backbone:
            raise ValueError(f"--backbone={backbone}: {model} has its own backbone; leave it out.")
        return loaded, None
    recorded = results.get("features", {})
    if not (backbone or recorded):
        return loaded, None
    chosen = load_backbone(backbone or recorded["backbone"])
    if recorded and backbone_fingerprint(chosen) != recorded["backbone_fingerprint"]:
        raise ValueError(
            f"--backbone={backbone or recorded['backbone']}: not the backbone that the features of "
            f"{model} were extracted with: its weights or settings differ."
        )
    return loaded, chosen


def load_backbone(name):
    """Returns the backbone that `--backbone` names: one of the zoo's or a `.keras` file."""
    if name in list_backbones():
        return create_backbone(name)
    if pathlib.Path(name).suffix == ".keras":
        if not pathlib.Path(name).is_file():
            raise FileNotFoundError(f"--backbone={name}: no such file.")
        try:
            return keras.saving.load_model(name, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"--backbone={name}: Keras cannot read it: {reason}") from error
    known = ", ".join(list_backbones())
    raise ValueError(f"--backbone={name}: neither a .keras file nor one of: {known}.")

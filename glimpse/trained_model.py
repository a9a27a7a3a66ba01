"""What `--model` and `--backbone` may name on the command line, and how it is loaded."""

import difflib
import json
import pathlib

import keras

from glimpse.models import (
    VideoClassifier,
    VideoDescriber,
    create_backbone,
    list_backbones,
    list_models,
    load_model,
)
from glimpse.models.caption_training import CaptionTraining
from glimpse.models.step_training import StepTraining
from glimpse.pipelines.feature_store import backbone_fingerprint

MODEL_HELP = (
    "A folder that `glimpse train` wrote, a .keras file, or trained weights by name "
    "(`glimpse models --pretrained`)."
)
BACKBONE_HELP = (
    "Backbone of a model that reads features: a name or a .keras file. Default: the one that the "
    "run's features were extracted with."
)
ATTENDED_BACKBONE_HELP = (
    "Backbone of the frames that a temporal attention model attends to: a name or a .keras file. "
    "Default: the one that the run's attended features were extracted with, else --backbone."
)
_RECORDED = ("features", "attended_features")
_KINDS = {"classifier": StepTraining, "captioner": CaptionTraining}


def load_trained_model(model, backbone=None, kinds=("classifier",)):
    """Returns the model that `--model` names and the backbone it needs, or None if it has one.

    Args:
        model: The flag's value.
        backbone: That of `--backbone`, or None.
        kinds: What the model may be: "classifier", "captioner" or both.

    Raises:
        ValueError: If a name is unknown, the file holds something else or the backbone cannot be
            told.
        FileNotFoundError: If a file is missing.
    """
    loaded = _load(model, kinds)
    if isinstance(loaded, (VideoClassifier, VideoDescriber)):
        if backbone:
            raise ValueError(f"--backbone={backbone}: {model} has its own backbone; leave it out.")
        return loaded, None
    recorded = read_run(model).get("features")
    return loaded, _chosen_backbone("backbone", backbone, recorded, model)


def load_classifier(model):
    """Returns the model that `--model` names, without the backbone that it may need.

    Raises:
        ValueError: If a name is unknown or the file holds something else.
        FileNotFoundError: If a file is missing.
    """
    return _load(model, ("classifier",))


def load_captioner(model):
    """Returns the captioner that `--model` names, without the backbone that it may need.

    Raises:
        ValueError: If a name is unknown or the file holds something else.
        FileNotFoundError: If a file is missing.
    """
    return _load(model, ("captioner",))


def _load(model, kinds):
    path = _model_path(model)
    loaded = load_model(str(path) if path.exists() else model)
    if not isinstance(loaded, tuple(_KINDS[kind] for kind in kinds)):
        raise ValueError(
            f"--model={model}: holds a {type(loaded).__name__}, not a {' or a '.join(kinds)} of "
            "glimpse."
        )
    return loaded


def load_attended_backbone(model, backbone=None):
    """Returns the backbone of the attended frames of the model that `--model` names.

    None where it is the model's other backbone, or neither the user nor the run names one.

    Raises:
        ValueError: If it is not the one that the run's attended features were extracted with.
    """
    run = read_run(model)
    recorded = run.get("attended_features")
    same = [(run.get(name) or {}).get("backbone_fingerprint") for name in _RECORDED]
    if not backbone and same[0] == same[1]:
        return None
    return _chosen_backbone("attended_backbone", backbone, recorded, model)


def _model_path(model):
    path = pathlib.Path(model)
    if path.is_dir():
        path = path / "best.keras"
        if not path.is_file():
            raise ValueError(f"--model={model}: no best.keras in this folder; train first.")
    elif not path.is_file() and str(model) not in list_models(pretrained=True):
        near = difflib.get_close_matches(str(model), list_models(pretrained=True), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise FileNotFoundError(
            f"--model={model}: no such run folder, .keras file or trained weights{hint}"
        )
    return path


def read_run(model):
    """Returns what the run wrote beside the model that `--model` names, or {} without a run."""
    path = _model_path(model)
    recorded = path.with_name("config.json")
    if not (path.is_file() and recorded.is_file()):
        return {}
    try:
        return json.loads(recorded.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{recorded} is damaged ({error}).") from error


def _chosen_backbone(flag, name, recorded, model):
    """The backbone that a flag or the run's record names, or None where neither does."""
    recorded = recorded or {}
    name = name or recorded.get("backbone")
    if not name:
        return None
    options = recorded.get("backbone_options") if name == recorded.get("backbone") else None
    chosen = load_backbone(name, options, flag)
    if recorded and backbone_fingerprint(chosen) != recorded["backbone_fingerprint"]:
        raise ValueError(
            f"--{flag}={name}: not the backbone that the features of {model} were extracted with: "
            "its weights or settings differ."
        )
    return chosen


def read_backbone_options(text):
    """Returns the dict that `--backbone_options` holds.

    Raises:
        ValueError: If it is no JSON object.
    """
    try:
        options = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--backbone_options={text}: not JSON ({error}).") from error
    if not isinstance(options, dict):
        raise ValueError(f"--backbone_options={text}: must be a JSON object.")
    weights = options.get("weights")
    if isinstance(weights, str) and pathlib.Path(weights).is_file():
        # So that later commands find the file from wherever they run.
        options["weights"] = str(pathlib.Path(weights).resolve())
    return options


def load_backbone(name, options=None, flag="backbone"):
    """Returns the backbone that a flag names: one of the zoo's or a `.keras` file.

    Args:
        name: The flag's value.
        options: Options of `create_backbone`, for one of the zoo's.
        flag: The flag, for errors.
    """
    if name in list_backbones() or name.startswith("hub/"):
        try:
            return create_backbone(name, **(options or {}))
        except (TypeError, ValueError) as error:
            if not options:
                raise
            raise ValueError(f"--{flag}_options: {name} refuses them: {error}") from error
    if options:
        raise ValueError(f"--{flag}_options: {name} is no backbone of the zoo; it takes none.")
    if pathlib.Path(name).suffix == ".keras":
        if not pathlib.Path(name).is_file():
            raise FileNotFoundError(f"--{flag}={name}: no such file.")
        try:
            return keras.saving.load_model(name, compile=False, safe_mode=True)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(f"--{flag}={name}: Keras cannot read it: {reason}") from error
    known = ", ".join(list_backbones())
    raise ValueError(f"--{flag}={name}: neither a .keras file nor one of: {known}.")

"""From a trained classifier to files that others load: `model.keras` and a versioned SavedModel."""

import dataclasses
import json
import os
import pathlib
import platform
import re
import shutil
import uuid

import keras
import numpy as np
import tensorflow as tf

import glimpse
from glimpse.exports import signatures
from glimpse.exports.parity import (
    HALF_PRECISION_TOLERANCE,
    TOLERANCE,
    answer_in_memory,
    check_parity,
    random_inputs,
)
from glimpse.exports.serving_graph import ServingGraph
from glimpse.models.step_classifier import StepClassifier
from glimpse.models.video_classifier import VideoClassifier

KERAS_FILE = "model.keras"
METADATA_FILE = "metadata.json"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What an export wrote.

    Args:
        name: The model's name for servers.
        version: The version's number.
        keras_path: The `.keras` file.
        saved_model_path: The SavedModel's folder, `NAME/VERSION`.
        metadata_path: The JSON file beside them.
        signatures: The SavedModel's `Signature`s, the serving default first.
        differences: {signature/output: largest difference from the model in memory}, as measured
            in a fresh process.
    """

    name: str
    version: int
    keras_path: pathlib.Path
    saved_model_path: pathlib.Path
    metadata_path: pathlib.Path
    signatures: tuple
    differences: dict


def export_classifier(
    model, folder, name=None, version=1, backbone=None, top_k=None, metadata=None
):
    """Writes a classifier as `.keras` file and as SavedModel, and proves both in fresh processes.

    Everything is built in a temporary folder inside `folder`, read back by processes of their own
    (the SavedModel by one that cannot import glimpse) and compared with the model in memory; only
    then is it renamed to

        folder/model.keras      the VideoClassifier if there is a backbone, else the classifier;
                                without the optimizer's state
        folder/metadata.json    what this is; a copy lies in the version's assets.extra
        folder/NAME/VERSION/    the SavedModel, with the signatures of `exports/signatures.py`

    so that a server that watches `folder/NAME` never sees half a version.

    Args:
        model: A built classifier on features, or a `VideoClassifier`.
        folder: Where to write; made if absent.
        name: The model's name for servers; default: its class in snake case.
        version: A positive integer that `folder/NAME` does not hold yet; None for the next one.
        backbone: For a classifier on features: the backbone that its features came from. Without
            one the SavedModel answers on features alone.
        top_k: Number of labels in an answer; default 5, and never more than there are classes.
        metadata: A dict of JSON values to keep under the key `metadata`.

    Returns:
        An `ExportReport`.

    Raises:
        FileExistsError: If the version exists.
        ParityError: If a file does not answer as the model does; nothing is left behind.
        ValueError: If an argument is wrong or the model cannot be exported.
    """
    classifier, video_classifier = _parts(model, backbone)
    sizes = _sizes(classifier, top_k)
    name = _name(name, classifier)
    folder = pathlib.Path(folder).absolute()
    version = _version(folder / name, version)
    metadata = _json_values(metadata)
    takes_frames = video_classifier is not None
    inputs = random_inputs(signatures.classifier_signatures(takes_frames, attends=True), sizes)
    answers = answer_in_memory(classifier, video_classifier, inputs)
    attends = all("attention_weights" in outputs for outputs in answers.values())
    declared = signatures.classifier_signatures(takes_frames, attends)
    inputs = dict(zip(declared, inputs.values(), strict=True))
    answers = dict(zip(declared, answers.values(), strict=True))
    tolerance = _tolerance([classifier] + ([video_classifier.backbone] if takes_frames else []))
    label_names = classifier.label_names or [str(label) for label in range(sizes["classes"])]

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".export.{uuid.uuid4().hex[:8]}.partial"
    partial.mkdir()
    try:
        classifier = _without_optimizer(classifier)
        if takes_frames:
            video_classifier = _video_classifier(
                _without_optimizer(video_classifier.backbone), classifier
            )
        outermost = video_classifier if takes_frames else classifier
        outermost.save(partial / KERAS_FILE)
        graph = ServingGraph(classifier, video_classifier, label_names, sizes, declared[0].outputs)
        _write_saved_model(graph, declared, sizes, partial / "saved_model")
        differences = check_parity(
            inputs,
            answers,
            partial / KERAS_FILE,
            partial / "saved_model",
            label_names,
            partial,
            tolerance,
        )
        facts = _facts(outermost, declared, sizes, label_names, differences)
        facts = {"name": name, "version": version, **facts, "metadata": metadata}
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        (partial / METADATA_FILE).write_text(text, encoding="utf-8")
        (partial / "saved_model" / "assets.extra").mkdir()
        shutil.copy(partial / METADATA_FILE, partial / "saved_model" / "assets.extra")
        os.replace(partial / KERAS_FILE, folder / KERAS_FILE)
        os.replace(partial / METADATA_FILE, folder / METADATA_FILE)
        (folder / name).mkdir(exist_ok=True)
        # Last: the moment from which a server sees the version, and a second export refuses it.
        os.rename(partial / "saved_model", folder / name / str(version))
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return ExportReport(
        name=name,
        version=version,
        keras_path=folder / KERAS_FILE,
        saved_model_path=folder / name / str(version),
        metadata_path=folder / METADATA_FILE,
        signatures=declared,
        differences=differences,
    )


def _parts(model, backbone):
    """Returns the classifier on features, and the VideoClassifier around it or None."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"A SavedModel is made by TensorFlow, but Keras runs on {keras.backend.backend()}; "
            "start again with KERAS_BACKEND=tensorflow (a .keras file loads on every backend)."
        )
    if isinstance(model, VideoClassifier):
        if backbone is not None:
            raise ValueError("`backbone` must be None: `model` is a VideoClassifier and has one.")
        classifier, video_classifier = model.classifier, model
    else:
        classifier = model
        video_classifier = None
    if not isinstance(classifier, StepClassifier):
        raise ValueError(f"`model` must be a classifier or a VideoClassifier, got {model!r}.")
    if classifier.input_names != ("features",):
        raise ValueError(
            f"{type(classifier).__name__} reads {' and '.join(classifier.input_names)}; the "
            "signatures are for models that read feature maps. Its .keras file serves in Python."
        )
    if video_classifier is not None:
        backbone = video_classifier.backbone
    for part in [classifier] if backbone is None else [classifier, backbone]:
        if not part.built:
            raise ValueError(
                f"{type(part).__name__} {part.name!r} has no weights yet: load a trained file, or "
                "call the model once."
            )
    if video_classifier is None and backbone is not None:
        video_classifier = _video_classifier(backbone, classifier)
    return classifier, video_classifier


def _video_classifier(backbone, classifier):
    video_classifier = VideoClassifier(backbone, classifier)
    video_classifier.build((None, None, None, None, 3))
    return video_classifier


def _without_optimizer(model):
    """A copy that was never compiled: an optimizer's state would triple both files."""
    copy = type(model).from_config(model.get_config())
    if not copy.built:
        copy.build_from_config(model.get_build_config())
    copy.set_weights(model.get_weights())
    return copy


def _sizes(classifier, top_k):
    """The sizes that the export fixes, by the axes' names in `signatures`."""
    config = classifier.get_build_config()
    shape = config.get("input_shape") or config.get("shapes_dict", {}).get("features_shape", ())
    if len(shape) != 5 or None in shape[2:]:
        raise ValueError(
            f"{type(classifier).__name__} was built for inputs of shape {tuple(shape)}; only "
            "classifiers on (batch, frames, height, width, features) can be exported."
        )
    top_k = signatures.DEFAULT_TOP_K if top_k is None else top_k
    if not isinstance(top_k, int) or top_k < 1:
        raise ValueError(f"`top_k` must be a positive integer, got {top_k!r}.")
    classes = classifier.num_classes
    return {
        **dict(zip(("map_height", "map_width", "features"), shape[2:], strict=True)),
        "classes": classes,
        "top_k": min(top_k, classes),
    }


def _name(name, classifier):
    if name is None:
        name = re.sub(
            r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(classifier).__name__
        )
        name = name.lower()
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"`name` must be letters, digits, _ and -, starting with a letter, got {name!r}."
        )
    return name


def _version(folder, version):
    """A version that `folder` does not hold yet."""
    taken = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit()]
    if version is None:
        return max(taken, default=0) + 1
    if not isinstance(version, int) or version < 1:
        raise ValueError(f"`version` must be a positive integer or None, got {version!r}.")
    if version in taken:
        raise FileExistsError(
            f"{folder / str(version)} exists and may be served: choose another version (the next "
            f"free one is {max(taken) + 1}) or another folder."
        )
    return version


def _json_values(metadata):
    try:
        return json.loads(json.dumps({} if metadata is None else dict(metadata), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"`metadata` must be a dict of JSON values: {error}.") from error


def _tolerance(models):
    """Half precision is allowed more: a graph may round where eager execution did not."""
    halves = any(model.compute_dtype in ("float16", "bfloat16") for model in models)
    return HALF_PRECISION_TOLERANCE if halves else TOLERANCE


def _write_saved_model(graph, declared, sizes, path):
    # Without `track`: it would write every weight a second time.
    archive = keras.export.ExportArchive()
    for signature in declared:
        spec = tf.TensorSpec(
            signature.input.shape(sizes), signature.input.dtype, name=signature.input.name
        )
        # The first endpoint also becomes `serving_default`.
        archive.add_endpoint(signature.name, getattr(graph, signature.name), [spec])
    archive.write_out(path, verbose=False)


def _facts(model, declared, sizes, label_names, differences):
    return {
        "signatures": {
            name: {
                "inputs": _described([signature.input], sizes),
                "outputs": _described(signature.outputs, sizes),
            }
            for name, signature in [
                (signatures.SERVING_DEFAULT, declared[0]),
                *((signature.name, signature) for signature in declared),
            ]
        },
        "attention": (
            "each map sums to 1 over its positions"
            if signatures.ATTENTION in declared[0].outputs
            else "none: this model has no gaze, so its signatures have no output `attention`"
        ),
        "label_names": label_names,
        "sampling": model.sampling,
        "limits": {
            "pixels_per_frame": signatures.MAX_FRAME_PIXELS,
            "pixels_per_request": signatures.MAX_REQUEST_PIXELS,
            "jpeg_orientation": "EXIF rotation is not applied",
        },
        "largest_differences": differences,
        "model": keras.saving.serialize_keras_object(model),
        "versions": {
            "glimpse": glimpse.__version__,
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    }


def _described(tensors, sizes):
    return {
        tensor.name: {
            "dtype": tensor.dtype,
            "shape": [sizes.get(axis, axis) for axis in tensor.axes],
        }
        for tensor in tensors
    }

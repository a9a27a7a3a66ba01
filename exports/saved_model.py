"""From a trained model to files that others load: `model.keras` and a versioned SavedModel."""

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
from glimpse.exports.parity import check_parity
from glimpse.exports.served_captioner import ServedCaptioner
from glimpse.exports.served_classifier import ServedClassifier

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
    return _export(ServedClassifier(model, backbone, top_k), folder, name, version, metadata)


def export_captioner(
    model,
    folder,
    name=None,
    version=1,
    backbone=None,
    beam_width=None,
    max_words=None,
    length_penalty=None,
    metadata=None,
):
    """Writes a captioner as `.keras` file and as SavedModel, and proves both in fresh processes.

    As `export_classifier` does for a classifier. The vocabulary and the search are in the graph:
    it answers with sentences. The fresh processes must find the same words.

    Args:
        model: A built `VideoCaptioner`, or a `VideoDescriber`.
        folder, name, version, metadata: As for `export_classifier`.
        backbone: For a `VideoCaptioner`: the backbone that its features came from. Without one the
            SavedModel answers on features alone.
        beam_width, max_words, length_penalty: Of the search in the SavedModel; default: the
            model's. See `glimpse.models.beam_search`.

    Returns:
        An `ExportReport`.

    Raises:
        FileExistsError: If the version exists.
        ParityError: If a file does not answer as the model does; nothing is left behind.
        ValueError: If an argument is wrong or the model cannot be exported.
    """
    served = ServedCaptioner(model, backbone, beam_width, max_words, length_penalty)
    return _export(served, folder, name, version, metadata)


def _export(served, folder, name, version, metadata):
    name = _name(name, served.on_features)
    folder = pathlib.Path(folder).absolute()
    version = _version(folder / name, version)
    metadata = _json_values(metadata)
    served.answer_in_memory()

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".export.{uuid.uuid4().hex[:8]}.partial"
    partial.mkdir()
    try:
        outermost, graph = served.copy()
        outermost.save(partial / KERAS_FILE)
        _write_saved_model(graph, served.signatures, served.sizes, partial / "saved_model")
        differences = check_parity(served, partial / KERAS_FILE, partial / "saved_model", partial)
        facts = _facts(outermost, served, differences)
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
        signatures=served.signatures,
        differences=differences,
    )


def _name(name, model):
    if name is None:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(model).__name__)
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


def _write_saved_model(graph, declared, sizes, path):
    # Without `track`: it would write every weight a second time.
    archive = keras.export.ExportArchive()
    for signature in declared:
        specs = [
            tf.TensorSpec(tensor.shape(sizes), tensor.dtype, name=tensor.name)
            for tensor in signature.inputs
        ]
        # The first endpoint also becomes `serving_default`.
        archive.add_endpoint(signature.name, getattr(graph, signature.name), specs)
    archive.write_out(path, verbose=False)


def _facts(model, served, differences):
    default = dataclasses.replace(served.signatures[0], name=signatures.SERVING_DEFAULT)
    return {
        "signatures": {
            signature.name: {
                "inputs": _described(signature.inputs, served.sizes),
                "outputs": _described(signature.outputs, served.sizes),
            }
            for signature in (default, *served.signatures)
        },
        **served.facts(),
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

"""The parity gate: files that were just written must answer as the model in memory does.

Each file is read by a fresh process: the `.keras` file by one that imports glimpse and keras only,
the SavedModel by one that cannot import glimpse at all.
"""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

import glimpse
from glimpse.exports import signatures

TOLERANCE = 1e-5
# In half precision a graph may round where eager execution did not.
HALF_PRECISION_TOLERANCE = 2e-2

_BATCH, _FRAMES, _HEIGHT, _WIDTH = 2, 3, 72, 96
_SEED = 0
_TIMEOUT_SECONDS = 1800


class ParityError(ValueError):
    """A written file does not answer as the model in memory does."""


def random_inputs(declared, sizes):
    """Returns {`Signature`: array}: the same random inputs every time.

    Args:
        declared: The `Signature`s.
        sizes: Sizes of the axes `map_height`, `map_width` and `features`.
    """
    generator = np.random.default_rng(_SEED)
    maps = (_BATCH, _FRAMES, sizes["map_height"], sizes["map_width"], sizes["features"])
    features = generator.normal(size=maps).astype("float32")
    # Smooth pictures: JPEG would leave little of white noise.
    coarse = generator.integers(0, 256, (_BATCH * _FRAMES, 6, 8, 3)).astype("float32")
    with tf.device("CPU:0"):
        smooth = tf.image.resize(coarse, (_HEIGHT, _WIDTH), method="bicubic")
        frames = tf.cast(tf.clip_by_value(tf.round(smooth), 0, 255), tf.uint8).numpy()
        files = [tf.io.encode_jpeg(frame, quality=90).numpy() for frame in frames]
    arrays = {
        signatures.CLASSIFY_FEATURES: features,
        signatures.CLASSIFY_FRAMES: frames.reshape(_BATCH, _FRAMES, _HEIGHT, _WIDTH, 3),
        signatures.CLASSIFY_JPEGS: np.array(files).reshape(_BATCH, _FRAMES),
    }
    return {signature: arrays[signature.name] for signature in declared}


def answer_in_memory(classifier, video_classifier, inputs):
    """Returns {`Signature`: the model's dict of outputs as arrays} for `random_inputs`.

    On the CPU, as in the fresh processes: a GPU may take another algorithm each time.

    Raises:
        ParityError: If an output is not finite.
    """
    answers = {}
    with tf.device("CPU:0"):
        for signature, array in inputs.items():
            if signature.name == signatures.CLASSIFY_JPEGS:
                array = np.stack([[_decode(file) for file in clip] for clip in array])
            model = (
                classifier if signature.name == signatures.CLASSIFY_FEATURES else video_classifier
            )
            answers[signature] = outputs_as_arrays(model(array, training=False))
    for signature, outputs in answers.items():
        for output, value in outputs.items():
            if not np.all(np.isfinite(value)):
                raise ParityError(
                    f"The model itself answers {signature.name} with `{output}` not finite: its "
                    "weights are damaged or its training diverged; nothing was exported."
                )
    return answers


def outputs_as_arrays(outputs):
    """Returns a model's outputs as arrays, float64 so that NumPy files can hold every precision."""
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(value, "float64"))
        for name, value in outputs.items()
    }


def check_parity(inputs, answers, keras_path, saved_model_path, label_names, folder, tolerance):
    """Reads both files in fresh processes and compares their answers with the model's.

    Args:
        inputs: As `random_inputs` makes them.
        answers: As `answer_in_memory` gave them before anything was written.
        keras_path: The `.keras` file; it must answer bit for bit as the model does.
        saved_model_path: The SavedModel's folder; it may differ by `tolerance`.
        label_names: Name of each class.
        folder: Where to put the exchanged arrays.
        tolerance: Largest absolute difference allowed.

    Returns:
        {"file or signature/output": largest absolute difference}.

    Raises:
        ParityError: If a file cannot be read or answers otherwise.
    """
    folder = pathlib.Path(folder)
    # The outermost model's own input; with a backbone that is frames.
    first = next(one for one in inputs if one.name != signatures.CLASSIFY_JPEGS)
    _write_arrays(folder / "keras_inputs.npz", {"inputs": inputs[first]})
    _write_arrays(
        folder / "saved_model_inputs.npz",
        {f"{one.name}/{one.input.name}": array for one, array in inputs.items()},
    )
    keras_outputs, saved_model_outputs = folder / "keras.npz", folder / "saved_model.npz"
    _run_fresh(
        {
            str(keras_path): [
                *("-m", "glimpse.exports.answer_keras_file"),
                *(keras_path, folder / "keras_inputs.npz", keras_outputs),
            ],
            str(saved_model_path): [
                pathlib.Path(__file__).with_name("answer_saved_model.py"),
                *(saved_model_path, "--inputs", folder / "saved_model_inputs.npz"),
                *("--outputs", saved_model_outputs),
            ],
        }
    )
    differences = _compare_keras_file(answers[first], _read_arrays(keras_outputs))
    received = _read_arrays(saved_model_outputs)
    for signature, expected in answers.items():
        differences |= _compare_signature(signature, expected, received, label_names, tolerance)
    return differences


def _compare_keras_file(expected, received):
    differences = {}
    for output, value in expected.items():
        difference = _largest_difference(value, received.get(output))
        if difference != 0:
            raise ParityError(
                f"The .keras file, read in a fresh process, answers `{output}` otherwise than the "
                f"model: largest difference {difference:.3g}, where every bit should agree. Does "
                "every layer define `build`, so that its weights are found again?"
            )
        differences[f"model.keras/{output}"] = difference
    return differences


def _compare_signature(signature, expected, received, label_names, tolerance):
    name = signature.name
    got = {output.name: received.get(f"{name}/{output.name}") for output in signature.outputs}
    probabilities, labels = expected["probabilities"], got.pop("labels")
    top_k = 0 if labels is None else labels.shape[1]
    wanted = {
        "probabilities": probabilities,
        "scores": -np.sort(-probabilities)[:, :top_k],
        "attention": expected.get("attention_weights"),
    }
    differences = {}
    for output, value in got.items():
        difference = _largest_difference(wanted[output], value)
        if not difference <= tolerance:
            raise ParityError(
                f"The SavedModel's signature {name} answers `{output}` otherwise than the model: "
                f"largest difference {difference:.3g}, allowed {tolerance:.3g}."
            )
        differences[f"{name}/{output}"] = difference
    # By their probability, since classes that are as likely as each other may change places.
    classes = {label: index for index, label in enumerate(label_names)}
    for clip, names in enumerate(labels):
        names = [label.decode() for label in names]
        if len(set(names)) != top_k or not set(names) <= set(classes):
            raise ParityError(f"The SavedModel's signature {name} answers labels {names}.")
        named = probabilities[clip, [classes[label] for label in names]]
        difference = _largest_difference(named, wanted["scores"][clip])
        if not difference <= 2 * tolerance:
            raise ParityError(
                f"The SavedModel's signature {name} answers `labels` {names}, whose probabilities "
                f"in the model are {named.tolist()}: off by {difference:.3g}."
            )
    return differences


def _largest_difference(expected, received):
    if received is None or received.shape != expected.shape:
        return float("inf")
    return float(np.max(np.abs(received - expected)))


def _run_fresh(commands):
    """Runs scripts side by side in fresh Python processes.

    Args:
        commands: {what is read: arguments of the interpreter}.
    """
    # The parent's path, so that the same packages are found however it was started.
    source = str(pathlib.Path(glimpse.__file__).parent.parent)
    path = [source, *(os.path.abspath(entry) for entry in sys.path)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    processes = {}
    try:
        for file, arguments in commands.items():
            processes[file] = subprocess.Popen(
                [sys.executable, "-P", *map(str, arguments)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        for file, process in processes.items():
            output, _ = process.communicate(timeout=_TIMEOUT_SECONDS)
            if process.returncode:
                words = " ".join(output.split()[-80:])
                raise ParityError(
                    f"{file} cannot be read in a fresh process (exit status "
                    f"{process.returncode}): {words}"
                )
    except subprocess.TimeoutExpired as error:
        raise ParityError(f"A fresh process gave no answer in {error.timeout} seconds.") from error
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
            process.stdout.close()


def _decode(file):
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE").numpy()


def _write_arrays(path, arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def _read_arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)

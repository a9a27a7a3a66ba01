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

import glimpse

TOLERANCE = 1e-5
# In half precision a graph may round where eager execution did not.
HALF_PRECISION_TOLERANCE = 2e-2

_TIMEOUT_SECONDS = 1800


class ParityError(ValueError):
    """A written file does not answer as the model in memory does."""


def tolerance_of(models):
    """Returns the largest difference allowed: more where a model computes in half precision."""
    halves = any(model.compute_dtype in ("float16", "bfloat16") for model in models)
    return HALF_PRECISION_TOLERANCE if halves else TOLERANCE


def outputs_as_arrays(outputs):
    """Returns a model's outputs as arrays, float64 so that NumPy files can hold every precision."""
    return {
        name: keras.ops.convert_to_numpy(keras.ops.cast(value, "float64"))
        for name, value in outputs.items()
    }


def check_finite(signature, outputs):
    """Refuses a model that answers NaN or infinity.

    Args:
        signature: The name of what was asked, for the message.
        outputs: A dict of arrays.

    Raises:
        ParityError: If a value is not finite.
    """
    for output, value in outputs.items():
        if not np.all(np.isfinite(value)):
            raise ParityError(
                f"The model itself answers {signature} with `{output}` not finite: its weights "
                "are damaged or its training diverged; nothing was exported."
            )


def check_parity(served, keras_path, saved_model_path, folder):
    """Reads both files in fresh processes and compares their answers with the model's.

    Args:
        served: A `ServedClassifier` or `ServedCaptioner`: what was asked of the model and what it
            answered before anything was written.
        keras_path: The `.keras` file; it must answer bit for bit as the model does.
        saved_model_path: The SavedModel's folder; `served.compare` says what it may differ by.
        folder: Where to put the exchanged arrays.

    Returns:
        {"file or signature/output": largest absolute difference}.

    Raises:
        ParityError: If a file cannot be read or answers otherwise.
    """
    folder = pathlib.Path(folder)
    _write_arrays(folder / "keras_inputs.npz", served.keras_inputs)
    _write_arrays(
        folder / "saved_model_inputs.npz",
        {
            f"{signature.name}/{name}": array
            for signature, arrays in served.inputs.items()
            for name, array in arrays.items()
        },
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
    differences = _compare_keras_file(served.keras_answer, _read_arrays(keras_outputs))
    received = _read_arrays(saved_model_outputs)
    for signature in served.signatures:
        answer = {
            output.name: received.get(f"{signature.name}/{output.name}")
            for output in signature.outputs
        }
        differences |= served.compare(signature, answer)
    return differences


def compare_outputs(signature, expected, received, tolerance):
    """Compares the numbers that a signature answered with the model's.

    Args:
        signature: Its name.
        expected: The model's, {output: array}.
        received: The SavedModel's, {output: array or None}.
        tolerance: Largest difference allowed, of the largest finite number of an output where
            that is above 1.

    Returns:
        {"signature/output": largest absolute difference}.

    Raises:
        ParityError: If an output is missing, of another shape, or differs by more.
    """
    differences = {}
    for output, value in expected.items():
        difference = largest_difference(value, received.get(output))
        finite = np.abs(value[np.isfinite(value)])
        allowed = tolerance * max(1.0, float(np.max(finite, initial=0.0)))
        if not difference <= allowed:
            raise ParityError(
                f"The SavedModel's signature {signature} answers `{output}` otherwise than the "
                f"model: largest difference {difference:.3g}, allowed {allowed:.3g}."
            )
        differences[f"{signature}/{output}"] = difference
    return differences


def largest_difference(expected, received):
    """Returns the largest absolute difference of two arrays, infinity if there is no comparison."""
    if received is None or received.shape != expected.shape:
        return float("inf")
    differences = np.zeros(expected.shape)
    # Infinities of one sign are equal; their difference is NaN.
    np.subtract(received, expected, out=differences, where=received != expected)
    return float(np.max(np.abs(differences)))


def _compare_keras_file(expected, received):
    differences = {}
    for output, value in expected.items():
        difference = largest_difference(value, received.get(output))
        if difference != 0:
            raise ParityError(
                f"The .keras file, read in a fresh process, answers `{output}` otherwise than the "
                f"model: largest difference {difference:.3g}, where every bit should agree. Does "
                "every layer define `build`, so that its weights are found again?"
            )
        differences[f"model.keras/{output}"] = difference
    return differences


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


def _write_arrays(path, arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def _read_arrays(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)

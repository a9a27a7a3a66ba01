"""The state of a training run between two epochs, complete enough to go on bit for bit."""

import json
import zipfile

import numpy as np

from glimpse.pipelines.partial_file import partial_file

STATE_FILE = "state.npz"
_META = "run_state.json"


def save_run_state(path, model, history):
    """Writes all variables of a compiled model and the history so far, under one name at once.

    The `.keras` format leaves out the states of the dropout's random generators, without which a
    resumed run would draw other masks; so this file holds every variable, in order.

    Args:
        path: File to write, `.npz`.
        model: A compiled, built keras.Model.
        history: A list with one dict of numbers an epoch.
    """
    variables = _variables(model)
    arrays = {f"v{i:05d}": np.asarray(variable) for i, variable in enumerate(variables)}
    meta = {"history": history, "variables": [variable.path for variable in variables]}
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), "uint8")
    with partial_file(path) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def load_run_state(path, model):
    """Puts a saved state into a compiled, built model of the same make; returns the history.

    Raises:
        ValueError: If the file is damaged or belongs to another model.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(file[_META].tobytes())
            values = [file[f"v{i:05d}"] for i in range(len(meta["variables"]))]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a readable run state ({error}); start the run anew in another folder."
        ) from error
    variables = _variables(model)
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in values]:
        raise ValueError(
            f"{path} holds {len(values)} variables of another architecture than the model's "
            f"{len(variables)}; resume with the flags that the run was started with."
        )
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return meta["history"]


def _variables(model):
    """Weights, generators' states and the optimizer's variables, each once, in a fixed order."""
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    own = [variable for variable in model.variables if id(variable) not in metrics]
    return own + list(model.optimizer.variables)

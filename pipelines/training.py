"""Trains a classifier on extracted features, with checkpoints that resume bit for bit."""

import csv
import dataclasses
import hashlib
import json
import math
import pathlib
import time

import keras
import tensorflow as tf
from tqdm import tqdm

from glimpse.models.clip_labels import check_labels
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import READS_VECTORS, FeatureWindows
from glimpse.pipelines.initial_weights import find_initial_model, take_initial_weights
from glimpse.pipelines.model_building import (
    describe_classifier,
    make_classifier,
    prepare_classifier,
)
from glimpse.pipelines.partial_file import partial_file, write_json
from glimpse.pipelines.run_state import load_run_state, save_run_state
from glimpse.pipelines.stamp import make_stamp
from glimpse.pipelines.training_config import TrainingConfig

CONFIG_FILE, STATE_FILE, RESULTS_FILE = "config.json", "state.npz", "results.json"


def train(features, run, config, resume=False, progress=True, attended_features=None):
    """Trains one model and returns its results.

    Writes into the folder `run`: `config.json`, `log.csv`, `tensorboard/`, `best.keras` (the
    epoch that was best in validation), `last.keras`, `state.npz` (from which `resume` goes on)
    and `results.json`. Stopped at any moment and resumed, a run gives the same bits as one that
    was not stopped.

    Args:
        features: Folder that `extract_features` wrote.
        run: Folder of the run; new, or with `resume` that of an interrupted one.
        config: A `TrainingConfig`.
        resume: Whether to go on with the run found in the folder; a finished run is returned as
            it is, and an empty folder starts anew.
        progress: Whether to print what is trained and show a progress bar.
        attended_features: Folder of the features that a model with temporal attention attends
            to; default: `features`.

    Raises:
        ValueError: If the folder already holds a run and `resume` is False, or holds a run made
            with other choices; if a split is empty; or if features, model and choices do not fit.
        FileNotFoundError: If `config.initialize_from` names nothing.
    """
    run = pathlib.Path(run)
    described = {}
    if config.initialize_from:
        described["initial_weights_sha256"] = _hash_of_model(config.initialize_from)
    index = FeatureIndex.load(features)
    attended = FeatureIndex.load(attended_features) if attended_features else None
    described |= {"features": _describe(index), **dataclasses.asdict(config)}
    if attended:
        described["attended_features"] = _describe(attended)
    if _is_finished(run, described, resume):
        return json.loads((run / RESULTS_FILE).read_text(encoding="utf-8"))
    # Two runs of one seed must agree to the bit, whatever the number of threads. Keras leaves out
    # XLA where TensorFlow is told so, so a compiled run repeats only as far as XLA does.
    if not config.jit_compile:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    model = make_classifier(config, index.label_names)
    _check_fit(model, config, index, attended)
    windows, validation = (
        FeatureWindows(index, split, config.window_sampling, model.input_names, attended)
        for split in ("train", "val")
    )
    for each in (windows, validation):
        check_labels(each.labels, model.num_classes, model.multi_label)
    steps = windows.batches_per_epoch(config.batch_size, config.windows_per_clip)
    prepare_classifier(model, config, windows.input_shapes, steps)
    history = []
    if resume and (run / STATE_FILE).exists():
        history = load_run_state(run / STATE_FILE, model)
    elif config.initialize_from:
        take_initial_weights(model, config.initialize_from)
    batches = windows.shuffled(
        config.batch_size, config.seed, len(history), config.windows_per_clip
    )
    validation_batches = validation.in_order(config.batch_size)
    # Only now: choices that cannot be built must not leave a folder that looks like a run.
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / CONFIG_FILE, described)
    checkpoint = RunCheckpoint(run, history, f"val_{config.monitor}", config.early_stopping)
    callbacks = [checkpoint, keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False)]
    if progress:
        print(describe_classifier(model, config, windows.input_shapes))
        callbacks.append(TrainingProgress(config.model))
    if not checkpoint.is_patience_lost:
        model.fit(
            batches,
            validation_data=validation_batches,
            initial_epoch=len(history),
            epochs=config.epochs,
            steps_per_epoch=steps,
            callbacks=callbacks,
            shuffle=False,
            verbose=0,
        )
    results = _results(config, checkpoint, model, windows, validation)
    write_json(run / RESULTS_FILE, results)
    return results


class RunCheckpoint(keras.callbacks.Callback):
    """After each epoch writes the log, the best and the last model and the state to resume from.

    Ends the training where `patience` epochs, if above 0, brought nothing better. The state is
    written last and under its name at once: whatever is interrupted before that is done again, to
    the same bits.
    """

    def __init__(self, run, history, monitor, patience=0):
        super().__init__()
        self.run = run
        self.history = history
        self.monitor = monitor
        self.patience = patience
        self._started = time.monotonic()

    @property
    def best(self):
        """The number of the best epoch so far, the first of equals; None before the first."""
        sign = -1 if self.monitor.endswith("loss") else 1
        values = [sign * epoch[self.monitor] for epoch in self.history]
        return values.index(max(values)) if values else None

    @property
    def is_patience_lost(self):
        """Whether the last `patience` epochs brought nothing better; never with a patience of 0."""
        return bool(self.patience and len(self.history) - 1 - (self.best or 0) >= self.patience)

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"the {name} of epoch {epoch + 1} is {value}: train anew with a lower "
                    "--learning_rate or a --clip_norm."
                )
        seconds = round(time.monotonic() - self._started, 3)
        row = {"epoch": epoch, **{name: float(value) for name, value in logs.items()}}
        self.history.append({**row, "seconds": seconds})
        if self.best == epoch:
            self._save("best.keras")
        self._save("last.keras")
        with partial_file(self.run / "log.csv") as partial:
            with open(partial, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, fieldnames=list(self.history[0]))
                writer.writeheader()
                writer.writerows(self.history)
        save_run_state(self.run / STATE_FILE, self.model, self.history)
        if self.is_patience_lost:
            self.model.stop_training = True

    def _save(self, name):
        with partial_file(self.run / name) as partial:
            self.model.save(partial)


class TrainingProgress(keras.callbacks.Callback):
    """One bar over all steps of a run, with the time left and the newest numbers."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_train_begin(self, logs=None):
        self._bar = None

    def on_epoch_begin(self, epoch, logs=None):
        if self._bar is None:
            steps, epochs = self.params["steps"], self.params["epochs"]
            self._bar = tqdm(
                total=steps * epochs,
                initial=steps * epoch,
                desc=self.name,
                unit="step",
                mininterval=1.0,
            )

    def on_train_batch_end(self, batch, logs=None):
        self._bar.update()

    def on_epoch_end(self, epoch, logs=None):
        shown = ("loss", "accuracy", "val_accuracy", "auc", "val_auc")
        self._bar.set_postfix({name: f"{logs[name]:.3f}" for name in shown if name in logs})

    def on_train_end(self, logs=None):
        if self._bar is not None:
            self._bar.close()


def _check_fit(model, config, index, attended):
    if attended is not None and "attended" not in model.input_names:
        raise ValueError(
            f"--attended_features={attended.folder}: {config.model} attends to no frames of "
            "another source; leave it out."
        )
    if attended is not None and tuple(attended.label_names) != tuple(index.label_names):
        raise ValueError(
            f"--attended_features={attended.folder} has the classes "
            f"{', '.join(attended.label_names)}, {index.folder} {', '.join(index.label_names)}."
        )
    if set(model.input_names) <= set(READS_VECTORS):
        _require_default(config, ("attended_frames", "attended_place"), "attends to no frames")
    if not any(READS_VECTORS.get(name, True) for name in model.input_names):
        _require_default(config, ("pooling",), "reads no vectors")
    if model.multi_label and not index.multi_label:
        raise ValueError(
            f"--model_options: multi_label is true, but the clips of {index.folder} have one label "
            "each; leave it out."
        )


def _require_default(config, names, why):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in names and value != field.default:
            raise ValueError(f"--{field.name}={value}: {config.model} {why}; leave it out.")


def _hash_of_model(source):
    path = pathlib.Path(find_initial_model(source))
    return file_sha256(path) if path.is_file() else None


def _describe(index):
    return {
        "dataset": index.dataset,
        "split_hash": index.split_hash,
        # Which clips there were to train on; fewer, if some failed or a limit was set.
        "clips_hash": hashlib.sha256(
            json.dumps(sorted((clip.split, clip.key) for clip in index.entries)).encode()
        ).hexdigest(),
        "backbone": index.backbone,
        "backbone_options": dict(index.backbone_options),
        "backbone_fingerprint": index.backbone_fingerprint,
        "dtype": str(index.dtype),
    }


def _is_finished(run, described, resume):
    """Checks the run that is in the folder, if there is one; True if nothing is left to do."""
    path = run / CONFIG_FILE
    if not path.exists():
        return False
    if not resume:
        raise ValueError(f"--run={run} already holds a run; go on with --resume or name another.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); name another --run.") from error
    for name, (before, now) in _differences(found, json.loads(json.dumps(described))):
        raise ValueError(
            f"--resume: the run in {run} was made with {name}={before!r}, now it is {now!r}; "
            "resume with the same flags and features or name another --run."
        )
    # What a killed process was writing.
    for leftover in run.glob(".*.partial*"):
        leftover.unlink()
    return (run / RESULTS_FILE).exists()


def _differences(before, now):
    for name in now:
        if isinstance(now[name], dict) and isinstance(before.get(name), dict):
            yield from _differences(before[name], now[name])
        elif before.get(name) != now[name]:
            yield name, (before.get(name), now[name])


def _results(config, checkpoint, model, windows, validation):
    seen = {"train": len(windows.clips), "val": len(validation.clips)}
    left_out = {"train": len(windows.left_out), "val": len(validation.left_out)}
    sampling = dataclasses.asdict(config.window_sampling)
    metric = "loss"
    if config.monitor != "loss":
        metric = f"{config.monitor} of windows, fraction"
    stamp = make_stamp(
        windows.index,
        {**sampling, "windows_per_clip": config.windows_per_clip},
        metric,
        "mean over the steps of a window",
        config.seed,
        seen,
        windows.attended_indices if windows.attended_names else None,
        left_out,
    )
    return {
        "model": config.model,
        "config": dataclasses.asdict(config),
        "parameters": model.count_params(),
        "epochs": len(checkpoint.history),
        "best_epoch": checkpoint.best,
        "best": checkpoint.history[checkpoint.best],
        "last": checkpoint.history[-1],
        "stamp": stamp,
    }


__all__ = ["RunCheckpoint", "TrainingConfig", "TrainingProgress", "train"]

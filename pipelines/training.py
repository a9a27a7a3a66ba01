"""Trains a classifier on extracted features, with checkpoints that resume bit for bit."""

import dataclasses
import json
import pathlib

import keras
import tensorflow as tf

from glimpse.models.clip_labels import check_labels
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.distributed_training import DistributedTraining
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import READS_VECTORS, FeatureWindows
from glimpse.pipelines.initial_weights import find_initial_model, take_initial_weights
from glimpse.pipelines.model_building import (
    describe_classifier,
    make_classifier,
    prepare_classifier,
)
from glimpse.pipelines.partial_file import write_json
from glimpse.pipelines.run_checkpoint import RunCheckpoint
from glimpse.pipelines.run_folder import (
    CONFIG_FILE,
    RESULTS_FILE,
    describe_clips,
    describe_run,
    is_finished,
    remove_leftovers,
)
from glimpse.pipelines.run_state import STATE_FILE, load_run_state
from glimpse.pipelines.split_overlap import refuse_overlap
from glimpse.pipelines.stamp import make_stamp, versions
from glimpse.pipelines.training_devices import TrainingDevices
from glimpse.pipelines.training_progress import TrainingProgress


def train(
    features,
    run,
    config,
    resume=False,
    progress=True,
    attended_features=None,
    strategy="none",
    num_devices=None,
):
    """Trains one model and returns its results.

    Writes into the folder `run`: `config.json`, `log.csv`, `tensorboard/`, `best.keras` (the
    epoch that was best in validation), `last.keras`, `state.npz` (from which `resume` goes on)
    and `results.json`. Stopped at any moment and resumed, a run gives the same bits as one that
    was not stopped.

    On several devices the weights are those of one up to rounding, where nothing is dropped out;
    of several workers one writes, and the others read the same folders.

    Args:
        features: Folder that `extract_features` wrote.
        run: Folder of the run; new, or with `resume` that of an interrupted one.
        config: A `TrainingConfig`.
        resume: Whether to go on with the run found in the folder; a finished run is returned as
            it is, and an empty folder starts anew.
        progress: Whether to print what is trained and show a progress bar.
        attended_features: Folder of the features that a model with temporal attention attends
            to; default: `features`.
        strategy, num_devices: As in `TrainingDevices`; such a run is the first thing that a process
            does with TensorFlow.

    Raises:
        ValueError: If the folder already holds a run and `resume` is False, or holds a run made
            with other choices; if a split is empty; if a clip, group or video is in two splits; or
            if features, model, devices and choices do not fit.
        FileNotFoundError: If `config.initialize_from` names nothing.
        ConnectionError: If another worker stopped.
    """
    if config.initialize_from:
        find_initial_model(config.initialize_from)
    if progress and strategy == "multi_worker":
        print("Waiting for all workers that TF_CONFIG lists.", flush=True)
    devices = TrainingDevices(strategy, num_devices)
    with devices.watch_workers():
        return _train(
            FeatureIndex.load(features),
            pathlib.Path(run),
            config,
            resume,
            progress and devices.is_chief,
            FeatureIndex.load(attended_features) if attended_features else None,
            devices,
        )


def _train(index, run, config, resume, progress, attended, devices):
    refuse_overlap(index.entries)
    described = describe_run(config, index, attended)
    if is_finished(run, described, resume):
        return json.loads((run / RESULTS_FILE).read_text(encoding="utf-8"))
    # Two runs of one seed must agree to the bit, whatever the number of threads. Keras leaves out
    # XLA where TensorFlow is told so, so a compiled run repeats only as far as XLA does.
    if not config.jit_compile:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    with devices.scope():
        model = make_classifier(config, index.label_names)
    _check_fit(model, config, index, attended)
    windows, validation = (
        FeatureWindows(index, split, config.window_sampling, model.input_names, attended)
        for split in ("train", "val")
    )
    for each in (windows, validation):
        check_labels(each.labels, model.num_classes, model.multi_label)
    steps = windows.batches_per_epoch(config.batch_size, config.windows_per_clip)
    state, history = run / STATE_FILE, []
    with devices.scope():
        prepare_classifier(model, config, windows.input_shapes, steps)
        if resume and state.exists():
            history = load_run_state(state, model)
        elif config.initialize_from:
            take_initial_weights(model, config.initialize_from)
    devices.require_agreement(
        {
            "The features": [describe_clips(each) for each in (index, attended) if each],
            "The flags": described,
            "The versions": versions(),
            "The epochs found in --run": file_sha256(state) if history else None,
        }
    )
    fit = _make_fit(devices, model, windows, validation, config, len(history))
    checkpoint = RunCheckpoint(
        run, history, f"val_{config.monitor}", config.early_stopping, devices.is_chief
    )
    callbacks = [checkpoint]
    if devices.is_chief:
        # Only now: choices that cannot be built must not leave a folder that looks like a run.
        run.mkdir(parents=True, exist_ok=True)
        remove_leftovers(run)
        write_json(run / CONFIG_FILE, described)
        callbacks.append(keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False))
    if progress:
        print(describe_classifier(model, config, windows.input_shapes))
        callbacks.append(TrainingProgress(config.model))
    if not checkpoint.is_patience_lost:
        fit(callbacks)
    results = {
        **_results(config, checkpoint, model, windows, validation),
        "devices": devices.describe(),
    }
    if devices.is_chief:
        write_json(run / RESULTS_FILE, results)
    return results


def _make_fit(devices, model, windows, validation, config, initial_epoch):
    """Returns the function (callbacks) that trains; what it cannot do is refused before."""
    if devices.strategy:
        data = windows, validation
        return DistributedTraining(devices, model, *data, config, initial_epoch).fit
    options = {
        "x": windows.shuffled(
            config.batch_size, config.seed, initial_epoch, config.windows_per_clip
        ),
        "validation_data": validation.in_order(config.batch_size),
        "initial_epoch": initial_epoch,
        "epochs": config.epochs,
        "steps_per_epoch": windows.batches_per_epoch(config.batch_size, config.windows_per_clip),
    }
    return lambda callbacks: model.fit(callbacks=callbacks, shuffle=False, verbose=0, **options)


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

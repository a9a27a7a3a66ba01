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

from glimpse.models.registry import create_model
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.partial_file import partial_file, write_json
from glimpse.pipelines.run_state import load_run_state, save_run_state
from glimpse.pipelines.stamp import make_stamp
from glimpse.pipelines.training_config import TrainingConfig

CONFIG_FILE, STATE_FILE, RESULTS_FILE = "config.json", "state.npz", "results.json"


def train(features, run, config, resume=False, progress=True):
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
        progress: Whether to show a progress bar.

    Raises:
        ValueError: If the folder already holds a run and `resume` is False, or holds a run made
            with other choices; or if a split is empty.
    """
    run = pathlib.Path(run)
    index = FeatureIndex.load(features)
    described = {"features": _describe(index), **dataclasses.asdict(config)}
    if _is_finished(run, described, resume):
        return json.loads((run / RESULTS_FILE).read_text(encoding="utf-8"))
    # Two runs of one seed must agree to the bit, whatever the number of threads. Keras leaves out
    # XLA where TensorFlow is told so, so a compiled run repeats only as far as XLA does.
    if not config.jit_compile:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(config.seed)
    sampling = WindowSampling(config.num_frames, config.frames_per_second, config.block_stride)
    windows = FeatureWindows(index, "train", sampling)
    validation = FeatureWindows(index, "val", sampling)
    steps = windows.batches_per_epoch(config.batch_size, config.windows_per_clip)
    model = build_model(config, index, steps)
    # Only now: choices that cannot be built must not leave a folder that looks like a run.
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / CONFIG_FILE, described)
    history = []
    if resume and (run / STATE_FILE).exists():
        history = load_run_state(run / STATE_FILE, model)
    checkpoint = RunCheckpoint(run, history, f"val_{config.monitor}")
    callbacks = [checkpoint, keras.callbacks.TensorBoard(run / "tensorboard", write_graph=False)]
    if progress:
        callbacks.append(TrainingProgress(config.model))
    model.fit(
        windows.shuffled(config.batch_size, config.seed, len(history), config.windows_per_clip),
        validation_data=validation.in_order(config.batch_size),
        initial_epoch=len(history),
        epochs=config.epochs,
        steps_per_epoch=steps,
        callbacks=callbacks,
        shuffle=False,
        verbose=0,
    )
    results = _results(index, config, checkpoint, model, windows, validation)
    write_json(run / RESULTS_FILE, results)
    return results


def build_model(config, index, steps_per_epoch):
    """Returns the compiled, built model of a run, with weights drawn from the run's seed."""
    sampling = {"num_frames": config.num_frames, "frames_per_second": config.frames_per_second}
    model = create_model(
        config.model,
        len(index.label_names),
        label_names=list(index.label_names),
        sampling=sampling,
        dtype=config.mixed_precision,
        **config.model_options,
    )
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, config.epochs * steps_per_epoch)
    options = {"global_clipnorm": config.clip_norm} if config.clip_norm else {}
    if config.decoupled_weight_decay:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, **options)
    else:
        optimizer = keras.optimizers.Adam(rate, **options)
    model.build((None, config.num_frames, *index.feature_shape))
    model.compile(
        optimizer,
        attention_penalty=config.attention_penalty,
        weight_decay=0.0 if config.decoupled_weight_decay else config.weight_decay,
        jit_compile=config.jit_compile,
    )
    model.optimizer.build(model.trainable_variables)
    return model


class RunCheckpoint(keras.callbacks.Callback):
    """After each epoch writes the log, the best and the last model and the state to resume from.

    The state is written last and under its name at once: whatever is interrupted before that is
    done again, to the same bits.
    """

    def __init__(self, run, history, monitor):
        super().__init__()
        self.run = run
        self.history = history
        self.monitor = monitor
        self._started = time.monotonic()

    @property
    def best(self):
        """The number of the best epoch so far, the first of equals; None before the first."""
        sign = -1 if self.monitor.endswith("loss") else 1
        values = [sign * epoch[self.monitor] for epoch in self.history]
        return values.index(max(values)) if values else None

    def on_epoch_begin(self, epoch, logs=None):
        self._started = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"the loss of epoch {epoch + 1} is {logs['loss']}: train anew with a lower "
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
        shown = ("loss", "accuracy", "val_accuracy")
        self._bar.set_postfix({name: f"{logs[name]:.3f}" for name in shown if name in logs})

    def on_train_end(self, logs=None):
        if self._bar is not None:
            self._bar.close()


def _describe(index):
    return {
        "dataset": index.dataset,
        "split_hash": index.split_hash,
        # Which clips there were to train on; fewer, if some failed or a limit was set.
        "clips_hash": hashlib.sha256(
            json.dumps(sorted((clip.split, clip.key) for clip in index.entries)).encode()
        ).hexdigest(),
        "backbone": index.backbone,
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


def _results(index, config, checkpoint, model, windows, validation):
    seen = {"train": len(windows.clips), "val": len(validation.clips)}
    sampling = {
        "num_frames": config.num_frames,
        "frames_per_second": config.frames_per_second,
        "block_stride": config.block_stride,
        "windows_per_clip": config.windows_per_clip,
    }
    metric = f"{config.monitor} of windows, fraction" if config.monitor == "accuracy" else "loss"
    pooling = "mean over the steps of a window"
    stamp = make_stamp(index, sampling, metric, pooling, config.seed, seen)
    return {
        "model": config.model,
        "config": dataclasses.asdict(config),
        "parameters": model.count_params(),
        "best_epoch": checkpoint.best,
        "best": checkpoint.history[checkpoint.best],
        "last": checkpoint.history[-1],
        "stamp": stamp,
    }


__all__ = ["RunCheckpoint", "TrainingConfig", "TrainingProgress", "build_model", "train"]

"""Training runs: they learn, are repeatable, and resume to the same bits."""

import csv
import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from glimpse.models import load_model
from glimpse.pipelines import run_checkpoint, training
from glimpse.pipelines.training import train
from glimpse.pipelines.training_config import TrainingConfig
from tests.synthetic_features import (
    LABEL_NAMES,
    make_features,
    make_numbered_features,
    spoil_stored,
)

CONFIG = TrainingConfig(
    model="soft_attention_small",
    model_options={"units": 8, "attention_units": 8, "hidden_units": 8, "dropout": 0.2},
    epochs=4,
    batch_size=5,
    learning_rate=0.02,
    schedule="cosine",
    clip_norm=10.0,
    attention_penalty=0.01,
    num_frames=4,
    windows_per_clip=2,
    seed=7,
)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    make_features(folder)
    return folder


@pytest.fixture(scope="module")
def finished(features, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    return run, train(features, run, CONFIG, progress=False)


def weights(path):
    return [np.asarray(weight) for weight in keras.saving.load_model(path).weights]


def log(run):
    rows = list(csv.DictReader((run / "log.csv").open()))
    return [{name: row[name] for name in row if name != "seconds"} for row in rows]


def assert_same_run(one, other):
    assert log(one) == log(other)
    for name in ("best.keras", "last.keras"):
        for ours, theirs in zip(weights(one / name), weights(other / name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_run_leaves_everything_behind(finished):
    run, results = finished
    for name in ("config.json", "log.csv", "best.keras", "last.keras", "state.npz", "results.json"):
        assert (run / name).is_file(), name
    assert list((run / "tensorboard").rglob("events*"))
    assert not list(run.rglob("*.partial*"))
    assert json.loads((run / "results.json").read_text()) == results
    stamp = results["stamp"]
    assert stamp["dataset"] == "synthetic" and stamp["seed"] == 7
    assert stamp["seen"] == {"train": 12, "val": 6} and sum(stamp["expected"].values()) == 24
    assert {"keras", "tensorflow", "opencv", "numpy"} <= set(stamp["versions"])
    assert len(log(run)) == 4


def test_the_model_carries_labels_and_sampling(finished):
    model = load_model(finished[0] / "best.keras")
    assert tuple(model.label_names) == LABEL_NAMES
    assert model.sampling == dataclasses.asdict(CONFIG.window_sampling)
    assert model.sampling["num_frames"] == 4


@pytest.mark.slow
def test_training_learns_where_to_look(tmp_path):
    make_features(tmp_path / "features", counts=(90, 30, 3))
    config = dataclasses.replace(CONFIG, epochs=15, attention_penalty=0.0, windows_per_clip=4)
    results = train(tmp_path / "features", tmp_path / "run", config, progress=False)
    assert results["best"]["val_accuracy"] > 0.9


def test_the_same_seed_gives_the_same_bits_and_another_does_not(features, finished, tmp_path):
    train(features, tmp_path / "again", CONFIG, progress=False)
    assert_same_run(finished[0], tmp_path / "again")
    train(features, tmp_path / "other", dataclasses.replace(CONFIG, seed=8), progress=False)
    assert log(tmp_path / "other") != log(finished[0])


@pytest.mark.parametrize("batch", [0, 3])
def test_an_interrupted_run_resumes_to_the_same_bits(
    features, finished, tmp_path, monkeypatch, batch
):
    class Interruption(training.RunCheckpoint):
        def on_train_batch_end(self, number, logs=None):
            if len(self.history) == 2 and number == batch:
                raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(training, "RunCheckpoint", Interruption)
        with pytest.raises(KeyboardInterrupt):
            train(features, run, CONFIG, progress=False)
    assert len(log(run)) == 2 and not (run / "results.json").exists()
    results = train(features, run, CONFIG, resume=True, progress=False)
    assert_same_run(finished[0], run)
    assert results["best_epoch"] == finished[1]["best_epoch"]


def test_a_kill_between_two_files_of_a_checkpoint_does_no_harm(
    features, finished, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(run_checkpoint, "save_run_state", stop)
        with pytest.raises(KeyboardInterrupt):
            train(features, run, CONFIG, progress=False)
    assert (run / "best.keras").exists() and not (run / "state.npz").exists()
    train(features, run, CONFIG, resume=True, progress=False)
    assert_same_run(finished[0], run)


def test_a_finished_run_is_returned_as_it_is(features, finished):
    run, results = finished
    before = (run / "state.npz").stat().st_mtime_ns
    assert train(features, run, CONFIG, resume=True, progress=False) == results
    assert (run / "state.npz").stat().st_mtime_ns == before


def test_a_folder_with_a_run_is_not_overwritten(features, finished):
    with pytest.raises(ValueError, match="already holds a run.*--resume"):
        train(features, finished[0], CONFIG, progress=False)
    changed = dataclasses.replace(CONFIG, learning_rate=0.5)
    with pytest.raises(ValueError, match="learning_rate=0.02.*0.5"):
        train(features, finished[0], changed, resume=True, progress=False)


def test_a_state_of_another_architecture_or_a_damaged_one_is_refused(features, finished, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "state.npz").write_bytes((finished[0] / "state.npz").read_bytes())
    config = dataclasses.replace(CONFIG, model_options={"units": 4})
    with pytest.raises(ValueError, match="another architecture"):
        train(features, run, config, resume=True, progress=False)
    whole = (finished[0] / "state.npz").read_bytes()
    (run / "state.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="state.npz is not a readable run state"):
        train(features, run, config, resume=True, progress=False)


def test_mixed_precision_trains(features, tmp_path):
    config = dataclasses.replace(CONFIG, epochs=1, mixed_precision="mixed_bfloat16")
    results = train(features, tmp_path / "run", config, progress=False)
    assert np.isfinite(results["last"]["loss"])
    assert load_model(tmp_path / "run" / "best.keras").compute_dtype == "bfloat16"


def test_choices_that_cannot_be_built_leave_no_run_behind(features, tmp_path):
    run = tmp_path / "run"
    changes = {"soft_attention_small": {"model": "soft_attention_smal"}}
    changes["`units` must be"] = {"model_options": {"units": 0}}
    for words, change in changes.items():
        with pytest.raises(ValueError, match=words):
            train(features, run, dataclasses.replace(CONFIG, **change), progress=False)
    assert not run.exists()


def test_resuming_on_other_clips_is_refused(features, finished, tmp_path):
    other = tmp_path / "features"
    make_features(other, counts=(9, 6, 6))
    with pytest.raises(ValueError, match="clips_hash"):
        train(other, finished[0], CONFIG, resume=True, progress=False)


def test_a_loss_that_is_not_a_number_stops_the_run(features, tmp_path):
    config = dataclasses.replace(CONFIG, learning_rate=1e30, clip_norm=0.0)
    with pytest.raises(ValueError, match="loss of epoch.*--learning_rate"):
        train(features, tmp_path / "run", config, progress=False)


def test_features_that_are_not_numbers_leave_no_run_behind(tmp_path):
    index = make_features(tmp_path / "features")
    spoil_stored(index, index.clips("val")[2].key, 0, np.nan)
    with pytest.raises(ValueError, match="^The features of .*val_2.mp4 in .* hold NaN"):
        train(tmp_path / "features", tmp_path / "run", CONFIG, progress=False)
    assert not (tmp_path / "run").exists()


def test_every_number_of_an_epoch_must_be_finite(tmp_path):
    """As where the features are too many to be held, and those of validation hold NaN."""
    checkpoint = training.RunCheckpoint(tmp_path, [], "val_accuracy")
    with pytest.raises(ValueError, match="^the val_loss of epoch 3 is nan"):
        checkpoint.on_epoch_end(2, {"loss": 1.0, "val_accuracy": 0.5, "val_loss": float("nan")})
    assert not checkpoint.history and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_run_compiled_by_xla_trains_from_the_command_line(features, tmp_path):
    """In a process of its own: where operations are deterministic, Keras leaves XLA out."""
    flags = ["--model=soft_attention_small", "--num_frames=4", "--epochs=1", "--batch_size=6"]
    command = [sys.executable, "-m", "glimpse", "train", *flags, "--jit_compile"]
    command += [f"--features={features}", f"--run={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "jit_compile=False" not in done.stderr
    assert "soft_attention_small: SoftAttentionClassifier(units=128, " in done.stdout
    assert "features 4 x 2 x 3 x 4, adam." in done.stdout
    assert "best epoch 1 of 1" in done.stdout


@pytest.mark.slow
def test_the_released_codes_model_and_training_learn(tmp_path):
    make_features(tmp_path / "features", counts=(60, 30, 3))
    config = TrainingConfig(
        model="soft_attention_reference",
        model_options={"units": 24, "attention_units": 16, "dropout": 0.1, "scored_steps": 2},
        epochs=12,
        batch_size=12,
        optimizer="reference_adam",
        learning_rate=0.004,
        attention_penalty=0.1,
        attention_penalty_reduction="mean",
        batch_reduction="sum",
        num_frames=3,
        windows_per_clip=2,
    )
    results = train(tmp_path / "features", tmp_path / "run", config, progress=False)
    assert results["best"]["val_accuracy"] > 0.9
    model = load_model(tmp_path / "run" / "best.keras")
    assert model.scored_steps == 2 and model.batch_reduction == "sum"


REFERENCE = dataclasses.replace(
    CONFIG,
    model="soft_attention_reference",
    model_options={"units": 6, "attention_units": 5, "attention_depth": 2},
    optimizer="reference_adam",
    learning_rate=0.002,
    schedule="decay",
    decay_after=7,
    decay_rate=0.5,
    decay_every=2,
    attention_penalty_reduction="mean",
    batch_reduction="sum",
    epochs=3,
)
TWO_SOURCES = TrainingConfig(
    model="temporal_attention_small",
    model_options={"units": 6, "attention_units": 5, "dropout": 0.2},
    optimizer="sgd", momentum=0.9, learning_rate=0.05, batch_size=3, epochs=3, seed=3,
    early_stopping=5, monitor="loss", sampling_rule="random_windows", eval_windows=2, num_frames=2,
    attended_frames=5, attended_place="middle", flips=True, min_video_frames=32,
)  # fmt: skip


@pytest.fixture(scope="module")
def two_sources(tmp_path_factory):
    """Chunks of 16 frames to step through, and frames to attend to; one clip is too short."""
    folder = tmp_path_factory.mktemp("two_sources")
    lengths = {"train": (48, 64, 32, 16, 70), "val": (40, 50)}
    make_numbered_features(folder / "chunks", lengths, frames_per_input=16, flips=True)
    make_numbered_features(folder / "frames", lengths, shape=(2, 1, 3), flips=True)
    return folder / "chunks", folder / "frames"


@pytest.mark.parametrize("kind", ["reference", "two_sources"])
def test_every_optimizer_and_protocol_resumes_to_the_same_bits(
    features, two_sources, tmp_path, monkeypatch, kind
):
    class Interruption(training.RunCheckpoint):
        def on_train_batch_end(self, number, logs=None):
            if len(self.history) == 1 and number == 1:
                raise KeyboardInterrupt

    config, arguments = REFERENCE, {"features": features}
    if kind == "two_sources":
        config = TWO_SOURCES
        arguments = dict(zip(("features", "attended_features"), two_sources, strict=True))
    arguments.update(config=config, progress=False)
    results = train(run=tmp_path / "whole", **arguments)
    with monkeypatch.context() as patched:
        patched.setattr(training, "RunCheckpoint", Interruption)
        with pytest.raises(KeyboardInterrupt):
            train(run=tmp_path / "run", **arguments)
    assert len(log(tmp_path / "run")) == 1
    assert train(run=tmp_path / "run", resume=True, **arguments)["best_epoch"] is not None
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    losses = [float(row["loss"]) for row in log(tmp_path / "run")]
    assert len(set(losses)) == 3 and np.isfinite(losses).all()
    if kind == "two_sources":
        stamp = results["stamp"]
        assert stamp["seen"] == {"train": 4, "val": 2} and stamp["left_out"]["train"] == 1
        assert stamp["attended"]["attended"]["backbone"] == "none"
        recorded = json.loads((tmp_path / "run" / "config.json").read_text())
        assert recorded["attended_features"]["clips_hash"]


def test_a_run_ends_where_patience_does(features, tmp_path):
    config = dataclasses.replace(
        CONFIG, epochs=9, learning_rate=1e-12, early_stopping=2, schedule="constant"
    )
    run = tmp_path / "run"
    results = train(features, run, config, progress=False)
    assert results["epochs"] == len(log(run)) == 3 and results["best_epoch"] == 0
    # Killed after its last epoch: there is nothing left to train.
    (run / "results.json").unlink()
    assert train(features, run, config, resume=True, progress=False)["epochs"] == 3
    assert len(log(run)) == 3


def test_a_run_starts_from_the_weights_of_another(features, finished, tmp_path):
    still = {"learning_rate": 1e-12, "schedule": "constant", "weight_decay": 0.0, "epochs": 1}
    config = dataclasses.replace(CONFIG, initialize_from=str(finished[0]), **still)
    train(features, tmp_path / "run", config, progress=False)
    files = finished[0] / "best.keras", tmp_path / "run" / "last.keras"
    for theirs, ours in zip(*map(weights, files), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-8)
    missing = dataclasses.replace(config, initialize_from=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="--initialize_from=.*no best.keras"):
        train(features, tmp_path / "other", missing, progress=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("options", "metric"), [({}, "accuracy"), ({"multi_label": True}, "auc")])
def test_clips_of_several_labels_train_by_either_loss(tmp_path, options, metric):
    folder = tmp_path / "features"
    lengths = {"train": (4, 5, 6, 4), "val": (4, 4, 5)}
    make_numbered_features(folder, lengths, shape=(1, 2, 3), labels=[(0, 1), (2,), (1,)])
    config = TrainingConfig(
        model="softmax_regression", model_options=options, epochs=2, batch_size=3, num_frames=3,
        monitor=metric,
    )  # fmt: skip
    results = train(folder, tmp_path / "run", config, progress=False)
    assert 0 <= results["best"][f"val_{metric}"] <= 1 and np.isfinite(results["last"]["loss"])


def test_features_and_models_that_do_not_fit_leave_no_run_behind(features, two_sources, tmp_path):
    one_label = {"model_options": {"multi_label": True}, "monitor": "auc"}
    cases = [
        (CONFIG, {"attended_features": features}, "--attended_features=.*leave it out"),
        (TrainingConfig("softmax_regression", **one_label), {}, "have one label each"),
        (dataclasses.replace(CONFIG, flips=True), {}, "--flips: .*no mirrored"),
        (
            dataclasses.replace(CONFIG, attended_frames=4),
            {},
            "--attended_frames=4: soft_attention_small attends to no frames; leave it out",
        ),
        (dataclasses.replace(CONFIG, attended_place="last"), {}, "--attended_place=last: "),
        (
            dataclasses.replace(CONFIG, pooling="max"),
            {},
            "--pooling=max: soft_attention_small reads no vectors; leave it out",
        ),
    ]
    for config, arguments, words in cases:
        with pytest.raises(ValueError, match=words):
            train(features, tmp_path / "run", config, progress=False, **arguments)
    assert not (tmp_path / "run").exists()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

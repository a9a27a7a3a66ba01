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
from glimpse.pipelines import training
from glimpse.pipelines.training import train
from glimpse.pipelines.training_config import TrainingConfig
from tests.synthetic_features import LABEL_NAMES, make_features

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
    assert stamp["seen"] == {"train": 12, "val": 6} and stamp["expected"] == 24
    assert {"keras", "tensorflow", "opencv", "numpy"} <= set(stamp["versions"])
    assert len(log(run)) == 4


def test_the_model_carries_labels_and_sampling(finished):
    model = load_model(finished[0] / "best.keras")
    assert tuple(model.label_names) == LABEL_NAMES
    assert model.sampling == {"num_frames": 4, "frames_per_second": None}


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
        patched.setattr(training, "save_run_state", stop)
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
    for change in ({"model": "soft_attention_smal"}, {"frames_per_second": 60.0}):
        with pytest.raises(ValueError, match="soft_attention_small|60"):
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


@pytest.mark.slow
def test_a_run_compiled_by_xla_trains_from_the_command_line(features, tmp_path):
    """In a process of its own: where operations are deterministic, Keras leaves XLA out."""
    flags = ["--model=soft_attention_small", "--num_frames=4", "--epochs=1", "--batch_size=6"]
    command = [sys.executable, "-m", "glimpse", "train", *flags, "--jit_compile"]
    command += [f"--features={features}", f"--run={tmp_path / 'run'}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "jit_compile=False" not in done.stderr
    assert "best epoch 1 of 1" in done.stdout


def test_decoupled_weight_decay_is_adamw_and_leaves_the_loss_alone(features):
    from glimpse.pipelines.feature_index import FeatureIndex

    config = dataclasses.replace(CONFIG, weight_decay=0.1, decoupled_weight_decay=True)
    model = training.build_model(config, FeatureIndex.load(features), 3)
    assert isinstance(model.optimizer, keras.optimizers.AdamW)
    assert model.weight_decay == 0.0 and float(model.optimizer.weight_decay) == 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        ({"learning_rate": -1.0}, "--learning_rate must be above 0"),
        ({"schedule": "linear"}, "--schedule.*constant, cosine.*'linear'"),
        ({"attention_penalty": -1.0}, "--attention_penalty"),
        ({"windows_per_clip": 0}, "--windows_per_clip"),
    ],
)
def test_choices_out_of_range_are_named(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(CONFIG, **change)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

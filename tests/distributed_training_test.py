"""Several devices and machines give the weights of one, and go on after one of them was lost."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.models import create_model, load_model
from glimpse.pipelines import training
from glimpse.pipelines.distributed_training import DistributedTraining
from glimpse.pipelines.training import train
from glimpse.pipelines.training_config import TrainingConfig
from glimpse.pipelines.training_devices import TrainingDevices, read_task
from tests import train_on_devices
from tests.run_command import run_command
from tests.synthetic_features import make_features
from tests.train_on_devices import ROOT, RUNS, config_of, start_workers, train_all, wait_for

WORKERS = {"worker": ["one:2222", "two:2222"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Features, and beside them what was trained on them, by strategy and name."""
    made = tmp_path_factory.mktemp("devices")
    train_on_devices.make_all_features(made)
    return made


def state(run):
    with np.load(run / "state.npz") as file:
        return {name: file[name] for name in file.files if name.startswith("v")}


def log(run):
    return [
        {name: float(value) for name, value in row.items() if name != "seconds"}
        for row in csv.DictReader((run / "log.csv").open())
    ]


def assert_equal_runs(one, other, tolerance=1e-6):
    ours, theirs = state(one), state(other)
    assert len(ours) == len(theirs) > 2
    for name, value in ours.items():
        np.testing.assert_allclose(theirs[name], value, rtol=tolerance, atol=tolerance)
    for row, expected in zip(log(other), log(one), strict=True):
        assert list(row) == list(expected)
        assert row == pytest.approx(expected, rel=1e-5, abs=1e-6)


def assert_same_bits(one, other):
    ours, theirs = state(one), state(other)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    assert log(one) == log(other)


def assert_two_devices_give_what_one_does(folder, names):
    train_all(names, folder)
    script = [sys.executable, train_on_devices.__file__, folder, "2", *names]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in names:
        assert_equal_runs(folder / "none" / name, folder / "mirrored" / name)
        results = json.loads((folder / "mirrored" / name / "results.json").read_text())
        assert results["devices"] == {"strategy": "mirrored", "workers": 1, "replicas": 2}


def test_two_devices_give_the_weights_of_one(folder):
    assert_two_devices_give_what_one_does(folder, ["sgd"])


@pytest.mark.slow
def test_two_devices_give_the_weights_of_one_with_every_optimizer_and_loss(folder):
    assert_two_devices_give_what_one_does(folder, [name for name in RUNS if name != "sgd"])


DROPPING = dataclasses.replace(
    config_of("decoupled"), epochs=4, model_options={"dropout": 0.5}, clip_norm=0.3
)


def test_the_loop_trains_as_fit_does_and_resumes_to_the_same_bits(folder, tmp_path, monkeypatch):
    class Interruption(training.RunCheckpoint):
        def on_train_batch_end(self, number, logs=None):
            if len(self.history) == 2 and number == 3:
                raise KeyboardInterrupt

    features, on_one = folder / "one_label", {"strategy": "mirrored", "num_devices": 1}
    train(features, tmp_path / "fit", DROPPING, progress=False)
    train(features, tmp_path / "whole", DROPPING, progress=False, **on_one)
    assert_equal_runs(tmp_path / "fit", tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(training, "RunCheckpoint", Interruption)
        with pytest.raises(KeyboardInterrupt):
            train(features, tmp_path / "run", DROPPING, progress=False, **on_one)
    assert len(log(tmp_path / "run")) == 2
    results = train(features, tmp_path / "run", DROPPING, True, progress=False, **on_one)
    assert_same_bits(tmp_path / "whole", tmp_path / "run")
    assert results["epochs"] == 4
    for name in ("best.keras", "last.keras", "config.json", "log.csv", "results.json"):
        assert (tmp_path / "run" / name).is_file(), name
    assert list((tmp_path / "run" / "tensorboard").rglob("events*"))


def test_the_loop_ends_where_patience_does(folder, tmp_path):
    config = dataclasses.replace(DROPPING, learning_rate=1e-12, early_stopping=1)
    on_one = {"strategy": "mirrored", "num_devices": 1}
    results = train(folder / "one_label", tmp_path, config, progress=False, **on_one)
    assert results["epochs"] == 2


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_losses_of_parts_add_up_to_that_of_the_batch(reduction):
    model = create_model("soft_attention_small", 3)
    decay, penalty = {"weight_decay": 0.1}, {"attention_penalty": 0.2}
    model.compile(batch_reduction=reduction, **decay, **penalty)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4, 2, 3, 4)).astype("float32")
    y = np.array([0, 2, 1, 1, 0])
    answer = model(x)
    whole = float(model.compute_loss(x, y, answer))
    total = float(model.weight_loss())
    assert total > 0
    for part in (slice(0, 2), slice(2, 5)):
        of_part = {name: value[part] for name, value in answer.items()}
        share = 1 if reduction == "sum" else len(y[part]) / len(y)
        total += float(model.clip_loss(y[part], of_part)) * share
    assert total == pytest.approx(whole, rel=1e-5)


def test_each_device_draws_masks_of_its_own():
    program = """
import types
import keras
from glimpse.pipelines.distributed_training import DistributedTraining
from glimpse.pipelines.training_devices import TrainingDevices

devices = TrainingDevices("mirrored", 2)
with devices.scope():
    model = keras.Sequential([keras.layers.Dropout(0.5, seed=5)])
    model.build((None, 2))
    training = DistributedTraining.__new__(DistributedTraining)
    training._strategy, training._model = devices.strategy, model
    training._draw_other_masks_on_each_device()
seed = model.layers[0].seed_generator.state.value
print([each.numpy().tolist() for each in devices.strategy.experimental_local_results(seed)])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[[5, 0], [6, 0]]", done.stderr[-2000:]


CHOICES = [
    ({"batch_size": 3}, "--batch_size=3: must be at least 4, a window for each device"),
    ({"batch_size": 4, "jit_compile": True}, "--jit_compile: XLA .* --strategy=mirrored"),
    ({"mixed_precision": "mixed_float16"}, "--mixed_precision=mixed_float16: .*mixed_bfloat16"),
    ({}, "--strategy=mirrored: norm normalises by the windows of a batch"),
]


@pytest.mark.parametrize(("changes", "words"), CHOICES)
def test_what_several_devices_cannot_compute_is_refused(changes, words):
    devices = types.SimpleNamespace(name="mirrored", replicas=4, strategy=None)
    model = keras.Sequential([keras.layers.BatchNormalization(name="norm")])
    with pytest.raises(ValueError, match=f"^{words}"):
        DistributedTraining(devices, model, None, None, TrainingConfig(**changes))


def test_a_frozen_normalisation_is_the_same_on_every_device():
    layer = keras.layers.BatchNormalization(trainable=False)
    devices = types.SimpleNamespace(name="mirrored", replicas=4, strategy=None)
    with pytest.raises(AttributeError):  # Past the checks: there are no windows.
        DistributedTraining(devices, keras.Sequential([layer]), None, None, TrainingConfig())


def test_a_refused_choice_leaves_no_run_behind(folder, tmp_path):
    config = dataclasses.replace(DROPPING, jit_compile=True)
    with pytest.raises(ValueError, match="--jit_compile"):
        train(folder / "one_label", tmp_path / "run", config, strategy="mirrored", num_devices=1)
    assert not (tmp_path / "run").exists()


def test_tf_config_tells_the_worker():
    def read(cluster, kind, index):
        return read_task(json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}}))

    assert read(WORKERS, "worker", 1) == (1, 2)
    with_chief = {"worker": ["two:1", "three:1"], "chief": ["one:1"]}
    assert read(with_chief, "chief", 0) == (0, 3)
    assert read(with_chief, "worker", 0) == (1, 3)


TF_CONFIGS = [
    (None, "TF_CONFIG is not set; .*such as {"),
    ("{", "TF_CONFIG={: is not what it should be .*such as {"),
    ("[]", "TypeError.*such as {"),
    ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
    ({"cluster": {**WORKERS, "ps": ["c:1"]}}, "there are no ps in synchronous training"),
    ({"cluster": {"worker": ["one", "two:1"]}}, "'one' is no address; write host:port"),
    ({"cluster": {"worker": ["one:1", "one:1"]}}, "one:1 is listed twice"),
    ({"cluster": {"chief": ["a:1", "b:1"], "worker": ["c:1"]}}, "several chiefs"),
    ({"task": {"type": "worker", "index": 2}}, "worker 2, which .* it has worker 0 to 1"),
    ({"task": {"type": "worker", "index": "0"}}, "worker '0', which the cluster does not list"),
    ({"task": {"type": "chief", "index": 0}}, "chief 0, which the cluster does not list"),
]


@pytest.mark.parametrize(("given", "words"), TF_CONFIGS)
def test_a_tf_config_that_names_no_worker_is_refused(given, words):
    if isinstance(given, dict):
        given = json.dumps({"cluster": WORKERS, "task": {"type": "worker", "index": 0}, **given})
    with pytest.raises(ValueError, match=words):
        read_task(given)


def test_devices_that_are_not_there_are_refused(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    tf.zeros(1)
    cases = [
        (("all",), "--strategy must be one of none, mirrored, multi_worker, got 'all'"),
        (("none", 2), "--num_devices=2: --strategy=none takes no number"),
        (("multi_worker", 2), "--num_devices=2: --strategy=multi_worker takes no number"),
        (("multi_worker",), "TF_CONFIG is not set"),
    ]
    if not tf.config.list_physical_devices("GPU"):
        cases += [
            (("mirrored",), "--strategy=mirrored: TensorFlow sees no GPU"),
            (("mirrored", 0), "--num_devices=0: must be from 1 on"),
            (("mirrored", 2), "--num_devices=2: TensorFlow runs already in this process"),
        ]
    for arguments, words in cases:
        with pytest.raises(ValueError, match=words):
            TrainingDevices(*arguments)
    arguments = ["train", "--features", folder / "one_label", "--run", tmp_path / "run"]
    assert run_command(*arguments, "--strategy=multi_worker") == 1
    assert "TF_CONFIG is not set" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def flags_of(features, run, **changes):
    flags = {"model": "soft_attention_small", "num_frames": 4, "seed": 7, "batch_size": 5}
    flags |= {"clip_norm": 0.05, "attention_penalty": 0.1, "learning_rate": 0.01, **changes}
    given = [f"--{name}={value}" for name, value in flags.items()]
    return ["train", f"--features={features}", f"--run={run}", *given]


def options(dropout):
    return json.dumps({**train_on_devices.SMALL, "dropout": dropout})


@pytest.mark.slow
def test_two_workers_give_the_weights_of_one_process(folder, tmp_path):
    features = folder / "one_label"
    flags = {"epochs": 2, "windows_per_clip": 2, "model_options": options(0.0)}
    assert run_command(*flags_of(features, tmp_path / "one", **flags)) == 0
    two = [*flags_of(features, tmp_path / "two", **flags), "--strategy=multi_worker"]
    assert wait_for(start_workers([two, two])) == [(0,), (0,)]
    assert_equal_runs(tmp_path / "one", tmp_path / "two")
    one, other = (load_model(tmp_path / run / "best.keras") for run in ("one", "two"))
    for ours, theirs in zip(one.weights, other.weights, strict=True):
        np.testing.assert_allclose(np.asarray(theirs), np.asarray(ours), rtol=1e-6, atol=1e-6)
    results = json.loads((tmp_path / "two" / "results.json").read_text())
    assert results["devices"] == {"strategy": "multi_worker", "workers": 2, "replicas": 2}
    found = sorted(path.name for path in (tmp_path / "two").iterdir())
    assert found == sorted(path.name for path in (tmp_path / "one").iterdir())
    # A finished run is returned by both as it is.
    assert wait_for(start_workers([[*two, "--resume"]] * 2)) == [(0,), (0,)]


def wait_for_epochs(run, count, workers):
    started = time.monotonic()
    while not (run / "log.csv").exists() or len(log(run)) < count:
        assert all(worker.poll() is None for worker in workers), wait_for(workers, 10)
        assert time.monotonic() - started < 240
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_workers_end_the_others_and_a_restart_gives_the_same_bits(folder, tmp_path):
    features = folder / "one_label"
    flags = {"epochs": 4, "windows_per_clip": 20, "model_options": options(0.3)}
    whole, run = (
        [*flags_of(features, tmp_path / name, **flags), "--strategy=multi_worker"]
        for name in ("whole", "run")
    )
    assert wait_for(start_workers([whole] * 2)) == [(0,), (0,)]
    for epochs, victim in ((1, 1), (2, 0)):
        workers = start_workers([[*run, "--resume"]] * 2)
        try:
            wait_for_epochs(tmp_path / "run", epochs, workers)
            time.sleep(0.3)
            workers[victim].send_signal(signal.SIGKILL)
            ends = wait_for(workers, 120)
        finally:
            for worker in workers:
                worker.kill()
        assert len(log(tmp_path / "run")) == epochs
        assert not (tmp_path / "run" / "results.json").exists()
        assert ends[victim][0] == -signal.SIGKILL
        status, words = ends[1 - victim]
        assert status == 1
        assert words.endswith(
            f"worker {1 - victim} of 2 lost another one, whose own last words say more; start all "
            "of them again with --resume, which goes on after the last whole epoch."
        )
    assert wait_for(start_workers([[*run, "--resume"]] * 2)) == [(0,), (0,)]
    assert_same_bits(tmp_path / "whole", tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("differs", ["features", "flags"])
def test_workers_that_were_started_otherwise_are_told_apart(folder, tmp_path, differs):
    options_of_all = {"epochs": 1, "model_options": options(0.0)}
    given = [
        [*flags_of(folder / "one_label", tmp_path / "run", **options_of_all), "--seed=7"]
        for _ in range(2)
    ]
    if differs == "features":
        make_features(tmp_path / "features", counts=(13, 7, 3), lengths=(9, 13))
        given[1][1] = f"--features={tmp_path / 'features'}"
    else:
        given[1][-1] = "--seed=8"
    ends = wait_for(start_workers([[*each, "--strategy=multi_worker"] for each in given]))
    for status, words in ends:
        assert status == 1
        assert f"The {differs} of worker 1 differ from worker 0's" in words
    assert not (tmp_path / "run").exists()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

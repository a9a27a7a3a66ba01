"""Training runs to be compared on one device and on several, each process a program of its own.

TensorFlow splits the CPU and joins other workers only before it has done anything else.
"""

import json
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
SMALL = {"units": 6, "attention_units": 5, "hidden_units": 4, "dropout": 0.0}
NO_DROPOUT = {"dropout": 0.0}
# 26 windows in batches of 5: the last batch has one, and so nothing for a second device.
COMMON = {"epochs": 2, "batch_size": 5, "num_frames": 4, "windows_per_clip": 2, "seed": 7}
FEATURES = {"one_label": (13, 7, 3), "several_labels": {"train": (4, 5, 6, 4, 8), "val": (4, 4, 5)}}
RUNS = {
    "sgd": {
        "model": "softmax_regression",
        "model_options": NO_DROPOUT,
        "optimizer": "sgd",
        "momentum": 0.9,
        "clip_norm": 0.3,
        "learning_rate": 0.05,
        "batch_reduction": "sum",
        "weight_decay": 0.02,
    },
    "adam": {
        "model": "soft_attention_small",
        "model_options": SMALL,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "clip_norm": 0.05,
        "attention_penalty": 0.1,
        "weight_decay": 0.01,
    },
    "reference_adam": {
        "model": "soft_attention_small",
        "model_options": SMALL,
        "optimizer": "reference_adam",
        "learning_rate": 0.001,
        "schedule": "decay",
        "decay_after": 3,
        "clip_norm": 5.0,
        "attention_penalty": 0.1,
        "attention_penalty_reduction": "mean",
        "batch_reduction": "sum",
    },
    "decoupled": {
        "model": "softmax_regression",
        "model_options": NO_DROPOUT,
        "decoupled_weight_decay": True,
        "weight_decay": 0.1,
    },
    "several_labels": {
        "model": "softmax_regression",
        "model_options": {**NO_DROPOUT, "multi_label": True},
        "monitor": "auc",
        "batch_size": 3,
        "optimizer": "adadelta",
        "learning_rate": 1.0,
    },
    "two_inputs": {
        "model": "temporal_attention_small",
        "model_options": {**NO_DROPOUT, "units": 6, "attention_units": 5},
        "attention_penalty": 0.05,
    },
}


def config_of(name):
    """Returns the `TrainingConfig` of one of RUNS."""
    from glimpse.pipelines.training_config import TrainingConfig

    return TrainingConfig(**{**COMMON, **RUNS[name]})


def make_all_features(folder):
    """Writes the features that the runs read, each into a folder of its own."""
    from tests.synthetic_features import make_features, make_numbered_features

    make_features(folder / "one_label", counts=FEATURES["one_label"])
    labels = [(0, 1), (2,), (1,), ()]
    lengths = FEATURES["several_labels"]
    make_numbered_features(folder / "several_labels", lengths, shape=(1, 2, 3), labels=labels)


def train_all(names, folder, **options):
    """Trains the named runs on the features in a folder, into `folder / strategy / name`."""
    from glimpse.pipelines.training import train

    for name in names:
        features = folder / ("several_labels" if name == "several_labels" else "one_label")
        run = folder / options.get("strategy", "none") / name
        train(features, run, config_of(name), progress=False, **options)


def free_ports(count):
    """Returns ports of this machine that nothing listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def start_workers(arguments):
    """Starts `glimpse` as workers on this machine, with a list of arguments for each of them."""
    hosts = [f"localhost:{port}" for port in free_ports(len(arguments))]
    workers = []
    for index, own in enumerate(arguments):
        task = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        workers.append(
            subprocess.Popen(
                [sys.executable, "-m", "glimpse", *map(str, own)],
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return workers


def wait_for(workers, seconds=240):
    """Returns (status, last line of the errors) of each worker; kills those that take longer."""
    try:
        errors = [worker.communicate(timeout=seconds)[1] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    found = [
        [line for line in text.replace("\r", "\n").splitlines() if "glimpse train: " in line][-1:]
        for text in errors
    ]
    return [(w.returncode, *lines) for w, lines in zip(workers, found, strict=True)]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    folder, count, *names = sys.argv[1:]
    train_all(names, pathlib.Path(folder), strategy="mirrored", num_devices=int(count))

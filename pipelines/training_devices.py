"""The devices and machines that a training run computes on."""

import contextlib
import functools
import hashlib
import json
import os

import numpy as np
import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker")
_JOBS = ("chief", "worker")
# What TensorFlow raises where another worker ended or cannot be reached.
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


class TrainingDevices:
    """Where a run computes; made before anything else of TensorFlow runs.

    Args:
        name: `"none"` (one device, by `fit`), `"mirrored"` (all GPUs of this machine) or
            `"multi_worker"` (the machines that the environment variable `TF_CONFIG` lists, this
            being one of them).
        num_devices: With `"mirrored"`, how many GPUs to use, the first ones; where there is none,
            in how many devices to split the CPU, which is for trying things out. None: all GPUs.

    Attributes:
        strategy: The `tf.distribute.Strategy`; None on one device.
        replicas: Number of devices on all machines.
        workers: Number of machines.
        worker: Number of this one.

    Raises:
        ValueError: If there is no such strategy, the machine has fewer devices, or `TF_CONFIG` is
            missing or says something else.
    """

    def __init__(self, name="none", num_devices=None):
        if name not in STRATEGIES:
            raise ValueError(f"--strategy must be one of {', '.join(STRATEGIES)}, got {name!r}.")
        if num_devices is not None and name != "mirrored":
            raise ValueError(
                f"--num_devices={num_devices}: --strategy={name} takes no number; leave it out."
            )
        self.name = name
        self.strategy = None
        self.worker, self.workers = 0, 1
        if name == "mirrored":
            self.strategy = _mirror(_local_devices(num_devices))
        elif name == "multi_worker":
            self.worker, self.workers = read_task(os.environ.get("TF_CONFIG"))
            self.strategy = _join_workers()
        self.replicas = self.strategy.num_replicas_in_sync if self.strategy else 1

    @property
    def is_chief(self):
        """Whether this process writes what the run leaves behind."""
        return self.worker == 0

    def scope(self):
        """Returns the context in which models are made and variables are set."""
        return self.strategy.scope() if self.strategy else contextlib.nullcontext()

    @contextlib.contextmanager
    def watch_workers(self):
        """Gives the errors that another worker's end causes here as one that says so.

        TensorFlow notices it by itself, at once or from missing heartbeats after seconds.

        Raises:
            ConnectionError: If another worker stopped, or is not to be reached.
        """
        try:
            yield
        except _LOST as error:
            if self.workers == 1:
                raise
            raise ConnectionError(
                f"worker {self.worker} of {self.workers} lost another one, whose own last words "
                "say more; start all of them again with --resume, which goes on after the last "
                "whole epoch."
            ) from error

    def require_agreement(self, values):
        """Checks that all workers were started alike; waits for them.

        Args:
            values: {what a value is: the value, of JSON's types}; the same names on all workers.

        Raises:
            ValueError: On all workers, if one of them has another value.
        """
        if self.workers == 1:
            return
        hashes = [hashlib.sha256(json.dumps(each).encode()).digest() for each in values.values()]
        # Numbers that float32 holds exactly: GPUs exchange these, and not all integers.
        own = np.frombuffer(b"".join(hashes), "uint16").reshape((1, len(hashes), -1))
        own = tf.constant(own, tf.float32)
        local = self.replicas // self.workers
        own = self.strategy.experimental_distribute_values_from_function(lambda context: own)
        found = self.strategy.gather(own, axis=0).numpy()[::local]
        for number, name in enumerate(values):
            others = np.flatnonzero((found[:, number] != found[0, number]).any(axis=1))
            if others.size:
                raise ValueError(
                    f"{name} of worker {', '.join(map(str, others))} differ from worker 0's: start "
                    "all workers with the same."
                )

    def describe(self):
        """Returns what the results say of the devices."""
        return {"strategy": self.name, "workers": self.workers, "replicas": self.replicas}


def read_task(text):
    """Returns which worker a process is by its `TF_CONFIG`, and how many there are.

    Args:
        text: JSON such as `{"cluster": {"worker": ["one:2222", "two:2222"]}, "task": {"type":
            "worker", "index": 0}}`; None where the variable is not set.

    Raises:
        ValueError: If it is anything else.
    """
    example = (
        'such as {"cluster": {"worker": ["one:2222", "two:2222"]}, '
        '"task": {"type": "worker", "index": 0}}'
    )
    if not text:
        raise ValueError(
            "--strategy=multi_worker: the environment variable TF_CONFIG is not set; it says which "
            f"machines there are and which of them this is, {example}."
        )
    try:
        found = json.loads(text)
        cluster, task = found["cluster"], found["task"]
        jobs = {job: list(cluster[job]) for job in _JOBS if job in cluster}
        kind, index = task["type"], task["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"TF_CONFIG={text}: is not what it should be ({type(error).__name__}: {error}), "
            f"{example}."
        ) from error
    unknown = sorted(set(cluster) - set(_JOBS))
    if unknown:
        raise ValueError(
            f"TF_CONFIG: there are no {', '.join(unknown)} in synchronous training; leave the job "
            "out of the cluster."
        )
    hosts = [host for job in _JOBS for host in jobs.get(job, ())]
    for host in hosts:
        if not (isinstance(host, str) and host.rpartition(":")[2].isdigit()):
            raise ValueError(f"TF_CONFIG: {host!r} is no address; write host:port.")
        if hosts.count(host) > 1:
            raise ValueError(f"TF_CONFIG: {host} is listed twice; each worker needs its own port.")
    if len(jobs.get("chief", ())) > 1:
        raise ValueError("TF_CONFIG: there are several chiefs; list the others as workers.")
    if kind not in jobs or not isinstance(index, int) or not 0 <= index < len(jobs[kind]):
        raise ValueError(
            f"TF_CONFIG: this process is {kind} {index!r}, which the cluster does not list; it has "
            + ", ".join(f"{job} 0 to {len(listed) - 1}" for job, listed in jobs.items())
            + "."
        )
    return hosts.index(jobs[kind][index]), len(hosts)


def _local_devices(count):
    gpus = tf.config.list_physical_devices("GPU")
    kind = "GPU" if gpus else "CPU"
    if count is None and not gpus:
        raise ValueError(
            "--strategy=mirrored: TensorFlow sees no GPU; use --strategy=none, or split the CPU by "
            "--num_devices to try it out."
        )
    count = len(gpus) if count is None else count
    if count < 1 or (gpus and count > len(gpus)):
        most = f"to {len(gpus)}, the GPUs of this machine" if gpus else "on"
        raise ValueError(f"--num_devices={count}: must be from 1 {most}.")
    if not gpus and count > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        if tf.config.get_logical_device_configuration(cpu) != parts:
            try:
                tf.config.set_logical_device_configuration(cpu, parts)
            except RuntimeError as error:
                raise ValueError(
                    f"--num_devices={count}: TensorFlow runs already in this process and its CPU "
                    "can no longer be split."
                ) from error
    return tuple(f"{kind}:{number}" for number in range(count))


# Two strategies of one process would mistake each other's exchanges for their own.
@functools.cache
def _mirror(devices):
    return tf.distribute.MirroredStrategy(devices)


@functools.cache
def _join_workers():
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise ValueError(
            f"--strategy=multi_worker: TensorFlow runs already in this process ({error})."
        ) from error

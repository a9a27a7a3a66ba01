"""Times the soft attention LSTM beside what a user would write instead.

Run: python -m benchmarks.recurrence [--json] [--dtypes=float32,bfloat16] [--batch=64] ...

Everything is measured in one process, in turn within each round: the layer, `keras.layers.RNN`
around its cell, the same model written in PyTorch, and the floor, which is nothing but the
products of matrices that the forward pass is made of. Seconds are medians over the rounds; so are
the ratios, each taken within a round, so that a busy machine changes them little. A training step
is the forward and backward pass of a classifier (the layer, a tanh layer, a softmax at every step)
and Adam's update. Its ratio is to three floors: the forward products, and those of the gradients
to the inputs and to the weights.

Runs on the Keras backend that KERAS_BACKEND names, and imports no other but PyTorch.
"""

import importlib.util
import json
import os
import platform
import statistics
import time

# PyTorch's threads wait by spinning. Where anything else runs on the machine they then wait for
# one another, ten times slower than by sleeping; this is read once, when its library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import keras
import numpy as np
from absl import app, flags
from keras import ops
from tqdm import tqdm

from glimpse.layers import SoftAttentionLSTM, SoftAttentionLSTMCell

_BATCH = flags.DEFINE_integer("batch", 64, "Clips in a batch.", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 30, "Frames of a clip.", lower_bound=1)
_REGIONS = flags.DEFINE_integer("regions", 49, "Regions of a frame.", lower_bound=1)
_FEATURES = flags.DEFINE_integer("features", 1024, "Features of a region.", lower_bound=1)
_UNITS = flags.DEFINE_integer("units", 512, "Units of each LSTM layer.", lower_bound=1)
_DEPTH = flags.DEFINE_integer("depth", 3, "LSTM layers.", lower_bound=1)
_ATTENTION = flags.DEFINE_enum("attention", "state", ["state", "content"], "Form of attention.")
_CLASSES = flags.DEFINE_integer("classes", 11, "Classes of the classifier.", lower_bound=2)
_DTYPES = flags.DEFINE_list("dtypes", ["float32", "bfloat16"], "Data types to time.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds, after one that is not counted.", lower_bound=1)
_SKIP_XLA = flags.DEFINE_bool("skip_xla", False, "Leave out XLA, which takes long to compile.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object per measured case, nothing else.")

_HAS_TORCH = importlib.util.find_spec("torch") is not None


def keras_backend():
    return keras.config.backend()


def measure(dtype):
    """Times every case in one data type; returns the rounds' seconds by (name, case)."""
    shape = (_BATCH.value, _FRAMES.value, _REGIONS.value, _FEATURES.value)
    generator = np.random.default_rng(0)
    features = generator.random(shape, dtype="float32")
    labels = generator.integers(0, _CLASSES.value, shape[:2])
    cases = {("floor", "forward"): floor_case(features, dtype)}
    modes = {"": False}
    if keras_backend() == "tensorflow" and not _SKIP_XLA.value:
        modes[" + XLA"] = True
    for mode, jit in modes.items():
        for name, recurrence in (
            ("glimpse", glimpse_recurrence),
            ("keras.layers.RNN", rnn_recurrence),
        ):
            cases.update(keras_cases(name + mode, recurrence, features, labels, dtype, jit))
    if _HAS_TORCH:
        cases.update(torch_cases("PyTorch eager", features, labels, dtype, compiled=False))
        if torch_device() == "cuda":
            cases.update(torch_cases("PyTorch compile", features, labels, dtype, compiled=True))
    return timed_in_turn(cases, dtype)


def timed_in_turn(cases, dtype):
    seconds = {key: [] for key in cases}
    with tqdm(total=len(cases) * (_ROUNDS.value + 1), desc=dtype, disable=_JSON.value) as bar:
        for round_number in range(_ROUNDS.value + 1):
            for key, run in cases.items():
                start = time.perf_counter()
                run()
                if round_number:
                    seconds[key].append(time.perf_counter() - start)
                bar.update()
    return seconds


def glimpse_recurrence(policy):
    return SoftAttentionLSTM(
        _UNITS.value,
        depth=_DEPTH.value,
        attention=_ATTENTION.value,
        initial_state="zeros",
        dtype=policy,
    )


def rnn_recurrence(policy):
    cell = SoftAttentionLSTMCell(
        _UNITS.value, depth=_DEPTH.value, attention=_ATTENTION.value, dtype=policy
    )
    return keras.layers.RNN(cell, return_sequences=True, dtype=policy)


def keras_cases(name, recurrence, features, labels, dtype, jit):
    """The forward pass and training step of a Keras layer, each as a call without arguments."""
    policy = dtype if dtype == "float32" else f"mixed_{dtype}"
    layer = recurrence(policy)
    clip = keras.Input(features.shape[1:], dtype=dtype)
    hidden_states = first_output(layer(clip))
    hidden = keras.layers.Dense(_UNITS.value, activation="tanh", dtype=policy)(hidden_states)
    probabilities = keras.layers.Dense(_CLASSES.value, activation="softmax")(hidden)
    model = keras.Model(clip, probabilities)
    # "auto" is what a user gets; on TensorFlow both modes are measured, each under its name.
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        jit_compile=jit if keras_backend() == "tensorflow" else "auto",
    )
    features, labels = ops.convert_to_tensor(features, dtype), ops.convert_to_tensor(labels)
    forward = compiled_forward(layer, jit)
    return {
        (name, "forward"): lambda: wait_for(forward(features)),
        (name, "training step"): lambda: model.train_on_batch(features, labels),
    }


def first_output(outputs):
    return outputs[0] if isinstance(outputs, (list, tuple)) else outputs


def compiled_forward(layer, jit):
    if keras_backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(lambda features: first_output(layer(features)), jit_compile=jit)
    if keras_backend() == "jax":
        import jax

        # Copies: a training step gives the variables' own buffers away.
        weights = [ops.copy(v.value) for v in layer.trainable_variables]
        fixed = [ops.copy(v.value) for v in layer.non_trainable_variables]
        forward = jax.jit(lambda w, features: layer.stateless_call(w, fixed, features)[0])
        return lambda features: first_output(forward(weights, features))
    import torch

    def forward(features):
        with torch.no_grad():
            return first_output(layer(features))

    return forward


def wait_for(tensor):
    """Fetches a corner of the result: a GPU has then finished all of it."""
    ops.convert_to_numpy(ops.cast(tensor[:1, :1], "float32"))


def floor_case(features, dtype):
    """The forward pass's products alone, each waiting for the one before as in the recurrence."""
    generator = np.random.default_rng(1)

    def tensor(*shape):
        values = generator.normal(size=shape, scale=shape[-2] ** -0.5)
        return ops.convert_to_tensor(values.astype("float32"), dtype)

    units, size = _UNITS.value, _FEATURES.value
    frames = [ops.convert_to_tensor(features[:, t], dtype) for t in range(_FRAMES.value)]
    score_kernels = [tensor(units, _REGIONS.value)]
    if _ATTENTION.value == "content":
        score_kernels = [tensor(units, units), tensor(size, units), tensor(units, 1)]
    kernels = [tensor(units if layer else size, 4 * units) for layer in range(_DEPTH.value)]
    recurrent_kernels = [tensor(units, 4 * units) for _ in range(_DEPTH.value)]
    state = tensor(_BATCH.value, units)

    def products(state, frames, score_kernels, kernels, recurrent_kernels):
        unread = []
        for frame in frames:
            if len(score_kernels) == 1:
                weights = ops.matmul(state, score_kernels[0])
            else:
                unread.append(ops.matmul(state, score_kernels[0]))
                values = ops.matmul(ops.reshape(frame, (-1, size)), score_kernels[1])
                weights = ops.reshape(ops.matmul(values, score_kernels[2]), frame.shape[:2])
            x = ops.matmul(ops.expand_dims(weights, 1), frame)[:, 0]
            for kernel, recurrent_kernel in zip(kernels, recurrent_kernels, strict=True):
                unread.append(ops.matmul(state, recurrent_kernel))
                x = ops.matmul(x, kernel)[:, :units]
            state = x
        return [state, *unread]

    arguments = (state, frames, score_kernels, kernels, recurrent_kernels)
    if keras_backend() == "tensorflow":
        import tensorflow as tf

        run = tf.function(lambda: products(*arguments))
        return lambda: wait_for(run()[0])
    if keras_backend() == "jax":
        import jax

        products = jax.jit(products)
    return lambda: wait_for(products(*arguments)[0])


def torch_device():
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def torch_cases(name, features, labels, dtype, compiled):
    """The forward pass and training step of the same model in PyTorch."""
    import torch

    from benchmarks.torch_recurrence import TorchRecurrence

    units, device = _UNITS.value, torch_device()
    torch.manual_seed(0)
    recurrence = TorchRecurrence(
        _REGIONS.value, _FEATURES.value, units, _DEPTH.value, _ATTENTION.value
    )
    head = [torch.nn.Linear(units, units), torch.nn.Tanh()]
    model = torch.nn.Sequential(recurrence, *head, torch.nn.Linear(units, _CLASSES.value))
    model = model.to(device)
    optimizer = torch.optim.Adam(model.parameters())
    run_recurrence = torch.compile(recurrence) if compiled else recurrence
    run_model = torch.compile(model) if compiled else model
    features = torch.tensor(features, device=device, dtype=getattr(torch, dtype))
    labels = torch.tensor(labels, device=device).flatten()

    def precision():
        return torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bfloat16")

    def forward():
        with torch.no_grad(), precision():
            run_recurrence(features)[:1, :1].float().cpu()

    def training_step():
        optimizer.zero_grad()
        with precision():
            logits = run_model(features)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels)
        loss.backward()
        optimizer.step()
        loss.item()
        if device == "cuda":
            torch.cuda.synchronize()

    return {(name, "forward"): forward, (name, "training step"): training_step}


def processor():
    """The processor's and the GPU's name, as the system and the backend give them."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    if _HAS_TORCH and torch_device() == "cuda":
        import torch

        name = f"{torch.cuda.get_device_name()}, {name}"
    return name


def machine():
    versions = {"keras": keras.__version__, "numpy": np.__version__}
    for package in (keras_backend(), "torch"):
        if importlib.util.find_spec(package):
            versions[package] = importlib.import_module(package).__version__
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "machine": processor(),
        "threads": threads,
        "load_average": os.getloadavg()[0],
        "backend": keras_backend(),
        "versions": versions,
    }


def rows(dtype, seconds):
    """One dict per measured case, with its ratio to the floor (training: to three floors)."""
    for (implementation, case), values in seconds.items():
        floors = 3 if case == "training step" else 1
        pairs = zip(values, seconds["floor", "forward"], strict=True)
        yield {
            "dtype": dtype,
            "implementation": implementation,
            "case": case,
            "seconds": statistics.median(values),
            "floors": floors,
            "ratio_to_floors": statistics.median(value / (floors * one) for value, one in pairs),
        }


def print_table(dtype, table):
    print(f"\n{dtype}\n{'':26}{'forward':>22}{'training step':>24}")
    print(f"{'':26}{'seconds':>12}{'/ floor':>10}{'seconds':>14}{'/ 3 floors':>12}")
    by_name = {}
    for row in table:
        by_name.setdefault(row["implementation"], []).append(row)
    for name, cases in by_name.items():
        cells = "".join(f"{c['seconds']:12.4f}{c['ratio_to_floors']:10.2f}  " for c in cases)
        print(f"{name:26}{cells}".rstrip())


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"unknown argument {arguments[1]!r}; every option starts with --.")
    shape = {
        f.name: f.value
        for f in (_BATCH, _FRAMES, _REGIONS, _FEATURES, _UNITS, _DEPTH, _ATTENTION, _ROUNDS)
    }
    if not _JSON.value:
        print("  ".join(f"{key}={value}" for key, value in {**machine(), **shape}.items()))
        if not _HAS_TORCH:
            print("PyTorch is not installed: its rows are left out.")
    for dtype in _DTYPES.value:
        table = list(rows(dtype, measure(dtype)))
        if _JSON.value:
            for row in table:
                print(json.dumps({**row, **shape, **machine()}), flush=True)
        else:
            print_table(dtype, table)


if __name__ == "__main__":
    app.run(main)

"""Times the beam search of captions beside what a user would write instead.

Run: python -m benchmarks.captioning [--sizes=paper,small] [--rounds=5] [--json]

For the thesis's size and a small one, in turn within each round: our search in `tf.function` and
in XLA; the floor, which is nothing but the products of matrices that the words' steps are made of;
a loop in PyTorch; and, where `make test-addons` has made its environment,
`tfa.seq2seq.BeamSearchDecoder` on tiled features in that environment's Python. Seconds are medians
over the rounds; so are the ratios, each taken within a round, so that a busy machine changes them
little. The first answer, with what is compiled for it, stands apart. Peak memory is that of one
process for our search and one for greedy decoding (a beam of 1), weights and libraries included.

All searches say `--words` words: the end token is barred, or too unlikely to end every beam. Every
implementation has random weights of its own. Runs on the TensorFlow backend.
"""

import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

# As in benchmarks.recurrence: threads of PyTorch that wait by spinning would disturb the others.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import keras
import numpy as np
import tabulate
from absl import app, flags
from keras import ops
from tqdm import tqdm

from benchmarks.machine import describe_machine, peak_mebibytes
from glimpse.layers import GatedCaptionDecoder
from glimpse.models import beam_search

ROOT = pathlib.Path(__file__).parent.parent
SIZES = {
    "paper": {
        "regions": 26 * 49,
        "features": 1024,
        "units": 4096,
        "embedding_dim": 512,
        "vocabulary_size": 15_000,
    },
    "small": {
        "regions": 49,
        "features": 64,
        "units": 128,
        "embedding_dim": 64,
        "vocabulary_size": 500,
    },
    "tiny": {
        "regions": 4,
        "features": 6,
        "units": 5,
        "embedding_dim": 3,
        "vocabulary_size": 20,
    },
}
_START, _END = 1, 2
_HAS_TORCH = importlib.util.find_spec("torch") is not None

_SIZES = flags.DEFINE_list("sizes", ["paper", "small"], f"Which of {', '.join(SIZES)}.")
_BATCH = flags.DEFINE_integer("batch", 16, "Clips in a batch.", lower_bound=1)
_BEAM = flags.DEFINE_integer("beam_width", 4, "Captions a clip.", lower_bound=1)
_WORDS = flags.DEFINE_integer("words", 10, "Words of every caption.", lower_bound=1)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds, after the first answer.", lower_bound=1)
_ADDONS = flags.DEFINE_string(
    "addons_python",
    str(ROOT / ".venv-addons" / "bin" / "python"),
    "Python of an environment with tensorflow-addons.",
)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object per row, nothing else.")
_MEASURE = flags.DEFINE_string("measure_memory", None, "SIZE:BEAM_WIDTH; for the subprocesses.")


def our_search(size, beam_width):
    """A function that makes a search of one kind, and the decoder."""
    # A random orthogonal matrix of the thesis's size would take minutes.
    decoder = GatedCaptionDecoder(
        size["vocabulary_size"],
        size["units"],
        size["embedding_dim"],
        recurrent_initializer="glorot_uniform",
    )
    shape = (_BATCH.value, size["regions"], size["features"])
    decoder.build(shape)
    features = ops.convert_to_tensor(np.random.default_rng(0).random(shape, dtype="float32"))

    def search(features):
        return beam_search(
            decoder,
            features,
            beam_width=beam_width,
            max_words=_WORDS.value,
            start_token_id=_START,
            end_token_id=_END,
            min_words=_WORDS.value,
        )

    def make(jit):
        import tensorflow as tf

        compiled = tf.function(search, jit_compile=jit, autograph=False)
        return lambda: compiled(features)["scores"].numpy()

    return make, decoder


def floor_products(decoder, size):
    """The products of all words' steps, each waiting for the one before as in the search."""
    import tensorflow as tf

    batch, beams, units = _BATCH.value, _BEAM.value, size["units"]
    generator = np.random.default_rng(1)

    def tensor(*shape):
        return tf.constant(generator.random(shape, dtype="float32"))

    features = tensor(batch, size["regions"], size["features"])
    state, word = tensor(batch * beams, units), tensor(batch * beams, size["embedding_dim"])
    names = ("attention_kernel", "gate_hidden_kernel", "gate_kernel", "kernel", "recurrent_kernel")
    names += ("hidden_output_kernel", "context_output_kernel", "output_kernel")

    @tf.function
    def products():
        weights = {name: getattr(decoder, name).value for name in names}
        h, unread = state, []
        for _ in range(_WORDS.value):
            maps = tf.reshape(h @ weights["attention_kernel"], (batch, beams, -1))
            context = tf.reshape(maps @ features, (batch * beams, -1))
            unread.append((h @ weights["gate_hidden_kernel"]) @ weights["gate_kernel"])
            gates = tf.concat([word, context], -1) @ weights["kernel"]
            gates += h @ weights["recurrent_kernel"]
            h = gates[:, :units]
            hidden = h @ weights["hidden_output_kernel"]
            hidden += context @ weights["context_output_kernel"]
            unread.append(hidden @ weights["output_kernel"])
        return [h, *unread]

    return lambda: products()[0].numpy()


def torch_search(size):
    """The loop in PyTorch."""
    import torch

    from benchmarks.torch_captioning import TorchCaptioner

    model = TorchCaptioner(**size).eval()
    features = torch.rand((_BATCH.value, size["regions"], size["features"]))
    return lambda: model(features, _BEAM.value, _WORDS.value, _START, _END)[1].numpy()


class AddonsSearch:
    """A search by tensorflow-addons in its own process; a call returns the seconds it took."""

    def __init__(self, size):
        sizes = {
            **size,
            "batch": _BATCH.value,
            "beam_width": _BEAM.value,
            "max_words": _WORDS.value,
            "start_token_id": _START,
            "end_token_id": _END,
        }
        self.process = subprocess.Popen(
            [_ADDONS.value, str(ROOT / "benchmarks" / "addons_captioning.py"), json.dumps(sizes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            text=True,
        )

    def __call__(self):
        try:
            self.process.stdin.write("search\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(
                f"{_ADDONS.value} ended with {self.process.wait()} in addons_captioning.py."
            )
        seconds, words = json.loads(answer)
        assert words == _WORDS.value, f"{words} words of {_WORDS.value}"
        return seconds

    def close(self):
        """Ends the process."""
        self.process.terminate()
        self.process.wait()


def measure(name):
    """Times every case of a size; returns each one's seconds, those of the first answer first."""
    size = SIZES[name]
    make, decoder = our_search(size, _BEAM.value)
    cases = {
        "floor": floor_products(decoder, size),
        "glimpse": make(jit=False),
        "glimpse + XLA": make(jit=True),
    }
    if _HAS_TORCH:
        cases["PyTorch"] = torch_search(size)
    addons = AddonsSearch(size) if os.path.exists(_ADDONS.value) else None
    if addons is not None:
        cases["tensorflow-addons"] = addons
    seconds = {case: [] for case in cases}
    try:
        rounds = _ROUNDS.value + 1
        with tqdm(total=len(cases) * rounds, desc=name, disable=_JSON.value) as bar:
            for _ in range(rounds):
                for case, run in cases.items():
                    start = time.perf_counter()
                    answer = run()
                    took = time.perf_counter() - start
                    seconds[case].append(answer if case == "tensorflow-addons" else took)
                    bar.update()
    finally:
        if addons is not None:
            addons.close()
    return seconds


def rows(name, seconds):
    """One dict per case, with its ratios to the floor and to our search."""
    for case, (first, *rounds) in seconds.items():
        row = {
            "size": name,
            "case": case,
            "first_answer": first,
            "seconds": statistics.median(rounds),
        }
        for other in ("floor", "glimpse"):
            pairs = zip(rounds, seconds[other][1:], strict=True)
            row[f"ratio_to_{other}"] = statistics.median(mine / one for mine, one in pairs)
        yield row


def memory(name):
    """Peak memory, MiB, of our search and of greedy decoding, each in a process of its own."""
    peaks = []
    for beam_width in (_BEAM.value, 1):
        command = [sys.executable, "-m", "benchmarks.captioning", f"--batch={_BATCH.value}"]
        command += [f"--words={_WORDS.value}", f"--measure_memory={name}:{beam_width}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout.splitlines()[-1]))
    beam, greedy = peaks
    return {"size": name, "peak_beam": beam, "peak_greedy": greedy, "ratio": beam / greedy}


def main(arguments):
    """Prints a table of seconds and one of memory, or their rows as JSON."""
    if len(arguments) > 1:
        raise app.UsageError(f"unknown argument {arguments[1]!r}; every option starts with --.")
    if keras.config.backend() != "tensorflow":
        raise app.UsageError("this benchmark runs on the TensorFlow backend of Keras.")
    if _MEASURE.value:
        name, beam_width = _MEASURE.value.split(":")
        make, _ = our_search(SIZES[name], int(beam_width))
        make(jit=False)()
        print(peak_mebibytes())
        return
    unknown = set(_SIZES.value) - set(SIZES)
    if unknown:
        raise app.UsageError(f"--sizes: {sorted(unknown)} is none of {', '.join(SIZES)}.")
    settings = {flag.name: flag.value for flag in (_BATCH, _BEAM, _WORDS, _ROUNDS)}
    described = {**describe_machine("tensorflow", "keras", "torch"), **settings}
    if not _JSON.value:
        if not _HAS_TORCH:
            print("PyTorch is not installed: its rows are left out.")
        print(", ".join(f"{key} {value}" for key, value in described.items()))
        if not os.path.exists(_ADDONS.value):
            print(f"{_ADDONS.value} is not there (make test-addons): its rows are left out.")
    for name in _SIZES.value:
        timed, peaks = list(rows(name, measure(name))), memory(name)
        if _JSON.value:
            for row in [*timed, peaks]:
                print(json.dumps({**row, **described}), flush=True)
            continue
        print(tabulate.tabulate(timed, headers="keys", tablefmt="github", floatfmt=".4g"))
        print(tabulate.tabulate([peaks], headers="keys", tablefmt="github", floatfmt=".4g"))


if __name__ == "__main__":
    app.run(main)

"""The benchmark of the recurrence runs, in a few small sizes, and without TensorFlow."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

_RUN = """
import runpy, sys
sys.modules["tensorflow"] = None
sys.argv[0] = "recurrence"
runpy.run_module("benchmarks.recurrence", run_name="__main__", alter_sys=True)
"""
_SMALL = ["--batch=2", "--frames=3", "--regions=4", "--features=6", "--units=5", "--rounds=2"]


def test_prints_one_json_object_per_case_without_tensorflow():
    result = subprocess.run(
        [sys.executable, "-c", _RUN, "--json", *_SMALL],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    cases = [json.loads(line) for line in result.stdout.splitlines()]
    found = {(case["dtype"], case["implementation"], case["case"]) for case in cases}
    for dtype in ("float32", "bfloat16"):
        assert (dtype, "floor", "forward") in found
        for implementation in ("glimpse", "keras.layers.RNN"):
            assert (dtype, implementation, "forward") in found
            assert (dtype, implementation, "training step") in found
    assert len(found) == len(cases)
    assert all(case["seconds"] > 0 and case["ratio_to_floors"] > 0 for case in cases)
    assert {case["backend"] for case in cases} == {"jax"}

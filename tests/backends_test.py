"""Runs the tests marked `backends` again on the other backends of Keras, each in a process."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_layers_and_models_pass_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed, so its tests were not run")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "backends", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500
    )
    closing = done.stdout.strip().splitlines()[-1]
    print(f"{backend}: {closing}")
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", closing)
    assert passed and int(passed[1]) > 100, closing


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

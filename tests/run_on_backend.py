"""Runs the tests marked `backends` again on another backend of Keras, in a process of its own."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def run_on_backend(backend):
    """Passes if the marked tests pass, more than a hundred of them; skips without the backend."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed, so its tests were not run")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "backends", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3000
    )
    closing = done.stdout.strip().splitlines()[-1]
    print(f"{backend}: {closing}")
    assert done.returncode == 0, done.stdout[-5000:]
    passed = re.search(r"(\d+) passed", closing)
    assert passed and int(passed[1]) > 100, closing

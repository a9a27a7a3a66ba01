"""`glimpse export` as it is typed."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from glimpse.models import create_model

ROOT = pathlib.Path(__file__).parent.parent

pytestmark = pytest.mark.slow


def glimpse_export(*arguments):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "glimpse", "export", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_exports_twice_and_refuses_to_overwrite(tmp_path):
    classifier = create_model("average_pooled_lstm_small", 3, units=4)
    classifier(np.zeros((1, 2, 2, 2, 3), "float32"))
    classifier.save(tmp_path / "trained.keras")
    arguments = [f"--model={tmp_path / 'trained.keras'}", f"--output={tmp_path / 'out'}"]

    unsaid = glimpse_export(*arguments, "--name=pooled")
    assert unsaid.returncode == 1 and "--backbone=none" in unsaid.stderr
    assert not (tmp_path / "out").exists()

    arguments.append("--backbone=none")
    done = glimpse_export(*arguments, "--name=pooled", "--top_k=2")
    assert done.returncode == 0, done.stderr
    assert "serving_default is classify_features" in done.stdout
    assert f"--model_base_path={tmp_path / 'out' / 'pooled'}" in done.stdout
    assert f"{tmp_path / 'out' / 'model.keras'}: 0\n" in done.stdout
    assert (tmp_path / "out" / "pooled" / "1" / "saved_model.pb").is_file()

    again = glimpse_export(*arguments, "--name=pooled", "--version=1")
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert "the next free one is 2" in again.stderr.splitlines()[-1]
    assert os.listdir(tmp_path / "out" / "pooled") == ["1"]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

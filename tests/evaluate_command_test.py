"""`glimpse evaluate` as it is typed, on two sources of features."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from glimpse.models import create_model
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.window_sampling import WindowSampling
from tests.synthetic_features import LABEL_NAMES, make_numbered_features

ROOT = pathlib.Path(__file__).parent.parent
LENGTHS = {"test": (200, 96, 50)}


def glimpse_evaluate(*arguments):
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "glimpse", "evaluate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_two_sources_and_another_sampling(tmp_path):
    indices = [
        make_numbered_features(tmp_path / name, LENGTHS, frames_per_input=size, flips=True)
        for name, size in (("chunks", 16), ("frames", 1))
    ]
    sampling = {"num_frames": 4, "sampling_rule": "random_windows", "min_video_frames": 64}
    model = create_model(
        "temporal_attention_small", 3, units=4, label_names=LABEL_NAMES, sampling=sampling
    )
    model({"inputs": np.zeros((1, 4, 3)), "attended": np.zeros((1, 4, 3))})
    # As a run leaves it: the model, and what it was trained on.
    recorded = {"backbone": "none", "backbone_fingerprint": "0" * 64}
    config = {"features": recorded, "attended_features": recorded}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    model.save(tmp_path / "run" / "best.keras")
    arguments = [f"--model={tmp_path / 'run'}", f"--features={tmp_path / 'chunks'}"]
    arguments.append(f"--attended_features={tmp_path / 'frames'}")

    done = glimpse_evaluate(
        *arguments, "--eval_windows=3", "--flips", "--seed=5", "--interpolated",
        f"--output={tmp_path / 'test.json'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = evaluate(
        model, indices[0], "test", WindowSampling(**sampling, eval_windows=3, flips=True),
        progress=False, attended_index=indices[1], seed=5, interpolated=True,
    )  # fmt: skip
    written = json.loads((tmp_path / "test.json").read_text())
    assert written["mean_average_precision"] == expected["mean_average_precision"]
    assert written["stamp"]["sampling"] == expected["stamp"]["sampling"]
    assert written["stamp"]["seed"] == 5 and written["interpolated"]
    for one, other in zip(written["clips"], expected["clips"], strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], rel=1e-5)
    assert "step accuracy" in done.stdout
    assert "2 clips of split test, 12 windows." in done.stdout
    assert "1 clips of less than 64 frames were left out." in done.stdout

    recorded["backbone_fingerprint"] = "1" * 64
    config = {"features": {**recorded, "backbone_fingerprint": "0" * 64}}
    config["attended_features"] = recorded
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    refused = glimpse_evaluate(*arguments)
    assert refused.returncode == 1
    assert "--attended_features=" in refused.stderr and "Traceback" not in refused.stderr


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

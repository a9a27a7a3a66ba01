"""The commands of the papers' analyses, from video files and results to pictures."""

import json
import shutil

import numpy as np
import pytest

from glimpse.models.weights_card import read_cards
from glimpse.pipelines.highlights import Highlights
from glimpse.pipelines.video_answer import VideoAnswerer
from tests.class_comparison_test import DEEP, FLAT
from tests.numbered_videos import write_video
from tests.run_command import run_command

MODEL = "soft_attention_small.tiny_actions"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("analyses") / "clip.avi", "FFV1", 32, rate=15.0)


def fails(capsys, *words):
    """What was printed as an error names all words, in one line."""
    lines = [x for x in capsys.readouterr().err.splitlines() if x.startswith("glimpse ")]
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0], lines[0]


def test_a_manual_glimpse_is_drawn_and_told(video, tmp_path, capsys):
    arguments = ("set-glimpse", f"--model={MODEL}", f"--output={tmp_path}", video)
    assert run_command(*arguments, "--look=0-7@cell:1,1", "--look=8-14@centre") == 0
    assert (tmp_path / "clip_glimpse.png").read_bytes().startswith(PNG)
    assert "own gaze" in capsys.readouterr().out
    assert run_command(*arguments, "--look=cell:9,9") == 1
    fails(capsys, "--look", "cell:9,9", "rows 0 to 6")
    assert run_command(*arguments, "--look=actor") == 1
    fails(capsys, "--look", "--data")


def test_a_search_is_drawn_and_told(video, tmp_path, capsys):
    arguments = ("search-glimpse", f"--model={MODEL}", f"--output={tmp_path}")
    assert run_command(*arguments, "--label=wave", "--max_steps=2", video) == 0
    assert (tmp_path / "clip_search.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    assert "reached" in printed and "wave" in printed
    assert run_command(*arguments, video) == 1
    fails(capsys, "--label", "--data")
    assert run_command(*arguments, "--label=fly", video) == 1
    fails(capsys, "'fly'", "jack")
    assert run_command(*arguments, "--label=wave") == 1
    fails(capsys, "no video file given", "glimpse search-glimpse")


def test_rates_are_drawn_and_told(video, tmp_path, capsys):
    arguments = ("compare-rates", f"--model={MODEL}", f"--output={tmp_path}", video)
    assert run_command(*arguments, "--rates=5,15", "--columns=4") == 0
    assert (tmp_path / "clip_rates.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    assert "5 frames/s" in printed and "15 frames/s" in printed
    assert run_command(*arguments, "--rates=5,fast") == 1
    fails(capsys, "--rates=5,fast")


def test_penalties_are_drawn_and_told(video, tmp_path, capsys):
    models = []
    for penalty in (0, 10):
        run = tmp_path / f"lambda_{penalty}"
        run.mkdir()
        shutil.copy(read_cards()[MODEL].path, run / "best.keras")
        (run / "config.json").write_text(json.dumps({"attention_penalty": penalty}))
        models.append(f"--model={run}")
    arguments = ("compare-penalties", f"--output={tmp_path}/pictures")
    assert run_command(*arguments, *models, video) == 0
    assert (tmp_path / "pictures" / "penalty_effect.png").read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    assert "entropy" in printed and "lambda_10" in printed
    assert run_command(*arguments, f"--model={MODEL}", models[0], video) == 1
    fails(capsys, f"--model={MODEL}", "no config.json")


def test_highlights_are_drawn_and_told(video, tmp_path, capsys, monkeypatch):
    weights = np.array([0.1, 0.6, 0.1, 0.2])

    def highlights(self, path, truth=None, true_label=None, start=0.0, model_name=None):
        assert (path, truth, start) == (str(video), None, 0.2)
        return Highlights(
            frames=np.zeros((4, 24, 36, 3), np.uint8),
            frame_indices=np.arange(4) * 5,
            frames_per_second=15.0,
            weights=weights,
            step_weights=weights[None],
            probabilities=np.array([0.2, 0.8]),
            label_names=("bow", "wave"),
            model_name=model_name,
            video_name="clip.avi",
        )

    monkeypatch.setattr(VideoAnswerer, "highlights", highlights, raising=False)
    arguments = ("highlight", f"--model={MODEL}", f"--output={tmp_path}", "--start=0.2", video)
    assert run_command(*arguments) == 0
    for name in ("highlights", "dimmed_frames"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(PNG)
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row == ["clip.avi", MODEL, "wave", "?", "0.333", "0.000"]


@pytest.fixture
def results(tmp_path):
    for name, result in (("flat", FLAT), ("deep", DEEP)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    (tmp_path / "other.json").write_text(json.dumps({**DEEP, "split": "val"}))
    return {name: tmp_path / f"{name}.json" for name in ("flat", "deep", "other")}


def test_classes_are_compared(results, tmp_path, capsys):
    output = f"--output={tmp_path}/out"
    assert run_command("class-table", output, results["flat"], results["deep"]) == 0
    printed = capsys.readouterr().out
    assert "without positives, so left out of the mean: wave" in printed
    assert "0.5833" in printed and "class_table.md" in printed
    assert run_command("class-gain", output, f"--baseline={results['flat']}", results["deep"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[2].split() == ["deep", "squat", "1", "0.0000", "1.0000", "1.0000"]
    assert (tmp_path / "out" / "class_gain.png").read_bytes().startswith(PNG)
    for command in (
        ("class-table", results["flat"]),
        ("class-gain", f"--baseline={results['flat']}"),
    ):
        assert run_command(command[0], output, command[1], results["other"]) == 1
        fails(capsys, "differ in their split")
    assert run_command("class-table", output, tmp_path / "none.json") == 1
    fails(capsys, "none.json", "no such file")
    for command in (("class-table",), ("class-gain", f"--baseline={results['flat']}")):
        assert run_command(*command, output) == 1
        fails(capsys, "no results given")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

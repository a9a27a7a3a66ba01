"""Runs are told apart by the lambda that they were trained with, and measured by it."""

import dataclasses
import json

import numpy as np
import pytest

from glimpse.pipelines.penalty_effect import (
    draw_penalty_effect,
    other_differences,
    penalty_table,
    read_penalty_runs,
)
from tests.film_strip_test import make_gaze


def make_run(folder, penalty, **choices):
    folder.mkdir()
    values = {"attention_penalty": penalty, "epochs": 5, "seed": 0, **choices}
    (folder / "config.json").write_text(json.dumps(values))
    return str(folder)


@pytest.fixture
def runs(tmp_path):
    paths = [make_run(tmp_path / "b", 10.0, epochs=7), make_run(tmp_path / "a", 0.0)]
    return read_penalty_runs(paths)


@pytest.fixture
def gazes():
    """Two clips for each of two runs: one that looks at a cell, one that looks everywhere."""
    sharp = np.zeros((4, 7, 7))
    sharp[:, 2, 3] = 1
    flat = np.full((4, 7, 7), 1 / 49)
    return [
        [
            make_gaze(frames=4, attention=maps, video_name=name, model_name="best", true_label=true)
            for name, true in (("one", "squat"), ("two", "bow"))
        ]
        for maps in (sharp, flat)
    ]


def test_runs_come_by_rising_lambda(runs):
    assert [run.penalty for run in runs] == [0.0, 10.0]
    assert [run.title for run in runs] == ["λ = 0", "λ = 10"]
    assert other_differences(runs) == {"epochs": [5, 7]}


def test_a_file_in_the_run_stands_for_the_run(tmp_path):
    paths = [make_run(tmp_path / "a", 0), make_run(tmp_path / "b", 1)]
    assert read_penalty_runs([paths[0] + "/last.keras", paths[1]])[0].penalty == 0


def test_the_table_holds_the_means_over_the_clips(runs, gazes):
    sharp, flat = penalty_table(runs, gazes)
    assert (sharp["lambda"], sharp["run"], flat["lambda"], flat["run"]) == (0, "a", 10, "b")
    assert (sharp["entropy"], sharp["movement"]) == (0, 0)
    assert flat["entropy"] == pytest.approx(1) and flat["mass"] == pytest.approx(flat["uniform"])
    expected = np.mean([gaze.localisation()["mass"] for gaze in gazes[0]])
    assert sharp["mass"] == pytest.approx(expected)
    assert sharp["right"] == "1 of 2"
    unknown = [[dataclasses.replace(g, boxes=None, true_label=None) for g in row] for row in gazes]
    assert penalty_table(runs, unknown)[0].keys() == {"lambda", "run", "entropy", "movement"}


def test_the_picture_has_a_row_for_each_lambda(runs, gazes, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "glimpse.pipelines.penalty_effect.film_strip_canvas",
        lambda shown, *arguments, **options: drawn.append((shown, options)) or Canvas(),
    )

    class Canvas:
        def save(self, path):
            path.write_bytes(b"drawn")

    draw_penalty_effect(runs, gazes, tmp_path / "effect.png")
    (shown, options), *_ = drawn
    assert [(g.video_name, g.model_name) for g in shown] == [
        ("one", "λ = 0"), ("one", "λ = 10"), ("two", "λ = 0"), ("two", "λ = 10"),
    ]  # fmt: skip
    assert options["notes"][0].startswith("entropy 0.00 (uniform 1)")
    assert options["notes"][1].startswith("entropy 1.00 (uniform 1)")
    assert (tmp_path / "effect.png").read_bytes() == b"drawn"


def test_runs_that_cannot_be_compared_are_named(tmp_path):
    one = make_run(tmp_path / "one", 1.0)
    same = make_run(tmp_path / "same", 1.0)
    with pytest.raises(ValueError, match="twice or more to compare, got 1"):
        read_penalty_runs([one])
    with pytest.raises(ValueError, match="both trained with --attention_penalty=1"):
        read_penalty_runs([one, same])
    with pytest.raises(ValueError, match="none: no config.json"):
        read_penalty_runs([one, str(tmp_path / "none")])
    (tmp_path / "same" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="config.json is damaged or holds no attention_penalty"):
        read_penalty_runs([one, same])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Ensembles of evaluations: the mean of the members' answers."""

import json

import numpy as np
import pytest

import glimpse_command
from glimpse.pipelines.late_fusion import fuse

CLASSES = ["run", "jump", "wave"]


def result(scores, labels=("run", "wave", "jump"), model="member"):
    """A result as `evaluate` writes it, of one video a row of scores."""
    return {
        "model": model,
        "split": "test",
        "label_names": CLASSES,
        "video_accuracy": 0.5,
        "mean_average_precision": 0.25,
        "videos": [
            {"clip_id": f"clip {i}", "label": label, "probabilities": list(row)}
            for i, (label, row) in enumerate(zip(labels, scores, strict=True))
        ],
        "stamp": {"dataset": "made", "split_hash": "5" * 8},
    }


# Each member alone is right of one video in three, their mean of all three.
FIRST = [[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.1, 0.4, 0.5]]
SECOND = [[0.3, 0.4, 0.3], [0.1, 0.1, 0.8], [0.0, 0.6, 0.4]]


def test_the_mean_of_the_softmaxes_decides():
    fused = fuse([result(FIRST, model="a"), result(SECOND, model="b")])
    for video, first, second in zip(fused["videos"], FIRST, SECOND, strict=True):
        np.testing.assert_allclose(video["probabilities"], np.add(first, second) / 2)
    assert [video["predicted"] for video in fused["videos"]] == ["run", "wave", "jump"]
    assert fused["video_accuracy"] == 1.0
    assert fused["per_class"] == {"run": 1.0, "jump": 1.0, "wave": 1.0}
    # Ranked for "wave": clip 1 (0.55) before clip 2 (0.45) and clip 0 (0.15).
    assert fused["per_class_average_precision"]["wave"] == 1.0
    assert [member["name"] for member in fused["members"]] == ["a", "b"]


def test_several_labels_a_video_have_precision_and_no_accuracy():
    labels = [["run", "wave"], [], ["jump"]]
    fused = fuse([result(FIRST, labels), result(SECOND, labels)])
    assert fused["video_accuracy"] is None and fused["per_class"] is None
    # "wave" is true of clip 0 alone, whose mean score, 0.15, is the smallest of three.
    assert fused["per_class_average_precision"]["wave"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": "val"}, "second and first differ in their split"),
        ({"label_names": CLASSES[::-1]}, "differ in their label_names"),
        ({"stamp": {"dataset": "other", "split_hash": "5" * 8}}, "another dataset, other"),
        ({"videos": result(SECOND)["videos"][:2]}, "not evaluated on the same videos: clip 2"),
    ],
)
def test_members_of_other_data_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        fuse([result(FIRST), {**result(SECOND), **change}], ["first", "second"])


def test_one_member_is_no_ensemble():
    with pytest.raises(ValueError, match="two members or more, got 1"):
        fuse([result(FIRST)])


def test_the_command_reads_runs_and_writes_the_result(tmp_path, capsys):
    for name, scores in (("a", FIRST), ("b", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.json").write_text(json.dumps(result(scores)))
    output = tmp_path / "ensemble.json"
    arguments = ["--members=a,b", f"--runs={tmp_path}", f"--output={output}"]
    assert glimpse_command.execute(["glimpse", "ensemble", *arguments]) == 0
    assert "ensemble            1.0000" in capsys.readouterr().out
    assert json.loads(output.read_text())["video_accuracy"] == 1.0
    (tmp_path / "b" / "test.json").write_text("{}")
    assert glimpse_command.execute(["glimpse", "ensemble", *arguments]) == 1
    assert "b/test.json: is no result of `glimpse evaluate`" in capsys.readouterr().err


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

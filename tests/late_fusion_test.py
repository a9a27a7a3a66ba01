"""Ensembles of evaluations: the mean of the members' answers."""

import dataclasses
import json

import numpy as np
import pytest

from glimpse.pipelines.evaluation_protocol import find_protocol
from glimpse.pipelines.late_fusion import fuse
from glimpse.pipelines.result_file import read_results
from tests.run_command import run_command

CLASSES = ["run", "jump", "wave"]
PROTOCOL = dataclasses.asdict(find_protocol("general"))
STAMP = {
    "dataset": "made",
    "split_hash": "5" * 8,
    "pooling": "mean over the windows",
    "protocol": PROTOCOL,
}


def result(scores, labels=("run", "wave", "jump"), model="member"):
    """A result as `evaluate` writes it, of one video a row of scores."""
    return {
        "model": model,
        "split": "test",
        "label_names": CLASSES,
        "clip_accuracy": 0.5,
        "video_accuracy": 0.5,
        "headline": {"metric": "clip_accuracy", "value": 0.5},
        "mean_average_precision": 0.25,
        "per_class": None,
        "per_class_average_precision": dict.fromkeys(CLASSES),
        "interpolated": False,
        "clips": [
            {
                "clip_id": f"clip {i}",
                "video_id": f"clip {i}",
                "label": label,
                "probabilities": list(row),
            }
            for i, (label, row) in enumerate(zip(labels, scores, strict=True))
        ],
        "stamp": STAMP,
    }


# Each member alone is right of one video in three, their mean of all three.
FIRST = [[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.1, 0.4, 0.5]]
SECOND = [[0.3, 0.4, 0.3], [0.1, 0.1, 0.8], [0.0, 0.6, 0.4]]


def test_the_mean_of_the_softmaxes_decides():
    fused = fuse([result(FIRST, model="a"), result(SECOND, model="b")])
    for video, first, second in zip(fused["clips"], FIRST, SECOND, strict=True):
        np.testing.assert_allclose(video["probabilities"], np.add(first, second) / 2)
    assert [video["predicted"] for video in fused["clips"]] == ["run", "wave", "jump"]
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
        ({"stamp": {**STAMP, "dataset": "other"}}, "another dataset, other"),
        (
            {"stamp": {**STAMP, "pooling": "majority over the windows"}},
            "second and first .*: 'majority over the windows' and 'mean over the windows'",
        ),
        ({"clips": result(SECOND)["clips"][:2]}, "not evaluated on the same clips: clip 2"),
    ],
)
def test_members_of_other_data_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        fuse([result(FIRST), {**result(SECOND), **change}], ["first", "second"])


@pytest.mark.parametrize("interpolated", [False, True])
def test_members_are_scored_as_the_ensemble_is(interpolated):
    # "run" is true of clips 0 and 3. One member ranks them 3, 0, 1, 2, the other 1, 2, 0, 3.
    labels = ("run", "wave", "jump", "run")
    members = []
    for shares in ([0.8, 0.4, 0.2, 0.9], [0.7, 0.9, 0.8, 0.6]):
        members.append(result([[share, 0.0, 1 - share] for share in shares], labels))
    members[1]["interpolated"] = True
    fused = fuse(members, ["one", "two"], interpolated)
    assert fused["interpolated"] is interpolated
    jump = 1 / 4  # one clip of four that all have 0
    first, second = (member["mean_average_precision"] for member in fused["members"])
    assert first == pytest.approx((1 + jump + 1 / 2) / 3)
    # 1/3 at the third place and 2/4 at the last, which the envelope gives to both.
    run = 1 / 2 if interpolated else (1 / 3 + 1 / 2) / 2
    assert second == pytest.approx((run + jump + 1 / 4) / 3)


def test_an_ensemble_has_its_members_rule():
    pair = fuse([result(FIRST), result(SECOND)])
    assert fuse([pair, result(FIRST)])["stamp"]["pooling"] == pair["stamp"]["pooling"]
    assert pair["stamp"]["pooling"].startswith("mean over the windows; mean over the members")


def test_one_member_is_no_ensemble():
    with pytest.raises(ValueError, match="two members or more, got 1"):
        fuse([result(FIRST)])


def test_the_command_reads_runs_and_writes_the_result(tmp_path, capsys):
    for name, scores in (("a", FIRST), ("b", SECOND)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test.json").write_text(json.dumps(result(scores)))
    output = tmp_path / "ensemble.json"
    arguments = ["--members=a,b", f"--runs={tmp_path}", f"--output={output}"]
    assert run_command("ensemble", *arguments) == 0
    assert "ensemble           1.0000            1.0000" in capsys.readouterr().out
    assert json.loads(output.read_text())["video_accuracy"] == 1.0
    for twice in ("a,a", "a,./a"):
        repeated = [f"--members={twice}", *arguments[1:]]
        assert run_command("ensemble", *repeated) == 1
        assert "--members: a is given twice" in capsys.readouterr().err
    (tmp_path / "b" / "test.json").write_text("{}")
    assert run_command("ensemble", *arguments) == 1
    assert "b/test.json: is no result of `glimpse evaluate`" in capsys.readouterr().err


def spoilt(change):
    """A whole file of results but for what `change` does to it."""
    made = result(FIRST)
    change(made)
    return json.dumps(made)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"model": ', "is damaged"),
        ("[1]", "is no result of `glimpse evaluate`, but another JSON file"),
        (spoilt(lambda r: r.pop("interpolated")), r"no interpolated\); evaluate again"),
        (spoilt(lambda r: r.update(label_names="run")), "label_names is missing or no list"),
        (spoilt(lambda r: r.update(headline={})), "headline: metric is missing"),
        (spoilt(lambda r: r.update(clips=[])), "no clips"),
        (spoilt(lambda r: r.update(clips=[3])), "clip 1: is no record"),
        (spoilt(lambda r: r.update(stamp={"dataset": "d"})), "stamp: split_hash is missing"),
        (spoilt(lambda r: r.update(per_class={"run": "x"})), "per_class holds no fraction"),
        (spoilt(lambda r: r.update(video_accuracy=float("nan"))), "video_accuracy is nan"),
        (spoilt(lambda r: r["clips"][1].pop("probabilities")), "clip 2: probabilities is miss"),
        (spoilt(lambda r: r["clips"][2]["probabilities"].pop()), "clip 3: 2 probab.* 3 classes"),
        (
            spoilt(lambda r: r["clips"][0].update(probabilities=[0.5, float("nan"), 0.5])),
            "clip 1: probabilities hold what is no finite number",
        ),
        (spoilt(lambda r: r["clips"][0].update(label="fly")), "label 'fly' is none of the"),
    ],
)
def test_damaged_results_are_named_with_their_file(tmp_path, text, words):
    path = tmp_path / "test.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"^{path}: .*{words}"):
        read_results(path)


def test_whole_results_are_read(tmp_path):
    path = tmp_path / "test.json"
    pair = fuse([result(FIRST), result(SECOND)])
    for made in (result(FIRST), result(FIRST, [["run", "wave"], [], ["jump"]]), pair):
        path.write_text(json.dumps(made))
        assert read_results(path) == made


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))


def test_what_an_ensemble_changes_of_the_protocol_is_in_its_stamp():
    frames = dataclasses.asdict(find_protocol("ucf_sports"))
    members = [result(FIRST), result(SECOND)]
    for member in members:
        member["stamp"] = {**STAMP, "protocol": frames}
    fused = fuse(members)
    assert fused["headline"]["metric"] == fused["stamp"]["protocol"]["metric"] == "clip_accuracy"
    assert fused["stamp"]["protocol"]["name"] == "custom (ucf_sports)"
    assert "accuracy of clips" in fused["stamp"]["metric"]
    enveloped = fuse([result(FIRST), result(SECOND)], interpolated=True)
    assert enveloped["stamp"]["protocol"]["name"] == "custom (general)"
    assert enveloped["stamp"]["protocol"]["interpolated"] is True

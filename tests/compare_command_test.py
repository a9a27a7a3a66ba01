"""`glimpse compare`: alike results in a table, unlike ones refused by what differs; the plots."""

import copy
import json

import cv2
import numpy as np
import pytest

from glimpse.pipelines.activitynet_results import write_activitynet_results
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.evaluation_plots import draw_class_precision, draw_confusion_matrix
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.result_comparison import compare, differences
from tests.evaluation_test import Reader
from tests.run_command import run_command
from tests.synthetic_features import make_features


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    index = make_features(tmp_path_factory.mktemp("features"))
    sampling = WindowSampling(num_frames=4)
    return [
        evaluate(Reader(errs, name=f"errs_{errs}"), index, "test", sampling, progress=False)
        for errs in (6, 100)
    ]


def save(folder, *results):
    paths = []
    for number, result in enumerate(results):
        paths.append(folder / f"result{number}.json")
        paths[-1].write_text(json.dumps(result))
    return [str(path) for path in paths]


def test_alike_results_are_put_side_by_side(tmp_path, results, capsys):
    assert run_command("compare", *save(tmp_path, *results)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["model", "clips"] and "gain" in lines[0]
    assert lines[3].split()[0] == "result1"
    rows = compare(dict(zip(("late", "perfect"), results, strict=True)))
    assert rows[1]["clip_accuracy"] == 1.0 and rows[0]["gain"] is None
    assert rows[1]["gain"] == pytest.approx(1.0 - results[0]["clip_accuracy"])


CHANGES = {
    "protocol.rule": lambda r: r["stamp"]["protocol"].update(rule="majority"),
    "protocol.level": lambda r: r["stamp"]["protocol"].update(level="video"),
    "protocol.metric": lambda r: r["stamp"]["protocol"].update(metric="step_accuracy"),
    "protocol.interpolated": lambda r: r["stamp"]["protocol"].update(interpolated=True),
    "sampling.num_frames": lambda r: r["stamp"]["sampling"].update(num_frames=9),
    "dataset": lambda r: r["stamp"].update(dataset="other"),
    "split_hash": lambda r: r["stamp"].update(split_hash="0" * 64),
    "seen.test": lambda r: r["stamp"]["seen"].update(test=1),
    "split": lambda r: r.update(split="val"),
    "clips": lambda r: r["clips"].pop(),
    "seed": lambda r: r["stamp"].update(seed=7),
    "tokenizer": lambda r: r["stamp"].update(tokenizer="stanford"),
    "search": lambda r: r["stamp"].update(search={"beam_width": 9}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_unlike_results_are_refused_by_what_differs(tmp_path, results, name, capsys):
    other = copy.deepcopy(results[1])
    CHANGES[name](other)
    assert list(differences(results[0], other)) == [name]
    paths = save(tmp_path, results[0], other)
    assert run_command("compare", *paths) == 1
    error = capsys.readouterr().err
    assert f"were not measured alike: {name} is" in error and error.count("\n") == 1
    assert run_command("compare", f"--may_differ={name.partition('.')[0]}", *paths) == 0
    assert f"result1 differs in {name}: " in capsys.readouterr().out


def test_one_result_is_no_comparison(tmp_path, results, capsys):
    assert run_command("compare", *save(tmp_path, results[0])) == 1
    assert "two results or more" in capsys.readouterr().err


def test_plots_show_the_counts(tmp_path, results):
    late = copy.deepcopy(results[0])
    late["label_names"] = ["a", "b", "c"]
    draw_confusion_matrix(late, tmp_path / "confusion.png")
    picture = cv2.imread(str(tmp_path / "confusion.png"))
    assert picture.shape[0] > 400
    # The diagonal of a perfect reader is the only dark part of the matrix.
    draw_confusion_matrix(results[1], tmp_path / "perfect.png")
    dark = cv2.imread(str(tmp_path / "perfect.png")).astype(int)
    blue = (dark[..., 0] - dark[..., 2] > 60).sum()
    assert 0 < blue < 0.4 * dark.shape[0] * dark.shape[1]
    draw_class_precision(results[1], tmp_path / "precision.png")
    bars = cv2.imread(str(tmp_path / "precision.png"))
    assert (np.abs(bars.astype(int) - [182, 111, 59]).sum(axis=2) < 12).sum() > 1000
    with pytest.raises(ValueError, match="no confusion matrix"):
        draw_confusion_matrix({**late, "confusion": None}, tmp_path / "none.png")
    with pytest.raises(ValueError, match="no class with a positive"):
        nothing = dict.fromkeys(late["label_names"])
        draw_class_precision({**late, "per_class_average_precision": nothing}, tmp_path / "n.png")
    assert not (tmp_path / "none.png").exists()


def test_activitynet_reads_the_mean_of_a_videos_clips(tmp_path):
    results = {
        "label_names": ["run", "jump"],
        "clips": [
            {"video_id": "-abc", "probabilities": [0.2, 0.8]},
            {"video_id": "xyz", "probabilities": [0.9, 0.1]},
            {"video_id": "-abc", "probabilities": [0.4, 0.6]},
        ],
    }
    path = tmp_path / "results.json"
    write_activitynet_results(results, path, "VERSION 1.3", "ImageNet")
    written = json.loads(path.read_text())
    assert set(written) == {"version", "results", "external_data"}
    assert written["external_data"] == {"used": True, "details": "ImageNet"}
    assert [answer["label"] for answer in written["results"]["-abc"]] == ["jump", "run"]
    assert written["results"]["-abc"][0]["score"] == pytest.approx(0.7)
    assert set(written["results"]) == {"-abc", "xyz"}

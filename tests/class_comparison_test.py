"""Scores by class, side by side and as gains, against numbers worked out by hand."""

import copy
import csv
import json

import numpy as np
import pytest
from matplotlib.colors import to_hex

from glimpse.pipelines.class_gain import (
    ClassGain,
    class_gain_canvas,
    class_gains,
    draw_class_gains,
    pick_gains,
    write_class_gains,
)
from glimpse.pipelines.class_scores import (
    best_names,
    class_table,
    class_table_canvas,
    table_as_csv,
    table_as_markdown,
    without_positives,
    write_class_table,
)
from glimpse.pipelines.pixel_canvas import GREY, RIGHT
from glimpse.result_arguments import read_named_results
from tests.drawn_texts import assert_readable, drawn_texts

NAMES = ["bow", "jack", "squat", "wave"]


def make_result(accuracy, precision=None, labels=("bow", "bow", "jack", "squat")):
    """Results on four videos; `wave` has none."""
    precision = accuracy if precision is None else precision
    return {
        "model": "m",
        "split": "test",
        "label_names": NAMES,
        "per_class": dict(zip(NAMES, accuracy, strict=False)),
        "per_class_average_precision": dict(zip(NAMES, [*precision, None], strict=True)),
        "clip_accuracy": 0.5,
        "video_accuracy": 0.5,
        "headline": {"metric": "clip_accuracy", "value": 0.5},
        "mean_average_precision": 0.5,
        "interpolated": False,
        "clips": [
            {"clip_id": str(i), "video_id": str(i), "label": label, "probabilities": [0.25] * 4}
            for i, label in enumerate(labels)
        ],
        "stamp": {"dataset": "d", "split_hash": "h", "pooling": "mean", "protocol": {}},
    }


FLAT = make_result([0.5, 1.0, 0.0], [0.6, 0.9, 0.25])
DEEP = make_result([1.0, 0.0, 1.0], [0.8, 0.9, 0.35])


def test_the_table_ends_with_the_mean_over_classes_with_positives():
    rows = class_table([FLAT, DEEP], ["flat", "deep"])
    assert rows[0] == {"class": "bow", "clips": 2, "flat": 0.6, "deep": 0.8}
    assert rows[3] == {"class": "wave", "clips": 0, "flat": None, "deep": None}
    assert rows[4]["class"] == "mean" and rows[4]["clips"] == 4
    assert rows[4]["flat"] == pytest.approx((0.6 + 0.9 + 0.25) / 3)
    assert rows[4]["deep"] == pytest.approx((0.8 + 0.9 + 0.35) / 3)
    assert without_positives(rows) == ["wave"]
    accuracy = class_table([FLAT, DEEP], ["flat", "deep"], "accuracy")
    assert accuracy[4]["flat"] == pytest.approx(0.5) and accuracy[1]["deep"] == 0.0


def test_the_best_of_a_row_is_marked_and_equals_are_not():
    rows = class_table([FLAT, DEEP], ["flat", "deep"])
    assert [best_names(row) for row in rows] == [{"deep"}, set(), {"deep"}, set(), {"deep"}]
    lines = table_as_markdown(rows).splitlines()
    assert lines[0] == "| class | clips | flat | deep |"
    assert lines[2] == "| bow | 2 | 60.0% | **80.0%** |"
    assert lines[3] == "| jack | 1 | 90.0% | 90.0% |"
    assert lines[5] == "| wave | 0 | - | - |"


def test_the_files_hold_the_table(tmp_path):
    rows = class_table([FLAT, DEEP], ["flat", "a name of a model that is long " * 3])
    paths = write_class_table(rows, tmp_path)
    assert [path.name for path in paths] == ["class_table.csv", "class_table.md", "class_table.png"]
    read = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert float(read[2]["flat"]) == 0.25 and read[3]["flat"] == ""
    assert table_as_csv(rows) == paths[0].read_text()
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    canvas = class_table_canvas(rows)
    texts = drawn_texts(canvas)
    assert {"average precision, %", "58.3", "without positives, so left out: wave"} <= set(texts)
    assert_readable(canvas)


def test_gains_are_differences_largest_first():
    gains = class_gains(FLAT, DEEP)
    assert [(gain.label, gain.gain) for gain in gains] == [
        ("squat", 1.0), ("bow", 0.5), ("jack", -1.0),
    ]  # fmt: skip
    assert (gains[1].baseline, gains[1].score, gains[1].clips) == (0.5, 1.0, 2)
    precision = class_gains(FLAT, DEEP, "average_precision")
    np.testing.assert_allclose([gain.gain for gain in precision], [0.2, 0.1, 0.0], atol=1e-12)
    assert [gain.label for gain in precision] == ["bow", "squat", "jack"]
    back = class_gains(DEEP, FLAT)
    assert [gain.gain for gain in back] == [-gain.gain for gain in gains[::-1]]


def test_the_largest_gains_and_losses_are_picked_once():
    gains = class_gains(FLAT, DEEP)
    assert [gain.label for gain in pick_gains(gains, 1)] == ["squat"]
    assert [gain.label for gain in pick_gains(gains, 1, 1)] == ["squat", "jack"]
    assert [gain.label for gain in pick_gains(gains, 2, 5)] == ["squat", "bow", "jack"]
    with pytest.raises(ValueError, match="top must be at least 1"):
        pick_gains(gains, 0)


def test_the_bars_are_as_long_as_the_gains(tmp_path):
    gains = {"scene": class_gains(FLAT, DEEP), "object": pick_gains(class_gains(FLAT, DEEP), 1)}
    canvas = class_gain_canvas(gains, "the LSTM")
    assert_readable(canvas)
    bars = [patch for patch in canvas.axes.patches if patch.get_height() == 26]
    lengths = [patch.get_width() for patch in bars]
    np.testing.assert_allclose(np.divide(lengths, lengths[0]), [1, 0.5, 1, 1])
    # The loss lies left of where the gains begin.
    assert bars[2].get_x() + lengths[2] == pytest.approx(bars[0].get_x())
    texts = drawn_texts(canvas)
    assert {"+100.0", "+50.0", "-100.0", "50.0 → 100.0"} <= set(texts)
    assert texts.count("gain over the LSTM") == 2
    draw_class_gains(gains, tmp_path / "gain.png", "the LSTM")
    write_class_gains(gains, tmp_path / "gain.csv")
    read = list(csv.DictReader((tmp_path / "gain.csv").read_text().splitlines()))
    assert [row["model"] for row in read] == ["scene"] * 3 + ["object"]
    assert float(read[2]["gain"]) == -1.0 and read[2]["class"] == "jack"
    with pytest.raises(ValueError, match="at least one class"):
        class_gain_canvas({"scene": []}, "the LSTM")


def test_what_neither_gains_nor_loses_is_grey():
    precision = class_gains(FLAT, DEEP, "average_precision")
    loss = ClassGain("wave", 1, 0.25, 0.2496)  # less than a point's tenth
    canvas = class_gain_canvas({"deep": [*precision, loss]}, "flat", "average_precision")
    colours = {text.get_text(): text.get_color() for text in canvas.axes.texts}
    assert colours["+20.0"] == RIGHT and colours["0.0"] == GREY
    bars = [patch for patch in canvas.axes.patches if patch.get_height() == 26]
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [RIGHT, RIGHT, GREY, GREY]
    texts = drawn_texts(canvas)
    assert texts.count("0.0") == 2 and texts[-1].endswith("its clips")  # not cut off


def test_results_of_other_videos_are_refused():
    for change, message in (
        ({"stamp": {**FLAT["stamp"], "dataset": "e"}}, "deep was evaluated on another dataset"),
        ({"stamp": {**FLAT["stamp"], "split_hash": "i"}}, "another split_hash"),
        ({"stamp": {**FLAT["stamp"], "pooling": "votes"}}, "deep and flat .*'votes' and 'mean'"),
        ({"split": "val"}, "differ in their split"),
        ({"label_names": NAMES[::-1]}, "differ in their label_names"),
        ({"clips": FLAT["clips"][:3]}, "the same clips: 3"),
    ):
        other = copy.deepcopy(DEEP) | change
        with pytest.raises(ValueError, match=message):
            class_gains(FLAT, other, names=("flat", "deep"))
        with pytest.raises(ValueError, match=message):
            class_table([FLAT, other], ["flat", "deep"])


def test_average_precision_of_two_definitions_is_not_compared():
    other = {**DEEP, "interpolated": True}
    for first, second in ((FLAT, other), (other, FLAT)):
        with pytest.raises(ValueError, match="of (a|b) is interpolated, that of (a|b) is not"):
            class_gains(first, second, "average_precision", ("a", "b"))
        with pytest.raises(ValueError, match="evaluate both with --interpolated, or neither"):
            class_table([first, second], ["a", "b"])
    # Accuracy does not depend on it.
    assert class_gains(FLAT, other) == class_gains(FLAT, DEEP)
    assert class_table([FLAT, other], ["a", "b"], "accuracy")


def test_what_a_result_does_not_hold_is_named():
    several = {**FLAT, "per_class": None}
    with pytest.raises(ValueError, match="hold no accuracy by class"):
        class_gains(several, several)
    with pytest.raises(ValueError, match="metric must be one of average_precision, accuracy"):
        class_table([FLAT], ["flat"], "recall")
    with pytest.raises(ValueError, match="names must be 2 different names, got a, a"):
        class_table([FLAT, DEEP], ["a", "a"])
    nothing = {**FLAT, "per_class": {}}
    with pytest.raises(ValueError, match="no class has a positive in split test"):
        class_table([nothing], ["a"], "accuracy")


def test_videos_of_several_labels_count_for_each():
    several = make_result([0.5, 1.0, 0.0], labels=(["bow", "jack"], ["bow"], ["jack"], ["squat"]))
    rows = class_table([several], ["one"])
    assert [row["clips"] for row in rows] == [2, 2, 1, 0, 4]


def test_files_get_names_that_tell_them_apart(tmp_path):
    paths = []
    for folder, name in (("one", "test"), ("two", "test"), ("two", "val")):
        (tmp_path / folder).mkdir(exist_ok=True)
        paths.append(tmp_path / folder / f"{name}.json")
        paths[-1].write_text(json.dumps(FLAT))
    assert list(read_named_results(paths[1:])) == ["test", "val"]
    assert list(read_named_results(paths[:2])) == ["one", "two"]
    assert list(read_named_results(paths)) == [str(path) for path in paths]
    assert list(read_named_results(paths, ["a", "b", "c"])) == ["a", "b", "c"]
    for names, message in ((["a"], "holds 1 for 3 files"), (["a", "a", "b"], "repeat: a, a, b")):
        with pytest.raises(ValueError, match=message):
            read_named_results(paths, names)
    with pytest.raises(ValueError, match="files repeat"):
        read_named_results([paths[0], paths[0]])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

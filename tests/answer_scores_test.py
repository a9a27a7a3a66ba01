"""The measures of answers on both levels, against numbers worked out by hand."""

import numpy as np
import pytest

from glimpse.pipelines.answer_scores import score_answers
from glimpse.pipelines.evaluation_protocol import EvaluationProtocol, find_protocol
from glimpse.pipelines.ranking import hit_at_k

NAMES = ["run", "jump", "wave"]
# Two clips of video a, both "run"; one of b, "jump"; two of c, "run" and "wave".
VIDEOS = ["a", "a", "b", "c", "c"]
LABELS = [0, 0, 1, 0, 2]
SCORES = [
    [0.4, 0.6, 0.0],  # wrong alone; with the next clip right: (1.1, 0.9, 0.0) / 2
    [0.7, 0.3, 0.0],
    [0.2, 0.5, 0.3],
    [0.1, 0.2, 0.7],  # wrong
    [0.3, 0.1, 0.6],  # right
]


def test_clips_and_videos_are_measured_apart():
    found = score_answers(SCORES, LABELS, VIDEOS, NAMES)
    assert found["clip_accuracy"] == pytest.approx(3 / 5)
    # a: run; b: jump; c: (0.2, 0.15, 0.65) is wave, one of its two labels.
    assert found["video_accuracy"] == 1.0
    assert found["per_class"] == {"run": pytest.approx(1 / 3), "jump": 1.0, "wave": 1.0}
    assert found["confusion"] == [[1, 1, 1], [0, 1, 0], [0, 0, 1]]


def test_average_precision_ranks_clips_or_videos():
    by_clip = score_answers(SCORES, LABELS, VIDEOS, NAMES)
    # "run", clips by score: 0.7 (yes), 0.4 (yes), 0.3 (no), 0.2 (no), 0.1 (yes).
    assert by_clip["per_class_average_precision"]["run"] == pytest.approx((1 + 1 + 3 / 5) / 3)
    by_video = score_answers(SCORES, LABELS, VIDEOS, NAMES, level="video")
    # "run", videos: a 0.55 (yes), b 0.2 and c 0.2, equal, one of them yes: both or neither.
    assert by_video["per_class_average_precision"]["run"] == pytest.approx((1 + 2 / 3) / 2)
    assert by_video["confusion"] is None  # c has two labels


def test_both_kinds_of_average_precision_are_reported():
    # Ranked: no, yes, yes: precision 1/2, 2/3; the envelope makes both 2/3.
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]]
    plain = score_answers(scores, [1, 0, 0], "abc", ["x", "y"])
    assert plain["per_class_average_precision"]["x"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    envelope = score_answers(scores, [1, 0, 0], "abc", ["x", "y"], interpolated=True)
    assert envelope["per_class_average_precision"]["x"] == pytest.approx(2 / 3)
    assert plain["average_precisions"] == envelope["average_precisions"]
    assert plain["mean_average_precision"] == plain["average_precisions"]["plain"]
    assert envelope["mean_average_precision"] == envelope["average_precisions"]["interpolated"]


def test_several_labels_a_clip_have_no_accuracy_and_no_confusion():
    found = score_answers(SCORES[:3], [(0, 2), (0,), ()], "abc", NAMES)
    for name in ("clip_accuracy", "video_accuracy", "per_class", "confusion"):
        assert found[name] is None
    assert found["classes_without_positives"] == ["jump"]
    assert found["hit_at_3"] == {"any": 1.0, "average": 1.0}


def test_hits_count_any_label_or_the_share_of_them():
    labels, scores = [[1, 0, 1, 0], [0, 1, 0, 0]], [[0.1, 0.2, 0.7, 0.3], [0.5, 0.1, 0.4, 0.2]]
    assert hit_at_k(labels, scores, 1) == 0.5
    assert hit_at_k(labels, scores, 1, average=True) == 0.25
    assert hit_at_k(labels, scores, 4, average=True) == 1.0
    # Of equal scores the smaller class comes first.
    assert hit_at_k([[0, 1]], [[0.5, 0.5]], 1) == 0.0
    for wrong in (([[0, 0]], [[0.1, 0.2]], 1), ([[0, 1]], [[0.1, 0.2]], 0), ([0, 1], [0, 1], 1)):
        with pytest.raises(ValueError, match="label|`k`|shapes"):
            hit_at_k(*wrong)


def test_clips_that_are_whole_videos_score_alike_on_both_levels():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((20, 3)), rng.integers(0, 3, 20).tolist()
    ids = [str(number) for number in range(20)]
    clip = score_answers(scores, labels, ids, NAMES)
    assert clip["clip_accuracy"] == clip["video_accuracy"]
    assert clip == score_answers(scores, labels, ids, NAMES, level="video")


@pytest.mark.parametrize(
    ("name", "metric", "level", "interpolated"),
    [
        ("ucf11", "clip_accuracy", "clip", False),
        ("hmdb51", "clip_accuracy", "clip", False),
        ("hollywood2", "mean_average_precision", "clip", False),
        ("activitynet", "clip_accuracy", "clip", False),
        ("activitynet_untrimmed", "mean_average_precision", "video", True),
        ("ucf_sports", "step_accuracy", "clip", False),
        ("olympic_sports", "mean_average_precision", "clip", False),
        (None, "clip_accuracy", "clip", False),
    ],
)
def test_each_data_set_is_measured_as_its_papers_do(name, metric, level, interpolated):
    protocol = find_protocol(name)
    assert protocol.name == (name or "general") and protocol.rule == "mean"
    assert (protocol.metric, protocol.level) == (metric, level)
    assert protocol.interpolated is interpolated


def test_a_changed_protocol_is_no_longer_the_papers():
    protocol = find_protocol("hmdb51")
    assert protocol.changed(rule=None, level="clip") is protocol
    assert protocol.changed(rule="majority").name == "custom (hmdb51)"
    with pytest.raises(ValueError, match="level must be one of clip, video, got 'frame'"):
        EvaluationProtocol(level="frame")

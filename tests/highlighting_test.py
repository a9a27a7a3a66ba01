"""The score of highlighted frames against answers by hand and by loops."""

import numpy as np
import pytest

from glimpse.pipelines.highlighting import (
    MEASURES,
    FrameWeights,
    mean_step_weights,
    score_highlights,
    summarise_highlights,
)
from tests.highlighting_references import loops_score


@pytest.mark.parametrize("seed", range(10))
def test_against_loops(seed):
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.permutation(60)[:15])
    weights = rng.dirichlet(np.ones(15))
    interval = (int(frames[3]), int(frames[9]))
    found = score_highlights(frames, weights, interval)
    assert found == pytest.approx(loops_score(frames, weights, interval), abs=1e-12)
    assert tuple(found) == MEASURES


def test_equal_weights_score_the_base_rate():
    found = score_highlights(np.arange(10), np.full(10, 0.1), (2, 5))
    expected = {name: 0.3 for name in MEASURES} | {"auc": 0.5, "peak_inside": 0.0}
    assert found == pytest.approx(expected)


def test_the_best_and_the_worst_weights():
    best = score_highlights(np.arange(4), [0, 0.5, 0.5, 0], (1, 3))
    assert best == dict.fromkeys(MEASURES, 1.0) | {"base_rate": 0.5}
    worst = score_highlights(np.arange(4), [0.5, 0, 0, 0.5], (1, 3))
    assert worst["mass_inside"] == worst["auc"] == worst["peak_inside"] == 0
    assert worst["average_precision"] == pytest.approx(0.5)


@pytest.mark.parametrize("interval", [(0, 4), (10, 12), (2, 2)])
def test_no_choice_has_no_score(interval):
    assert score_highlights(np.arange(4), np.full(4, 0.25), interval) is None


def test_a_frames_weight_is_the_mean_over_the_windows_that_show_it():
    collected = FrameWeights()
    collected.add([3, 4, 5], [0.2, 0.3, 0.5])
    collected.add([5, 6, 6], [0.1, 0.7, 0.2])
    frames, weights = collected.means()
    assert frames.tolist() == [3, 4, 5, 6]
    np.testing.assert_allclose(weights, [0.2, 0.3, 0.3, 0.45])


def test_steps_that_do_not_attend_do_not_count():
    maps = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    np.testing.assert_allclose(mean_step_weights(maps), [0.25, 0.5, 0.25])
    np.testing.assert_allclose(mean_step_weights(np.zeros((2, 3))), 0)


def test_classes_and_those_left_out_are_counted():
    one, other = (dict.fromkeys(MEASURES, value) for value in (0.25, 0.75))
    videos = [("a", one), ("a", other), ("b", other), ("idle", "no interval"), ("a", "no choice")]
    found = summarise_highlights(videos)
    assert found["videos"] == 3
    assert found["average_precision"] == pytest.approx((0.25 + 0.75 + 0.75) / 3)
    assert found["left_out"] == {"no interval": 1, "no choice": 1}
    assert set(found["per_class"]) == {"a", "b"}
    assert found["per_class"]["a"]["auc"] == 0.5 and found["per_class"]["a"]["videos"] == 2
    assert summarise_highlights([("idle", "no interval")]) is None


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

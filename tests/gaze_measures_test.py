"""Entropy and movement of attention maps against values worked out by hand."""

import numpy as np
import pytest

from glimpse.pipelines.gaze_measures import (
    attention_entropy,
    attention_movement,
    describe_measures,
    measure_gaze,
)
from tests.film_strip_test import make_gaze


def test_entropy_is_0_for_a_cell_and_1_for_a_uniform_map():
    maps = np.zeros((4, 2, 2))
    maps[0, 1, 0] = 1
    maps[1] = 0.25
    maps[2, 0] = 0.5  # two of four cells: log 2 / log 4
    entropy = attention_entropy(maps)
    np.testing.assert_allclose(entropy[:3], [0, 1, 0.5])
    assert np.isnan(entropy[3]) and not np.signbit(entropy[0])
    assert attention_entropy(np.ones((1, 1, 1))) == 1


def test_movement_is_the_share_that_lies_elsewhere():
    maps = np.zeros((5, 2, 2))
    maps[0, 0, 0] = maps[1, 0, 0] = 1
    maps[2, 0] = 0.5  # half of it moved to another cell
    maps[3, 1, 1] = 1  # all of it moved
    moved = attention_movement(maps)
    np.testing.assert_allclose(moved[:3], [0, 0.5, 1])
    assert np.isnan(moved[3])


def test_measures_leave_masked_frames_out():
    attention = np.zeros((4, 7, 7))
    attention[0, 0, 0] = attention[1, 3, 3] = 1
    gaze = make_gaze(frames=4, attention=attention, boxes=None)
    assert measure_gaze(gaze) == {"entropy": 0.0, "movement": 1.0}
    alone = make_gaze(frames=1, attention=attention[:1])
    measures = measure_gaze(alone)
    assert measures["movement"] == 0.0 and measures["mass"] == alone.localisation()["mass"]
    assert f"on the actor {measures['mass']:.1%}" in describe_measures(measures)
    with pytest.raises(ValueError, match="masked in every frame"):
        measure_gaze(make_gaze(frames=2, attention=np.zeros((2, 7, 7))))
    with pytest.raises(ValueError, match=r"\(frames, height, width\), got \(7, 7\)"):
        attention_entropy(np.ones((7, 7)))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

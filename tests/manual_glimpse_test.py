"""A manual glimpse lies where the user put it, and the model answers with it."""

import numpy as np
import pytest

from glimpse.pipelines.manual_glimpse import (
    box_map,
    compare_answers,
    draw_manual_glimpse,
    glimpse_maps,
    look_manually,
    manual_glimpse_canvas,
)
from tests.colour_answerer import GRID, NAMES, make_answerer, make_truth, make_window
from tests.drawn_texts import assert_readable, drawn_texts

SIZE = (24, 36)  # cells of 12 x 12 pixels


@pytest.fixture(scope="module")
def answerer():
    return make_answerer()


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        ("cell:0,2", [[0, 0, 1], [0, 0, 0]]),
        ("centre", [[0, 0.5, 0], [0, 0.5, 0]]),
        # 6 of cell 0's 12 columns and all 12 of cell 1's, in the upper row.
        ("box:6,0,24,12", [[1 / 3, 2 / 3, 0], [0, 0, 0]]),
        # What lies outside of the frame is empty.
        ("box:-50,-50,12,1000", [[0.5, 0, 0], [0.5, 0, 0]]),
    ],
)
def test_maps_lie_where_the_user_says(look, expected):
    maps = glimpse_maps([look], 4, GRID, SIZE)
    assert maps.shape == (4, *GRID)
    np.testing.assert_allclose(maps, np.broadcast_to(expected, maps.shape), rtol=1e-6)


def test_each_step_may_have_a_place_of_its_own():
    boxes = np.array([[0, 0, 12, 12], [12, 0, 24, 12], [24, 12, 36, 24], [0, 12, 36, 24]], float)
    maps = glimpse_maps(["1-2@actor", "3@cell:1,0"], 4, GRID, SIZE, boxes)
    assert np.isnan(maps[0]).all()
    assert maps[1, 0, 1] == maps[2, 1, 2] == maps[3, 1, 0] == 1
    np.testing.assert_allclose(maps[1:].sum(axis=(1, 2)), 1)
    np.testing.assert_allclose(box_map(boxes[3], GRID, SIZE), [[0, 0, 0], [1 / 3] * 3], rtol=1e-6)


@pytest.mark.parametrize("attention", ["content", "state"])
def test_the_answer_is_that_of_a_clip_that_shows_nothing_else(attention):
    # Without Eq. 6, which reads the mean over all regions.
    answerer = make_answerer(attention=attention, initial_state="zeros")
    window = make_window()
    own, manual = look_manually(answerer, window, ["cell:1,2"])
    held = np.broadcast_to(window.features[:, 1:2, 2:3], window.features.shape)
    alone = answerer.classifier(held[None], training=False)["step_probabilities"][0]
    np.testing.assert_allclose(manual.step_probabilities, alone, rtol=1e-5)
    assert np.abs(manual.step_probabilities - own.step_probabilities).max() > 0.01


def test_steps_that_are_not_named_keep_the_gaze(answerer):
    own, manual = look_manually(answerer, make_window(), ["1-3@cell:1,2"])
    np.testing.assert_allclose(own.attention.sum(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(manual.attention[0], own.attention[0], rtol=1e-5)
    expected = np.zeros((3, *GRID))
    expected[:, 1, 2] = 1
    np.testing.assert_array_equal(manual.attention[1:], expected)


def test_the_actor_is_found_by_the_frames_of_the_window(answerer):
    window = make_window()  # of the video's frames 0, 2, 4, 6
    boxes = np.tile([0.0, 0.0, 12.0, 12.0], (8, 1))
    boxes[4] = [24, 12, 36, 24]
    own, manual = look_manually(answerer, window, ["actor"], make_truth(boxes.tolist()), "squat")
    assert manual.attention[2, 1, 2] == 1 and manual.attention[3, 0, 0] == 1
    assert manual.localisation()["mass"] == pytest.approx(1)
    assert own.true_label == manual.true_label == "squat"


def test_the_picture_shows_both_gazes_and_both_answers(answerer, tmp_path):
    own, manual = look_manually(answerer, make_window(), ["cell:0,0"], None, "wave")
    rows = compare_answers(own, manual, top=1)
    assert {"wave", own.predicted_label, manual.predicted_label} == {row[0] for row in rows}
    for name, before, after in rows:
        index = NAMES.index(name)
        assert (before, after) == (own.probabilities[index], manual.probabilities[index])
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
    canvas = manual_glimpse_canvas(own, manual)
    texts = drawn_texts(canvas)
    assert "manual: cell:0,0" in texts and "the model's own gaze" in texts
    assert "wave (true)" in texts and f"{manual.probabilities[2]:.1%}" in texts
    assert_readable(canvas)
    draw_manual_glimpse(own, manual, tmp_path / "glimpse.png")
    assert (tmp_path / "glimpse.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ([], "no place to look at"),
        (["left"], "'left' is no place"),
        (["cell:1"], "'cell:1' is no place"),
        (["cell:2,0"], "rows 0 to 1 and columns 0 to 2"),
        (["cell:0.5,0"], "rows 0 to 1"),
        (["box:5,0,5,9"], "X0 < X1"),
        (["box:0,0,inf,9"], "is no place"),
        (["box:40,0,50,9"], "frame of 36 x 24 pixels"),
        (["actor"], "give --data"),
        (["4@centre"], "at most 3"),
        (["2-1@centre"], "must rise"),
        (["one@centre"], "'one' is no step"),
        (["@centre"], "no step before the @"),
        (["centre", "2@centre"], "step 2 is given a place twice"),
    ],
)
def test_what_cannot_be_looked_at_is_named(looks, message):
    with pytest.raises(ValueError, match=message):
        glimpse_maps(looks, 4, GRID, SIZE)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

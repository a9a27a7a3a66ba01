"""The frames of the highest and the lowest weight are those of the weights, and marked so."""

import dataclasses

import numpy as np
import pytest
from matplotlib.colors import to_hex

from glimpse.pipelines.dimmed_frames import (
    dimmed_frames_canvas,
    draw_dimmed_frames,
    varied_frames,
)
from glimpse.pipelines.highlight_strip import (
    INSIDE,
    draw_highlight_strip,
    extreme_frames,
    highlight_strip_canvas,
    interval_weight,
)
from glimpse.pipelines.highlights import Highlights
from glimpse.pipelines.overlay import overlay
from glimpse.pipelines.pixel_canvas import NEUTRAL, RIGHT, WRONG
from tests.drawn_texts import assert_readable, drawn_texts

WEIGHTS = np.array([0.05, 0.4, 0.1, 0.02, 0.25, 0.08, 0.07, 0.03])


def make_highlights(weights=WEIGHTS, **changes):
    generator = np.random.default_rng(0)
    count = len(weights)
    fields = {
        "frames": generator.integers(0, 256, (count, 56, 56, 3), dtype=np.uint8),
        "frame_indices": 8 * np.arange(count),
        "frames_per_second": 16.0,
        "weights": weights,
        "step_weights": np.tile(weights, (3, 1)),
        "probabilities": np.array([0.1, 0.7, 0.2]),
        "label_names": ("bow", "squat", "wave"),
        "true_label": "squat",
        "interval": (8, 40),
        "model_name": "attends to objects",
        "video_name": "clip.mp4",
    }
    return Highlights(**(fields | changes))


def bands(canvas):
    """The filled rectangles in the colour of the action's interval, as (left, right)."""
    return [
        (patch.get_x(), patch.get_x() + patch.get_width())
        for patch in canvas.axes.patches
        if patch.get_fill() and to_hex(patch.get_facecolor()) == INSIDE
    ]


def axis_bars(canvas):
    """The bars of the weights over time, as (middle, height, colour), in order of time."""
    found = [
        (patch.get_x() + patch.get_width() / 2, patch.get_height(), to_hex(patch.get_facecolor()))
        for patch in canvas.axes.patches
        # A mark below the axis is 6 pixels high.
        if patch.get_fill() and patch.get_width() == 40 and patch.get_height() != 6
    ]
    return sorted(found)


def test_extremes_are_the_highest_and_the_lowest_weights():
    highest, lowest = extreme_frames(WEIGHTS, 3)
    assert highest.tolist() == [1, 4, 2] and lowest.tolist() == [3, 7, 0]
    assert highest[0] == WEIGHTS.argmax() and lowest[0] == WEIGHTS.argmin()
    # No frame is both, however many are asked for.
    assert [len(each) for each in extreme_frames(WEIGHTS[:5], 4)] == [2, 2]
    with pytest.raises(ValueError, match="at least two attended frames, got 1"):
        extreme_frames(WEIGHTS[:1], 1)


def test_the_weight_in_the_interval_is_compared_with_uniform():
    highlights = make_highlights()  # frames 8 to 32 of 0, 8, ..., 56
    weight, uniform = interval_weight(highlights)
    assert weight == pytest.approx(0.4 + 0.1 + 0.02 + 0.25) and uniform == 4 / 8
    assert interval_weight(make_highlights(interval=None)) is None
    texts = drawn_texts(highlight_strip_canvas(highlights))
    assert "weight in the action's interval 77.0%, uniform 50.0%  (1.5×)" in texts


def test_frames_and_bars_carry_the_colour_of_their_kind():
    canvas = highlight_strip_canvas(make_highlights(), each=2)
    borders = {}
    for patch in canvas.axes.patches:
        if not patch.get_fill() and patch.get_width() > 100:
            borders.setdefault(to_hex(patch.get_edgecolor()), []).append(patch.get_x())
    assert len(borders[RIGHT]) == len(borders[WRONG]) == 2
    assert max(borders[RIGHT]) < min(borders[WRONG])
    texts = drawn_texts(canvas)
    # Time above and weight below each tile, from the highest down to the lowest.
    assert [text for text in texts if text in ("0.400", "0.250", "0.030", "0.020")] == [
        "0.400", "0.250", "0.030", "0.020",
    ]  # fmt: skip
    assert {"0.50 s", "2.00 s", "3.50 s", "1.50 s"} <= set(texts)
    shown = axis_bars(canvas)
    heights = [height for _, height, _ in shown]
    np.testing.assert_allclose(np.divide(heights, max(heights)), WEIGHTS / 0.4)
    expected = [NEUTRAL, RIGHT, NEUTRAL, WRONG, RIGHT, NEUTRAL, NEUTRAL, WRONG]
    assert [colour for _, _, colour in shown] == expected


def test_the_interval_is_marked_where_it_lies():
    canvas = highlight_strip_canvas(make_highlights())
    places = [x for x, _, _ in axis_bars(canvas)]
    left, right = bands(canvas)[0]
    # The action is frames 8 to 39; attended are the frames 0, 8, ..., 56.
    assert left == pytest.approx(places[1]) and right == pytest.approx(places[5])
    assert len(bands(highlight_strip_canvas(make_highlights(interval=None)))) == 0


def test_an_action_outside_the_window_is_said_and_not_marked():
    # Attended are the frames 0, 8, ..., 56.
    missed = make_highlights(interval=(90, 120))
    between = make_highlights(interval=(9, 14))
    for canvas, marks in (
        (highlight_strip_canvas(missed), 0),
        (dimmed_frames_canvas(missed), 0),
        (dimmed_frames_canvas(between), 0),
        (highlight_strip_canvas(between), 1 + 1),  # on the axis and in the legend
    ):
        texts = drawn_texts(canvas)
        assert len(bands(canvas)) == marks
        assert not any("uniform 0.0%" in text for text in texts)
        assert ("the action is not in this window" in texts) != (
            "no attended frame shows the action" in texts
        )
        assert ("the action" in texts) == (marks > 0)
        assert "in the action's interval" not in texts
    # One row without the action leaves the swatch to the others.
    both = [missed, make_highlights(video_name="other.mp4")]
    assert "the action" in drawn_texts(highlight_strip_canvas(both))
    assert "in the action's interval" in drawn_texts(dimmed_frames_canvas(both))


def test_the_strip_is_readable_whatever_is_known(tmp_path):
    first = make_highlights()
    second = make_highlights(WEIGHTS[::-1], model_name="scenes " * 20, true_label="wave")
    third = make_highlights(
        np.full(2, 0.5), true_label=None, interval=None, video_name="other " * 30
    )
    for each in (1, 4):
        canvas = highlight_strip_canvas([first, second, third], each)
        assert_readable(canvas)
        texts = drawn_texts(canvas)
        assert texts.count("clip.mp4") == 1 and "squat 70% ✓" in texts and "squat 70% ✗" in texts
    draw_highlight_strip(first, tmp_path / "strip.png")
    assert (tmp_path / "strip.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="each must be at least 1, got 0"):
        highlight_strip_canvas(first, 0)


def test_dimmed_frames_are_chosen_so_that_weights_vary():
    assert varied_frames([WEIGHTS], 8).tolist() == list(range(8))
    # Ranks 0, 2, 5, 7 of 1, 4, 2, 5, 6, 0, 7, 3.
    assert varied_frames([WEIGHTS], 4).tolist() == [0, 1, 2, 3]
    assert varied_frames([WEIGHTS], 1).tolist() == [1]
    other = np.zeros(8)
    other[5] = 3.0  # the mean over the models ranks
    assert 5 in varied_frames([WEIGHTS, other], 1)


def test_frames_are_as_light_as_their_weight(tmp_path):
    objects = make_highlights()
    scenes = dataclasses.replace(objects, weights=np.full(8, 1 / 8), model_name="scenes")
    canvas = dimmed_frames_canvas([objects, scenes], columns=8)
    assert_readable(canvas)
    images = [np.asarray(image.get_array()) for image in canvas.figure.images]
    tile = images[0]
    # One row of frames and one for each model, then the legend's bar.
    assert len(images) == 8 * 3 + 1
    np.testing.assert_array_equal(images[1 + 8], overlay(images[1], [[0.4]], 0.4, "dim"))
    np.testing.assert_array_equal(images[1 + 8], images[1])
    brightness = [
        image.mean() / frame.mean() for image, frame in zip(images[8:16], images, strict=False)
    ]
    assert np.argsort(brightness).tolist() == np.argsort(WEIGHTS).tolist()
    np.testing.assert_array_equal(images[16], overlay(tile, [[1 / 8]], 0.4, "dim"))
    texts = drawn_texts(canvas)
    assert "0.400" in texts and texts.count("0.125") == 8
    assert len(bands(canvas)) == 4 + 1  # frames in the action's interval, and the legend
    draw_dimmed_frames(objects, tmp_path / "dimmed.png", columns=4)
    assert (tmp_path / "dimmed.png").read_bytes().startswith(b"\x89PNG")


def test_rows_of_other_frames_are_refused():
    first = make_highlights()
    second = make_highlights(WEIGHTS[:4] / WEIGHTS[:4].sum(), model_name="half")
    with pytest.raises(ValueError, match="'clip.mp4' attend to different frames .*: 8, 'half': 4"):
        dimmed_frames_canvas([first, second])
    with pytest.raises(ValueError, match="columns must be at least 1"):
        dimmed_frames_canvas(first, 0)
    for draw in (dimmed_frames_canvas, highlight_strip_canvas):
        with pytest.raises(ValueError, match="at least one Highlights"):
            draw([])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Gaze validates what it holds, and attention mass equals counting pixels."""

import dataclasses

import numpy as np
import pytest

from glimpse.pipelines.gaze import Gaze, attention_mass, pointing_hits, uniform_mass


def random_maps(generator, frames=5, height=7, width=7):
    maps = generator.random((frames, height, width)) ** 4
    return maps / maps.sum(axis=(1, 2), keepdims=True)


def make_gaze(**changes):
    generator = np.random.default_rng(0)
    fields = {
        "frames": generator.integers(0, 256, (5, 21, 28, 3), dtype=np.uint8),
        "frame_indices": np.arange(5) * 2,
        "frames_per_second": 15.0,
        "attention": random_maps(generator),
        "step_probabilities": np.tile([0.2, 0.7, 0.1], (5, 1)),
        "probabilities": np.array([0.2, 0.7, 0.1]),
        "label_names": ("bow", "squat", "wave"),
        "true_label": "bow",
        "boxes": np.tile([4.0, 3.0, 12.0, 15.0], (5, 1)),
    }
    return Gaze(**(fields | changes))


def mass_by_counting_pixels(attention, box, frame_size):
    """Spreads each cell over its pixels, then adds the pixels inside a whole-pixel box."""
    (frame_height, frame_width), (height, width) = frame_size, attention.shape
    pixels = frame_height * frame_width // (height * width)
    x0, y0, x1, y1 = box
    mass = 0.0
    for y in range(frame_height):
        for x in range(frame_width):
            if x0 <= x < x1 and y0 <= y < y1:
                cell = attention[y * height // frame_height, x * width // frame_width]
                mass += cell / pixels
    return mass


def test_attention_mass_equals_counting_pixels():
    generator = np.random.default_rng(1)
    attention = random_maps(generator, frames=6, height=3, width=7)
    boxes = np.array(
        [
            [0, 0, 28, 21],
            [4, 3, 12, 15],
            [5, 6, 6, 7],
            [-9, -4, 10, 40],
            [27, 20, 99, 99],
            [40, 2, 50, 9],
        ]
    )
    expected = [
        mass_by_counting_pixels(m, b, (21, 28)) for m, b in zip(attention, boxes, strict=True)
    ]
    np.testing.assert_allclose(attention_mass(attention, boxes, (21, 28)), expected, atol=1e-12)
    assert expected[0] == pytest.approx(1.0) and expected[-1] == 0.0


def test_attention_mass_of_boxes_at_fractions_of_a_pixel():
    one_cell = np.zeros((1, 2, 2))
    one_cell[0, 0, 1] = 1.0
    # The cell spans x 5..10 and y 0..5; the box covers half its width and 0.3 of its height.
    mass = attention_mass(one_cell, [[2.0, 1.0, 7.5, 2.5]], (10, 10))
    np.testing.assert_allclose(mass, [0.5 * 0.3])


def test_constant_map_has_the_mass_of_the_box_area():
    boxes = np.array([[1.5, 2.25, 13.0, 9.0], [-5.0, 4.0, 7.0, 60.0]])
    constant = np.full((2, 7, 7), 1 / 49)
    np.testing.assert_allclose(
        attention_mass(constant, boxes, (21, 28)), uniform_mass(boxes, (21, 28))
    )
    np.testing.assert_allclose(uniform_mass(boxes, (21, 28)), [11.5 * 6.75 / 588, 7.0 * 17.0 / 588])


def test_several_boxes_a_frame_are_measured_one_by_one():
    attention = random_maps(np.random.default_rng(2), frames=2)
    boxes = np.array([[[0, 0, 9, 9], [3, 4, 20, 12]], [[1, 1, 5, 20], [8, 8, 28, 21]]])
    masses = attention_mass(attention, boxes, (21, 28))
    for index in range(2):
        np.testing.assert_allclose(
            masses[:, index], attention_mass(attention, boxes[:, index], (21, 28))
        )
    assert masses.shape == uniform_mass(boxes, (21, 28)).shape == (2, 2)


def test_pointing_hits_asks_for_the_centre_of_the_largest_cell():
    attention = np.zeros((4, 2, 4))
    attention[:3, 1, 2] = 1.0  # centred at x 25, y 15 of a 20 x 40 frame
    boxes = [[24, 14, 26, 16], [20, 10, 25, 20], [25, 15, 30, 20], [0, 0, 40, 20]]
    assert pointing_hits(attention, boxes, (20, 40)).tolist() == [True, False, True, False]


def test_localisation_leaves_masked_frames_out():
    gaze = make_gaze()
    attention = np.array(gaze.attention)
    attention[3:] = 0.0
    masked = dataclasses.replace(gaze, attention=attention)
    assert masked.is_real.tolist() == [True, True, True, False, False]
    expected = attention_mass(gaze.attention, gaze.boxes, gaze.frame_size)[:3].mean()
    assert masked.localisation()["mass"] == pytest.approx(expected)
    assert masked.localisation()["uniform"] == pytest.approx(96 / 588)
    with pytest.raises(ValueError, match="masked in every frame"):
        dataclasses.replace(gaze, attention=attention * 0).localisation()


def test_labels_and_times():
    gaze = make_gaze()
    assert (gaze.predicted_label, gaze.shown_label) == ("squat", "bow")
    assert dataclasses.replace(gaze, true_label=None).shown_label == "squat"
    np.testing.assert_allclose(gaze.times, [0, 2 / 15, 4 / 15, 6 / 15, 8 / 15])
    clip, steps = gaze.probability_of("wave")
    assert clip == 0.1 and steps.tolist() == [0.1] * 5
    assert dataclasses.replace(gaze, boxes=None).localisation() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frames": np.zeros((5, 21, 28, 3))}, "frames must be uint8 RGB .* got float64"),
        ({"frames": np.zeros((5, 21, 28, 4), np.uint8)}, r"\(5, 21, 28, 4\)"),
        ({"frame_indices": np.arange(4)}, r"frame_indices must have the shape \(5,\)"),
        ({"frame_indices": np.array([0, 2, 1, 3, 4])}, "never step back"),
        ({"frame_indices": np.arange(5) / 2}, "whole numbers"),
        ({"frames_per_second": 0}, "frames_per_second must be above 0, got 0"),
        ({"attention": np.full((5, 7, 7), 0.1)}, "frame 0 sums to 4.9 .5 of 5"),
        ({"attention": np.full((4, 7, 7), 1 / 49)}, "4 maps for 5 frames"),
        ({"attention": -np.full((5, 7, 7), 1 / 49)}, "not negative"),
        ({"attention": np.full((5, 49), 1 / 49)}, "attention must have the shape"),
        ({"step_probabilities": np.zeros((5, 2))}, r"step_probabilities must have .* \(5, 3\)"),
        ({"probabilities": np.array([0.2, 7.0, -3.0])}, "probabilities, not logits"),
        ({"label_names": ("a", "b", "a")}, "label_names must be distinct"),
        ({"true_label": "jump"}, "true_label 'jump' is not one of"),
        ({"boxes": np.zeros((4, 4))}, r"boxes must have the shape \(5, 4\)"),
        ({"boxes": np.tile([9.0, 9.0, 3.0, 12.0], (5, 1))}, "x0 <= x1"),
        ({"boxes": np.full((5, 4), np.nan)}, "boxes must be finite"),
        ({"distractor_boxes": np.zeros((4, 2, 4))}, "distractor_boxes must have the shape"),
    ],
)
def test_bad_values_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        make_gaze(**changes)


def test_mass_refuses_another_number_of_boxes():
    with pytest.raises(ValueError, match="boxes has 3 frames, attention has 5"):
        attention_mass(random_maps(np.random.default_rng(0)), np.zeros((3, 4)), (21, 28))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Poses and boxes of the stick figures."""

import numpy as np
import pytest

from glimpse.pipelines import stick_figure


def test_boxes_hold_the_pixels_of_a_figure_and_are_tight():
    rng = np.random.default_rng(0)
    for action in (*stick_figure.ACTIONS, stick_figure.IDLE) * 20:
        height, hat = rng.uniform(27, 34), bool(rng.integers(2))
        joints = stick_figure.pose(action, rng.uniform(), bool(rng.integers(2)))
        joints = stick_figure.place_joints(joints, rng.uniform([50, 70], [60, 80]), height)
        image = np.full((112, 112, 3), 128, np.uint8)
        stick_figure.draw_figure(image, joints, height, (255, 255, 255), hat)
        # Leaves out the faint outer fringe of the anti-aliasing.
        coloured = (np.abs(image.astype(int) - 128) > 32).any(axis=-1)
        rows, columns = np.nonzero(coloured)
        x0, y0, x1, y1 = stick_figure.figure_box(joints, height, hat)
        slack = [columns.min() - x0, rows.min() - y0]
        slack += [x1 - columns.max() - 1, y1 - rows.max() - 1]
        # Every pixel lies in the box, or is cut by its edge.
        assert min(slack) > -1
        assert max(slack) < 1


@pytest.mark.parametrize("mirrored", [False, True])
def test_lower_is_the_exact_time_reversal_of_raise(mirrored):
    period = 16
    forwards = [stick_figure.pose("raise", t / period, mirrored) for t in range(period + 1)]
    backwards = [stick_figure.pose("lower", t / period, mirrored) for t in range(period + 1)]
    np.testing.assert_array_equal(forwards, backwards[::-1])
    assert not np.allclose(forwards, backwards)


def test_limbs_keep_their_lengths():
    names = stick_figure.JOINTS
    for action in (*stick_figure.ACTIONS, stick_figure.IDLE):
        for phase in np.linspace(0, 1, 25):
            joints = dict(zip(names, stick_figure.pose(action, phase), strict=True))
            for side in ("left", "right"):
                for start, end, length in (
                    ("neck", f"{side}_elbow", 0.17),
                    (f"{side}_elbow", f"{side}_wrist", 0.17),
                    ("hip", f"{side}_knee", 0.22),
                    (f"{side}_knee", f"{side}_foot", 0.22),
                ):
                    distance = np.linalg.norm(joints[start] - joints[end])
                    # A standing leg is a little longer than its bones at a wide stance.
                    assert distance == pytest.approx(length, rel=0.03), (action, start)


def test_unknown_action_is_refused():
    with pytest.raises(ValueError, match="'swim'"):
        stick_figure.pose("swim", 0.0)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

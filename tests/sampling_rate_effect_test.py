"""One clip at several rates: each window holds the frames of its rate, and columns are moments."""

import numpy as np
import pytest

from glimpse.pipelines.sampling_rate_effect import (
    choose_frames,
    draw_rate_effect,
    look_at_rates,
    rate_effect_canvas,
    rate_table,
)
from glimpse.pipelines.window_sampling import WindowSampling
from tests.colour_answerer import make_answerer, make_truth
from tests.drawn_texts import assert_readable, drawn_texts
from tests.numbered_videos import frame_number, write_video


@pytest.fixture(scope="module")
def answerer():
    return make_answerer(num_frames=6, rate=12.5)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("rates") / "clip.avi", "FFV1", 40)  # 25 frames/s


@pytest.fixture(scope="module")
def gazes(answerer, video):
    boxes = np.tile([0.0, 0.0, 32.0, 24.0], (40, 1)).tolist()
    return look_at_rates(answerer, video, [6.25, 25], 0.4, None, None, make_truth(boxes), "squat")


def test_windows_last_as_long_as_the_models_own(gazes):
    # 6 frames at 12.5 frames/s are 0.48 s, or 12 frames of the video.
    assert [gaze.model_name for gaze in gazes] == ["6.25 frames/s", "25 frames/s"]
    assert gazes[0].frame_indices.tolist() == [10, 14, 18]
    assert gazes[1].frame_indices.tolist() == list(range(10, 22))
    for gaze in gazes:
        assert [frame_number(frame) for frame in gaze.frames] == gaze.frame_indices.tolist()


def test_rates_are_strides_whatever_the_models_own_rule(video):
    # 6 frames at 10 frames/s are 0.6 s, or 15 frames of the video.
    slow, fast = look_at_rates(make_answerer(num_frames=6, rate=10.0), video, [10, 25])
    assert slow.frame_indices.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert slow.model_name == "12.5 frames/s" and fast.frame_indices.tolist() == list(range(15))
    answerer = make_answerer(num_frames=6)
    answerer.sampling = WindowSampling(6, step_stride=2)
    slow, fast = look_at_rates(answerer, video, [6.25, 25])
    assert slow.frame_indices.tolist() == [0, 4, 8]
    assert fast.frame_indices.tolist() == list(range(12))


def test_a_rate_sees_what_the_model_sees_at_it(answerer, video, gazes):
    colours = np.asarray(answerer.backbone.backbone(gazes[0].frames))
    expected = answerer.classifier(colours[None], training=False)
    np.testing.assert_allclose(gazes[0].attention, expected["attention_weights"][0], rtol=1e-4)
    np.testing.assert_allclose(gazes[0].probabilities, expected["probabilities"][0], rtol=1e-4)


def test_windows_may_hold_equally_many_frames(answerer, video):
    slow, fast = look_at_rates(answerer, video, [5, 25], num_frames=4)
    assert slow.frame_indices.tolist() == [0, 5, 10, 15]
    assert fast.frame_indices.tolist() == [0, 1, 2, 3]
    assert choose_frames([slow, fast], 8) == [[0, 1, 2, 3], [0, 1, 2, 3]]
    assert choose_frames([slow, fast], 2) == [[0, 3], [0, 3]]


def test_columns_are_moments_where_windows_last_equally_long(gazes):
    slow, fast = choose_frames(gazes, 12)
    assert fast == list(range(12))
    # A frame stands where the model first saw it, and nothing until the next.
    assert slow == [0, None, None, None, 1, None, None, None, 2, None, None, None]
    slow, fast = choose_frames(gazes, 3)
    assert fast == [0, 5, 11] and slow == [0, 1, 2]


def test_the_table_measures_each_rate(gazes):
    rows = rate_table(gazes)
    assert [row["frames"] for row in rows] == [3, 12]
    assert rows[0]["movement/s"] == pytest.approx(rows[0]["movement"] * 6.25)
    assert rows[1]["movement/s"] == pytest.approx(rows[1]["movement"] * 25)
    assert rows[0]["probability"] == gazes[0].probabilities.max() and rows[0]["truth"] == "squat"


@pytest.mark.parametrize("columns", [1, 4, 12])
def test_the_picture_is_readable(gazes, columns, tmp_path):
    canvas = rate_effect_canvas(gazes, columns)
    assert_readable(canvas)
    texts = drawn_texts(canvas)
    assert "6.25 frames/s" in texts and "true label: squat" in texts and "0.40 s" in texts
    assert any(text.startswith("12 frames in 0.44 s, moved ") for text in texts)
    draw_rate_effect(gazes, tmp_path / "rates.png", columns)
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_compared_is_named(answerer, video, gazes):
    for arguments, message in (
        (([25],), "rates must be two or more"),
        (([12, 12.5],), "must take different frames, got 12: every 2, 12.5: every 2"),
        (([12.5, 50],), "frames_per_second is 50"),
        (([5, 25], 2.0), "ended by then"),
        (([5, 25], 0.0, 1.0, 5), "cannot both be given"),
        (([5, 25], 0.0, 2.0), "10 frames at 5 frames/s take 2.00 s and .* has 1.60 s left"),
        (([5, 25], 0.0, None, 9), "ask for fewer"),
    ):
        with pytest.raises(ValueError, match=message):
            look_at_rates(answerer, video, *arguments)
    later = look_at_rates(answerer, video, [5, 25], 0.8)
    with pytest.raises(ValueError, match="begin with the same frame"):
        rate_effect_canvas([gazes[0], later[1]])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

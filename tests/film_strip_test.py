"""Film strips hold every asked-for frame, overlap no text, and are whole or absent."""

import dataclasses

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from glimpse.pipelines.film_strip import draw_film_strip, film_strip_canvas, group_by_clip
from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.overlay import overlay


def make_gaze(frames=10, size=(28, 28), **changes):
    generator = np.random.default_rng(3)
    attention = generator.random((frames, 7, 7)) ** 6
    steps = generator.random((frames, 3))
    fields = {
        "frames": generator.integers(0, 256, (frames, *size, 3), dtype=np.uint8),
        "frame_indices": np.arange(frames) * 3,
        "frames_per_second": 15.0,
        "attention": attention / attention.sum(axis=(1, 2), keepdims=True),
        "step_probabilities": steps / steps.sum(axis=1, keepdims=True),
        "probabilities": np.array([0.1, 0.7, 0.2]),
        "label_names": ("bow", "squat", "wave"),
        "true_label": "squat",
        "boxes": np.tile([-4.0, 3.0, 12.0, 15.0], (frames, 1)),
        "model_name": "content attention",
    }
    return Gaze(**(fields | changes))


def drawn_texts(figure):
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.axes[0].texts if text.get_text()]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


def test_picture_decodes_and_is_wide(tmp_path):
    gaze = make_gaze()
    path = tmp_path / "strip.png"
    draw_film_strip(gaze, path)
    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape[1] >= 1600
    assert [file.name for file in tmp_path.iterdir()] == ["strip.png"]


def test_frames_and_overlays_stand_in_the_picture_pixel_by_pixel(tmp_path):
    gaze = make_gaze(frames=4, size=(56, 56))
    path = tmp_path / "strip.png"
    draw_film_strip(gaze, path, columns=4, boxes=False, style="dim", scale=9.0)
    picture = cv2.imread(str(path))[..., ::-1]
    for index in range(4):
        tile = np.repeat(np.repeat(gaze.frames[index], 8, axis=0), 8, axis=1)
        shown = overlay(tile, gaze.attention[index], 9.0, "dim")
        column = picture[:, 40 + index * 456 : 40 + index * 456 + 448]
        for expected in (tile, shown):
            starts = [y for y in range(len(column) - 447) if np.array_equal(column[y], expected[0])]
            assert any(np.array_equal(column[y : y + 448], expected) for y in starts)


@pytest.mark.parametrize("columns", [1, 3, 8, 16])
def test_no_text_overlaps_or_leaves_the_picture(columns):
    first = make_gaze(frames=16, model_name="a model with quite a long name " * 3)
    wrong = dataclasses.replace(first, true_label=None, boxes=None, video_name="clip " * 60)
    attention = np.array(first.attention)
    attention[-2:] = 0
    masked = dataclasses.replace(first, attention=attention, model_name="$x_1$ & <b>")
    figure = film_strip_canvas([first, masked, wrong], columns=columns).figure
    width, height = figure.get_size_inches() * figure.dpi
    texts = drawn_texts(figure)
    assert len(texts) > 10
    for number, (string, box) in enumerate(texts):
        assert 0 <= box.x0 and box.x1 <= width and 0 <= box.y0 and box.y1 <= height, string
        for other, other_box in texts[number + 1 :]:
            assert not box.overlaps(other_box), (string, other)


def test_texts_tell_times_probabilities_and_mass():
    gaze = make_gaze()
    strings = [string for string, _ in drawn_texts(film_strip_canvas(gaze, columns=4).figure)]
    found = gaze.localisation()
    mass, uniform = found["mass"], found["uniform"]
    assert {"0.00 s", "0.60 s", "1.20 s", "1.80 s"} <= set(strings)
    assert f"{gaze.step_probabilities[9, 1]:.0%}" in strings
    assert "squat 70% ✓" in strings and "content attention" in strings
    expected = f"attention on the actor {mass:.1%}, uniform {uniform:.1%}  ({mass / uniform:.1f}×)"
    assert expected in strings
    wrong = dataclasses.replace(gaze, true_label="bow")
    assert "squat 70% ✗" in [text for text, _ in drawn_texts(film_strip_canvas(wrong).figure)]


def test_legend_marks_weights_above_the_scale():
    gaze = make_gaze()
    for scale, mark in ((2.0, "2× and more"), (49.0, "49×")):
        texts = [text for text, _ in drawn_texts(film_strip_canvas(gaze, scale=scale).figure)]
        assert mark in texts and "1×" in texts


def test_group_by_clip_refuses_other_frames():
    gaze = make_gaze()
    other = dataclasses.replace(gaze, model_name="other", video_name="second")
    assert [len(clip) for clip in group_by_clip([gaze, other, gaze])] == [2, 1]
    changed = dataclasses.replace(gaze, frame_indices=np.arange(10))
    with pytest.raises(ValueError, match="'video' hold different frames"):
        group_by_clip([gaze, changed])
    with pytest.raises(ValueError, match="gazes must be a Gaze or a list"):
        group_by_clip([])


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "strip.png"
    path.write_bytes(b"old")

    def fill_the_disk(self, target, **options):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        draw_film_strip(make_gaze(frames=2), path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError, match="create it first"):
        draw_film_strip(make_gaze(frames=2), tmp_path / "absent" / "strip.png")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 0}, "columns must be at least 1, got 0"),
        ({"style": "glow"}, "style must be one of"),
        ({"scale": -1.0}, "scale must be above 0"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        film_strip_canvas(make_gaze(frames=2), **options)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

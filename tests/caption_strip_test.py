"""Caption strips show every word on one scale, beside its beta, and say which frames they show."""

import dataclasses

import cv2
import numpy as np
import pytest

from glimpse.pipelines.caption_gaze import group_captions
from glimpse.pipelines.caption_strip import (
    caption_scale,
    caption_strip_canvas,
    draw_caption_strip,
    every_kth,
)
from glimpse.pipelines.gaze import attention_mass
from glimpse.pipelines.overlay import overlay
from tests.caption_gazes import make_caption_gaze
from tests.drawn_texts import assert_readable, drawn_texts


def test_frames_and_overlays_stand_in_the_picture_pixel_by_pixel(tmp_path):
    gaze = make_caption_gaze(frames=2, size=(28, 28), boxes=None)
    path = tmp_path / "strip.png"
    draw_caption_strip(gaze, path, style="dim", scale=9.0)
    assert [file.name for file in tmp_path.iterdir()] == ["strip.png"]
    picture = cv2.imread(str(path))[..., ::-1]
    factor, size = 10, 280  # the largest tile
    for index in range(2):
        tile = np.repeat(np.repeat(gaze.frames[index], factor, axis=0), factor, axis=1)
        left = 40 + 300 + index * (size + 8)
        column = picture[:, left : left + size]
        places = []
        for shown in (tile, *(overlay(tile, m[index] * 2, 9.0, "dim") for m in gaze.attention)):
            starts = [y for y in range(len(column) - size) if np.array_equal(column[y], shown[0])]
            places += [y for y in starts if np.array_equal(column[y : y + size], shown)]
        assert len(places) == 4 and places == sorted(places)


@pytest.mark.parametrize(
    ("frames", "columns", "shown", "step"),
    [
        (26, 8, [0, 4, 8, 12, 16, 20, 24], "every 4th"),
        (15, 8, range(0, 15, 2), "every 2nd"),
        (9, 1, [0], "the first"),
        (3, 8, range(3), None),
    ],
)
def test_every_kth_frame_is_shown_and_the_picture_says_so(frames, columns, shown, step):
    assert every_kth(frames, columns).tolist() == list(shown)
    gaze = make_caption_gaze(frames, words=("a",))
    texts = drawn_texts(caption_strip_canvas(gaze, columns))
    assert [text for text in texts if text.endswith(" s")] == [f"{n / 5:.2f} s" for n in shown]
    assert f"{frames} frames" in texts
    assert [t for t in texts if "shown" in t] == ([f"shown: {step}"] if step else [])


@pytest.mark.parametrize(("columns", "size"), [(1, (28, 28)), (8, (20, 80)), (26, (80, 20))])
def test_no_text_overlaps_or_leaves_the_picture(columns, size):
    words = ("incomprehensibilities", "$x_1$", "x" * 30)
    gaze = make_caption_gaze(26, size, words, black=9, video_name="clip " * 16, score=-1234.5)
    gaze = dataclasses.replace(gaze, references=("GT " * 40,) * 4, model_name="captioner " * 9)
    assert_readable(caption_strip_canvas(gaze, columns=columns))


def test_texts_tell_words_betas_shares_and_references():
    gaze = make_caption_gaze(4, references=("a dog is running", "the dog runs"))
    texts = drawn_texts(caption_strip_canvas(gaze))
    assert "a dog runs   (score -1.25)" in texts
    place = texts.index("GT:")
    assert texts[place : place + 4] == ["GT:", "a dog is running", "GT:", "the dog runs"]
    for number, (word, beta) in enumerate(zip(gaze.words, ("1.00", "0.52", "0.04"), strict=True)):
        at = texts.index(f"t = {number + 1}")
        assert texts[at + 1 : at + 3] == [word, f"β = {beta}"]
        shares = [f"{m.sum():.1%}" for m in gaze.attention[number]]
        assert texts[at + 4 : at + 8] == shares
    many = dataclasses.replace(gaze, references=tuple("abcde"))
    assert "and 2 more" in drawn_texts(caption_strip_canvas(many))


def test_attention_on_the_actor_is_a_share_of_all_frames():
    gaze = make_caption_gaze(6, black=2)
    mass, uniform = gaze.actor_shares()
    assert uniform == pytest.approx(4 / 6 * 8 * 12 / 28**2)
    for number, maps in enumerate(gaze.attention):
        # On each frame by itself, as `attention_mass` wants it, then put together again.
        alone = attention_mass(
            maps / maps.sum(axis=(1, 2), keepdims=True), gaze.boxes, gaze.frame_size
        )
        assert mass[number] == pytest.approx((alone * maps.sum(axis=(1, 2))).sum())
    assert make_caption_gaze(boxes=None).actor_shares() is None
    shown = f"on the actor {mass[0]:.0%} ({mass[0] / uniform:.1f}×)"
    assert shown in drawn_texts(caption_strip_canvas(gaze))


def test_the_largest_share_on_the_actor_is_written_out():
    attention = np.zeros((3, 8, 3, 5))
    attention[:, 0, 1, 2] = 1
    boxes = np.tile([60.0, 30.0, 90.0, 60.0], (8, 1))
    gaze = make_caption_gaze(8, size=(90, 150), attention=attention, boxes=boxes)
    assert drawn_texts(caption_strip_canvas(gaze)).count("on the actor 100% (15×)") == 3


def test_black_frames_are_counted_and_shown():
    texts = drawn_texts(caption_strip_canvas(make_caption_gaze(8, black=3)))
    assert "3 are black" in texts and texts.count("black") == 3
    assert "nan s" not in texts


def test_a_word_that_reads_nothing_says_so():
    gaze = make_caption_gaze(4)
    attention = gaze.attention.copy()
    attention[1:] = 0
    silent = dataclasses.replace(gaze, attention=attention)
    assert drawn_texts(caption_strip_canvas(silent)).count("reads no features") == 2
    # Its zeros do not lower the scale of the words that look.
    assert caption_scale(silent) == caption_scale(dataclasses.replace(
        gaze, words=gaze.words[:1], attention=gaze.attention[:1], gate=gaze.gate[:1]
    ))  # fmt: skip


def test_the_scale_counts_multiples_of_a_words_uniform_weight():
    attention = np.full((3, 4, 3, 5), 1 / 60)
    uniform = make_caption_gaze(4, attention=attention)
    assert caption_scale(uniform) == 4
    np.testing.assert_allclose(uniform.frame_maps.sum(axis=(2, 3)), 1)
    attention[:2] = 0
    attention[0, 0, 0, 0] = attention[1, 3, 2, 4] = 1
    peaked = make_caption_gaze(4, attention=attention)
    assert caption_scale(peaked) == 60 == caption_scale(uniform, peaked)
    assert "60×" in drawn_texts(caption_strip_canvas(peaked))
    assert "5× and more" in drawn_texts(caption_strip_canvas(peaked, scale=5.0))


def test_words_whose_glimpse_is_not_read_do_not_set_the_scale():
    attention = np.zeros((3, 4, 3, 5))
    attention[0, 2, 0] = 1 / 5
    attention[1:, 0, 0, 0] = 1
    for gate, scale in (([1, 0, 0], 12), ([0.1, 0.9, 0], 60), ([0, 0, 0], 60)):
        gaze = make_caption_gaze(4, attention=attention, gate=gate)
        assert caption_scale(gaze) == pytest.approx(scale)


def test_a_frame_counts_in_the_scale_as_much_as_its_attention():
    attention = np.zeros((1, 4, 3, 5))
    attention[0, 0, 0, 0], attention[0, 1, 0] = 0.4, 0.6 / 5
    gaze = make_caption_gaze(4, words=("a",), attention=attention, gate=[1])
    assert caption_scale(gaze) == pytest.approx(0.6 / 5 * 60)
    assert "7.2× and more" in drawn_texts(caption_strip_canvas(gaze))


def test_captions_of_one_clip_share_its_frames():
    gaze = make_caption_gaze()
    other = dataclasses.replace(gaze, model_name="other", words=("no", "dog", "runs"))
    second = dataclasses.replace(gaze, video_name="second")
    assert [len(clip) for clip in group_captions([gaze, second, other])] == [2, 1]
    with pytest.raises(ValueError, match="'video' were made from different frames"):
        group_captions([gaze, make_caption_gaze(5)])
    with pytest.raises(ValueError, match="gazes must be a CaptionGaze or a list"):
        group_captions([])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"words": ()}, "words must hold at least one word"),
        ({"attention": np.ones((3, 6, 3, 5)) / 15}, "sum to 1 over all .* word 0 sums to 6"),
        ({"attention": np.ones((3, 5, 3, 5)) / 75}, r"\(3 words, 6 frames, height, width\)"),
        ({"attention": -np.ones((3, 6, 3, 5))}, "finite and not negative"),
        ({"gate": [0.5, 0.5]}, "gate must be a number from 0 to 1 for each of 3 words"),
        ({"gate": [0.5, 0.5, 1.5]}, "gate must be a number from 0 to 1"),
        ({"frame_indices": [0, 1, 2, 4, 3, 5]}, "never step back"),
        ({"frame_indices": np.arange(6.0)}, "6 whole numbers"),
        ({"frames": np.zeros((6, 4, 4, 3))}, "frames must be uint8 RGB"),
        ({"boxes": np.zeros((5, 4))}, r"boxes must be finite .* \(6, 4\)"),
        ({"frames_per_second": 0}, "frames_per_second must be above 0, got 0"),
    ],
)
def test_malformed_gazes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(make_caption_gaze(), **changes)


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
        caption_strip_canvas(make_caption_gaze(), **options)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

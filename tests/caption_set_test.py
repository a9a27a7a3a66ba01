"""The captions of an index: taken, left out, counted."""

import logging

import pytest
from absl import logging as absl_logging

from glimpse.pipelines.caption_set import read_captions
from tests.caption_features import make_caption_features


def test_captions_are_words_in_the_order_of_the_clips(tmp_path):
    index = make_caption_features(tmp_path)
    found = read_captions(index, "train")
    assert found.clips == index.clips("train")
    assert found.captions[0][:2] == (("a", "red", "dog"), ("the", "dog", "is", "red"))
    assert found.captions == found.references
    words = sum(len(each) for captions in found.captions for each in captions)
    assert found.counts == {
        "clips": 12, "clips_without_captions": 0, "short_clips": 0, "captions": 36,
        "words": words, "empty_captions": 0, "long_captions": 0,
    }  # fmt: skip


def spoilt(clip, number, captions):
    """No captions, one without a word, one without any letter, and one that is very long."""
    return {
        0: (),
        1: ("", " ...  !", "a dog"),
        2: ("word " * 29,),
        3: ("word " * 28, "word " * 29, "собака бежит", "一只狗"),
    }.get(number, captions)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_caption_features(tmp_path_factory.mktemp("spoilt"), spoilt)


def test_what_is_left_out_is_counted(index, caplog):
    absl_logging.get_absl_logger().addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        found = read_captions(index, "train", max_words=30)
    absl_logging.get_absl_logger().removeHandler(caplog.handler)
    assert [clip.clip_id for clip in found.clips[:3]] == ["train_1", "train_2", "train_3"]
    assert found.captions[0] == (("a", "dog"),)
    # The end token counts: of 30 words at most 29 are the caption's.
    assert [len(words) for words in found.captions[2]] == [28, 29, 2, 1]
    counts = found.counts
    assert (counts["empty_captions"], counts["long_captions"]) == (2, 0)
    assert (counts["clips"], counts["clips_without_captions"]) == (11, 1)
    assert "2 captions without a word left out, 1 clips left out that have no other" in caplog.text


def test_long_captions_are_no_part_of_training_but_of_the_references(index):
    found = read_captions(index, "train", max_words=29)
    assert found.counts["long_captions"] == 2
    assert [len(words) for words in found.captions[1]] == [28, 2, 1]
    assert [len(words) for words in found.references[1]] == [28, 29, 2, 1]
    # All captions of clip 2 are too long.
    assert found.counts["clips_without_captions"] == 2


def test_short_clips_are_left_out(tmp_path):
    index = make_caption_features(tmp_path)
    least = 11
    found = read_captions(index, "train", min_video_frames=least)
    assert all(clip.num_frames >= least for clip in found.clips)
    short = [clip for clip in index.clips("train") if clip.num_frames < least]
    assert short and found.counts["short_clips"] == len(short)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "exam"}, "split must be one of"),
        ({"split": "train", "max_words": 3}, "no caption to take"),
        ({"split": "train", "min_video_frames": 99}, "12 clips left out as too short"),
    ],
)
def test_nothing_to_train_on_is_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        read_captions(make_caption_features(tmp_path), **options)


def test_features_without_captions_are_refused(tmp_path):
    index = make_caption_features(tmp_path, lambda *_: ())
    with pytest.raises(ValueError, match="extract them again from a data set with captions"):
        read_captions(index, "train")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

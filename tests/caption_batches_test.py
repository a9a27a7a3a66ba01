"""Batches of captions: each once an epoch, of one length, with the right features beside them."""

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from glimpse.models.caption_vocabulary import CaptionVocabulary
from glimpse.pipelines.caption_batches import CaptionBatches
from glimpse.pipelines.caption_set import CaptionSet, read_captions
from glimpse.pipelines.clip_features import ClipFeatures
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.window_sampling import WindowSampling
from tests.caption_features import make_caption_features
from tests.synthetic_features import make_numbered_features, spoil_stored

SAMPLING = WindowSampling(num_frames=4, sampling_rule="first_frames", spread_over=9)
RANDOM = WindowSampling(num_frames=4, sampling_rule="random_frames")


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_caption_features(tmp_path_factory.mktemp("features"))


def make(index, sampling=SAMPLING, **options):
    captions = read_captions(index, "train")
    words = [words for each in captions.captions for words in each]
    vocabulary = CaptionVocabulary.from_captions(words)
    return CaptionBatches(index, captions, vocabulary, sampling, **options), captions, vocabulary


def epoch(batches, batch_size, number=0, seed=3):
    steps = batches.batches_per_epoch(batch_size)
    dataset = batches.shuffled(batch_size, seed, number).take(steps)
    return [tf.nest.map_structure(np.asarray, batch) for batch in dataset]


def rows(found):
    """(clip's mark, targets without padding) of each row of batches."""
    for x, targets in found:
        for features, words in zip(x["features"], targets, strict=True):
            clip = int(round(features[0, 0, 0, 0] * 64))
            yield clip, tuple(int(word) for word in words if word)


@pytest.mark.parametrize("batch_size", [2, 5, 64])
@pytest.mark.parametrize("memory_bytes", [2**30, 0])
def test_an_epoch_has_every_caption_once_beside_its_clip(index, batch_size, memory_bytes):
    batches, captions, vocabulary = make(index, memory_bytes=memory_bytes)
    wanted = collections.Counter(
        (number, (*vocabulary.encode(words), 2))
        for number, each in enumerate(captions.captions)
        for words in each
    )
    assert batches.num_captions == sum(wanted.values()) == 36
    found = epoch(batches, batch_size)
    assert collections.Counter(rows(found)) == wanted
    assert collections.Counter(rows(batches.in_order(batch_size).as_numpy_iterator())) == wanted
    for x, targets in found:
        tokens = x["token_ids"]
        assert len(targets) <= batch_size
        assert tokens.dtype == targets.dtype == np.int32 and tokens.shape == targets.shape
        assert x["features"].dtype == np.float32
        np.testing.assert_array_equal(tokens[:, 0], 1)
        # What a step reads is the word that the step before had to say.
        shown = np.where(targets == 2, 0, targets)
        np.testing.assert_array_equal(tokens[:, 1:], shown[:, :-1])
        np.testing.assert_array_equal((targets == 2).sum(axis=1), 1)
        # Some caption fills the batch's length.
        assert (targets != 0).all(axis=1).any()


def test_words_that_the_vocabulary_lacks_are_unknown_and_counted(index):
    captions = read_captions(index, "train")
    words = [words for each in captions.captions for words in each]
    vocabulary = CaptionVocabulary.from_captions(words, min_count=13)
    batches = CaptionBatches(index, captions, vocabulary, SAMPLING)
    # Each colour stands in 12 captions, once.
    unknown = [word for each in words for word in each if word not in vocabulary.tokens]
    assert {"red", "green", "blue"} <= set(unknown)
    assert batches.unknown_words == len(unknown)
    ids = [token for _, targets in batches.in_order(8) for token in np.ravel(targets)]
    assert ids.count(3) == len(unknown)


def test_features_are_those_of_the_sampled_frames(index):
    batches, captions, _ = make(index)
    for x, _ in epoch(batches, 5):
        for features in x["features"]:
            clip = captions.clips[int(round(features[0, 0, 0, 0] * 64))]
            steps = np.array([0, 3, 5, 7])
            np.testing.assert_array_equal(features, index.read(clip)[steps].astype("float32"))


def test_a_batch_holds_captions_of_about_one_length(index):
    batches, _, _ = make(index)
    found = epoch(batches, 2)
    real = sum((targets != 0).sum() for _, targets in found)
    padded = sum(targets.size for _, targets in found)
    assert real / padded > 0.85
    lengths = [int((targets != 0).sum(axis=1).max()) for _, targets in found]
    # Long and short batches come in turn, and not one after the other.
    assert lengths != sorted(lengths) and len(set(lengths)) > 2


def test_without_buckets_each_batch_mixes_lengths(index):
    batches, _, _ = make(index, bucket_batches=0)
    found = epoch(batches, 9)
    assert len(found) == 4 and all(len(targets) == 9 for _, targets in found)
    assert sorted(rows(found)) == sorted(rows(epoch(make(index)[0], 9)))
    assert all(len(set((targets != 0).sum(axis=1))) > 2 for _, targets in found)


def test_an_epoch_depends_on_its_number_and_the_seed_alone(index):
    batches, _, _ = make(index)
    steps = batches.batches_per_epoch(5)
    both = list(rows(batches.shuffled(5, 3).take(2 * steps).as_numpy_iterator()))
    first, second = (list(rows(epoch(batches, 5, number))) for number in (0, 1))
    assert both == first + second and first != second
    assert first == list(rows(epoch(batches, 5, 0)))
    assert first != list(rows(epoch(batches, 5, 0, seed=4)))


@pytest.mark.parametrize("memory_bytes", [2**30, 0])
def test_random_frames_are_drawn_anew_in_training_alone(index, memory_bytes):
    batches, _, _ = make(index, RANDOM, memory_bytes=memory_bytes)

    def steps(found):
        drawn = collections.defaultdict(set)
        for x, _ in found:
            for features in x["features"]:
                clip = int(round(features[0, 0, 0, 0] * 64))
                shown = tuple((features[:, 0, 0, 1] * 64).round().astype(int))
                assert list(shown) == sorted(shown)
                drawn[clip].add(shown)
        return drawn

    first, second = steps(epoch(batches, 5, 0)), steps(epoch(batches, 5, 1))
    assert max(map(len, first.values())) > 1 and first != second
    assert steps(epoch(batches, 5, 0)) == first
    in_order = steps(batches.in_order(5).as_numpy_iterator())
    assert all(len(each) == 1 for each in in_order.values())


def test_flips_mirror_half_of_the_windows_of_training(tmp_path):
    index = make_numbered_features(tmp_path, {"train": [8] * 20}, shape=(1, 1, 3), flips=True)
    words = tuple((("a", "b"), ("c",)) for _ in index.entries)
    captions = CaptionSet(index.clips("train"), words, words, {})
    vocabulary = CaptionVocabulary.from_captions([["a", "b", "c"]])
    sampling = dataclasses.replace(SAMPLING, spread_over=8, flips=True)
    for memory_bytes in (2**30, 0):
        batches = CaptionBatches(index, captions, vocabulary, sampling, memory_bytes)
        sides = np.concatenate([x["features"][:, :, 0, 0, 2] for x, _ in epoch(batches, 4)])
        assert (sides == sides[:, :1]).all() and 0.2 < sides[:, 0].mean() < 0.8
        plain = np.concatenate([x["features"] for x, _ in batches.in_order(4)])
        assert (plain[..., 2] == 0).all()


def test_short_clips_are_padded_with_black_frames_and_counted(tmp_path):
    index = make_numbered_features(tmp_path, {"train": [3, 8]}, shape=(1, 1, 3))
    clips = index.clips("train")
    with pytest.raises(ValueError, match="hold no black frame"):
        ClipFeatures(index, clips, dataclasses.replace(SAMPLING, spread_over=8))
    index.store.write("black", np.full((1, 1, 1, 3), -5, "float32"))
    index = dataclasses.replace(index, black_key="black")
    for memory_bytes in (2**30, 0):
        sampling = dataclasses.replace(SAMPLING, spread_over=8)
        features = ClipFeatures(index, clips, sampling, memory_bytes)
        (found,) = features.in_order(8).as_numpy_iterator()
        np.testing.assert_array_equal(found[0, :, 0, 0, 1], [0, 2, -5, -5])
        np.testing.assert_array_equal(found[1, :, 0, 0, 1], [0, 2, 4, 6])
        assert features.sampling_counts["black_clips"] == 1
        assert features.sampling_counts["black_steps"] == 2


def test_what_cannot_be_read_is_refused(index, tmp_path):
    with pytest.raises(ValueError, match="--sampling_rule=blocks: gives several windows"):
        make(index, WindowSampling(num_frames=4))
    vectors = make_numbered_features(tmp_path / "vectors", {"train": [8]})
    with pytest.raises(ValueError, match=r"reads features \(height, width, features\)"):
        ClipFeatures(vectors, vectors.clips("train"), SAMPLING)
    spoilt = make_caption_features(tmp_path / "spoilt")
    spoil_stored(spoilt, "train_2", 3, np.nan)
    with pytest.raises(ValueError, match="train_2.mp4 .* hold NaN"):
        epoch(make(FeatureIndex.load(spoilt.folder))[0], 5)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

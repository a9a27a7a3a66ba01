"""Beam search against its definition: all captions of a small vocabulary, and a list of beams."""

import math

import keras
import numpy as np
import pytest

from glimpse.layers import GatedCaptionDecoder
from glimpse.models import beam_search
from tests.beam_search_references import beam_search_reference, every_caption
from tests.word_table_decoder import WordTableDecoder

# On the other backends, where each new loop is compiled, what could differ there runs alone.
_BACKENDS = pytest.mark.backends
REGIONS, FEATURES = 4, 3


def clips(batch, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, REGIONS, FEATURES)).astype("float32")


def settings(**more):
    return {
        "beam_width": 3,
        "max_words": 6,
        "start_token_id": 1,
        "end_token_id": 2,
        "unknown_token_id": 3,
        **more,
    }


def run(decoder, features, search, **more):
    answer = beam_search(decoder, features, **search, **more)
    assert list(answer) == ["token_ids", "scores", "attention_weights", "gate"]
    answer = {name: keras.ops.convert_to_numpy(values) for name, values in answer.items()}
    shape = (len(features), search["beam_width"], search["max_words"])
    assert answer["token_ids"].shape == answer["gate"].shape == shape
    assert answer["attention_weights"].shape == (*shape, features.shape[1])
    assert answer["scores"].shape == shape[:2]
    assert answer["token_ids"].dtype == "int32"
    return answer


def check(answer, clip, expected, search):
    """Compares one clip's captions, and what stands after them, with a list of FoundCaptions."""
    padding = search.get("padding_token_id", 0)
    for beam in range(search["beam_width"]):
        token_ids, weights, gate = (
            answer[name][clip, beam] for name in ("token_ids", "attention_weights", "gate")
        )
        length = 0
        if beam < len(expected):
            caption = expected[beam]
            length = len(caption.tokens)
            assert tuple(token_ids[:length]) == caption.tokens
            score = caption.score(search.get("length_penalty", 0.0))
            assert answer["scores"][clip, beam] == pytest.approx(score, abs=1e-4)
            np.testing.assert_allclose(weights[:length], caption.attention_weights, atol=1e-5)
            np.testing.assert_allclose(gate[:length], caption.gate, atol=1e-5)
        else:
            assert answer["scores"][clip, beam] == -math.inf
        assert (token_ids[length:] == padding).all()
        assert (weights[length:] == 0).all() and (gate[length:] == 0).all()


@pytest.mark.parametrize(
    "length_penalty, more",
    [
        pytest.param(0.0, {}, id="plain"),
        pytest.param(0.6, {"min_words": 2}, id="min_words"),
        pytest.param(1.0, {"end_token_id": 0}, id="end_is_padding", marks=_BACKENDS),
        pytest.param(0.6, {"end_token_id": 5, "padding_token_id": 2}, id="end_is_last"),
    ],
)
def test_a_wide_beam_is_exhaustive(length_penalty, more):
    """A beam that nothing falls out of finds every caption there is, in order."""
    search = settings(beam_width=128, max_words=4, length_penalty=length_penalty, **more)
    decoder = WordTableDecoder(6, FEATURES, seed=3)
    features = clips(2)
    answer = run(decoder, features, search)
    for clip in range(2):
        expected = every_caption(decoder, features[clip], search)
        assert 28 <= len(expected) < 128
        check(answer, clip, expected, search)


@pytest.mark.parametrize(
    "beam_width, length_penalty",
    [(1, 0.0), (2, 0.6), pytest.param(5, 1.0, marks=_BACKENDS), (5, 0.0)],
)
def test_a_narrow_beam_is_as_defined(beam_width, length_penalty):
    for seed, min_words in ((0, 0), (2, 3)):
        search = settings(beam_width=beam_width, length_penalty=length_penalty, min_words=min_words)
        decoder = WordTableDecoder(15, FEATURES, seed=seed)
        features = clips(3, seed)
        answer = run(decoder, features, search)
        for clip in range(3):
            check(answer, clip, beam_search_reference(decoder, features[clip], search), search)


def test_a_narrow_beam_misses_what_an_exhaustive_search_finds():
    """The two references differ, so that each test above means something of its own."""
    search = settings(beam_width=1, max_words=4)
    missed = 0
    for seed in range(10):
        decoder, (features,) = WordTableDecoder(6, FEATURES, seed=seed), clips(1, seed)
        beam = beam_search_reference(decoder, features, search)
        missed += beam[0].tokens != every_caption(decoder, features, search)[0].tokens
    assert missed


def test_each_clip_is_searched_by_itself():
    """A clip's captions do not depend on the others of its batch, some of which end earlier."""
    decoder, features = WordTableDecoder(9, FEATURES, seed=5), clips(4, 5)
    search = settings(beam_width=2, max_words=8)
    together = run(decoder, features, search)
    lengths = (together["gate"] > 0).sum(axis=-1)
    assert len(set(lengths[:, 0])) > 1
    for clip in range(4):
        alone = run(decoder, features[clip : clip + 1], search)
        for name, values in alone.items():
            np.testing.assert_allclose(values[0], together[name][clip], atol=1e-5)


def test_no_caption_appears_twice():
    decoder, features = WordTableDecoder(7, FEATURES, seed=6, scale=0.3), clips(4, 6)
    answer = run(decoder, features, settings(beam_width=20, max_words=5))
    for clip in range(4):
        assert np.isfinite(answer["scores"][clip]).all()
        assert (np.diff(answer["scores"][clip]) <= 0).all()
        assert len({tuple(words) for words in answer["token_ids"][clip]}) == 20


def test_width_one_is_greedy():
    decoder, features = (
        WordTableDecoder(12, FEATURES, seed=7, logits=-1e9 * np.eye(12)[3]),
        clips(1),
    )
    search = settings(beam_width=1, max_words=5)
    states, said = decoder.initial_state(features), [1]
    while len(said) <= 5 and said[-1] != 2:
        logits, states, _, _ = decoder.step(
            keras.ops.convert_to_tensor(said[-1:]), states, features, projected=2 * features
        )
        logits = keras.ops.convert_to_numpy(logits)[0]
        logits[[0, 1]] = -math.inf
        said.append(int(np.argmax(logits)))
    words = run(decoder, features, search)["token_ids"][0, 0]
    assert list(words[: len(said) - 1]) == said[1:]


@_BACKENDS
def test_equal_scores_go_by_slot_and_token():
    """Every token has probability 1/8; PyTorch's top_k does not say which of them comes first."""
    decoder, features = WordTableDecoder(8, FEATURES, scale=0.0), clips(2)
    for more in ({}, {"min_words": 2}, {"length_penalty": 1.0}):
        search = settings(beam_width=6, max_words=3, **more)
        answer = run(decoder, features, search)
        for clip in range(2):
            expected = beam_search_reference(decoder, features[clip], search)
            if keras.backend.backend() != "torch":
                check(answer, clip, expected, search)
            scores = [caption.score(search.get("length_penalty", 0.0)) for caption in expected]
            np.testing.assert_allclose(answer["scores"][clip], scores, rtol=1e-6)


def test_the_end_may_be_the_first_word():
    decoder, features = WordTableDecoder(9, FEATURES, logits=20.0 * np.eye(9)[2]), clips(2)
    answer = run(decoder, features, settings())
    assert (answer["token_ids"][:, 0] == [2, 0, 0, 0, 0, 0]).all()
    assert (answer["scores"][:, 0] > -1e-3).all()
    np.testing.assert_allclose(answer["attention_weights"][:, 0, 0].sum(axis=-1), 1, rtol=1e-5)
    assert (answer["attention_weights"][:, 0, 1:] == 0).all()


def test_unsayable_tokens_keep_their_probability():
    """Start, padding and unknown take nearly all of it, and are not said all the same."""
    likely = 25.0 * (np.eye(9)[0] + np.eye(9)[1] + np.eye(9)[3])
    decoder, features = WordTableDecoder(9, FEATURES, logits=likely), clips(2)
    answer = run(decoder, features, settings(beam_width=2))
    for clip in range(2):
        expected = beam_search_reference(decoder, features[clip], settings(beam_width=2))
        check(answer, clip, expected, settings(beam_width=2))
    assert (answer["scores"] < -8).all()
    with_unknown = run(decoder, features, settings(unknown_token_id=None))
    assert (with_unknown["token_ids"] == 3).any()


@_BACKENDS
def test_words_of_probability_zero_leave_slots_empty():
    logits = np.where(np.arange(9) >= 5, -math.inf, 0.0)
    decoder, features = WordTableDecoder(9, FEATURES, logits=logits), clips(1)
    search = settings(beam_width=5, max_words=2)
    answer = run(decoder, features, search)
    expected = every_caption(decoder, features[0], search)
    assert len(expected) == 3  # "", "word" and "word word" cut before its end
    check(answer, 0, expected, search)


class _Watched:
    """A decoder that notes what it is asked; in eager execution every step asks."""

    def __init__(self, decoder):
        self.decoder = decoder
        self.initial_state, self.steps, self.projections = decoder.initial_state, [], 0

    def project(self, features):
        self.projections += 1
        return self.decoder.project(features)

    def step(self, token_ids, states, features, projected=None, **more):
        self.steps.append((tuple(token_ids.shape), tuple(features.shape), tuple(projected.shape)))
        return self.decoder.step(token_ids, states, features, projected=projected, **more)


@_BACKENDS
def test_beams_share_their_clips_features():
    """Also where `keras.ops.while_loop` traces its body: what a step gets is all there is."""
    watched, features = _Watched(WordTableDecoder(9, FEATURES)), clips(2)
    run(watched, features, settings(beam_width=7))
    assert watched.projections == 1
    assert set(watched.steps) == {((2, 7), features.shape, features.shape)}


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX traces its loop at once")
def test_the_search_stops_when_all_captions_are_finished():
    likely = 30.0 * np.eye(9)[2]
    watched = _Watched(WordTableDecoder(9, FEATURES, logits=likely))
    run(watched, clips(3), settings(beam_width=1, max_words=50, min_words=2))
    assert len(watched.steps) == 3  # two words and the end


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="PyTorch runs it eagerly only")
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=_BACKENDS)])
def test_a_graph_answers_as_eager_execution(compiled):
    """In TensorFlow with the batch and the regions left open, and also by XLA; `jax.jit`."""
    decoder = WordTableDecoder(20, FEATURES, seed=8)
    search = settings(beam_width=4, length_penalty=0.6, max_words=9)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        graph = tf.function(
            lambda features: beam_search(decoder, features, **search),
            input_signature=[tf.TensorSpec((None, None, FEATURES))],
            jit_compile=compiled,
        )
    else:
        import jax

        graph = jax.jit(lambda features: beam_search(decoder, features, **search))
    for batch in (1, 5) if compiled else (3,):
        features = clips(batch, batch)
        expected = run(decoder, features, search)
        answer = graph(features)
        for name, values in expected.items():
            found = keras.ops.convert_to_numpy(answer[name])
            assert found.shape == values.shape
            np.testing.assert_allclose(found, values, atol=1e-5)


@_BACKENDS
def test_masked_regions_do_not_count():
    decoder, features = WordTableDecoder(12, FEATURES, seed=9), clips(2)
    mask = np.array([[True, True, False, True], [True, False, False, True]])
    search = settings(length_penalty=0.6)
    answer = run(decoder, features, search, features_mask=mask)
    for clip in range(2):
        expected = beam_search_reference(decoder, features[clip], search, mask[clip])
        check(answer, clip, expected, search)
    other = run(decoder, np.where(mask[..., None], features, 7.0), search, features_mask=mask)
    np.testing.assert_array_equal(answer["token_ids"], other["token_ids"])
    np.testing.assert_allclose(answer["scores"], other["scores"], rtol=1e-5)
    assert (np.moveaxis(answer["attention_weights"], 3, 1)[~mask] == 0).all()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="state", marks=_BACKENDS),
        pytest.param(
            {"attention": "content", "attention_units": 4, "deep_output": "reference"},
            id="content",
        ),
        pytest.param({"context": "average"}, id="average"),
        pytest.param({"context": "first_step"}, id="first_step", marks=_BACKENDS),
    ],
)
def test_a_caption_decoder_is_searched_as_defined(arguments):
    """Its beams share the features; the definition gives each caption a copy of its own."""
    decoder = GatedCaptionDecoder(12, 6, 5, **arguments)
    decoder.build((None, REGIONS, FEATURES), (None, None))
    draw = np.random.default_rng(10).normal
    decoder.set_weights([draw(scale=0.8, size=w.shape) for w in decoder.get_weights()])
    mask = np.array([[True, True, False, True], [True, True, True, True]])
    search = settings(length_penalty=0.6)
    for features_mask in (None, mask):
        answer = run(decoder, clips(2), search, features_mask=features_mask)
        for clip in range(2):
            own = None if features_mask is None else features_mask[clip]
            expected = beam_search_reference(decoder, clips(2)[clip], search, own)
            check(answer, clip, expected, search)


def test_min_words_and_max_words_bound_the_length():
    decoder, features = WordTableDecoder(12, FEATURES, logits=3.0 * np.eye(12)[2]), clips(3)
    for min_words, max_words in ((0, 1), (1, 1), (2, 6), (5, 6), (6, 6)):
        search = settings(min_words=min_words, max_words=max_words)
        lengths = (run(decoder, features, search)["token_ids"] > 2).sum(axis=-1)
        assert (lengths >= min_words).all() and (lengths <= max_words).all()


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"beam_width": 0}, "`beam_width` must be an integer of at least 1; received 0"),
        ({"beam_width": True}, "`beam_width` must be an integer of at least 1; received True"),
        ({"max_words": 2.5}, "`max_words` must be an integer of at least 1; received 2.5"),
        ({"min_words": 7}, "`min_words` must be an integer from 0 to `max_words` = 6, got 7"),
        ({"length_penalty": -0.5}, "`length_penalty` must be a number of at least 0, got -0.5"),
        ({"length_penalty": math.nan}, "`length_penalty` must be a number of at least 0, got nan"),
        ({"length_penalty": "1"}, "`length_penalty` must be a number of at least 0, got '1'"),
        ({"end_token_id": 9}, "`end_token_id` must be below 9, the number of the .*, got 9"),
        ({"end_token_id": None}, "`end_token_id` must be a token id, at least 0, got None"),
        ({"unknown_token_id": -1}, "`unknown_token_id` must be a token id, at least 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(wrong, words):
    with pytest.raises(ValueError, match=words):
        beam_search(WordTableDecoder(9, FEATURES), clips(1), **settings(**wrong))


def test_the_arguments_of_the_contract_alone_say_no_special_token():
    decoder = WordTableDecoder(9, FEATURES, logits=25.0 * np.eye(9)[3])
    said = beam_search(decoder, clips(2), np.int64(4), 5, 1, 2)["token_ids"]
    said = keras.ops.convert_to_numpy(said)
    assert said.shape == (2, 4, 5) and not np.isin(said, [1, 3]).any()


def test_features_of_another_rank_are_refused():
    with pytest.raises(ValueError, match=r"\(batch, regions, features\), got shape \(4, 3\)"):
        beam_search(WordTableDecoder(9, FEATURES), clips(1)[0], **settings())


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

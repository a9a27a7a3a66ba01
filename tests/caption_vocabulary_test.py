"""The vocabulary of captions: its order, its round trip, and what it refuses."""

import math

import pytest

from glimpse.models import CaptionVocabulary

SPECIAL = ["<pad>", "<start>", "<end>", "<unk>"]
CAPTIONS = [
    ["a", "dog", "runs"],
    ["a", "cat", "sits"],
    ["läuft", "a", "猫", "cat"],
]


def test_words_stand_by_falling_frequency_then_by_alphabet():
    vocabulary = CaptionVocabulary.from_captions(CAPTIONS)
    assert vocabulary.tokens == (*SPECIAL, "a", "cat", "dog", "läuft", "runs", "sits", "猫")
    assert len(vocabulary) == 11 and list(vocabulary) == list(vocabulary.tokens)
    assert vocabulary[4] == "a" and "cat" in vocabulary
    ids = (
        vocabulary.padding_token_id,
        vocabulary.start_token_id,
        vocabulary.end_token_id,
        vocabulary.unknown_token_id,
    )
    assert [vocabulary[token_id] for token_id in ids] == SPECIAL and ids == (0, 1, 2, 3)


def test_rare_words_are_unknown():
    vocabulary = CaptionVocabulary.from_captions(iter(CAPTIONS), min_count=2)
    assert vocabulary.tokens[4:] == ("a", "cat")
    assert vocabulary.encode(["a", "dog"]) == [4, 3]
    assert vocabulary.decode([4, 3, 2]) == ["a", "<unk>"]


@pytest.mark.parametrize("words", CAPTIONS)
def test_round_trip(words):
    vocabulary = CaptionVocabulary.from_captions(CAPTIONS)
    assert vocabulary.decode(vocabulary.encode(words)) == words
    assert vocabulary.sentence([1, *vocabulary.encode(words), 2, 0, 0]) == " ".join(words)
    again = CaptionVocabulary(list(vocabulary))
    assert again == vocabulary and hash(again) == hash(vocabulary)
    assert CaptionVocabulary(vocabulary) == vocabulary


def test_nothing_after_the_end_is_read():
    vocabulary = CaptionVocabulary.from_captions(CAPTIONS)
    assert vocabulary.decode([4, 2, 5, 99]) == ["a"]
    assert vocabulary.sentence([2]) == vocabulary.sentence([]) == ""


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["a", "b"], "must begin with <pad>, <start>, <end>, <unk>; received a, b"),
        ([], "must begin with.*received no token"),
        ([*SPECIAL[:3], "a", "<unk>"], "must begin with"),
        (SPECIAL, "no word"),
        ([*SPECIAL, "a", "b", "a", "b"], "2 stand more than once: 'a', 'b'"),
        ([*SPECIAL, "a", ""], "token 5 is ''"),
        ([*SPECIAL, "a dog"], "token 4 is 'a dog'"),
        ([*SPECIAL, "a", 7], "token 5 is 7"),
        ("<pad>", "list of tokens"),
    ],
)
def test_a_vocabulary_without_what_it_needs_is_refused(tokens, words):
    with pytest.raises(ValueError, match=words):
        CaptionVocabulary(tokens)


@pytest.mark.parametrize(
    ("captions", "min_count", "words"),
    [
        (CAPTIONS, 0, "min_count.*0"),
        (CAPTIONS, 4, "no word stands 4 times.*7 different"),
        ([], 1, "no word stands"),
        ([["a", "<end>"]], 1, "special token <end>"),
        (["dog", "cat"], 1, "must be a list of words; received 'dog'"),
        ([["a", 7]], 1, "must be a list of words"),
    ],
)
def test_captions_that_give_none_are_refused(captions, min_count, words):
    with pytest.raises(ValueError, match=words):
        CaptionVocabulary.from_captions(captions, min_count)


@pytest.mark.parametrize("token_id", [11, -1, 4.5, math.nan, None])
def test_ids_out_of_range_are_refused(token_id):
    vocabulary = CaptionVocabulary.from_captions(CAPTIONS)
    with pytest.raises(ValueError, match=f"from 0 to 10, .* 11 tokens; received {token_id}"):
        vocabulary.decode([4, token_id])


def test_what_is_no_caption_is_refused():
    vocabulary = CaptionVocabulary.from_captions(CAPTIONS)
    with pytest.raises(ValueError, match="<start>"):
        vocabulary.encode(["<start>", "a"])
    for wrong in ("a dog", [4, 5]):
        with pytest.raises(ValueError, match="must be a list of words"):
            vocabulary.encode(wrong)
    assert vocabulary.encode(["<unk>", "a"]) == [3, 4]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

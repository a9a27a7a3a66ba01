"""Kinds of words in captions of `tiny_actions`, and the gaze at the colour word."""

import itertools

import numpy as np
import pytest

from glimpse.pipelines.caption_tokens import tokenize_caption
from glimpse.pipelines.caption_words import (
    KINDS,
    colour_word_mass,
    read_words,
    score_words,
    summarise_words,
)
from glimpse.pipelines.gaze import attention_mass
from glimpse.pipelines.gaze_measures import word_masses
from glimpse.pipelines.tiny_actions_captions import VERBS, reference_captions
from glimpse.pipelines.tiny_actions_scene import COLOURS, OBJECT_KINDS

KICKS = reference_captions("red", "kick", [("blue", "ball")])
ALONE = reference_captions("white", "jack")


def right(text, references=KICKS):
    """The kinds that are right, in one string."""
    return " ".join(k for k, v in score_words(text.split(), references).items() if v)


def test_every_caption_of_the_grammar_is_read():
    things = [None, *itertools.product(COLOURS, OBJECT_KINDS)]
    for colour, action, thing in itertools.product(COLOURS, VERBS, things):
        for text in reference_captions(colour, action, [thing] if thing else ()):
            expected = (colour, action, *(thing or (None, None)))
            assert read_words(tokenize_caption(text)) == dict(zip(KINDS, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KICKS[0], "colour action neighbour_colour neighbour_kind neighbour sentence"),
        (KICKS[2], "colour action neighbour_colour neighbour_kind neighbour sentence"),
        # Right in every word, but in no order of the grammar.
        (
            "beside a blue ball a red figure in a hat kicks",
            "colour action neighbour_colour neighbour_kind neighbour",
        ),
        (
            "kicks a red figure next to a blue ball",
            "colour action neighbour_colour neighbour_kind neighbour",
        ),
        # The colours changed places.
        (
            "a blue figure in a hat kicks next to a red ball",
            "action neighbour_kind neighbour",
        ),
        (
            "a red figure in a hat kicks next to a blue box",
            "colour action neighbour_colour neighbour",
        ),
        ("a red figure in a hat kicks next to a blue", "colour action neighbour_colour"),
        ("a red figure in a hat kicks", "colour action"),
        ("a figure waves next to a ball", "neighbour_kind neighbour"),
        # Two answers are none.
        ("a red figure and a blue figure in a hat kicks bows", ""),
        ("a red figure kicks next to a ball beside a box", "colour action neighbour"),
        ("a red figure does jumping", "colour"),
        ("", ""),
    ],
)
def test_right_kinds(text, expected):
    assert right(text) == expected


def test_a_clip_without_neighbour():
    assert right(ALONE[1], ALONE) == "colour action neighbour sentence"
    text = "a white figure in a hat does jumping jacks next to a red ball"
    score = score_words(text.split(), ALONE)
    assert score["neighbour_colour"] is None and score["neighbour_kind"] is None
    assert score["colour"] and score["action"] and not score["neighbour"] and not score["sentence"]


def test_summary_says_on_how_many_clips():
    scores = [score_words(KICKS[0].split(), KICKS), score_words(KICKS[0].split(), ALONE)]
    summary = summarise_words(scores)
    assert summary["colour"] == {"accuracy": 0.5, "clips": 2}
    assert summary["neighbour_kind"] == {"accuracy": 1.0, "clips": 1}
    assert summary["neighbour"] == summary["sentence"] == {"accuracy": 0.5, "clips": 2}
    assert summarise_words(scores[1:])["neighbour_colour"] == {"accuracy": None, "clips": 0}
    with pytest.raises(ValueError, match="at least one clip, got none"):
        summarise_words([])


@pytest.mark.parametrize(
    "references", [[], ["a man is cooking"], KICKS + ALONE, ["a red figure in a hat"]]
)
def test_references_of_something_else_are_refused(references):
    with pytest.raises(ValueError, match="references must be captions of one clip of tiny_actions"):
        score_words(["a"], references)


def test_mass_of_a_word_is_worked_out_by_hand():
    attention = np.zeros((3, 2, 2, 2))
    attention[0, 0, 0, 0] = 1.0
    attention[1] = 1 / 8
    boxes = [[0, 0, 30, 20], [0, 0, 0, 0]]  # of 40 x 40: three quarters of the upper row
    masses, uniform = word_masses(attention, boxes, (40, 40))
    np.testing.assert_allclose(masses[:2], [1.0, (1 + 0.5) / 8])
    assert np.isnan(masses[2]) and uniform == pytest.approx(masses[1])
    with pytest.raises(ValueError, match=r"got \(2, 2, 2\) and \(2, 4\)"):
        word_masses(attention[0], boxes, (40, 40))


def test_mass_of_a_word_is_that_of_its_frames_maps():
    generator = np.random.default_rng(0)
    attention = generator.dirichlet(np.ones(5 * 12), size=4).reshape(4, 5, 3, 4)
    corners = generator.uniform(-5, 60, (5, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    masses, _ = word_masses(attention, boxes, (48, 64))
    for word, mass in zip(attention, masses, strict=True):
        shares = word.sum(axis=(1, 2))
        maps = word / shares[:, None, None]
        assert mass == pytest.approx(shares @ attention_mass(maps, boxes, (48, 64)))


def test_mass_at_the_colour_word():
    words = "next to a blue ball a red figure in a hat kicks".split()
    attention = np.full((len(words), 1, 2, 2), 0.25)
    attention[words.index("red"), 0] = [[0.5, 0.5], [0, 0]]
    boxes = [[0, 0, 64, 32]]
    found = colour_word_mass(words, attention, boxes, (64, 64))
    assert found == {"word": "red", "mass": 1.0, "uniform": 0.5}
    attention[words.index("red")] = 0
    assert colour_word_mass(words, attention, boxes, (64, 64)) is None
    assert colour_word_mass(words[:5], attention[:5], boxes, (64, 64)) is None
    with pytest.raises(ValueError, match="maps for 12 words, words has 3"):
        colour_word_mass(words[:3], attention, boxes, (64, 64))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

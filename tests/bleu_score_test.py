"""BLEU of captions against plain loops, coco-caption's own code, and nltk where they agree."""

import math

import numpy as np
import pytest
from nltk.translate.bleu_score import corpus_bleu

from glimpse.pipelines import bleu
from glimpse.pipelines.caption_tokens import tokenize_caption

MONKEYS = ["a monkey is pulling a dog 's tail", "a monkey plays with a dog", "the monkey teases"]
PIANO = ["a cat is playing a piano", "a cat plays the piano with its paws", "the cat is playing"]


def loops_bleu(references, hypotheses):
    """Papineni et al.'s corpus BLEU with closest lengths and coco-caption's small numbers."""
    logs, scores = 0.0, []
    closest = 0
    for captions, hypothesis in zip(references, hypotheses, strict=True):
        best = None
        for caption in captions:
            gap = abs(len(caption) - len(hypothesis))
            if best is None or gap < best[0] or (gap == best[0] and len(caption) < best[1]):
                best = (gap, len(caption))
        closest += best[1]
    total = sum(map(len, hypotheses))
    ratio = (total + 1e-15) / (closest + 1e-9)
    brevity = min(0.0, 1 - 1 / ratio)
    for n in (1, 2, 3, 4):
        correct = guessed = 0
        for captions, hypothesis in zip(references, hypotheses, strict=True):
            grams = [hypothesis[i : i + n] for i in range(len(hypothesis) - n + 1)]
            guessed += len(grams)
            for gram in {tuple(gram) for gram in grams}:
                said = sum(tuple(other) == gram for other in grams)
                most = 0
                for caption in captions:
                    most = max(
                        most,
                        sum(tuple(caption[i : i + n]) == gram for i in range(len(caption) - n + 1)),
                    )
                correct += min(said, most)
        logs += math.log((correct + 1e-15) / (guessed + 1e-9))
        scores.append(math.exp(brevity + logs / n))
    return scores


def random_corpus(seed, shortest, clips=12, vocabulary=6):
    generator = np.random.default_rng(seed)

    def caption(least):
        length = generator.integers(least, 12)
        return [f"w{word}" for word in generator.integers(vocabulary, size=length)]

    references = [[caption(1) for _ in range(generator.integers(1, 6))] for _ in range(clips)]
    return references, [caption(shortest) for _ in range(clips)]


def test_is_the_definition_on_random_corpora():
    for seed in range(40):
        corpus = random_corpus(seed, shortest=seed % 5, vocabulary=3 + seed)
        np.testing.assert_allclose(bleu(*corpus), loops_bleu(*corpus), rtol=1e-9)


def test_is_coco_captions():
    bleu_module = pytest.importorskip("pycocoevalcap.bleu.bleu")
    for seed in range(40):
        references, hypotheses = random_corpus(seed, shortest=seed % 5, vocabulary=3 + seed)
        expected, _ = bleu_module.Bleu(4).compute_score(
            {i: [" ".join(words) for words in captions] for i, captions in enumerate(references)},
            {i: [" ".join(words)] for i, words in enumerate(hypotheses)},
            verbose=0,
        )
        np.testing.assert_allclose(bleu(references, hypotheses), expected, rtol=1e-12)


def test_is_nltks_where_captions_are_long_and_ngrams_match():
    compared = 0
    for seed in range(40):
        references, hypotheses = random_corpus(seed, shortest=4, vocabulary=3)
        found = bleu(references, hypotheses)
        if found[3] < 1e-3:
            continue
        compared += 1
        for order in range(1, 5):
            expected = corpus_bleu(references, hypotheses, weights=[1 / order] * order)
            assert found[order - 1] == pytest.approx(expected, abs=1e-6)
    assert compared > 30
    short = [[["a", "man", "runs"]], [["a", "dog", "barks", "at", "me"]]]
    said = [["a", "man"], ["a", "dog", "barks", "at", "me"]]
    assert bleu(short, said)[3] > 1.01 * corpus_bleu(short, said)


def test_known_answers():
    # Printed by pycocoevalcap 1.2's Bleu(4) for the same words.
    found = bleu([MONKEYS, PIANO], ["a monkey is pulling a dog 's tail", "a cat is playing piano"])
    np.testing.assert_allclose(
        found, [0.999999999923, 0.953462589166, 0.931432950274, 0.912277577495], rtol=1e-9
    )
    assert bleu([MONKEYS], [MONKEYS[0]]) == pytest.approx((1, 1, 1, 1), abs=1e-6)
    # Without the same four words in a row it is tiny, not 0; without any word it is 0.
    assert 0 < bleu([PIANO], ["a piano is a cat"])[3] < 1e-3
    assert bleu([PIANO, MONKEYS], ["", []]) == (0, 0, 0, 0)


def test_the_shorter_of_two_equally_close_references_counts():
    words = "a b c d e f g".split()
    # Four words lie between references of three and of five: no penalty.
    assert bleu([[words[:3], words[:5]]], [words[:4]])[0] == pytest.approx(1)
    assert bleu([[words[:5], words[:3]]], [words[:4]])[0] == pytest.approx(1)
    assert bleu([[words[:5], words[:2]]], [words[:4]])[0] == pytest.approx(math.exp(1 - 5 / 4))


def test_counts_are_summed_over_clips():
    long, short = "a b c d e f g h".split(), ["a", "x"]
    together = bleu([[long], [["a", "b"]]], [long, short])
    alone = [bleu([[long]], [long])[0], bleu([[["a", "b"]]], [short])[0]]
    assert together[0] == pytest.approx(9 / 10)
    assert np.mean(alone) == pytest.approx(3 / 4)


def test_strings_are_split_at_blanks_alone():
    references, hypotheses = [MONKEYS, PIANO], ["a monkey teases a dog", "a cat plays the piano"]
    words = [[caption.split() for caption in captions] for captions in references]
    assert bleu(references, hypotheses) == bleu(words, [tuple(h.split()) for h in hypotheses])
    assert bleu([["A man."]], ["a man"])[0] < 1e-3
    assert bleu([[tokenize_caption("A man.")]], [tokenize_caption("a man")])[0] > 0.999
    assert bleu([[["男人", "跑"]]], [["男人", "跑"]])[1] == pytest.approx(1)


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        ([], [], "at least one, got 0 and 0"),
        ([["a"]], ["a", "b"], "got 1 and 2"),
        ([["a"], []], ["a", "b"], r"references\[1\] must be a list of at least one caption"),
        ([["a"], "a b"], ["a", "b"], r"references\[1\] must be a list .* got 'a b'"),
        ("a", ["a"], "lists over clips, got a string"),
        ([["a"]], [[5, 6]], r"hypotheses\[0\] must hold captions of words, got 5: decode"),
        ([[[7]]], ["a"], r"references\[0\] must hold captions of words, got 7"),
    ],
)
def test_bad_input_is_refused(references, hypotheses, message):
    with pytest.raises(ValueError, match=message):
        bleu(references, hypotheses)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

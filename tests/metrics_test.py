"""Average precision and the combination of blocks against plain loops."""

import math

import numpy as np
import pytest

from glimpse.pipelines import average_precision, combine_blocks, mean_average_precision


def loops_average_precision(labels, scores):
    """(1 / #positives) sum_k precision@k rel_k, for scores without ties."""
    ranked = sorted(zip(scores, labels, strict=True), reverse=True)
    hits, total = 0, 0.0
    for k, (_, relevant) in enumerate(ranked, start=1):
        if relevant:
            hits += 1
            total += hits / k
    return total / hits


def loops_interpolated(labels, scores):
    """ActivityNet's form: the envelope of precision over recall, summed over its steps."""
    ranked = sorted(zip(scores, labels, strict=True), reverse=True)
    positives, hits = sum(labels), 0
    recalls, precisions = [0.0], [0.0]
    for place, (_, relevant) in enumerate(ranked, start=1):
        hits += relevant
        recalls.append(hits / positives)
        precisions.append(hits / place)
    recalls.append(1.0)
    precisions.append(0.0)
    for place in range(len(precisions) - 2, -1, -1):
        precisions[place] = max(precisions[place], precisions[place + 1])
    return sum(
        (recalls[place + 1] - recalls[place]) * precisions[place + 1]
        for place in range(len(recalls) - 1)
    )


@pytest.mark.parametrize("seed", range(20))
def test_average_precision_against_loops(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 30)
    labels[0] = 1
    scores = rng.permutation(30) / 7
    assert average_precision(labels, scores) == pytest.approx(
        loops_average_precision(labels.tolist(), scores.tolist()), abs=1e-12
    )
    assert average_precision(labels, scores, interpolated=True) == pytest.approx(
        loops_interpolated(labels.tolist(), scores.tolist()), abs=1e-12
    )


def test_interpolation_takes_the_best_precision_from_here_on():
    # Precisions at the hits: 1/2, 2/3, 3/6 -> envelope 2/3, 2/3, 1/2.
    labels, scores = [0, 1, 1, 0, 0, 1], [6, 5, 4, 3, 2, 1]
    assert average_precision(labels, scores, interpolated=True) == pytest.approx(11 / 18)
    assert average_precision(labels, scores) == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)


def test_equal_scores_do_not_depend_on_the_order_of_the_clips():
    labels, scores = np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.5, 0.5])
    assert average_precision(labels, scores) == 0.5
    assert average_precision(labels[::-1], scores) == 0.5


@pytest.mark.parametrize(
    ("labels", "scores", "words"),
    [
        ([0, 0], [1, 2], "no positive"),
        ([0, 2], [1, 2], "0 or 1"),
        ([0, 1], [1, math.nan], "1 NaN"),
        ([0, 1], [1, 2, 3], "one length"),
    ],
)
def test_bad_rankings_are_refused(labels, scores, words):
    with pytest.raises(ValueError, match=words):
        average_precision(labels, scores)


def test_a_class_without_positives_is_left_out_and_named():
    labels = np.array([[1, 0, 0], [0, 1, 0]])
    scores = np.array([[0.9, 0.5, 0.3], [0.1, 0.4, 0.2]])
    result = mean_average_precision(labels, scores, label_names=["a", "b", "c"])
    assert result == {
        "mean": 0.75,
        "per_class": {"a": 1.0, "b": 0.5},
        "without_positives": ["c"],
    }


def test_blocks_by_mean_and_by_majority():
    blocks = np.array([[0.5, 0.4, 0.1], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])
    np.testing.assert_allclose(combine_blocks(blocks), blocks.mean(0))
    np.testing.assert_allclose(combine_blocks(blocks, "majority"), [2 / 3, 0, 1 / 3])


def test_ties_go_to_the_smallest_label():
    blocks = np.array([[0.1, 0.9, 0.0], [0.0, 0.1, 0.9]])
    assert combine_blocks(blocks, "majority").argmax() == 1
    assert combine_blocks(np.array([[0.2, 0.4, 0.4]]), "mean").argmax() == 1


@pytest.mark.parametrize("bad", [np.zeros((0, 3)), np.zeros(3)])
def test_no_blocks_are_refused(bad):
    with pytest.raises(ValueError, match="at least one block"):
        combine_blocks(bad)
    with pytest.raises(ValueError, match="median"):
        combine_blocks(np.ones((1, 2)), "median")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

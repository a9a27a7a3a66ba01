"""Average precision of a ranking, its mean over classes, and hits among the best answers."""

import numpy as np


def average_precision(labels, scores, interpolated=False):
    """Returns the average precision of one class's ranking, as a fraction.

        AP = (1 / positives) sum_k precision@k * relevant[k]

    with clips ranked by falling score; equal scores count as one step of the ranking, so that
    the result does not depend on the clips' order. `interpolated` replaces precision@k by the
    largest precision at k or later (all points, as PASCAL VOC 2011 and ActivityNet).

    Args:
        labels: `(clips,)`, 1 or True for positives, 0 or False for the others.
        scores: `(clips,)`, larger is more certain.
        interpolated: Whether to take the precision envelope.

    Raises:
        ValueError: If the shapes differ, a label is neither 0 nor 1, a score is NaN, or there is
            no positive.

    >>> average_precision([1, 0, 1], [0.9, 0.8, 0.7])
    0.8333333333333333
    """
    labels, scores = np.asarray(labels), np.asarray(scores, "float64")
    if labels.shape != scores.shape or labels.ndim != 1:
        raise ValueError(
            "`labels` and `scores` must be vectors of one length, got shapes "
            f"{labels.shape} and {scores.shape}."
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError(f"`labels` must be 0 or 1, got {np.unique(labels)[:5].tolist()}.")
    if np.isnan(scores).any():
        raise ValueError(f"`scores` holds {int(np.isnan(scores).sum())} NaN.")
    if not labels.any():
        raise ValueError("`labels` holds no positive, so average precision is undefined.")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(labels[order].astype("float64"))
    # The last place of each run of equal scores.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    precision = hits[ends] / (ends + 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    found = np.diff(np.concatenate([[0.0], hits[ends]]))
    return float(np.sum(precision * found) / hits[-1])


def mean_average_precision(labels, scores, interpolated=False, label_names=None):
    """Returns the mean of the classes' average precision and each class's.

    Args:
        labels: `(clips, classes)`, 0 or 1.
        scores: `(clips, classes)`.
        interpolated: As in `average_precision`.
        label_names: Names of the classes; default: their numbers.

    Returns:
        A dict: `mean` (over the classes that have a positive; NaN if none has), `per_class`
        ({name: AP}) and `without_positives` (names of the classes left out).
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim != 2:
        raise ValueError(
            "`labels` and `scores` must both be (clips, classes), got shapes "
            f"{labels.shape} and {scores.shape}."
        )
    names = list(range(labels.shape[1])) if label_names is None else list(label_names)
    present = labels.any(axis=0)
    per_class = {
        name: average_precision(labels[:, c], scores[:, c], interpolated)
        for c, name in enumerate(names)
        if present[c]
    }
    return {
        "mean": float(np.mean(list(per_class.values()))) if per_class else float("nan"),
        "per_class": per_class,
        "without_positives": [name for c, name in enumerate(names) if not present[c]],
    }


def hit_at_k(labels, scores, k, average=False):
    """Returns the share of rows with a label among the k best answers, as a fraction.

    ActivityNet's Hit@k; with `average` its Avg-Hit@k, the mean over rows of the share of a row's
    labels that are among the k best. Of equal scores the smaller class is the better answer.

    Args:
        labels: `(rows, classes)`, 0 or 1, at least one 1 in each row.
        scores: `(rows, classes)`.
        k: At least 1; above the number of classes every label is a hit.
        average: Whether to take the share of a row's labels.

    Raises:
        ValueError: If the shapes differ, a row has no label, or k is below 1.

    >>> hit_at_k([[1, 0, 1], [0, 1, 0]], [[0.1, 0.2, 0.7], [0.5, 0.1, 0.4]], 1, average=True)
    0.25
    """
    labels, scores = np.asarray(labels), np.asarray(scores, "float64")
    if labels.shape != scores.shape or labels.ndim != 2:
        raise ValueError(
            "`labels` and `scores` must both be (rows, classes), got shapes "
            f"{labels.shape} and {scores.shape}."
        )
    if k < 1:
        raise ValueError(f"`k` must be at least 1, got {k!r}.")
    if not labels.any(axis=1).all():
        raise ValueError(f"`labels` has no label in row {int(np.argmin(labels.any(axis=1)))}.")
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(labels, best, axis=1).sum(axis=1)
    shares = found / labels.sum(axis=1) if average else found > 0
    return float(shares.mean())

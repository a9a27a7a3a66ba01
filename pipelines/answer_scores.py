"""The measures of answers to clips, on the level of clips and of whole videos."""

import numpy as np

from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.ranking import hit_at_k, mean_average_precision

# ActivityNet counts a hit where a label is among the three best answers.
HITS = 3


def score_answers(scores, labels, video_ids, names, level="clip", interpolated=False):
    """Returns the measures of answers, a dict that JSON can hold.

    Args:
        scores: `(clips, classes)`.
        labels: For each clip an int, or a tuple of them where clips may have several.
        video_ids: For each clip the name of the video that it is part of.
        names: Names of the classes.
        level: "clip" or "video": what average precision, hits and the confusion matrix count. A
            video's scores are the mean of its clips', its labels the distinct ones of its clips.
        interpolated: Whether the classes' average precision takes the precision's envelope.

    Returns:
        `clip_accuracy` and `video_accuracy` (None where clips may have several labels; a video
        whose clips have several is right if the best answer is one of them), `per_class` accuracy
        (of clips, or None), `mean_average_precision` and `per_class_average_precision`,
        `average_precisions` (the mean, "plain" and "interpolated"), `classes_without_positives`,
        `hit_at_3` ("any" and "average", as ActivityNet), and `confusion`
        (`[true][answered]` counts; None where labels are several).
    """
    scores = np.asarray(scores, "float64")
    truth = many_hot(labels, len(names))
    single = not any(isinstance(label, tuple) for label in labels)
    video_scores, video_truth = _pool_videos(scores, truth, video_ids)
    measured = (scores, truth) if level == "clip" else (video_scores, video_truth)
    means = {
        kind: mean_average_precision(measured[1], measured[0], kind == "interpolated", names)
        for kind in ("plain", "interpolated")
    }
    ranking = means["interpolated" if interpolated else "plain"]
    alone = single and (measured[1].sum(axis=1) == 1).all()
    return {
        "clip_accuracy": _accuracy(scores, truth) if single else None,
        "video_accuracy": _accuracy(video_scores, video_truth) if single else None,
        "per_class": _per_class(scores, truth, names) if single else None,
        "mean_average_precision": _known_mean(ranking),
        "per_class_average_precision": {name: ranking["per_class"].get(name) for name in names},
        "average_precisions": {kind: _known_mean(mean) for kind, mean in means.items()},
        "classes_without_positives": ranking["without_positives"],
        f"hit_at_{HITS}": _hits(*measured),
        "confusion": _confusion(*measured) if alone else None,
    }


def many_hot(labels, num_classes):
    """Returns the labels of clips, ints or tuples of them, as 0 and 1 `(clips, classes)`."""
    truth = np.zeros((len(labels), num_classes), int)
    for row, label in zip(truth, labels, strict=True):
        row[list(label) if isinstance(label, tuple) else label] = 1
    return truth


def _pool_videos(scores, truth, video_ids):
    places = {}
    for number, name in enumerate(video_ids):
        places.setdefault(name, []).append(number)
    pooled = [combine_blocks(scores[clips]) for clips in places.values()]
    return np.array(pooled), np.array([truth[clips].max(axis=0) for clips in places.values()])


def _accuracy(scores, truth):
    return float(truth[np.arange(len(scores)), scores.argmax(axis=1)].mean())


def _per_class(scores, truth, names):
    hits = truth[np.arange(len(scores)), scores.argmax(axis=1)]
    present = {name: truth[:, c] == 1 for c, name in enumerate(names)}
    return {name: float(hits[clips].mean()) for name, clips in present.items() if clips.any()}


def _known_mean(ranking):
    """The mean average precision, or None without any positive."""
    return ranking["mean"] if ranking["per_class"] else None


def _hits(scores, truth):
    if not truth.any():
        return None
    labelled = truth.any(axis=1)
    return {
        kind: hit_at_k(truth[labelled], scores[labelled], HITS, average=kind == "average")
        for kind in ("any", "average")
    }


def _confusion(scores, truth):
    counts = np.zeros((truth.shape[1], truth.shape[1]), int)
    np.add.at(counts, (truth.argmax(axis=1), scores.argmax(axis=1)), 1)
    return counts.tolist()

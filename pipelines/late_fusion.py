"""Several models' answers averaged into one: late fusion of evaluations.

Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017, section 4.4.
"""

import dataclasses

import numpy as np

from glimpse.pipelines.answer_scores import score_answers
from glimpse.pipelines.evaluation_protocol import METRICS, EvaluationProtocol

# What two results must share to be about the same clips, scored the same way.
_SHARED = ("dataset", "split_hash")
_OF_MEMBERS = "; mean over the members of an ensemble"
_OF_EACH = ("clip_accuracy", "video_accuracy", "mean_average_precision")


def fuse(results, names=None, interpolated=None):
    """Returns the results of the ensemble whose members gave `results`.

        p[clip, c] = (1 / members) sum_m p_m[clip, c]

    "Model combination has been implemented by averaging the softmax output scores" (section 4.4).

    Args:
        results: Two or more dicts that `evaluate` returned, of one split of one data set.
        names: The members' names; default: their models'.
        interpolated: As in `average_precision`, for the ensemble and for the members; default: as
            the first member was evaluated.

    Returns:
        A dict as that of `evaluate`, without what windows and steps gave, with `members` (name
        and measures of each) and the first one's `stamp`.

    Raises:
        ValueError: If there are fewer than two, or they differ in data, split, classes, clips or
            in how windows became one answer.
    """
    if len(results) < 2:
        raise ValueError(f"An ensemble needs two members or more, got {len(results)}.")
    names = [result["model"] for result in results] if names is None else list(names)
    first = results[0]
    for name, result in zip(names, results, strict=True):
        check_alike(names[0], first, name, result)
    classes, clips = first["label_names"], first["clips"]
    level = first["stamp"]["protocol"]["level"]
    interpolated = first["interpolated"] if interpolated is None else interpolated
    labels = [_numbered(clip["label"], classes) for clip in clips]
    videos = [clip["video_id"] for clip in clips]
    answers = [np.array([c["probabilities"] for c in result["clips"]]) for result in results]
    scores = np.mean(answers, axis=0)
    measures, *of_members = (
        score_answers(each, labels, videos, classes, level, interpolated)
        for each in (scores, *answers)
    )
    protocol = EvaluationProtocol(**first["stamp"]["protocol"])
    # Steps and windows have no answers of an ensemble: members may step at other rates.
    metric = protocol.metric if protocol.metric in measures else "clip_accuracy"
    protocol = protocol.changed(interpolated=interpolated, metric=metric)
    return {
        "model": "ensemble of " + ", ".join(names),
        "split": first["split"],
        "label_names": classes,
        "headline": {"metric": metric, "value": measures[metric]},
        **measures,
        "interpolated": interpolated,
        "clips": [
            {
                **{key: clip[key] for key in ("clip_id", "video_id", "label")},
                "predicted": classes[guess],
                "probability": float(score[guess]),
                "probabilities": score.tolist(),
            }
            for clip, guess, score in zip(clips, scores.argmax(axis=1), scores, strict=True)
        ],
        "members": [
            {"name": name, **{key: measured[key] for key in _OF_EACH}}
            for name, measured in zip(names, of_members, strict=True)
        ],
        "stamp": {
            **first["stamp"],
            "protocol": dataclasses.asdict(protocol),
            "metric": METRICS[metric],
            "pooling": _rule(first) + _OF_MEMBERS,
        },
    }


def check_alike(first_name, first, name, result, by_precision=False):
    """Raises ValueError unless two results can be compared.

    They must be of the same clips of the same data and classes, with one rule for how windows
    became one answer: shares of votes are no means. An ensemble has its members' rule.

    Args:
        first_name, first: One result, and what errors call it.
        name, result: Another.
        by_precision: Whether their average precision is compared, which they must then both have
            from the precision's envelope (`interpolated`), or neither.
    """
    for what in _SHARED:
        if result["stamp"][what] != first["stamp"][what]:
            raise ValueError(
                f"{name} was evaluated on another {what}, {result['stamp'][what]}, than "
                f"{first_name}, {first['stamp'][what]}: evaluate all members on the same data."
            )
    for what in ("split", "label_names"):
        if result[what] != first[what]:
            raise ValueError(
                f"{name} and {first_name} differ in their {what}: {result[what]} and {first[what]}."
            )
    ids = [[clip["clip_id"] for clip in each["clips"]] for each in (first, result)]
    if ids[0] != ids[1]:
        odd = next(iter(set(ids[0]) ^ set(ids[1])), "their order")
        raise ValueError(f"{name} and {first_name} were not evaluated on the same clips: {odd}.")

    if _rule(result) != _rule(first):
        raise ValueError(
            f"{name} and {first_name} differ in how windows became one answer: {_rule(result)!r} "
            f"and {_rule(first)!r}. Evaluate both with one --rule."
        )
    if by_precision and result["interpolated"] != first["interpolated"]:
        with_it, without = (name, first_name) if result["interpolated"] else (first_name, name)
        raise ValueError(
            f"the average precision of {with_it} is interpolated, that of {without} is not: "
            "evaluate both with --interpolated, or neither."
        )


def _rule(result):
    return result["stamp"]["pooling"].removesuffix(_OF_MEMBERS)


def _numbered(label, classes):
    if isinstance(label, list):
        return tuple(classes.index(name) for name in label)
    return classes.index(label)

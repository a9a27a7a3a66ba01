"""Several models' answers averaged into one: late fusion of evaluations.

Torabi and Sigal, "Action Classification and Highlighting in Videos", 2017, section 4.4.
"""

import numpy as np

from glimpse.pipelines.ranking import mean_average_precision

# What two results must share to be about the same videos, scored the same way.
_SHARED = ("dataset", "split_hash")
_OF_MEMBERS = "; mean over the members of an ensemble"


def fuse(results, names=None, interpolated=False):
    """Returns the results of the ensemble whose members gave `results`.

        p[video, c] = (1 / members) sum_m p_m[video, c]

    "Model combination has been implemented by averaging the softmax output scores" (section 4.4).

    Args:
        results: Two or more dicts that `evaluate` returned, of one split of one data set.
        names: The members' names; default: their models'.
        interpolated: As in `average_precision`; for the members too, however they were evaluated.

    Returns:
        A dict as that of `evaluate`: `video_accuracy` (None for several labels a video),
        `mean_average_precision`, `per_class` accuracy, `per_class_average_precision`,
        `interpolated`, `videos`, `members` (name, accuracy and mean average precision of each) and
        the first one's `stamp`.

    Raises:
        ValueError: If there are fewer than two, or they differ in data, split, classes, videos or
            in how windows became one answer.
    """
    if len(results) < 2:
        raise ValueError(f"An ensemble needs two members or more, got {len(results)}.")
    names = [result["model"] for result in results] if names is None else list(names)
    first = results[0]
    for name, result in zip(names, results, strict=True):
        check_alike(names[0], first, name, result)
    classes = first["label_names"]
    labels = np.array([_many_hot(video["label"], classes) for video in first["videos"]])
    answers = [np.array([v["probabilities"] for v in result["videos"]]) for result in results]
    scores = np.mean(answers, axis=0)
    single = not isinstance(first["videos"][0]["label"], list)
    guesses = scores.argmax(axis=1)
    hits = labels[np.arange(len(labels)), guesses].astype(bool)
    ranking = mean_average_precision(labels, scores, interpolated, classes)
    return {
        "model": "ensemble of " + ", ".join(names),
        "split": first["split"],
        "label_names": classes,
        "video_accuracy": float(hits.mean()) if single else None,
        "mean_average_precision": _known_mean(ranking),
        "classes_without_positives": ranking["without_positives"],
        "per_class": _per_class_accuracy(labels, hits, classes) if single else None,
        "per_class_average_precision": {name: ranking["per_class"].get(name) for name in classes},
        "interpolated": interpolated,
        "videos": [
            {
                "clip_id": video["clip_id"],
                "label": video["label"],
                "predicted": classes[guess],
                "probability": float(score[guess]),
                "probabilities": score.tolist(),
            }
            for video, guess, score in zip(first["videos"], guesses, scores, strict=True)
        ],
        "members": [
            {
                "name": name,
                "video_accuracy": result["video_accuracy"],
                "mean_average_precision": _known_mean(
                    mean_average_precision(labels, answer, interpolated)
                ),
            }
            for name, result, answer in zip(names, results, answers, strict=True)
        ],
        "stamp": {**first["stamp"], "pooling": _rule(first) + _OF_MEMBERS},
    }


def check_alike(first_name, first, name, result, by_precision=False):
    """Raises ValueError unless two results can be compared.

    They must be of the same videos of the same data and classes, with one rule for how windows
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
    ids = [[video["clip_id"] for video in each["videos"]] for each in (first, result)]
    if ids[0] != ids[1]:
        odd = next(iter(set(ids[0]) ^ set(ids[1])), "their order")
        raise ValueError(f"{name} and {first_name} were not evaluated on the same videos: {odd}.")

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


def _known_mean(ranking):
    """The mean average precision, or None without any positive."""
    return ranking["mean"] if ranking["per_class"] else None


def _many_hot(label, classes):
    present = set(label) if isinstance(label, list) else {label}
    return [int(name in present) for name in classes]


def _per_class_accuracy(labels, hits, classes):
    return {
        name: float(hits[labels[:, c] == 1].mean())
        for c, name in enumerate(classes)
        if labels[:, c].any()
    }

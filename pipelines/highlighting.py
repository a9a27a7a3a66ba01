"""How well temporal attention finds the frames in which an action happens."""

import numpy as np

from glimpse.pipelines.ranking import average_precision

MEASURES = ("average_precision", "base_rate", "peak_inside", "mass_inside", "auc")


def mean_step_weights(attention):
    """Returns the mean of a window's maps over the steps that attend.

    Args:
        attention: `(steps, frames)`; a step that does not attend has zeros.

    Returns:
        float64 `(frames,)`; zeros if no step attends.
    """
    attention = np.asarray(attention, "float64")
    attending = np.count_nonzero(attention.sum(axis=1))
    return attention.sum(axis=0) / max(attending, 1)


class FrameWeights:
    """Collects the weights that a video's frames got in all of its windows.

    A frame's weight is the mean over the windows, mirrored ones included, and over the places in
    them that show it.
    """

    def __init__(self):
        self._sums = {}
        self._counts = {}

    def add(self, frame_numbers, weights):
        """Takes the weights of one window's frames, both `(frames,)`."""
        for frame, weight in zip(frame_numbers, weights, strict=True):
            frame = int(frame)
            self._sums[frame] = self._sums.get(frame, 0.0) + float(weight)
            self._counts[frame] = self._counts.get(frame, 0) + 1

    def means(self):
        """Returns the frame numbers, rising, and each one's weight."""
        frames = sorted(self._sums)
        weights = [self._sums[frame] / self._counts[frame] for frame in frames]
        return np.array(frames), np.array(weights)


def score_highlights(frames, weights, interval):
    """Returns how well weights tell the frames of the action from the others.

    Args:
        frames: Frame numbers of a video, each once, `(frames,)`.
        weights: Their weights, at least 0, `(frames,)`.
        interval: The action's first frame and the one after its last.

    Returns:
        None where none of the frames, or all of them, lie inside; else a dict:
        `average_precision` of the frames ranked by weight, `base_rate` (the share of frames
        inside: what equal weights give as average precision and as mass), `peak_inside` (1 if the
        largest weight, the first of equals, lies inside), `mass_inside` (the share of the weight
        inside) and `auc` (the chance that a frame inside has a larger weight than one outside,
        equal ones counting half).
    """
    frames, weights = np.asarray(frames), np.asarray(weights, "float64")
    inside = (frames >= interval[0]) & (frames < interval[1])
    if inside.all() or not inside.any():
        return None
    differences = weights[inside][:, None] - weights[~inside]
    total = weights.sum()
    return {
        "average_precision": average_precision(inside, weights),
        "base_rate": float(inside.mean()),
        "peak_inside": float(inside[weights.argmax()]),
        "mass_inside": float(weights[inside].sum() / total) if total else 0.0,
        "auc": float(np.mean((differences > 0) + 0.5 * (differences == 0))),
    }


def summarise_highlights(videos):
    """Returns the means over videos, and each class's.

    Args:
        videos: (label name, result of `score_highlights`, or the reason why there is none) of
            each video.

    Returns:
        None if no video has a result; else a dict of the means of `MEASURES`, `videos` (how many),
        `left_out` ({reason: how many videos}) and `per_class` ({label name: means and count}).
    """
    left_out, by_class = {}, {}
    for name, result in videos:
        if isinstance(result, str):
            left_out[result] = left_out.get(result, 0) + 1
        else:
            by_class.setdefault(name, []).append(result)
    if not by_class:
        return None
    everything = [result for results in by_class.values() for result in results]
    return {
        **_means(everything),
        "left_out": left_out,
        "per_class": {name: _means(by_class[name]) for name in sorted(by_class)},
    }


def _means(results):
    means = {name: float(np.mean([result[name] for result in results])) for name in MEASURES}
    return {**means, "videos": len(results)}

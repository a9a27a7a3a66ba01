"""Measures a classifier on one split: windows, videos, and where it looked."""

import numpy as np
from tqdm import tqdm

from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.feature_windows import FeatureWindows
from glimpse.pipelines.gaze import attention_mass, pointing_hits, uniform_mass
from glimpse.pipelines.ranking import mean_average_precision
from glimpse.pipelines.stamp import make_stamp


def evaluate(model, index, split, sampling, truth=None, rule="mean", batch_size=64, progress=True):
    """Returns a classifier's results on a split as a dict that JSON can hold.

    A window's answer is the mean over its steps, a video's is `combine_blocks` of its windows
    (Sharma et al. 2015, section 4.2). Where boxes are known, the attention's mass in them is the
    mean over all frames of all windows.

    Args:
        model: A classifier on features with the outputs of `StepClassifier`.
        index: The `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling`.
        truth: {clip_id: truth dict of the clip} with the boxes of the figures, or None.
        rule: `"mean"` or `"majority"`.
        batch_size: Windows in a batch.
        progress: Whether to show a progress bar.

    Returns:
        `window_accuracy` and `video_accuracy` (fractions), `mean_average_precision` (over the
        classes of the videos' scores), `per_class` accuracy, `localisation` (with boxes, for
        models that attend), `videos` (one dict each) and `stamp`.

    Raises:
        ValueError: If the model does not fit the features.
    """
    check_fit(model, index)
    windows = FeatureWindows(index, split, sampling)
    probabilities, localisation = _answers(model, windows, truth, batch_size, progress)
    labels, clips = windows.labels, windows.window_clips
    scores = np.stack(
        [combine_blocks(probabilities[clips == i], rule) for i in range(len(windows.clips))]
    )
    found = scores.argmax(axis=1)
    names = list(index.label_names)
    one_hot = np.eye(len(names), dtype=int)[labels]
    ranking = mean_average_precision(one_hot, scores, label_names=names)
    described = {
        "num_frames": sampling.num_frames,
        "frames_per_second": sampling.frames_per_second,
        "block_stride": sampling.block_stride,
        "windows": windows.num_windows,
    }
    stamp = make_stamp(
        index,
        described,
        "accuracy, fraction of windows and of videos",
        f"mean over the steps of a window, {rule} over the windows of a video",
        None,
        {split: len(windows.clips)},
    )
    return {
        "model": model.name,
        "split": split,
        "label_names": names,
        "window_accuracy": float(np.mean(probabilities.argmax(axis=1) == labels[clips])),
        "video_accuracy": float(np.mean(found == labels)),
        "mean_average_precision": ranking["mean"],
        "classes_without_positives": ranking["without_positives"],
        "per_class": {
            name: float(np.mean(found[labels == i] == i))
            for i, name in enumerate(names)
            if (labels == i).any()
        },
        "localisation": localisation,
        "videos": [
            {
                "clip_id": clip.clip_id,
                "label": names[label],
                "predicted": names[guess],
                "probability": float(score[guess]),
                "probabilities": score.tolist(),
            }
            for clip, label, guess, score in zip(windows.clips, labels, found, scores, strict=True)
        ],
        "stamp": stamp,
    }


def check_fit(model, index):
    """Raises ValueError unless a classifier fits the features and classes of an index."""
    expected = getattr(model, "label_names", None)
    if expected is not None and tuple(expected) != tuple(index.label_names):
        raise ValueError(
            f"The model knows the classes {', '.join(expected)}, the features in {index.folder} "
            f"are of {', '.join(index.label_names)}: use the data that the model was made for."
        )
    built = model.get_build_config()
    shape = next((s for s in (built or {}).get("shapes_dict", {}).values() if s), None)
    shape = shape or (built or {}).get("input_shape")
    if shape is not None and tuple(shape[2:]) != tuple(index.feature_shape):
        raise ValueError(
            f"The model reads features of shape {tuple(shape[2:])} per frame, those in "
            f"{index.folder} are {tuple(index.feature_shape)}: extract with the model's backbone."
        )


def actor_boxes(truth, frame_numbers):
    """Returns the actor's boxes `(frames, 4)` and the others' `(frames, others, 4)`, in pixels."""
    figures = {True: [], False: []}
    for figure in truth["figures"]:
        figures[figure["role"] == "actor"].append(np.array(figure["boxes"])[frame_numbers])
    others = np.stack(figures[False], 1) if figures[False] else np.zeros((len(frame_numbers), 0, 4))
    return figures[True][0], others


def _answers(model, windows, truth, batch_size, progress):
    """Probabilities of all windows `(windows, classes)` and the means of the localisation."""
    probabilities, measured = [], []
    batches = windows.in_order(batch_size)
    for features, _ in tqdm(batches, f"evaluating {model.name}", disable=not progress):
        outputs = model.predict_on_batch(features)
        first = sum(map(len, probabilities))
        probabilities.append(np.asarray(outputs["probabilities"], "float64"))
        if truth is not None and "attention_weights" in outputs:
            maps = np.asarray(outputs["attention_weights"], "float32")
            for number, attention in enumerate(maps, start=first):
                clip = windows.clips[windows.window_clips[number]]
                measured.append(_locate(attention, truth[clip.clip_id], windows, number))
    if not measured:
        return np.concatenate(probabilities), None
    names = ("mass", "uniform", "distractor_mass", "distractor_uniform", "pointing")
    means = dict(zip(names, np.mean(measured, axis=0).tolist(), strict=True))
    ratio = means["mass"] / means["uniform"]
    return np.concatenate(probabilities), {**means, "mass_over_uniform": ratio}


def _locate(attention, truth, windows, number):
    actor, others = actor_boxes(truth, windows.frame_numbers(number))
    size = truth["frame_size"]
    return (
        attention_mass(attention, actor, size).mean(),
        uniform_mass(actor, size).mean(),
        attention_mass(attention, others, size).sum(axis=1).mean(),
        uniform_mass(others, size).sum(axis=1).mean(),
        pointing_hits(attention, actor, size).mean(),
    )

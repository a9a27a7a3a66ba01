"""Measures a classifier on one split: steps, windows, videos, and where and when it looked."""

import dataclasses

import numpy as np
from tqdm import tqdm

from glimpse.pipelines.attention_measurement import AttentionMeasurement
from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.feature_windows import FeatureWindows
from glimpse.pipelines.ranking import mean_average_precision
from glimpse.pipelines.stamp import make_stamp


def evaluate(
    model,
    index,
    split,
    sampling,
    truth=None,
    rule="mean",
    batch_size=64,
    progress=True,
    attended_index=None,
    interpolated=False,
    seed=0,
):
    """Returns a classifier's results on a split as a dict that JSON can hold.

    A window's answer is the mean over its steps, a video's is `combine_blocks` of its windows
    (Sharma et al. 2015, section 4.2; Torabi and Sigal 2017, section 4.1). Where boxes are known,
    the attention's mass in them is the mean over all frames of all windows; where an action's
    interval is known, the weights of temporal attention are scored by `score_highlights`.

    Args:
        model: A classifier with the outputs of `StepClassifier`; its `input_names` say what it
            reads.
        index: The `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling`.
        truth: {clip_id: truth dict of the clip}, as `AttentionMeasurement` takes it, or None.
        rule: `"mean"` or `"majority"`; the latter needs one label a clip.
        batch_size: Windows in a batch.
        progress: Whether to show a progress bar.
        attended_index: The `FeatureIndex` of the attended frames, or a dict of them by input name;
            default: `index`.
        interpolated: Whether average precision takes the precision's envelope.
        seed: Of the random windows.

    Returns:
        A dict of `step_accuracy`, `window_accuracy` and `video_accuracy` (fractions; None where
        clips may have several labels), `mean_average_precision` (over the classes of the videos'
        scores; None without any positive), `per_class` accuracy (or None),
        `per_class_average_precision` (None for the `classes_without_positives`), `localisation`
        and `highlighting` (None where nothing is known or the model does not attend), `left_out`
        (ids of the clips below `min_video_frames`), `videos` (one dict each) and `stamp`.

    Raises:
        ValueError: If the model does not fit the features, or the rule not the labels; if a
            feature or an answer is not finite.
    """
    if rule == "majority" and index.multi_label:
        raise ValueError("rule='majority' counts one label a window; these clips have several.")
    names = list(index.label_names)
    input_names = getattr(model, "input_names", ("features",))
    check_classes(model, index)
    windows = FeatureWindows(index, split, sampling, input_names, attended_index, seed)
    check_inputs(model, windows)
    measurement = AttentionMeasurement(windows, truth)
    probabilities, step_hits = _answers(model, windows, measurement, batch_size, progress)
    clips = windows.window_clips
    scores = np.stack(
        [combine_blocks(probabilities[clips == i], rule) for i in range(len(windows.clips))]
    )
    present = np.array([[i in clip.labels for i in range(len(names))] for clip in windows.clips])
    ranking = mean_average_precision(present.astype(int), scores, interpolated, names)
    found = scores.argmax(axis=1)
    return {
        "model": model.name,
        "split": split,
        "label_names": names,
        **_accuracies(windows, probabilities, found, step_hits),
        "mean_average_precision": ranking["mean"] if ranking["per_class"] else None,
        "per_class_average_precision": {name: ranking["per_class"].get(name) for name in names},
        "classes_without_positives": ranking["without_positives"],
        "interpolated": interpolated,
        "localisation": measurement.localisation,
        "highlighting": measurement.highlighting,
        "left_out": [clip.clip_id for clip in windows.left_out],
        "videos": [
            {
                "clip_id": clip.clip_id,
                "label": _named(clip.label, names),
                "predicted": names[guess],
                "probability": float(score[guess]),
                "probabilities": score.tolist(),
            }
            for clip, guess, score in zip(windows.clips, found, scores, strict=True)
        ],
        "stamp": _stamp(windows, rule, seed),
    }


def check_classes(model, index):
    """Raises ValueError unless a classifier knows the classes of an index."""
    expected = getattr(model, "label_names", None)
    if expected is not None and tuple(expected) != tuple(index.label_names):
        raise ValueError(
            f"The model knows the classes {', '.join(expected)}, the features in {index.folder} "
            f"are of {', '.join(index.label_names)}: use the data that the model was made for."
        )


def check_inputs(model, windows):
    """Raises ValueError unless a classifier was built for the features of `FeatureWindows`."""
    built = model.get_build_config() or {}
    shapes = built.get("input_shape") or built.get("shapes_dict") or {}
    if not isinstance(shapes, dict):
        shapes = {windows.input_names[0]: shapes}
    for name, found in windows.input_shapes.items():
        shape = shapes.get(name) or shapes.get(f"{name}_shape")
        if shape is not None and tuple(shape[2:]) != tuple(found[1:]):
            index = windows.attended_indices.get(name, windows.index)
            raise ValueError(
                f"The model reads {name} of shape {tuple(shape[2:])} per frame, those in "
                f"{index.folder} are {tuple(found[1:])}: extract with the model's backbone."
            )


def _answers(model, windows, measurement, batch_size, progress):
    """Probabilities of all windows `(windows, classes)`, and the share of right steps in each."""
    probabilities, step_hits = [], []
    batches = windows.in_order(batch_size)
    for x, labels in tqdm(batches, f"evaluating {model.name}", disable=not progress):
        outputs = model.predict_on_batch(x)
        first = sum(map(len, probabilities))
        _check_answers(outputs, windows, first)
        measurement.add(first, outputs)
        probabilities.append(np.asarray(outputs["probabilities"], "float64"))
        if not windows.index.multi_label:
            guesses = np.asarray(outputs["step_probabilities"]).argmax(axis=2)  # (batch, steps)
            step_hits.append((guesses == np.asarray(labels)[:, None]).mean(axis=1))
    return np.concatenate(probabilities), step_hits


def _check_answers(outputs, windows, first):
    """Tells whether features or weights are to blame for answers that are no numbers."""
    wrong = ~np.isfinite(np.asarray(outputs["probabilities"])).all(axis=1)
    if wrong.any():
        number = windows.window_clips[first + int(np.argmax(wrong))]
        windows.check_finite(number)
        raise ValueError(
            f"The model answers NaN for {windows.clips[number].path}, whose features are finite: "
            "its weights are not, or too large; train it anew."
        )


def _accuracies(windows, probabilities, found, step_hits):
    """What is right of the steps, the windows and the videos; None where labels are several."""
    names, labels = windows.index.label_names, windows.labels
    if windows.index.multi_label:
        measures = ("step_accuracy", "window_accuracy", "video_accuracy", "per_class")
        return dict.fromkeys(measures)
    right = probabilities.argmax(axis=1) == labels[windows.window_clips]
    return {
        "step_accuracy": float(np.concatenate(step_hits).mean()),
        "window_accuracy": float(np.mean(right)),
        "video_accuracy": float(np.mean(found == labels)),
        "per_class": {
            name: float(np.mean(found[labels == i] == i))
            for i, name in enumerate(names)
            if (labels == i).any()
        },
    }


def _named(label, names):
    return [names[each] for each in label] if isinstance(label, tuple) else names[label]


def _stamp(windows, rule, seed):
    described = {**dataclasses.asdict(windows.sampling), "windows": windows.num_windows}
    several = windows.index.multi_label
    return make_stamp(
        windows.index,
        described,
        "average precision, fraction, mean over classes"
        if several
        else "accuracy, fraction of windows and of videos",
        f"mean over the steps of a window, {rule} over the windows of a video",
        None if windows.sampling.sampling_rule == "blocks" else seed,
        {windows.split: len(windows.clips)},
        attended=windows.attended_indices if windows.attended_names else None,
        left_out={windows.split: len(windows.left_out)},
    )

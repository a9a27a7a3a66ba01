"""Measures a classifier on one split: steps, windows, clips, and where and when it looked."""

import dataclasses

import numpy as np
from tqdm import tqdm

from glimpse.pipelines.answer_scores import score_answers
from glimpse.pipelines.attention_measurement import AttentionMeasurement
from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.evaluation_protocol import METRICS, find_protocol
from glimpse.pipelines.feature_windows import FeatureWindows
from glimpse.pipelines.stamp import make_stamp
from glimpse.pipelines.window_sampling import BLACK_STEP


def evaluate(
    model,
    index,
    split,
    sampling,
    truth=None,
    rule=None,
    batch_size=64,
    progress=True,
    attended_index=None,
    interpolated=None,
    seed=0,
    level=None,
):
    """Returns a classifier's results on a split as a dict that JSON can hold.

    A window's answer is the mean over its steps, a clip's is `combine_blocks` of its windows
    (Sharma et al. 2015, section 4.2; Torabi and Sigal 2017, section 4.1), a video's the mean of
    its clips. Where boxes are known, the attention's mass in them is the mean over all frames of
    all windows; where an action's interval is known, the weights of temporal attention are scored
    by `score_highlights`.

    Args:
        model: A classifier with the outputs of `StepClassifier`; its `input_names` say what it
            reads.
        index: The `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling`.
        truth: {clip_id: truth dict of the clip}, as `AttentionMeasurement` takes it, or None.
        rule: `"mean"` or `"majority"`; the latter needs one label a clip. This and the next two
            are by default as the data set's `EvaluationProtocol` has them.
        batch_size: Windows in a batch.
        progress: Whether to show a progress bar.
        attended_index: The `FeatureIndex` of the attended frames, or a dict of them by input name;
            default: `index`.
        interpolated: Whether average precision takes the precision's envelope.
        seed: Of the random windows.
        level: `"clip"` or `"video"`: what average precision and the confusion matrix count.

    Returns:
        A dict of `headline` (`metric` and `value`, which the data set's papers print),
        `step_accuracy` (of steps that show another frame than the one before: repeats of a short
        clip's last frame count once, black frames not at all), `window_accuracy` (fractions; None
        where clips may have several labels), all of `score_answers`, `interpolated`,
        `localisation` and `highlighting` (None where nothing is known or the model does not
        attend), `left_out` (ids of the clips below `min_video_frames`), `sampling_counts` (what
        was repeated or black in the windows, as `WindowPlan.counts` has it), `clips` (one dict
        each) and `stamp`.

    Raises:
        ValueError: If the model does not fit the features, or the rule not the labels; if a
            feature or an answer is not finite.
    """
    protocol = protocol_of(index).changed(rule=rule, interpolated=interpolated, level=level)
    if protocol.rule == "majority" and index.multi_label:
        raise ValueError("rule='majority' counts one label a window; these clips have several.")
    names = list(index.label_names)
    input_names = getattr(model, "input_names", ("features",))
    check_classes(model, index)
    windows = FeatureWindows(index, split, sampling, input_names, attended_index, seed)
    check_inputs(model, windows)
    measurement = AttentionMeasurement(windows, truth)
    probabilities, step_hits = _answers(model, windows, measurement, batch_size, progress)
    of_clip = windows.window_clips
    scores = np.stack(
        [
            combine_blocks(probabilities[of_clip == i], protocol.rule)
            for i in range(len(windows.clips))
        ]
    )
    videos = [clip.video_id or clip.clip_id for clip in windows.clips]
    measures = _window_measures(windows, probabilities, step_hits) | score_answers(
        scores,
        [clip.label for clip in windows.clips],
        videos,
        names,
        protocol.level,
        protocol.interpolated,
    )
    return {
        "model": model.name,
        "split": split,
        "label_names": names,
        "headline": {"metric": protocol.metric, "value": measures[protocol.metric]},
        **measures,
        "interpolated": protocol.interpolated,
        "localisation": measurement.localisation,
        "highlighting": measurement.highlighting,
        "left_out": [clip.clip_id for clip in windows.left_out],
        "sampling_counts": windows.sampling_counts,
        "clips": [
            {
                "clip_id": clip.clip_id,
                "video_id": video,
                "label": _named(clip.label, names),
                "predicted": names[guess],
                "probability": float(score[guess]),
                "probabilities": score.tolist(),
            }
            for clip, video, guess, score in zip(
                windows.clips, videos, scores.argmax(axis=1), scores, strict=True
            )
        ],
        "stamp": _stamp(windows, protocol, seed),
    }


def protocol_of(index):
    """Returns the `EvaluationProtocol` by which the clips of a `FeatureIndex` are measured."""
    name = index.protocol
    if name == "activitynet" and index.multi_label:
        name = "activitynet_untrimmed"
    protocol = find_protocol(name)
    if index.multi_label and protocol.metric != "mean_average_precision":
        return dataclasses.replace(protocol, metric="mean_average_precision")
    return protocol


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
    """Probabilities of all windows `(windows, classes)`, and (right steps, steps) of each."""
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
            hits = guesses == np.asarray(labels)[:, None]
            for number, row in enumerate(hits, start=first):
                shown = _new_frames(windows.frame_numbers(number), len(row))
                step_hits.append((row[shown].sum(), shown.sum()))
    return np.concatenate(probabilities), step_hits


def _new_frames(numbers, num_steps):
    """Which steps show a frame of the video that the one before did not.

    All, where steps are not frames.
    """
    if len(numbers) != num_steps:
        return np.ones(num_steps, bool)
    return np.concatenate([[True], np.diff(numbers) != 0]) & (numbers != BLACK_STEP)


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


def _window_measures(windows, probabilities, step_hits):
    """What is right of the steps and of the windows; None where labels are several."""
    if windows.index.multi_label:
        return {"step_accuracy": None, "window_accuracy": None}
    right, shown = np.sum(step_hits, axis=0)
    hits = probabilities.argmax(axis=1) == windows.labels[windows.window_clips]
    return {"step_accuracy": float(right / shown), "window_accuracy": float(hits.mean())}


def _named(label, names):
    return [names[each] for each in label] if isinstance(label, tuple) else names[label]


def _stamp(windows, protocol, seed):
    described = {**dataclasses.asdict(windows.sampling), "windows": windows.num_windows}
    stamp = make_stamp(
        windows.index,
        described,
        METRICS[protocol.metric],
        f"mean over the steps of a window, {protocol.rule} over the windows of a clip",
        None if windows.sampling.sampling_rule == "blocks" else seed,
        {windows.split: len(windows.clips)},
        attended=windows.attended_indices if windows.attended_names else None,
        left_out={windows.split: len(windows.left_out)},
    )
    return {**stamp, "protocol": dataclasses.asdict(protocol)}

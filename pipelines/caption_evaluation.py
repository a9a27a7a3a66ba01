"""Measures a captioner on one split: what it says of each clip, and how good that is."""

import dataclasses
import math

import numpy as np
from tqdm import tqdm

from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.caption_metrics import measure_captions
from glimpse.pipelines.caption_set import read_captions
from glimpse.pipelines.caption_words import colour_word_mass, score_words, summarise_words
from glimpse.pipelines.clip_features import ClipFeatures
from glimpse.pipelines.evaluation_protocol import METRICS, find_caption_protocol
from glimpse.pipelines.stamp import make_stamp
from glimpse.pipelines.window_sampling import BLACK_STEP

# Whose captions are sentences of a grammar, the kinds of whose words can be told.
_GRAMMAR = "tiny_actions"


def evaluate_captioner(
    model,
    index,
    split,
    sampling,
    truth=None,
    batch_size=16,
    progress=True,
    tokenizer=None,
    **search,
):
    """Returns a captioner's results on a split as a dict that JSON can hold.

    The best sentence of each clip is compared with all of the clip's captions, long ones too.

    Args:
        model: A `VideoCaptioner`.
        index: The `FeatureIndex`.
        split: `"train"`, `"val"` or `"test"`.
        sampling: A `WindowSampling` of one window a clip.
        truth: {clip_id: truth dict of the clip} with the actor's boxes, or None.
        batch_size: Clips described at a time.
        progress: Whether to show a progress bar.
        tokenizer: As in `measure_captions`.
        **search: `beam_width`, `max_words`, `length_penalty` and `min_words`; what is None or left
            out is as in the model.

    Returns:
        A dict of `headline` (`metric` and `value`), all of `measure_captions`, `words` (of
        tiny_actions: `summarise_words`, and None of other data), `sentence_accuracy` (its
        fraction of sentences that are right word for word), `colour_word` (the mean attention on
        the actor at the word of its colour, where boxes are known), `gate` (the mean beta of the
        words of the best sentences), `sampling_counts`, `counts`
        (as `CaptionSet` has them), `clips` (one dict each) and `stamp`.

    Raises:
        ValueError: If the split has no captions, the model does not fit the features, or a feature
            or an answer is not finite.
    """
    search = model.search_settings(**search)
    sampling = dataclasses.replace(sampling, flips=False)
    captions = read_captions(index, split, min_video_frames=sampling.min_video_frames)
    features = ClipFeatures(index, captions.clips, sampling)
    answers = _answers(model, features, captions.clips, search, batch_size, progress)
    clips = [
        {
            "clip_id": clip.clip_id,
            "video_id": clip.video_id or clip.clip_id,
            "caption": best.text if best else "",
            "captions": [{"text": each.text, "score": each.score} for each in answer],
            "ended": best.ended if best else False,
            "references": list(clip.captions),
        }
        for clip, answer in zip(captions.clips, answers, strict=True)
        for best in [answer[0] if answer else None]
    ]
    said = [list(answer[0].words) if answer else [] for answer in answers]
    measures = measure_captions([clip.captions for clip in captions.clips], said, tokenizer)
    words = None
    if index.dataset == _GRAMMAR:
        scores = [
            score_words(mine, clip.captions)
            for mine, clip in zip(said, captions.clips, strict=True)
        ]
        words = summarise_words(scores)
        for clip, score in zip(clips, scores, strict=True):
            clip["words"] = score
    protocol = find_caption_protocol(index.protocol)
    return {
        "model": model.name,
        "split": split,
        "kind": "captions",
        "headline": {"metric": protocol.metric, "value": measures[protocol.metric]},
        **measures,
        "words": words,
        "sentence_accuracy": words and words["sentence"]["accuracy"],
        "colour_word": _colour_word(index, features, captions.clips, answers, truth),
        "gate": _mean_gate(answers),
        "sampling_counts": features.sampling_counts,
        "counts": captions.counts,
        "clips": clips,
        "stamp": {
            **_stamp(index, split, sampling, protocol, captions, search),
            "tokenizer": measures["tokenizer"],
        },
    }


def _answers(model, features, clips, search, batch_size, progress):
    """The n best captions of each clip."""
    answers, total = [], math.ceil(len(clips) / batch_size)
    batches = features.in_order(batch_size)
    for batch in tqdm(batches, f"describing by {model.name}", total, disable=not progress):
        try:
            answers += model.caption(batch, **search)
        except ValueError:
            for number in range(len(answers), min(len(answers) + batch_size, len(clips))):
                features.check_finite(number)
            raise
    for number, (clip, answer) in enumerate(zip(clips, answers, strict=True)):
        if not answer or not all(math.isfinite(caption.score) for caption in answer):
            features.check_finite(number)
            raise ValueError(
                f"The model gives no caption of {clip.path} a score, though its features are "
                "finite: its weights are not, or too large; train it anew."
            )
    return answers


def _mean_gate(answers):
    gates = np.concatenate([best.gate for best, *_ in answers])
    return float(gates.mean()) if gates.size else None


def _colour_word(index, features, clips, answers, truth):
    """Means over the clips whose best caption names a colour, or None where no boxes are known."""
    found = []
    for number, (clip, (best, *_)) in enumerate(zip(clips, answers, strict=True)):
        known = (truth or {}).get(clip.clip_id, {})
        if "figures" not in known:
            continue
        steps = features.steps[number]
        chunk, shown = index.frames_per_input, steps != BLACK_STEP
        frames = np.minimum(steps[shown] * chunk + chunk // 2, clip.video_frames - 1)
        boxes = np.zeros((len(steps), 4))
        boxes[shown], _ = actor_boxes(known, frames)
        mass = colour_word_mass(best.words, best.attention_weights, boxes, known["frame_size"])
        if mass is not None:
            found.append((mass["mass"], mass["uniform"]))
    if not found:
        return None
    mass, uniform = np.mean(found, axis=0).tolist()
    return {
        "mass": mass,
        "uniform": uniform,
        "mass_over_uniform": mass / uniform,
        "clips": len(found),
    }


def _stamp(index, split, sampling, protocol, captions, search):
    counts = captions.counts
    stamp = make_stamp(
        index,
        {**dataclasses.asdict(sampling), "windows": counts["clips"]},
        METRICS[protocol.metric],
        "the best sentence of a clip against all of its captions",
        None,
        {split: counts["clips"]},
        left_out={split: counts["short_clips"] + counts["clips_without_captions"]},
    )
    return {**stamp, "protocol": dataclasses.asdict(protocol), "search": search}

"""The JSON files that `glimpse evaluate`, `ensemble` and `evaluate-captioner` write: checked."""

import json
import math
import pathlib

from glimpse.pipelines.evaluation_protocol import CAPTION_METRICS

_KEYS = {
    "model": str,
    "split": str,
    "label_names": list,
    "interpolated": bool,
    "headline": dict,
    "clips": list,
    "stamp": dict,
}
_STAMP_KEYS = {"dataset": str, "split_hash": str, "pooling": str, "protocol": dict}
# Scores, each a fraction or None.
_SCORES = ("clip_accuracy", "video_accuracy", "mean_average_precision")
_CLASS_SCORES = ("per_class", "per_class_average_precision")


_CAPTION_KEYS = {"model": str, "split": str, "headline": dict, "clips": list, "stamp": dict}
_OF_CAPTIONS = {"kind": "captions"}.items()


def read_results(path):
    """Reads the JSON that `glimpse evaluate --output` wrote.

    Raises:
        ValueError: If the file is missing, damaged, or holds something else.
    """
    results = _read_json(path)
    if results.items() >= _OF_CAPTIONS:
        raise ValueError(
            f"{path}: holds sentences, of `glimpse evaluate-captioner`, and no answers by class; "
            "`glimpse compare` takes it."
        )
    for name in (*_KEYS, *_SCORES, *_CLASS_SCORES):
        if name not in results:
            raise ValueError(
                f"{path}: is no result of `glimpse evaluate` (no {name}); evaluate again."
            )
    return _require_faultless(path, results, _faults)


def read_caption_results(path):
    """Reads the JSON that `glimpse evaluate-captioner --output` wrote; raises as `read_results`."""
    results = _read_json(path)
    if not results.items() >= _OF_CAPTIONS:
        raise ValueError(f"{path}: is no result of `glimpse evaluate-captioner`.")
    return _require_faultless(path, results, _caption_faults)


def read_any_results(path):
    """Reads a file of `read_results` or of `read_caption_results`, whichever it is."""
    is_captions = _read_json(path).items() >= _OF_CAPTIONS
    return read_caption_results(path) if is_captions else read_results(path)


def _read_json(path):
    path = pathlib.Path(path)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file; `glimpse evaluate --output` writes it.") from None
    except ValueError as error:
        raise ValueError(f"{path}: is damaged ({error}); evaluate again.") from error
    if not isinstance(results, dict):
        raise ValueError(f"{path}: is no result of `glimpse evaluate`, but another JSON file.")
    return results


def _require_faultless(path, results, faults):
    fault = next(faults(results), None)
    if fault:
        raise ValueError(f"{path}: is damaged ({fault}); evaluate again.")
    return results


def _caption_faults(results):
    """What is wrong with a dict of sentences, in words."""
    yield from _wrong_kinds(results, _CAPTION_KEYS, "")
    yield from _wrong_kinds(results["stamp"], {**_STAMP_KEYS, "search": dict}, "stamp: ")
    yield from _headline_faults(results["headline"])
    for key in CAPTION_METRICS:
        if not _is_score(results.get(key)):
            yield f"{key} is {results[key]!r}"
    if not results["clips"]:
        yield "no clips"
    for number, clip in enumerate(results["clips"], start=1):
        if not isinstance(clip, dict):
            yield f"clip {number}: is no record"
            return
        kinds = {"clip_id": str, "caption": str, "references": list}
        yield from (f"clip {number}: {fault}" for fault in _wrong_kinds(clip, kinds, ""))


def _faults(results):
    """What is wrong with a dict of the right keys, in words."""
    yield from _wrong_kinds(results, _KEYS, "")
    yield from _wrong_kinds(results["stamp"], _STAMP_KEYS, "stamp: ")
    yield from _headline_faults(results["headline"])
    names = results["label_names"]
    if not names or not all(isinstance(name, str) for name in names):
        yield "label_names are no names of classes"
    for key in _SCORES:
        if not _is_score(results[key]):
            yield f"{key} is {results[key]!r}"
    for key in _CLASS_SCORES:
        scores = {} if results[key] is None else results[key]
        if not isinstance(scores, dict) or not all(map(_is_score, scores.values())):
            yield f"{key} holds no fraction for each class"
    if not results["clips"]:
        yield "no clips"
    for number, clip in enumerate(results["clips"], start=1):
        yield from (f"clip {number}: {fault}" for fault in _clip_faults(clip, names))


def _headline_faults(headline):
    yield from _wrong_kinds(headline, {"metric": str}, "headline: ")
    if not _is_score(headline.get("value")):
        yield f"headline: value is {headline['value']!r}"


def _clip_faults(clip, names):
    if not isinstance(clip, dict):
        yield "is no record"
        return
    kinds = {"clip_id": str, "video_id": str, "probabilities": list}
    yield from _wrong_kinds(clip, kinds, "")
    label = clip.get("label")
    if not all(each in names for each in (label if isinstance(label, list) else [label])):
        yield f"label {label!r} is none of the classes"
    found = clip["probabilities"]
    if len(found) != len(names):
        yield f"{len(found)} probabilities for {len(names)} classes"
    if not all(_is_number(each) for each in found):
        yield "probabilities hold what is no finite number"


def _wrong_kinds(values, kinds, where):
    for name, kind in kinds.items():
        if not isinstance(values.get(name), kind):
            yield f"{where}{name} is missing or no {kind.__name__}"


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_score(value):
    return value is None or _is_number(value)

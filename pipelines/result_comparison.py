"""Several results side by side, if they were measured alike; else what differs."""

from glimpse.pipelines.answer_scores import HITS
from glimpse.pipelines.evaluation_protocol import METRICS

# What of a stamp two results must share to be comparable.
COMPARED = (
    "dataset",
    "split_name",
    "split_hash",
    "protocol",
    "search",
    "tokenizer",
    "sampling",
    "seed",
    "seen",
    "expected",
    "left_out",
)
_MEASURES = (*METRICS, f"hit_at_{HITS}")


def differences(first, other):
    """Returns what differs in how two results were measured, {name: (first's, other's)}.

    Nested values are named with dots, "sampling.num_frames". The clips are compared by their ids.

    Args:
        first, other: Dicts that `evaluate`, `fuse` or `evaluate_captioner` returned.
    """
    found = {}
    for name in ("split", "label_names"):
        if first.get(name) != other.get(name):
            found[name] = (first.get(name), other.get(name))
    ids = [[clip["clip_id"] for clip in result["clips"]] for result in (first, other)]
    if ids[0] != ids[1]:
        odd = sorted(set(ids[0]) ^ set(ids[1]))
        what = f"{len(odd)} are only in one, such as {odd[0]}" if odd else "another order"
        found["clips"] = (f"{len(ids[0])} clips", f"{len(ids[1])} clips; {what}")
    for name in COMPARED:
        _compare(name, first["stamp"].get(name), other["stamp"].get(name), found)
    return found


def _compare(name, first, other, found):
    if isinstance(first, dict) and isinstance(other, dict):
        for key in sorted(first.keys() | other.keys()):
            _compare(f"{name}.{key}", first.get(key), other.get(key), found)
    elif first != other:
        found[name] = (first, other)


def compare(results, allowed=()):
    """Returns the rows of a table of results that were measured alike.

    Args:
        results: {name: dict that `evaluate`, `fuse` or `evaluate_captioner` returned}, at least
            two; the first is what the others are compared with.
        allowed: Names of differences that do not count, such as "sampling.num_frames"; "sampling"
            stands for all that begin with it.

    Returns:
        Dicts of `model`, `clips`, and each measure that all of them have, a fraction; `gain` is
        the headline's difference to the first, None in the first row.

    Raises:
        ValueError: If there are fewer than two, or they were not measured alike: it says what
            differs.
    """
    if len(results) < 2:
        raise ValueError(f"a comparison needs two results or more, got {len(results)}.")
    (first_name, first), *others = results.items()
    for name, other in others:
        found = {
            what: values
            for what, values in differences(first, other).items()
            if not any(what == each or what.startswith(f"{each}.") for each in allowed)
        }
        if found:
            shown = "; ".join(
                f"{what} is {_short(mine)} and {_short(theirs)}"
                for what, (mine, theirs) in found.items()
            )
            raise ValueError(
                f"{first_name} and {name} were not measured alike: {shown}. Evaluate both the same "
                "way, or name what may differ with --may_differ."
            )
    metric = first["headline"]["metric"]
    rows = []
    for name, result in results.items():
        row = {"model": name, "clips": len(result["clips"])}
        for measure in _MEASURES:
            values = [each.get(measure) for each in results.values()]
            if None not in values:
                value = result[measure]
                row[measure] = value["any"] if isinstance(value, dict) else value
        gain = result.get(metric, 0) - first[metric] if metric in row else None
        rows.append({**row, "gain": None if result is first else gain})
    return rows


def _short(value):
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

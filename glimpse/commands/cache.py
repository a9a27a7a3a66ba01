"""List, verify or prune the stored features of `glimpse extract`.

`list` says what is stored, and which of the given indices refer to it. `verify` reads everything
and compares it with the hashes that were taken when it was written; its exit status is 1 if
anything is damaged or missing. `prune` removes what interrupted extractions left and what is
damaged and, with --index, features to which none of the given indices refers: give all that share
the folder. Files that are not named as stored features are left alone, and so is what is younger
than --older_than hours. Run it while no extraction runs; --dry_run shows what it would remove.

Example: glimpse cache list --index=tiny_features
Example: glimpse cache verify --cache=shared_features --index=tiny_features,other_features
Example: glimpse cache prune --cache=shared_features --dry_run
"""

import dataclasses
import json

import tabulate
import tqdm
from absl import flags

from glimpse.pipelines.feature_cache import FeatureCache
from glimpse.pipelines.feature_index import FeatureIndex

_ACTIONS = ("list", "verify", "prune")
_SHOWN = 20

_CACHE = flags.DEFINE_string(
    "cache", None, "Folder of the stored features; default: that of the first --index."
)
_INDEX = flags.DEFINE_list(
    "index", [], "Folders that `glimpse extract` wrote, whose indices refer to the features."
)
_OLDER_THAN = flags.DEFINE_float(
    "older_than",
    24.0,
    "prune: hours for which files that may belong to work that goes on are kept: features to which "
    "no index refers yet, damaged ones, and temporary files of other machines.",
    lower_bound=0.0,
)
_CHECK_HASHES = flags.DEFINE_bool(
    "check_hashes", False, "prune: read everything, as verify does, to find damage."
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "prune: remove nothing, show what would be.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object in place of text.")


def main(argv):
    """Runs the action; returns 1 if something that was asked for is damaged or missing."""
    if len(argv) != 2 or argv[1] not in _ACTIONS:
        given = " ".join(map(repr, argv[1:])) or "nothing"
        raise ValueError(f"give one of {', '.join(_ACTIONS)}: glimpse cache list; got {given}.")
    indices = [FeatureIndex.load(folder) for folder in _INDEX.value]
    if _CACHE.value is None and not indices:
        raise ValueError("give the folder of the features by --cache, or --index.")
    folder = indices[0].store.folder if _CACHE.value is None else _CACHE.value
    cache = FeatureCache(folder, indices)
    return {"list": _list, "verify": _verify, "prune": _prune}[argv[1]](cache)


def _list(cache):
    entries, absent = cache.entries(), cache.absent()
    if _JSON.value:
        _print_json(cache, entries, absent)
        return 0
    rows = [
        [
            entry.key[:16],
            "-" if entry.shape is None else entry.shape[0],
            "-" if entry.shape is None else "x".join(map(str, entry.shape[1:])),
            entry.dtype or "-",
            _size(entry.num_bytes),
            ", ".join(entry.indices) if _INDEX.value else "?",
            entry.damage or "",
        ]
        for entry in entries
    ]
    headers = ["key", "steps", "shape", "type", "size", "index", "damage"]
    print(tabulate.tabulate(rows, headers, disable_numparse=True))
    print(_totals(cache, entries))
    _print_absent(absent)
    return 0


def _verify(cache):
    entries, absent = _verified(cache), cache.absent()
    damaged = [entry for entry in entries if entry.damage is not None]
    if _JSON.value:
        _print_json(cache, entries, absent)
    else:
        print(_totals(cache, entries))
        for entry in damaged:
            print(f"  damaged {cache.store.path(entry.key)}: {entry.damage}")
        _print_absent(absent)
        if damaged:
            print(
                "`glimpse cache prune --check_hashes` removes what is damaged (with --older_than=0 "
                "also what is younger than a day); then extract again."
            )
    return 1 if damaged or absent else 0


def _prune(cache):
    entries = _verified(cache) if _CHECK_HASHES.value else cache.entries()
    removals = cache.removals(entries, _OLDER_THAN.value)
    damaged = sum(entry.damage is not None for entry in entries)
    kept = damaged - sum(removal.reason == "damaged" for removal in removals)
    foreign = cache.num_foreign()
    if not _DRY_RUN.value:
        for removal in removals:
            cache.remove(removal)
    if _JSON.value:
        values = {
            "cache": cache.store.folder,
            "dry_run": _DRY_RUN.value,
            "removed": [dataclasses.asdict(removal) for removal in removals],
            "num_bytes": sum(removal.num_bytes for removal in removals),
            "damaged_kept": kept,
            "foreign": foreign,
        }
        print(json.dumps(values, indent=1))
        return 0
    for removal in removals:
        print(f"  {removal.reason}: {removal.paths[0]} ({removal.words})")
    verb = "would remove" if _DRY_RUN.value else "removed"
    counts = ", ".join(
        f"{len(found)} {reason} ({_size(sum(removal.num_bytes for removal in found))})"
        for reason in ("left over", "damaged", "not referred to")
        for found in [[removal for removal in removals if removal.reason == reason]]
    )
    print(f"{cache.store.folder}: {verb} {counts}.")
    if kept:
        print(
            f"Kept {kept} damaged, younger than {_OLDER_THAN.value:g} hours: a writer may be at "
            "work on them; --older_than=0 removes them."
        )
    if foreign:
        print(f"Left alone {foreign} files or folders that are no features of glimpse.")
    if not _INDEX.value:
        print("Whether features are referred to was not looked at: there is no --index.")
    return 0


def _verified(cache):
    entries = cache.entries()
    total = sum(entry.num_bytes for entry in entries)
    bar = tqdm.tqdm(total=total, desc="verify", unit="B", unit_scale=True, disable=_JSON.value)
    with bar:
        return [cache.verify(entry, bar.update) for entry in entries]


def _totals(cache, entries):
    damaged = [entry for entry in entries if entry.damage is not None]
    steps = sum(entry.shape[0] for entry in entries if entry.shape is not None)
    text = (
        f"{cache.store.folder}: {len(entries)} entries, {steps} steps, "
        f"{_size(sum(entry.num_bytes for entry in entries))}, {len(damaged)} damaged"
    )
    if _INDEX.value:
        free = [entry for entry in entries if not entry.indices]
        size = _size(sum(entry.num_bytes for entry in free))
        text += f", {len(free)} ({size}) not referred to"
    return text + "."


def _print_absent(absent):
    if absent:
        print(f"{len(absent)} keys that an index refers to are not stored; extract again:")
    for number, (key, folders) in enumerate(absent.items()):
        if number == _SHOWN:
            print(f"  and {len(absent) - _SHOWN} more; --json prints all.")
            break
        print(f"  {key} of {', '.join(folders)}")


def _print_json(cache, entries, absent):
    values = {
        "cache": cache.store.folder,
        "num_bytes": sum(entry.num_bytes for entry in entries),
        "steps": sum(entry.shape[0] for entry in entries if entry.shape is not None),
        "damaged": sum(entry.damage is not None for entry in entries),
        "entries": [dataclasses.asdict(entry) for entry in entries],
        "absent": absent,
    }
    print(json.dumps(values, indent=1))


def _size(num_bytes):
    return f"{num_bytes / 1e6:.1f} MB"

"""What stands in the folder of a run, and whether a run may go on there."""

import dataclasses
import hashlib
import json
import pathlib

from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.initial_weights import find_initial_model

CONFIG_FILE, RESULTS_FILE = "config.json", "results.json"


def describe_run(config, index, attended=None):
    """Returns what decides a run's outcome, as `config.json` holds it.

    Args:
        config: A `TrainingConfig`, or a `CaptionConfig`.
        index: The `FeatureIndex` that it trains on.
        attended: That of the frames attended to, or None.

    Raises:
        FileNotFoundError: If `config.initialize_from` names nothing.
    """
    described = {}
    if getattr(config, "initialize_from", None):
        described["initial_weights_sha256"] = _hash_of_model(config.initialize_from)
    described |= {"features": _describe(index), **dataclasses.asdict(config)}
    if attended:
        described["attended_features"] = _describe(attended)
    return described


def describe_clips(index):
    """Returns what training reads of an index, wherever its files are."""
    clips = [dataclasses.asdict(clip) for clip in index.entries]
    for clip in clips:
        clip.pop("path")
    return [list(index.label_names), clips]


def is_finished(run, described, resume):
    """Checks the run that is in a folder, if there is one; True if nothing is left to do.

    Args:
        run: Path of the folder.
        described: What `describe_run` returned of the run that is wanted.
        resume: Whether to go on with the run that is there.

    Raises:
        ValueError: If there is one that is not to be resumed, or was made with other choices.
    """
    path = run / CONFIG_FILE
    if not path.exists():
        return False
    if not resume:
        raise ValueError(f"--run={run} already holds a run; go on with --resume or name another.")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); name another --run.") from error
    for name, (before, now) in _differences(found, json.loads(json.dumps(described))):
        raise ValueError(
            f"--resume: the run in {run} was made with {name}={before!r}, now it is {now!r}; "
            "resume with the same flags and features or name another --run."
        )
    return (run / RESULTS_FILE).exists()


def remove_leftovers(run):
    """Removes what a killed process was writing into the folder of a run."""
    for leftover in run.glob(".*.partial*"):
        leftover.unlink(missing_ok=True)


def _hash_of_model(source):
    path = pathlib.Path(find_initial_model(source))
    return file_sha256(path) if path.is_file() else None


def _describe(index):
    return {
        "dataset": index.dataset,
        "split_hash": index.split_hash,
        # Which clips there were to train on; fewer, if some failed or a limit was set.
        "clips_hash": hashlib.sha256(
            json.dumps(sorted((clip.split, clip.key) for clip in index.entries)).encode()
        ).hexdigest(),
        "backbone": index.backbone,
        "backbone_options": dict(index.backbone_options),
        "backbone_fingerprint": index.backbone_fingerprint,
        "dtype": str(index.dtype),
    }


def _differences(before, now):
    for name in now:
        if isinstance(now[name], dict) and isinstance(before.get(name), dict):
            yield from _differences(before[name], now[name])
        elif before.get(name) != now[name]:
            yield name, (before.get(name), now[name])

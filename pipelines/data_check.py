"""Decodes every file of a data set once, in several processes, and writes down what was found."""

import collections
import contextlib
import fcntl
import importlib.metadata
import json
import os
import pathlib

import tqdm

from glimpse.pipelines.manifest import Manifest
from glimpse.pipelines.manifest_records import ManifestRecords, segments_of
from glimpse.pipelines.video_check import check_video, file_state
from glimpse.pipelines.video_error import display_name
from glimpse.pipelines.watched_processes import LostJob, run_watched

# Enough for 8K video, far from what a header of a few bytes can claim.
PROCESS_MEMORY = 8 << 30


def check_data(
    clip_set,
    path,
    workers=None,
    min_frames=1,
    timeout=60.0,
    progress=True,
    folder=None,
    allow_damaged=False,
    check=check_video,
):
    """Decodes every file of a clip set once and writes the manifest of what was found.

    A file that ends its decoder's process, or keeps it from going on, has a record as well. An
    interrupted check goes on where it stopped: what is done is beside the manifest, in a file whose
    name ends in `.partial`, and holds as long as size and time of a video file are what they were.

    Args:
        clip_set: The `ClipSet` to check.
        path: The manifest to write; one that is there is replaced at the end.
        workers: Processes to decode in; None: as many as there are CPU cores.
        min_frames: Files and segments with fewer frames are short.
        timeout: Seconds after which a file of which no further frame comes is given up.
        progress: Whether to show a progress bar.
        folder: Paths inside it are written relative to it; None: all are absolute.
        allow_damaged: Whether a file with signs of missing frames counts as found, with its
            warnings, and not as corrupt.
        check: What is run on each file, a function as `check_video`.

    Returns:
        The `Manifest`.

    Raises:
        ValueError: If an argument is out of range, the clip set holds no clips, or another process
            is writing this manifest.
        FileNotFoundError: If the folder of `path` does not exist.
    """
    for name, value in (("min_frames", min_frames), ("workers", 1 if workers is None else workers)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value!r}.")
    if not timeout > 0:
        raise ValueError(f"timeout must be a number of seconds above 0, got {timeout!r}.")
    if not clip_set.clips and not clip_set.missing:
        raise ValueError(f"The data set {clip_set.name} holds no clips.")
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist: create it first.")
    clips_of = {}
    for clip in clip_set.clips:
        clips_of.setdefault(clip.path, []).append(clip)
    jobs = [{"path": file, "segments": segments_of(clips)} for file, clips in clips_of.items()]
    partial = path.with_name(f".{path.name}.partial")
    with _open_partial(partial) as file:
        facts = _checked_before(file, jobs)
        remaining = [number for number in range(len(jobs)) if number not in facts]
        bar = tqdm.tqdm(
            total=len(jobs), initial=len(facts), unit="file", disable=not progress, desc="check"
        )
        with (
            bar,
            contextlib.closing(
                run_watched(
                    check,
                    [jobs[number] for number in remaining],
                    workers or os.cpu_count() or 1,
                    timeout,
                    PROCESS_MEMORY,
                )
            ) as results,
        ):
            for position, result in results:
                number = remaining[position]
                facts[number] = _note(result, jobs[number], file)
                bar.update()
        records = ManifestRecords(folder, min_frames, allow_damaged)
        for number, clips in enumerate(clips_of.values()):
            records.add(clips, facts[number])
        records.add_missing(clip_set.missing)
        header = _header(clip_set, min_frames, allow_damaged, len(records.records))
        manifest = Manifest(header, tuple(records.records))
        manifest.save(path)
        partial.unlink()
    return manifest


def _header(clip_set, min_frames, allow_damaged, records):
    splits = [c.split for c in clip_set.clips] + [c["split"] for c in clip_set.missing]
    return {
        "dataset": clip_set.name,
        "protocol": clip_set.protocol,
        "split_name": clip_set.split_name,
        "split_hash": clip_set.split_hash,
        "expected": dict(collections.Counter(splits)),
        "left_out": clip_set.left_out,
        "unlisted": len(clip_set.unknown_files),
        "decoders": _decoders(),
        "min_frames": min_frames,
        "allow_damaged": allow_damaged,
        "records": records,
    }


def _decoders():
    """Versions of what may decode: files are checked anew where one is another."""
    versions = {}
    for name in ("opencv-python", "opencv-python-headless", "av"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@contextlib.contextmanager
def _open_partial(partial):
    with open(partial, "a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{display_name(partial)}: another check is writing it; wait for its end, or write "
                "to another file."
            ) from None
        yield file


def _checked_before(file, jobs):
    """{number of the job: facts} of an interrupted check, where they still hold.

    What holds is written anew, so that a line which the interruption cut off is gone.
    """
    numbers = {json.dumps(job): number for number, job in enumerate(jobs)}
    file.seek(0)
    lines, facts = file.read().splitlines(), {}
    file.seek(0)
    file.truncate()
    for line in lines:
        try:
            job, state, decoders, found = json.loads(line)
            number = numbers[json.dumps(job)]
            holds = state == file_state(job["path"]) and decoders == _decoders()
        except (KeyError, TypeError, ValueError, OSError):
            continue
        if holds:
            facts[number] = found
            file.write(line + "\n")
    file.flush()
    return facts


def _note(result, job, file):
    """The facts about a file, written down where another try would find the same."""
    if isinstance(result, LostJob):
        # Not written: memory may suffice, or a disk answer, when the check goes on.
        return {"status": "corrupt", "reason": str(result), "bytes": _size(job["path"])}
    if "state" in result:  # else the file was not even opened
        file.write(json.dumps([job, result["state"], _decoders(), result]) + "\n")
        file.flush()
    return result


def _size(path):
    try:
        return file_state(path)[0]
    except OSError:
        return None

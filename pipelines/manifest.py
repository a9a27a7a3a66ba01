"""What a check of a data set's files found: one JSON line a file, under a line about the check."""

import collections
import dataclasses
import json

from glimpse.pipelines.listed_clips import missing_clip
from glimpse.pipelines.partial_file import partial_file
from glimpse.pipelines.video_check import file_state
from glimpse.pipelines.video_error import display_name

FORMAT = "glimpse-manifest"
VERSION = 1
STATUSES = ("found", "missing", "corrupt", "short", "duplicate")
_HEADER_FIELDS = ("dataset", "split_name", "split_hash", "expected", "left_out", "unlisted")
_RECORD_FIELDS = ("path", "clip_ids", "splits", "status", "reason", "sha256", "bytes")


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The outcome of a check.

    Args:
        header: The first line, a dict: dataset, split_name, split_hash, expected, left_out,
            unlisted, decoders, min_frames, allow_damaged.
        records: The other lines, dicts, one for each video file and each missing clip.
    """

    header: dict
    records: tuple

    def unusable(self):
        """Dicts of clip_id, path, split, status and reason: the clips not to be used, in order.

        A clip is unusable where its file is missing, corrupt or short, where its segment holds too
        few frames, and where a file of another split has the same bytes.
        """
        found = []
        for record in self.records:
            status, reason = record["status"], record["reason"]
            whole = status in ("missing", "corrupt", "short") or record.get("across_splits")
            segments = record.get("segments") or [None] * len(record["clip_ids"])
            for clip_id, split, segment in zip(
                record["clip_ids"], record["splits"], segments, strict=True
            ):
                clip = {"clip_id": clip_id, "path": record["path"], "split": split}
                if whole:
                    found.append({**clip, "status": status, "reason": reason})
                elif segment and segment["reason"]:
                    found.append({**clip, "status": "short", "reason": segment["reason"]})
        return found

    def hashes(self, clips):
        """{path: SHA-256 that was checked} of `Clip`s, for `extract_features`."""
        found = {clip_id: r["sha256"] for r in self.records for clip_id in r["clip_ids"]}
        return {clip.path: found[clip.clip_id] for clip in clips}

    def save(self, path):
        """Writes the manifest, whole or not at all."""
        first = {"format": FORMAT, "version": VERSION, **self.header}
        with partial_file(path) as partial, open(partial, "w", encoding="ascii") as file:
            for value in (first, *self.records):
                file.write(json.dumps(value) + "\n")


def read_manifest(path):
    """Reads a manifest that `glimpse check-data` wrote.

    Args:
        path: The file.

    Returns:
        A `Manifest`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no manifest, or a line of it is damaged; the text names the line.
    """
    again = "write it again with `glimpse check-data`"
    header, records, seen = None, [], set()
    with open(path, "rb") as file:
        for number, line in enumerate(file, start=1):
            place = f"{display_name(path)} line {number}"
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"{place}: is not JSON ({error}); {again}.") from error
            needed = _RECORD_FIELDS if header else ("format", "version")
            _require(value, needed, place, again)
            if header is None:
                if value["format"] != FORMAT or value["version"] != VERSION:
                    raise ValueError(
                        f"{place}: is not the first line of a {FORMAT} of version {VERSION} "
                        f"(format {value['format']!r}, version {value['version']!r}); {again}."
                    )
                _require(value, _HEADER_FIELDS, place, again)
                header = {k: v for k, v in value.items() if k not in ("format", "version")}
                continue
            _check_record(value, seen, place, again)
            records.append(value)
    if header is None:
        raise ValueError(f"{display_name(path)}: is empty; {again}.")
    if len(records) != header.get("records", len(records)):
        raise ValueError(
            f"{display_name(path)}: holds {len(records)} records of the {header['records']} that "
            f"its first line announces; {again}."
        )
    return Manifest(header, tuple(records))


def _require(value, fields, place, again):
    if not isinstance(value, dict):
        raise ValueError(f"{place}: is not a JSON object; {again}.")
    for field in fields:
        if field not in value:
            raise ValueError(f"{place}: has no {field!r}; {again}.")


def _check_record(record, seen, place, again):
    if record["status"] not in STATUSES:
        raise ValueError(f"{place}: status {record['status']!r} is none of {STATUSES}; {again}.")
    lists = [record[name] for name in ("clip_ids", "splits", "segments") if name in record]
    if not all(isinstance(each, list) and len(each) == len(lists[0]) for each in lists):
        raise ValueError(f"{place}: clip_ids, splits and segments differ in length; {again}.")
    for clip_id in record["clip_ids"]:
        if clip_id in seen:
            raise ValueError(f"{place}: the clip {ascii(clip_id)} has a second record; {again}.")
        seen.add(clip_id)


def usable_clips(clip_set, manifest, allow_missing=0):
    """Returns the clip set with its unusable clips moved into `missing`.

    Args:
        clip_set: The `ClipSet` that was checked.
        manifest: The `Manifest` of that check.
        allow_missing: How many of the clips that the split lists may be unusable, those that are
            in `missing` already included.

    Returns:
        A `ClipSet`; each entry of `missing` says why, beginning with the status.

    Raises:
        ValueError: If more clips are unusable, the manifest is of another data set or split, has no
            record of a clip, or a file has another size than when it was checked. That its bytes
            are the same is for `extract_features` to see, given `Manifest.hashes`.
    """
    _refuse_another(clip_set, manifest.header)
    records = {clip_id: record for record in manifest.records for clip_id in record["clip_ids"]}
    unusable = {entry["clip_id"]: entry for entry in manifest.unusable()}
    kept, missing = [], list(clip_set.missing)
    for clip in clip_set.clips:
        if clip.clip_id not in records:
            raise ValueError(
                f"The manifest has no record of the clip {ascii(clip.clip_id)}; run "
                "`glimpse check-data` again."
            )
        if clip.clip_id in unusable:
            entry = unusable[clip.clip_id]
            missing.append(missing_clip(clip, f"{entry['status']}: {entry['reason']}"))
        else:
            _refuse_changed(clip, records[clip.clip_id]["bytes"])
            kept.append(clip)
    if len(missing) > allow_missing:
        total = len(clip_set.clips) + len(clip_set.missing)
        raise ValueError(
            f"{len(missing)} of {total} clips cannot be used ({_counts(missing)}), and "
            f"allow_missing is {allow_missing}. {_examples(missing)} Repair them, or allow "
            f"{len(missing)} to be left out."
        )
    return dataclasses.replace(clip_set, clips=tuple(kept), missing=tuple(missing))


def _refuse_another(clip_set, header):
    for field, words in (
        ("name", "data set"),
        ("split_name", "split"),
        ("split_hash", "list of clips (split_hash)"),
    ):
        here, there = getattr(clip_set, field), header["dataset" if field == "name" else field]
        if here != there:
            raise ValueError(
                f"The manifest is of another {words}: {there!r}, and the data set's is {here!r}; "
                "run `glimpse check-data` on this one."
            )


def _refuse_changed(clip, checked):
    try:
        now = file_state(clip.path)[0]
    except OSError as error:
        raise ValueError(
            f"{display_name(clip.path)}: was there when it was checked ({error.strerror}); run "
            "`glimpse check-data` again."
        ) from error
    if now != checked:
        raise ValueError(
            f"{display_name(clip.path)}: is not the file that was checked ({checked} bytes then, "
            f"{now} now); run `glimpse check-data` again."
        )


def _counts(missing):
    counts = collections.Counter(entry["split"] for entry in missing)
    return ", ".join(f"{count} in {split}" for split, count in counts.items())


def _examples(missing):
    shown = [f"{ascii(entry['clip_id'])}: {entry['reason']}" for entry in missing[:3]]
    return f"The first: {'; '.join(shown)}."

"""Turns what was found in each file into the records of a manifest."""

import os

from glimpse.pipelines.segment import Segment

_FACTS = (
    "num_frames",
    "width",
    "height",
    "frames_per_second",
    "seconds",
    "variable_rate",
    "sha256",
    "bytes",
    "decoder",
    "warnings",
)


def segments_of(clips):
    """The different segments of a file's clips, in order: [[start, end, unit], ...]."""
    segments = dict.fromkeys(clip.segment for clip in clips if clip.segment is not None)
    return [[segment.start, segment.end, segment.unit] for segment in segments]


class ManifestRecords:
    """Makes records of facts, in the order in which files are added.

    Args:
        folder: Paths inside it are written relative to it; None: all are absolute.
        min_frames: Files and segments with fewer frames are short.
        allow_damaged: Whether warnings of missing frames leave a file found.

    Attributes:
        records: The dicts so far, a list.
    """

    def __init__(self, folder, min_frames, allow_damaged):
        self.records = []
        self._folder = None if folder is None else os.path.abspath(os.fsdecode(folder))
        self._min_frames = min_frames
        self._allow_damaged = allow_damaged
        self._first_with = {}

    def add(self, clips, facts):
        """Adds the record of one file.

        Args:
            clips: The `Clip`s that are in the file.
            facts: What `check_video` returned, given the segments `segments_of(clips)`.
        """
        record = {
            "path": self._relative(clips[0].path),
            "clip_ids": [clip.clip_id for clip in clips],
            "splits": [clip.split for clip in clips],
            "status": facts["status"],
            "reason": facts["reason"],
            **{name: facts.get(name) for name in _FACTS},
        }
        if record["status"] == "found":
            self._judge(record, clips, facts)
        self.records.append(record)

    def add_missing(self, missing):
        """Adds a record for each entry of `ClipSet.missing`."""
        for clip in missing:
            self.records.append(
                {
                    "path": clip["path"] and self._relative(clip["path"]),
                    "clip_ids": [clip["clip_id"]],
                    "splits": [clip["split"]],
                    "status": "missing",
                    "reason": clip["reason"],
                    **dict.fromkeys(_FACTS),
                }
            )

    def _judge(self, record, clips, facts):
        if record["warnings"] and not self._allow_damaged:
            record["status"], record["reason"] = "corrupt", record["warnings"][0]
            return
        segmented = any(clip.segment is not None for clip in clips)
        if segmented:
            counts = dict(zip(map(tuple, segments_of(clips)), facts["segment_frames"], strict=True))
            record["segments"] = [
                self._segment(clip, counts, record["num_frames"]) for clip in clips
            ]
        if record["num_frames"] < self._min_frames and not segmented:
            record["status"], record["reason"] = "short", self._too_few(record["num_frames"])
            return
        first = self._first_with.setdefault(record["sha256"], record)
        if first is not record:
            splits = sorted({*first["splits"], *record["splits"]})
            record["status"] = "duplicate"
            record["reason"] = f"the same bytes as {ascii(first['path'])}"
            record["duplicate_of"] = first["path"]
            record["across_splits"] = len(splits) > 1
            if len(splits) > 1:
                record["reason"] += f", in two splits ({' and '.join(splits)})"

    def _segment(self, clip, counts, all_frames):
        segment = clip.segment or Segment()
        start, end, unit = segment.start, segment.end, segment.unit
        frames = counts[start, end, unit] if clip.segment else all_frames
        reason = None
        if frames < self._min_frames:
            place = f"the segment {segment} " if clip.segment else ""
            reason = place + self._too_few(frames)
        return {"start": start, "end": end, "unit": unit, "num_frames": frames, "reason": reason}

    def _too_few(self, frames):
        return f"has {frames} frames, fewer than min_frames={self._min_frames}"

    def _relative(self, path):
        if self._folder is None:
            return path
        relative = os.path.relpath(path, self._folder)
        return path if relative.startswith(os.pardir) else relative

"""Reads which frames of its video the edit list of an MP4 or QuickTime file hides.

ISO/IEC 14496-12: boxes (4.2), media (8.4), sample tables (8.6.1), edit lists (8.6.6). A decoder
decodes hidden frames and does not show them, so that fewer come out than the file holds.
"""

import dataclasses
import os

import numpy as np

_CONTAINERS = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"}
_MOOV_BYTES = 256 << 20
_MAX_SAMPLES = 1 << 27  # a damaged table may promise anything


@dataclasses.dataclass(frozen=True)
class EditScan:
    """What the edit list of a video track tells.

    Args:
        num_edits: Parts of the track that are shown, one after the other; 0 without a list.
        num_hidden: Frames that are in none of them.
    """

    num_edits: int = 0
    num_hidden: int = 0


def scan_edits(path):
    """Returns the `EditScan` of a file's first video track.

    Nothing is in it where there is no such list, or the file is no MP4 or QuickTime file.
    """
    with open(path, "rb") as file:
        moov = _find_moov(file, os.path.getsize(path))
    for track in _boxes(moov).get(b"trak", ()):
        boxes = _tree(track)
        if boxes.get(b"hdlr", b"")[8:12] == b"vide":
            return _scan_track(boxes, _tree(moov).get(b"mvhd", b""))
    return EditScan()


def _find_moov(file, size):
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length, start = int.from_bytes(header[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(header[8:16], "big"), 16
        if header[4:8] == b"moov":
            file.seek(position + start)
            return file.read(min(length - start, _MOOV_BYTES) if length else _MOOV_BYTES)
        if length < 8:
            break
        position += length
    return b""


def _boxes(data):
    """{name: list of contents} of the boxes one after the other in data."""
    found, position = {}, 0
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if length < 8:
            break
        name = data[position + 4 : position + 8]
        found.setdefault(name, []).append(data[position + 8 : position + length])
        position += length
    return found


def _tree(data, levels=5):
    """{name: content of the first such box} of the levels that matter here."""
    found = {}
    for name, contents in _boxes(data).items():
        found.setdefault(name, contents[0])
        if name in _CONTAINERS and levels:
            found = {**_tree(contents[0], levels - 1), **found}
    return found


def _scan_track(boxes, movie_header):
    movie_scale, media_scale = _time_scale(movie_header), _time_scale(boxes.get(b"mdhd", b""))
    edits = [edit for edit in _edits(boxes.get(b"elst", b"")) if edit[1] >= 0]
    times = np.cumsum(_runs(boxes.get(b"stts", b"")))
    if not edits or not len(times) or not movie_scale or not media_scale:
        return EditScan(len(edits))
    # The movie's clock, in which an edit's length is given, is coarser than the media's.
    slack = min(times[-1] / len(times) / 4, media_scale / movie_scale)
    times = np.concatenate([[0], times[:-1]])
    offsets = _runs(boxes.get(b"ctts", b""))
    if len(offsets) == len(times):
        times = times + offsets
    shown = np.zeros(len(times), bool)
    for duration, start in edits:
        # No duration: to the end.
        end = start + duration * media_scale / movie_scale - slack if duration else np.inf
        shown |= (times >= start - slack) & (times < end)
    return EditScan(len(edits), int(np.sum(~shown)))


def _time_scale(header):
    start = 20 if header[:1] == b"\x01" else 12
    return int.from_bytes(header[start : start + 4], "big")


def _runs(data):
    """The value of each sample, from a table of (count, value)."""
    count = min(int.from_bytes(data[4:8], "big"), (len(data) - 8) // 8)
    table = np.frombuffer(data[8 : 8 + 8 * max(0, count)], ">i4").reshape(-1, 2)
    if np.any(table[:, 0] < 0) or table[:, 0].sum() > _MAX_SAMPLES:
        return np.zeros(0, "int64")
    return np.repeat(table[:, 1].astype("int64"), table[:, 0])


def _edits(data):
    """(segment duration in movie time, media time) of each entry; -1: an empty edit."""
    count = int.from_bytes(data[4:8], "big")
    width = 8 if data[:1] == b"\x01" else 4
    entries, position = [], 8
    while len(entries) < count and position + 2 * width <= len(data):
        duration = int.from_bytes(data[position : position + width], "big")
        start = int.from_bytes(data[position + width : position + 2 * width], "big", signed=True)
        entries.append((duration, start))
        position += 2 * width + 4
    return entries

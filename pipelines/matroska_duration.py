"""Reads when the video of a Matroska or WebM file ends, by what its header says (RFC 9559)."""

import io
import os
import struct

MATROSKA_MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
_SEEK_HEAD, _SEEK, _SEEK_ID, _SEEK_POSITION = (
    b"\x11\x4d\x9b\x74",
    b"\x4d\xbb",
    b"\x53\xab",
    b"\x53\xac",
)
_INFO, _SCALE, _DURATION = b"\x15\x49\xa9\x66", b"\x2a\xd7\xb1", b"\x44\x89"
_TRACKS, _TRACK, _TRACK_TYPE, _TRACK_UID = b"\x16\x54\xae\x6b", b"\xae", b"\x83", b"\x73\xc5"
_TAGS, _TAG, _TARGETS, _TARGET_UID = b"\x12\x54\xc3\x67", b"\x73\x73", b"\x63\xc0", b"\x63\xc5"
_SIMPLE_TAG, _TAG_NAME, _TAG_TEXT = b"\x67\xc8", b"\x45\xa3", b"\x44\x87"
_CLUSTER = b"\x1f\x43\xb6\x75"
_VIDEO = 1
_MAX_BYTES = 16 << 20  # of one part of the header


def stated_video_end(path):
    """Seconds on the file's clock at which its video ends; None where that is not stated.

    The video track's own duration, which FFmpeg and mkvmerge write into its tags, else the file's
    where it holds no sound or other tracks, which may be longer.
    """
    with open(path, "rb") as file:
        if file.read(4) != MATROSKA_MAGIC:
            return None
        parts = _header_parts(file, os.fstat(file.fileno()).st_size)
    tracks = [
        _first_children(track) for name, track in _children(parts.get(_TRACKS)) if name == _TRACK
    ]
    is_video = [_integer(track.get(_TRACK_TYPE)) == _VIDEO for track in tracks]
    videos = {
        _integer(track.get(_TRACK_UID))
        for track, here in zip(tracks, is_video, strict=True)
        if here
    }
    durations = [seconds for uid, seconds in _tagged(parts.get(_TAGS)) if uid in videos]
    if durations:
        return min(durations)
    return _file_duration(parts.get(_INFO)) if tracks and all(is_video) else None


def read_length(file):
    """(value, bytes used) of the length of an element, which follows its identifier.

    The value is None where the length is unknown.
    """
    first = file.read(1)
    if not first or not first[0]:
        return None, 1
    count = 9 - first[0].bit_length()
    rest = file.read(count - 1)
    value = int.from_bytes(first + rest, "big") & ((1 << 7 * count) - 1)
    return (None if value == (1 << 7 * count) - 1 else value), count


def _header_parts(file, size):
    """{name: content} of what comes before the pictures, and of the tags wherever they are."""
    parts = {}
    length, _ = read_length(file)
    file.seek(length or 0, os.SEEK_CUR)
    if _read_name(file) != SEGMENT:
        return parts
    read_length(file)
    start = file.tell()
    while file.tell() < size:
        name, content = _read_element(file)
        if content is None or name == _CLUSTER:
            break
        parts.setdefault(name, content)
    if _TAGS not in parts:
        for name, seek in _children(parts.get(_SEEK_HEAD)):
            entry = _first_children(seek) if name == _SEEK else {}
            place = start + _integer(entry.get(_SEEK_POSITION))
            if entry.get(_SEEK_ID) == _TAGS and place < size:
                file.seek(place)
                name, content = _read_element(file)
                parts |= {_TAGS: content} if name == _TAGS and content else {}
    return parts


def _read_element(file):
    """(name, content); the content is None where there is no whole element."""
    name = _read_name(file)
    length, _ = read_length(file)
    if name == _CLUSTER or length is None:
        return name, None
    if length > _MAX_BYTES:
        file.seek(length, os.SEEK_CUR)
        return name, b""
    content = file.read(length)
    return name, content if len(content) == length else None


def _read_name(file):
    first = file.read(1)
    count = 9 - first[0].bit_length() if first and first[0] else 1
    return first + file.read(min(count, 4) - 1)


def _children(content):
    """Yields (name, content) of the elements in one."""
    file = io.BytesIO(content or b"")
    while file.tell() < len(file.getbuffer()):
        name, inner = _read_element(file)
        if inner is None:
            return
        yield name, inner


def _first_children(content):
    return dict(reversed(list(_children(content))))


def _integer(content):
    return int.from_bytes(content or b"", "big")


def _tagged(tags):
    """Yields (track, its duration in seconds)."""
    for tag in [content for name, content in _children(tags) if name == _TAG]:
        uid = _integer(_first_children(_first_children(tag).get(_TARGETS)).get(_TARGET_UID))
        for name, simple in _children(tag):
            entry = _first_children(simple) if name == _SIMPLE_TAG else {}
            if entry.get(_TAG_NAME) == b"DURATION":
                text = entry.get(_TAG_TEXT, b"").rstrip(b"\x00").decode("ascii", "replace")
                try:
                    hours, minutes, seconds = text.split(":")
                    yield uid, 3600 * int(hours) + 60 * int(minutes) + float(seconds)
                except ValueError:
                    continue


def _file_duration(info):
    entry = _first_children(info)
    duration = entry.get(_DURATION, b"")
    if len(duration) not in (4, 8):
        return None
    (ticks,) = struct.unpack(">f" if len(duration) == 4 else ">d", duration)
    return ticks * (_integer(entry.get(_SCALE)) or 1_000_000) / 1e9

"""Decodes one video to its end and says what was found in it."""

import bisect
import os
import time

from glimpse.pipelines.file_check import refuse_other_files
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.stream_damage import can_find_damage, find_damage, find_picture_damage
from glimpse.pipelines.video_error import VideoError, display_name
from glimpse.pipelines.video_source import open_video, video_sha256

# A disk or network slower than this is taken to hang while a file is hashed.
_BYTES_PER_SECOND = 2_000_000
# The search for damage decodes the video again; so many times as long may it take.
_DAMAGE_SHARE = 10


def check_video(job, progress):
    """Decodes a video from its first frame to its last.

    Where PyAV is installed and OpenCV noticed nothing, PyAV looks for damage inside the packets
    and JPEG pictures.

    Args:
        job: Dict of path, an absolute path, and segments, a list of [start, end, unit].
        progress: `progress()` is called at each frame, `progress(seconds)` before a step that may
            take so long.

    Returns:
        A dict that JSON can hold: status ("found", "missing" or "corrupt"), reason (None where
        found), bytes and, where known, state (as `file_state` has it,
        before the file was read), sha256, decoder, num_frames, width, height,
        frames_per_second, seconds (to the end of the last frame), variable_rate, warnings and
        segment_frames (frames in each of the segments).
    """
    path = job["path"]
    if not os.path.lexists(path):
        return {"status": "missing", "reason": "there is no such file", "bytes": None}
    if not os.path.exists(path) and os.path.islink(path) and not _loops(path):
        return {"status": "missing", "reason": "the link points to no file", "bytes": None}
    facts = {"status": "found", "reason": None, "bytes": None}
    try:
        refuse_other_files(path)
        before = file_state(path)
        facts |= {"bytes": before[0], "state": before}
        progress(before[0] / _BYTES_PER_SECOND)
        facts["sha256"] = video_sha256(path)
        # Its index may have to be made from the whole file.
        progress(before[0] / _BYTES_PER_SECOND)
        began = time.monotonic()
        with open_video(path, threads=1) as reader:
            for _ in reader:
                progress()
            progress(_DAMAGE_SHARE * (time.monotonic() - began))
            facts |= _facts(reader, [Segment(*segment) for segment in job["segments"]])
        if file_state(path) != before:
            raise VideoError("the file changed while it was read; check it again once it is whole")
    except MemoryError:
        return facts | _corrupt("decoding it needs more memory than a process may take", path)
    except Exception as error:  # whatever a damaged file makes a decoder raise is about the file
        if isinstance(error, OSError) and error.strerror:
            text = f"{_picture_in(path, error.filename)}cannot be read ({error.strerror})"
        else:
            text = (
                str(error) if isinstance(error, VideoError) else f"{type(error).__name__}: {error}"
            )
        return facts | _corrupt(text, path)
    return facts


def file_state(path):
    """[bytes, time of the last change in nanoseconds], which tell an unchanged file or folder.

    Raises:
        OSError: If it cannot be read.
    """
    states = counted = [os.stat(path)]
    if os.path.isdir(path):
        # What `video_sha256` reads.
        counted = [os.stat(entry.path) for entry in os.scandir(path) if entry.is_file()]
        states = states + counted
    return [sum(s.st_size for s in counted), max(s.st_mtime_ns for s in states)]


def _picture_in(path, file):
    """Names the file of a folder that an error is about, as the first word of its reason."""
    if not isinstance(file, (str, bytes)) or os.fsdecode(file) == os.fsdecode(path):
        return ""
    return f"the picture {ascii(os.path.basename(os.fsdecode(file)))} "


def _loops(path):
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _corrupt(text, path):
    """Without the path, which the manifest has in its own place and relative."""
    name = display_name(path)
    text = text.removeprefix(f"{name}: ").replace(name, os.path.basename(name))
    return {"status": "corrupt", "reason": " ".join(text.split()) or "cannot be decoded"}


def _facts(reader, segments):
    times = reader.frame_times
    seconds = times[-1] + 1 / reader.frames_per_second if len(times) else 0.0
    return {
        "decoder": reader.decoder,
        "num_frames": reader.num_frames,
        "width": reader.width,
        "height": reader.height,
        "frames_per_second": reader.frames_per_second,
        "seconds": round(seconds, 6),
        "variable_rate": reader.variable_rate,
        "warnings": [_corrupt(warning, reader.path)["reason"] for warning in _warnings(reader)],
        "segment_frames": [_frames_in(segment, times) for segment in segments],
    }


def _warnings(reader):
    if reader.warnings or reader.decoder.startswith("pyav") or not can_find_damage():
        return reader.warnings
    if hasattr(reader, "encoded_pictures"):
        return find_picture_damage(reader.path)
    try:
        return find_damage(reader.path, threads=1)
    except VideoError:  # OpenCV alone reads it: nothing is told of its inside
        return []


def _frames_in(segment, times):
    if segment.unit == "frames":
        end = len(times) if segment.end is None else min(segment.end, len(times))
        return int(max(0, end - segment.start))
    end = len(times) if segment.end is None else bisect.bisect_left(times, segment.end)
    return end - bisect.bisect_left(times, segment.start)

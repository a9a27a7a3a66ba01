"""Finds the frames of a Norpix .seq file and their time stamps, without decoding any."""

import array
import os
import struct

import numpy as np

from glimpse.pipelines.frame_rate import MAX_FRAMES_PER_SECOND
from glimpse.pipelines.seq_header import HEADER_SIZE

_MAGIC = {"jpeg": b"\xff\xd8", "png": b"\x89PNG"}
_LENGTH = struct.Struct("<I")
_STAMP = struct.Struct("<IH")
# Stamps are whole milliseconds, each rounded.
_ROUNDING = 0.0011
# Below this, in frames per second, what stands in the place of the stamps is no time.
_MIN_RATE = 0.01


class SeqIndex:
    """Where each frame of a file begins, and when it was taken.

    Frames of compressed pictures are found one after the other, to the end of the file, whatever
    number the header states. Raw ones have no mark of their own: there are as many as the header
    states, or as the file has room for where it states none. Memory is 16 bytes a frame.

    Args:
        file: The file, open for reading in binary.
        header: Its `SeqHeader`.

    Attributes:
        offsets: Where the frames begin in the file, an array.
        stamps: Seconds at which the frames were taken, an array; empty where there are none.
        fault: What is wrong after the last frame, in words, or None.
    """

    def __init__(self, file, header):
        self._descriptor = file.fileno()
        self._end = os.fstat(self._descriptor).st_size
        self._header = header
        self.offsets = array.array("q")
        self.stamps = array.array("d")
        self.fault = None
        if header.kind == "raw":
            self._find_raw()
        else:
            self._find_compressed()

    def frame_times(self):
        """Seconds from the first frame to each, a float64 array.

        None where the stamps are not there, do not rise from frame to frame, or give no rate that
        a camera has.
        """
        times = np.array(self.stamps)
        if len(times) < 2 or (np.diff(times) <= 0).any():
            return None
        times -= times[0]
        rate = (len(times) - 1) / times[-1]
        return times if _MIN_RATE <= rate <= MAX_FRAMES_PER_SECOND else None

    def frame_rate(self):
        """Frames per second: the stated ones where the stamps agree, else the stamps' mean rate.

        None where there is neither.
        """
        stated, times = self._header.frames_per_second, self.frame_times()
        if not 0 < stated <= MAX_FRAMES_PER_SECOND:
            stated = None
        if times is None:
            return stated
        if stated is not None:
            off = np.abs(times - np.arange(len(times)) / stated)
            if off.max() <= _ROUNDING:
                return stated
        return float((len(times) - 1) / times[-1])

    def _find_compressed(self):
        stated, magic = self._header.num_frames, _MAGIC[self._header.kind]
        position, after = HEADER_SIZE, None
        while True:
            head = os.pread(self._descriptor, _LENGTH.size + len(magic), position)
            length = _LENGTH.unpack_from(head)[0] if len(head) >= _LENGTH.size else 0
            is_frame = head[_LENGTH.size :] == magic and length > _LENGTH.size + len(magic)
            stamp_at = position + length
            if not is_frame or stamp_at + _STAMP.size > self._end:
                break
            self._add(position, stamp_at)
            if after is None:
                after = self._bytes_after(stamp_at)
            position = stamp_at + after
        found, left = len(self.offsets), max(0, self._end - position)
        if is_frame:
            self.fault = f"it is cut off in frame {found + 1}"
        elif found < stated:
            what = "is damaged" if left else "is missing"
            self.fault = f"frame {found + 1}, at byte {position}, {what}"
        elif not stated and any(os.pread(self._descriptor, _STAMP.size + 10, position)):
            self.fault = f"{left} bytes after the last frame are no frame"
        if self.fault and stated:
            self.fault += f" of {stated}"

    def _find_raw(self):
        stride, image_bytes = self._header.stride, self._header.image_bytes
        stamped = stride >= image_bytes + _STAMP.size
        frame_bytes = image_bytes + _STAMP.size * stamped
        room = max(0, (self._end - HEADER_SIZE - frame_bytes) // stride + 1)
        stated = self._header.num_frames
        for number in range(min(stated or room, room)):
            position = HEADER_SIZE + number * stride
            self._add(position, position + image_bytes if stamped else None)
        left = self._end - HEADER_SIZE - room * stride
        if stated > room or (not stated and left > 0):
            self.fault = f"it is cut off in frame {room + 1}" + (f" of {stated}" if stated else "")
        elif stated and room > stated:
            self.fault = f"its header states {stated} frames, and there is room for {room}"

    def _add(self, position, stamp_at):
        self.offsets.append(position)
        if stamp_at is not None:
            seconds, milliseconds = _STAMP.unpack(os.pread(self._descriptor, _STAMP.size, stamp_at))
            self.stamps.append(seconds + milliseconds / 1000)

    def _bytes_after(self, stamp_at):
        """How many bytes lie between a picture's end and the next frame: 8, or 16 with a pad."""
        following = os.pread(self._descriptor, _LENGTH.size, stamp_at + 8)
        return 8 if any(following) else 16

"""Reads a stream's packets without decoding them: how many, when they are shown, which sizes."""

import array
import dataclasses

import cv2
import numpy as np

from glimpse.pipelines.sequence_headers import VP8_CODES, picture_size, states_size

# Codecs show a picture at most 16 places from where it is decoded; fields count twice.
_MAX_REORDERED = 32


@dataclasses.dataclass(frozen=True)
class PacketScan:
    """What the packets of a video stream tell.

    Args:
        num_pictures: Packets that are to be shown.
        times: Seconds of each packet's presentation, in the order of decoding, an array; NaN where
            a packet has none.
        keys: Whether each begins with a picture that needs no other one, an array.
        sizes: {(width, height) of pictures as coded}, of the key frames; empty where unknown.
    """

    num_pictures: int
    times: array.array
    keys: array.array
    sizes: frozenset

    @property
    def jumps_back(self):
        """Whether the times begin anew on the way, as where two recordings were joined.

        Pictures are decoded in another order than they are shown in, but by a few places, and none
        before a key frame is shown after it.
        """
        times = np.asarray(self.times)
        known = np.isfinite(times)
        times, keys = times[known], np.asarray(self.keys, bool)[known]
        if np.any(keys[1:] & (times[1:] < np.maximum.accumulate(times)[:-1])):
            return True
        moved = np.argsort(times, kind="stable") - np.arange(len(times))
        return bool(np.abs(moved).max(initial=0) > _MAX_REORDERED)

    @property
    def frame_times(self):
        """Seconds from the first frame to each, in the order of display; None where not told."""
        times = np.sort(np.asarray(self.times))
        if len(times) != self.num_pictures or not len(times) or not np.isfinite(times[-1]):
            return None
        if self.jumps_back or not np.all(np.diff(times) > 0):
            return None
        return np.round(times - times[0], 6)  # as FrameClock gives them


def scan_packets(capture, codec):
    """Returns the `PacketScan` of a capture that was opened with `CAP_PROP_FORMAT` = -1.

    Args:
        capture: A `cv2.VideoCapture` before its first packet.
        codec: The four-character code of the stream.
    """
    times, keys, hidden, sizes = array.array("d"), array.array("b"), 0, set()
    has_hidden, has_size = codec.lower() in VP8_CODES, states_size(codec)
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        keys.append(bool(capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME)))
        is_key = has_size and keys[-1]
        if is_key or has_hidden:
            success, packet = capture.retrieve()
            data = packet.tobytes() if success and packet is not None else b""
            # RFC 6386, 9.1: the frame tag's show_frame bit.
            hidden += has_hidden and bool(data) and not data[0] & 0x10
            size = picture_size(codec, data) if is_key else None
            sizes |= {size} if size else set()
    return PacketScan(len(times) - hidden, times, keys, frozenset(sizes))

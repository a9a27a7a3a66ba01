"""Reads a stream's packets without decoding them: how many, when they are shown, which sizes."""

import array
import dataclasses

import cv2
import numpy as np

from glimpse.pipelines.sequence_headers import VP8_CODES, picture_size, states_size


@dataclasses.dataclass(frozen=True)
class PacketScan:
    """What the packets of a video stream tell.

    Args:
        num_pictures: Packets that are to be shown.
        times: Seconds of each packet's presentation, in the order of decoding, an array.
        sizes: {(width, height) of pictures as coded}, of the key frames; empty where unknown.
    """

    num_pictures: int
    times: array.array
    sizes: frozenset

    @property
    def frame_times(self):
        """Seconds from the first frame to each, in the order of display; None where not told."""
        times = np.sort(np.asarray(self.times))
        if len(times) != self.num_pictures or not len(times) or not np.all(np.diff(times) > 0):
            return None
        return np.round(times - times[0], 6)  # as FrameClock gives them


def scan_packets(capture, codec):
    """Returns the `PacketScan` of a capture that was opened with `CAP_PROP_FORMAT` = -1.

    Args:
        capture: A `cv2.VideoCapture` before its first packet.
        codec: The four-character code of the stream.
    """
    times, hidden, sizes = array.array("d"), 0, set()
    has_hidden, has_size = codec.lower() in VP8_CODES, states_size(codec)
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
        is_key = has_size and capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME)
        if is_key or has_hidden:
            success, packet = capture.retrieve()
            data = packet.tobytes() if success and packet is not None else b""
            # RFC 6386, 9.1: the frame tag's show_frame bit.
            hidden += has_hidden and bool(data) and not data[0] & 0x10
            size = picture_size(codec, data) if is_key else None
            sizes |= {size} if size else set()
    return PacketScan(len(times) - hidden, times, frozenset(sizes))

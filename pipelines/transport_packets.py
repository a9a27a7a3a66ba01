"""Counts the damaged and missing packets of an MPEG transport stream (ISO/IEC 13818-1, 2.4.3)."""

import numpy as np

# Bytes of a packet and where it begins in them: plain, after a time code (M2TS), before error
# correction.
_LAYOUTS = ((188, 0), (192, 4), (204, 0))
_PACKETS_AT_ONCE = 1 << 16
_EMPTY_PACKETS = 0x1FFF


def packet_layout(file):
    """(bytes of a packet, where it begins in them) of an open file; None for other files."""
    file.seek(0)
    start = file.read(4096)
    for length, offset in _LAYOUTS:
        sync = start[offset::length]
        if len(sync) > 2 and sync == b"G" * len(sync):
            return length, offset
    return None


def count_broken_packets(path):
    """How many packets lost their sync byte, are marked as wrong, or break their count.

    Each packet of a stream counts one more than the one before, modulo 16; a packet may come
    twice. 0 for files that are no transport streams.
    """
    broken, last = 0, {}
    with open(path, "rb") as file:
        layout = packet_layout(file)
        if layout is None:
            return 0
        length, offset = layout
        file.seek(0)
        while block := file.read(length * _PACKETS_AT_ONCE):
            block = block[: len(block) // length * length]
            heads = np.frombuffer(block, np.uint8).reshape(-1, length)[:, offset : offset + 4]
            wrong = (heads[:, 0] != 0x47) | (heads[:, 1] & 0x80 > 0)
            broken += int(wrong.sum())
            heads = heads[~wrong & (heads[:, 3] & 0x10 > 0)]
            streams = (heads[:, 1].astype("int32") & 0x1F) << 8 | heads[:, 2]
            for stream in np.unique(streams):
                if stream == _EMPTY_PACKETS:
                    continue
                counts = heads[streams == stream, 3].astype("int32") & 0x0F
                steps = np.diff(counts, prepend=last.get(stream, counts[0])) % 16
                broken += int(np.sum(steps > 1))
                last[stream] = int(counts[-1])
    return broken

"""Tells from a container's own sizes whether a video file was cut off.

A decoder shows a cut as an ordinary end of the video. The outermost boxes of MP4
and QuickTime (ISO/IEC 14496-12, 4.2), AVI (RIFF) and Matroska (RFC 9559) say how
long they are, so a file that is shorter was cut off. Transport streams consist of packets of one
length, and program streams of packets that state their own (ISO/IEC 13818-1, 2.4.3.2 and 2.5.3.3),
so that a cut inside a packet shows; one between packets does not, and in raw streams none does.
"""

import os

from glimpse.pipelines.matroska_duration import MATROSKA_MAGIC, SEGMENT, read_length
from glimpse.pipelines.transport_packets import packet_layout

_PACK_START = b"\x00\x00\x01\xba"
_PROGRAM_TAIL = 1 << 20
_BOX_NAMES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof"}
# Those that other boxes come before.
_LATER_BOX_NAMES = _BOX_NAMES | {b"mfra", b"sidx", b"ssix", b"uuid", b"meta", b"prft", b"emsg"}


def missing_bytes(path):
    """Bytes that the container promises beyond the end of the file; 0 where none or unknown."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(12)
        if start[4:8] in _BOX_NAMES:
            return _missing_in_boxes(file, size)
        if start[:4] == b"RIFF":
            return _missing_in_riff(file, size)
        if start[:4] == MATROSKA_MAGIC:
            return _missing_in_matroska(file, size)
        if start[:4] == _PACK_START:
            return _missing_in_program_stream(file, size)
        return _missing_in_transport_stream(file, size)


def counts_samples(path):
    """True for MP4 and QuickTime, whose header lists every sample of the video track."""
    with open(path, "rb") as file:
        return file.read(8)[4:8] in _BOX_NAMES


def _missing_in_transport_stream(file, size):
    layout = packet_layout(file)
    return 0 if layout is None else -size % layout[0]


def _missing_in_program_stream(file, size):
    file.seek(max(0, size - _PROGRAM_TAIL))
    tail = file.read()
    position = tail.rfind(_PACK_START)
    while 0 <= position <= len(tail) - 6 and tail[position : position + 3] == b"\x00\x00\x01":
        identifier = tail[position + 3]
        if identifier == 0xB9:  # the end of the program
            return 0
        if identifier == 0xBA:
            # MPEG-2 packs may be stuffed, MPEG-1 packs have one length.
            is_second = tail[position + 4] >> 6 == 1
            stuffing = tail[position + 13 : position + 14]
            length = 14 + (stuffing[0] & 7 if stuffing else 0) if is_second else 12
        else:
            length = 6 + int.from_bytes(tail[position + 4 : position + 6], "big")
        position += length
    return max(0, position - len(tail))


def _missing_in_boxes(file, size):
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # 0: the box runs to the end of the file; others are no box
            return 0
        if position + length > size and header[4:8] not in _LATER_BOX_NAMES:
            return 0  # what something else appended to the file
        position += length
    return max(0, position - size)


def _missing_in_riff(file, size):
    position = 0
    while position + 8 <= size:  # files above 1 GiB hold several RIFF chunks
        file.seek(position)
        header = file.read(8)
        if header[:4] != b"RIFF":
            return 0
        length = int.from_bytes(header[4:8], "little")
        if length in (0, 0xFFFFFFFF):  # a recorder that was never closed
            return 0
        position += 8 + length
    return max(0, position - size)


def _missing_in_matroska(file, size):
    file.seek(4)
    header_length, header_bytes = read_length(file)
    position = 4 + header_bytes + header_length
    while position + 5 <= size:
        file.seek(position)
        identifier = file.read(4)
        length, length_bytes = read_length(file)
        if length is None:
            return 0
        if identifier == SEGMENT:
            return max(0, position + 4 + length_bytes + length - size)
        position += 4 + length_bytes + length
    return 0

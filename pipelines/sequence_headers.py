"""Reads the headers that say how a stream's pictures are coded.

ITU-T H.264 (7.3.2.1.1), ITU-T H.265 (7.3.2.2), ISO/IEC 13818-2 = H.262 (6.2.2.1), ISO/IEC
14496-2 = MPEG-4 part 2 (6.2.3), RFC 6386 (VP8, 9.1) and the VP9 bitstream specification (6.2).
"""

import collections

from glimpse.pipelines.header_bits import HeaderBits, header_units, without_emulation_prevention

H264_CODES = frozenset({"h264", "avc1", "avc3", "x264", "davc", "vssh"})
HEVC_CODES = frozenset({"hevc", "hvc1", "hev1", "h265", "x265"})
MPEG4_CODES = frozenset({"fmp4", "mp4v", "xvid", "divx", "dx50", "m4s2", "mp4s"})
VP8_CODES = frozenset({"vp80", "vp8"})
_VP9_CODES = frozenset({"vp90", "vp09", "vp9"})
_MPEG2_CODES = frozenset({"mpg1", "mpg2", "mpeg", "m1v1", "m2v1", "mpeg1video", "mpeg2video"})
_H264_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}

# One picture's size is in macroblocks; frames_only and adaptive are the flags of 7.4.2.1.1.
H264Sequence = collections.namedtuple(
    "H264Sequence", "log2_max_frame_num separate_planes frames_only adaptive size"
)
Mpeg4Layer = collections.namedtuple("Mpeg4Layer", "interlaced size")


def picture_size(codec, packet):
    """(width, height) by which a key frame's own headers call its pictures, or None.

    The numbers serve to notice that the size changes: they are in pixels or in macroblocks.

    Args:
        codec: The four-character code of the stream.
        packet: Bytes of a key frame.
    """
    codec = codec.lower()
    try:
        if codec in H264_CODES:
            sequence = read_h264_sequence(packet)
            return sequence and sequence.size
        if codec in HEVC_CODES:
            return _hevc_size(packet)
        if codec in MPEG4_CODES:
            layer = read_mpeg4_layer(packet)
            return layer and layer.size
        if codec in VP8_CODES:
            return _vp8_size(packet)
        if codec in _VP9_CODES:
            return _vp9_size(packet)
        return _mpeg2_size(packet)
    except ValueError:
        return None


def states_size(codec):
    """Whether `picture_size` knows the codec."""
    known = H264_CODES | HEVC_CODES | MPEG4_CODES | VP8_CODES | _VP9_CODES | _MPEG2_CODES
    return codec.lower() in known


def read_h264_sequence(data):
    """The first sequence parameter set in avcC or between start codes, or None."""
    if data[:1] == b"\x01" and len(data) > 8:  # avcC: ISO/IEC 14496-15, 5.3.3.1
        length = int.from_bytes(data[6:8], "big")
        units = [data[8 : 8 + length]]
    else:
        units = header_units(data)
    for unit in units:
        if unit[0] & 31 != 7:
            continue
        bits = HeaderBits(without_emulation_prevention(unit[1:]))
        profile = bits.read(8)
        bits.read(16)
        bits.unsigned()
        separate_planes = 0
        if profile in _H264_HIGH_PROFILES:
            chroma_format = bits.unsigned()
            if chroma_format == 3:
                separate_planes = bits.read(1)
            bits.unsigned()
            bits.unsigned()
            bits.read(1)
            if bits.read(1):
                _skip_scaling_lists(bits, 12 if chroma_format == 3 else 8)
        log2_max_frame_num = bits.unsigned() + 4
        order_count_type = bits.unsigned()
        if order_count_type == 0:
            bits.unsigned()
        elif order_count_type == 1:
            bits.read(1)
            bits.signed()
            bits.signed()
            for _ in range(bits.unsigned()):
                bits.signed()
        bits.unsigned()
        bits.read(1)
        size = bits.unsigned() + 1, bits.unsigned() + 1
        frames_only = bits.read(1)
        adaptive = 0 if frames_only else bits.read(1)
        return H264Sequence(log2_max_frame_num, separate_planes, frames_only, adaptive, size)
    return None


def _skip_scaling_lists(bits, count):
    for index in range(count):
        if not bits.read(1):
            continue
        last, following = 8, 8
        for _ in range(16 if index < 6 else 64):
            if following:
                following = (last + bits.signed()) % 256
            last = following or last


def read_mpeg4_layer(headers):
    """The first video object layer, or None."""
    for unit in header_units(headers):
        if not 0x20 <= unit[0] <= 0x2F:
            continue
        bits = HeaderBits(unit[1:])
        bits.read(9)
        if bits.read(1):
            bits.read(7)
        if bits.read(4) == 15:
            bits.read(16)
        if bits.read(1):
            bits.read(3)
            if bits.read(1):
                bits.read(79)
        if bits.read(2):  # not a rectangular layer
            return None
        bits.read(1)
        ticks = bits.read(16)
        bits.read(1)
        if bits.read(1):
            bits.read(max(1, (ticks - 1).bit_length()))
        bits.read(1)
        width = bits.read(13)
        bits.read(1)
        height = bits.read(13)
        bits.read(1)
        return Mpeg4Layer(bool(bits.read(1)), (width, height))
    return None


def _hevc_size(packet):
    for unit in header_units(packet[:4096]):
        if unit[0] >> 1 & 63 != 33:
            continue
        bits = HeaderBits(without_emulation_prevention(unit[2:]))
        bits.read(4)
        sub_layers = bits.read(3)
        bits.read(1 + 96)
        present = [(bits.read(1), bits.read(1)) for _ in range(sub_layers)]
        bits.read(2 * (8 - sub_layers) if sub_layers else 0)
        for profile, level in present:
            bits.read(88 * profile + 8 * level)
        bits.unsigned()
        if bits.unsigned() == 3:
            bits.read(1)
        return bits.unsigned(), bits.unsigned()
    return None


def _mpeg2_size(packet):
    start = packet.find(b"\x00\x00\x01\xb3")
    if start < 0 or start + 7 > len(packet):
        return None
    size = int.from_bytes(packet[start + 4 : start + 7], "big")
    return size >> 12, size & 0xFFF


def _vp8_size(packet):
    if len(packet) < 10 or packet[3:6] != b"\x9d\x01\x2a":
        return None
    return (
        int.from_bytes(packet[6:8], "little") & 0x3FFF,
        int.from_bytes(packet[8:10], "little") & 0x3FFF,
    )


def _vp9_size(packet):
    bits = HeaderBits(packet[:32])
    bits.read(2)
    profile = bits.read(1) | bits.read(1) << 1
    bits.read(profile == 3)
    if bits.read(1) or bits.read(1):  # an existing frame is shown, or no key frame
        return None
    bits.read(2)
    if bits.read(24) != 0x498342:
        return None
    bits.read(profile >= 2)
    if bits.read(3) != 7:
        bits.read(1 + 3 * (profile in (1, 3)))
    else:
        bits.read(2 * (profile in (1, 3)))
    return bits.read(16) + 1, bits.read(16) + 1

"""Tells from a codec's own headers whether a video stream is interlaced.

OpenCV 5 answers True to `read` for an interlaced frame and hands out
uninitialised memory, and none of its properties says so. The parameter sets that
precede the pictures do say it: ITU-T H.264 (7.3.2.1.1, 7.3.3), H.262 = MPEG-2
(6.2.2.3, 6.2.3.1), H.265 (7.3.3) and ISO/IEC 14496-2 = MPEG-4 part 2 (6.2.3).
"""

from glimpse.pipelines.header_bits import HeaderBits, header_units, without_emulation_prevention
from glimpse.pipelines.sequence_headers import (
    H264_CODES,
    HEVC_CODES,
    MPEG4_CODES,
    read_h264_sequence,
    read_mpeg4_layer,
)

_DV_CODES = {"dvsd", "dv25", "dv50", "dvcp", "dvc", "dvc ", "dvhd", "dvh1", "dvpp", "dvis", "dvsl"}
# ProRes (SMPTE RDD 36, 5.1.1) and DNxHD (SMPTE ST 2019-1, 5.2) say it in each picture.
_PRORES_CODES = {"apco", "apcs", "apcn", "apch", "ap4h", "ap4x"}
_DNXHD_CODES = {"avdn"}
# Codecs without fields.
_PROGRESSIVE_CODES = {"vp80", "vp90", "vp09", "av01", "gif", "png", "mpng", "theo", "cvid", "svq1"}


def is_interlaced(codec, extradata, read_packets):
    """True where the headers say that the stream's pictures are (or hold) fields.

    Args:
        codec: The four-character code of the stream, as `CAP_PROP_FOURCC` spells it.
        extradata: The codec's parameter sets, bytes; may be empty.
        read_packets: A function without arguments that yields the first packets of
            the stream as bytes. It is called only where the parameter sets leave
            the question open, because it opens the file a second time.

    Streams in other codecs, or with headers that cannot be parsed, count as
    progressive; `tells_fields` says of which codecs nothing can be told.
    """
    codec = codec.lower()
    try:
        if codec in _DV_CODES:
            return True
        if codec in H264_CODES:
            return _h264_is_interlaced(extradata, read_packets)
        if codec in HEVC_CODES:
            return _hevc_is_interlaced(extradata)
        if codec in MPEG4_CODES:
            layer = read_mpeg4_layer(extradata or b"".join(read_packets()))
            return layer is not None and layer.interlaced
        if codec in _PRORES_CODES or codec in _DNXHD_CODES:
            packet = next(iter(read_packets()), b"").ljust(21, b"\0")
            return bool(packet[20] & 0x0C if codec in _PRORES_CODES else packet[5] & 0x02)
        if b"\x00\x00\x01\xb3" in extradata:
            return _mpeg2_is_interlaced(extradata, read_packets)
    except ValueError:
        return False
    return False


def tells_fields(codec, extradata):
    """Whether `is_interlaced` can tell: VC-1, FFV1 and Motion JPEG, say, may hide fields."""
    codec = codec.lower()
    told = H264_CODES | HEVC_CODES | MPEG4_CODES | _DV_CODES | _PRORES_CODES | _DNXHD_CODES
    return codec in told | _PROGRESSIVE_CODES or b"\x00\x00\x01\xb3" in extradata


def _h264_is_interlaced(extradata, read_packets):
    sequence = read_h264_sequence(extradata) or read_h264_sequence(b"".join(read_packets()))
    if sequence is None:
        return False
    if sequence.frames_only or sequence.adaptive:
        return not sequence.frames_only
    # Fields are allowed; many encoders allow them and then write whole frames.
    for packet in read_packets():
        for unit in header_units(packet):
            if unit[0] & 31 in (1, 5):
                bits = HeaderBits(without_emulation_prevention(unit[1:32]))
                for _ in range(3):
                    bits.unsigned()
                bits.read(2 * sequence.separate_planes + sequence.log2_max_frame_num)
                if bits.read(1):
                    return True
    return False


def _hevc_is_interlaced(extradata):
    flags = None
    if extradata[:1] == b"\x01" and len(extradata) > 6:  # hvcC: ISO/IEC 14496-15, 8.3.3.1
        flags = extradata[6]
    else:
        for unit in header_units(extradata):
            if unit[0] >> 1 & 63 == 33:
                header = without_emulation_prevention(unit[:16])
                flags = header[8] if len(header) > 8 else None
    return flags is not None and bool(flags & 0x40) and not flags & 0x80


def _mpeg2_is_interlaced(extradata, read_packets):
    extensions = [unit for unit in header_units(extradata) if unit[0] == 0xB5 and len(unit) > 2]
    sequence = [unit for unit in extensions if unit[1] >> 4 == 1]
    if not sequence or sequence[0][2] & 0x08:  # MPEG-1, or progressive_sequence
        return False
    for packet in read_packets():
        for unit in header_units(packet):
            if unit[0] == 0xB5 and len(unit) > 5 and unit[1] >> 4 == 8 and not unit[5] & 0x80:
                return True
    return False

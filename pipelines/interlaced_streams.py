"""Tells from a codec's own headers whether a video stream is interlaced.

OpenCV 5 answers True to `read` for an interlaced frame and hands out
uninitialised memory, and none of its properties says so. The parameter sets that
precede the pictures do say it: ITU-T H.264 (7.3.2.1.1, 7.3.3), H.262 = MPEG-2
(6.2.2.3, 6.2.3.1), H.265 (7.3.3) and ISO/IEC 14496-2 = MPEG-4 part 2 (6.2.3).
"""

_H264_CODES = {"h264", "avc1", "avc3", "x264", "davc", "vssh"}
_HEVC_CODES = {"hevc", "hvc1", "hev1", "h265", "x265"}
_MPEG4_CODES = {"fmp4", "mp4v", "xvid", "divx", "dx50", "m4s2", "mp4s"}
_DV_CODES = {"dvsd", "dv25", "dv50", "dvcp", "dvc", "dvc ", "dvhd", "dvh1", "dvpp", "dvis", "dvsl"}
_H264_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}


class _Bits:
    """Reads big-endian bit fields and Exp-Golomb codes; past the end it raises ValueError."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def read(self, count):
        if self.position + count > 8 * len(self.data):
            raise ValueError("the header ends early")
        value = 0
        for _ in range(count):
            value = value << 1 | (self.data[self.position >> 3] >> (7 - (self.position & 7))) & 1
            self.position += 1
        return value

    def unsigned(self):
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("not an Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self):
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def is_interlaced(codec, extradata, read_packets):
    """True where the headers say that the stream's pictures are (or hold) fields.

    Args:
        codec: The four-character code of the stream, as `CAP_PROP_FOURCC` spells it.
        extradata: The codec's parameter sets, bytes; may be empty.
        read_packets: A function without arguments that yields the first packets of
            the stream as bytes. It is called only where the parameter sets leave
            the question open, because it opens the file a second time.

    Streams in other codecs, or with headers that cannot be parsed, count as
    progressive: VC-1, ProRes, DNxHD, FFV1 and interlaced Motion JPEG are not told.
    """
    codec = codec.lower()
    try:
        if codec in _DV_CODES:
            return True
        if codec in _H264_CODES:
            return _h264_is_interlaced(extradata, read_packets)
        if codec in _HEVC_CODES:
            return _hevc_is_interlaced(extradata)
        if codec in _MPEG4_CODES:
            return _mpeg4_is_interlaced(extradata or b"".join(read_packets()))
        if b"\x00\x00\x01\xb3" in extradata:
            return _mpeg2_is_interlaced(extradata, read_packets)
    except ValueError:
        return False
    return False


def _without_emulation_prevention(data):
    return data.replace(b"\x00\x00\x03", b"\x00\x00")


def _units(data):
    """The units between start codes 00 00 01, each beginning with its type byte."""
    return [unit for unit in data.split(b"\x00\x00\x01")[1:] if unit]


def _h264_sequence_parameters(extradata):
    """(log2_max_frame_num, separate_planes, frames_only, adaptive) or None."""
    if extradata[:1] == b"\x01" and len(extradata) > 8:  # avcC: ISO/IEC 14496-15, 5.3.3.1
        length = int.from_bytes(extradata[6:8], "big")
        units = [extradata[8 : 8 + length]]
    else:
        units = _units(extradata)
    for unit in units:
        if unit[0] & 31 != 7:
            continue
        bits = _Bits(_without_emulation_prevention(unit[1:]))
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
        bits.unsigned()
        bits.unsigned()
        frames_only = bits.read(1)
        adaptive = 0 if frames_only else bits.read(1)
        return log2_max_frame_num, separate_planes, frames_only, adaptive
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


def _h264_is_interlaced(extradata, read_packets):
    parameters = _h264_sequence_parameters(extradata)
    if parameters is None:
        parameters = _h264_sequence_parameters(b"".join(read_packets()))
    if parameters is None:
        return False
    log2_max_frame_num, separate_planes, frames_only, adaptive = parameters
    if frames_only or adaptive:
        return not frames_only
    # Fields are allowed; many encoders allow them and then write whole frames.
    for packet in read_packets():
        for unit in _units(packet):
            if unit[0] & 31 in (1, 5):
                bits = _Bits(_without_emulation_prevention(unit[1:32]))
                for _ in range(3):
                    bits.unsigned()
                bits.read(2 * separate_planes + log2_max_frame_num)
                if bits.read(1):
                    return True
    return False


def _hevc_is_interlaced(extradata):
    flags = None
    if extradata[:1] == b"\x01" and len(extradata) > 6:  # hvcC: ISO/IEC 14496-15, 8.3.3.1
        flags = extradata[6]
    else:
        for unit in _units(extradata):
            if unit[0] >> 1 & 63 == 33:
                header = _without_emulation_prevention(unit[:16])
                flags = header[8] if len(header) > 8 else None
    return flags is not None and bool(flags & 0x40) and not flags & 0x80


def _mpeg2_is_interlaced(extradata, read_packets):
    extensions = [unit for unit in _units(extradata) if unit[0] == 0xB5 and len(unit) > 2]
    sequence = [unit for unit in extensions if unit[1] >> 4 == 1]
    if not sequence or sequence[0][2] & 0x08:  # MPEG-1, or progressive_sequence
        return False
    for packet in read_packets():
        for unit in _units(packet):
            if unit[0] == 0xB5 and len(unit) > 5 and unit[1] >> 4 == 8 and not unit[5] & 0x80:
                return True
    return False


def _mpeg4_is_interlaced(headers):
    for unit in _units(headers):
        if not 0x20 <= unit[0] <= 0x2F:
            continue
        bits = _Bits(unit[1:])
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
            return False
        bits.read(1)
        ticks = bits.read(16)
        bits.read(1)
        if bits.read(1):
            bits.read(max(1, (ticks - 1).bit_length()))
        bits.read(29)
        return bool(bits.read(1))
    return False

"""Reads the bit fields of a codec's headers."""


class HeaderBits:
    """Reads big-endian bit fields and Exp-Golomb codes; past the end it raises ValueError."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def read(self, count):
        """The next bits as a number."""
        if self.position + count > 8 * len(self.data):
            raise ValueError("the header ends early")
        value = 0
        for _ in range(count):
            value = value << 1 | (self.data[self.position >> 3] >> (7 - (self.position & 7))) & 1
            self.position += 1
        return value

    def unsigned(self):
        """ue(v) of ITU-T H.264, 9.1."""
        zeros = 0
        while not self.read(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("not an Exp-Golomb code")
        return (1 << zeros) - 1 + self.read(zeros)

    def signed(self):
        """se(v) of ITU-T H.264, 9.1.1."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def header_units(data):
    """The units between start codes 00 00 01, each beginning with its type byte."""
    return [unit for unit in data.split(b"\x00\x00\x01")[1:] if unit]


def without_emulation_prevention(data):
    """The bytes of a NAL unit without those that keep start codes out of it."""
    return data.replace(b"\x00\x00\x03", b"\x00\x00")

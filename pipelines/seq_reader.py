"""Reads the frames of a Norpix .seq file, as StreamPix and Piotr's toolbox write them."""

import os
import struct

import cv2
import numpy as np

from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.picture_decoding import decode_picture, picture_decoder
from glimpse.pipelines.seq_header import HEADER_SIZE, read_seq_header
from glimpse.pipelines.seq_index import SeqIndex
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_file import check_video_file


class SeqReader(FrameReader):
    """Iterates over the frames of one .seq file as RGB pictures.

    Frames are uint8 `(height, width, 3)`, values 0-255. Read are raw pictures (grey, or blue, green
    and red), JPEG and PNG ones, and raw and JPEG ones under a Bayer filter (blue, green / green,
    red). Times come from the frames' time stamps; where these do not rise, from the header's rate.
    One picture is in memory at a time, and 16 bytes for each frame of the file.

    Args:
        path: A file name: str, bytes or PathLike.
        segment: As in `FrameReader`.
        strict: Whether a warning raises VideoError at the end of the iteration.

    Attributes:
        As those of `FrameReader`.

    Raises:
        VideoError: If the file is missing, empty, no .seq file, of another kind than these, holds
            no whole frame, or has no sane frame rate; in the iteration, if a picture is damaged.
    """

    def __init__(self, path, segment=None, strict=False):
        super().__init__(path, segment, strict)
        self._file = None
        self.decoder = f"norpix seq 1, {picture_decoder()}"
        check_video_file(self.path, self._name)
        self._file = open(self.path, "rb")
        self._prepare_or_close()

    def close(self):
        """Releases the file; more calls do nothing."""
        super().close()
        if self._file is not None:
            self._file.close()
            self._file = None

    def encoded_pictures(self):
        """Yields (name in messages, bytes) of each JPEG or PNG picture; none for raw pictures."""
        if self._header.kind != "raw":
            for number, position in enumerate(self._index.offsets):
                yield self._encoded(number, position)

    def _prepare(self):
        self._header = read_seq_header(self._file.read(HEADER_SIZE), self._name)
        self._index = SeqIndex(self._file, self._header)
        if not self._index.offsets:
            what = self._index.fault or "nothing comes after its header"
            raise VideoError(f"{self._name}: holds no whole frame: {what}; copy it again.")
        self.height, self.width = self._header.height, self._header.width
        rate = self._index.frame_rate()
        if rate is None:
            raise VideoError(
                f"{self._name}: its header states {self._header.frames_per_second} frames per "
                "second and the time stamps give no rate either; convert it with the program that "
                "wrote it."
            )
        self.frames_per_second = rate

    def _decode(self):
        times = self.planned_times
        for number, position in enumerate(self._index.offsets):
            skipped = self._is_before(number, times[number])
            yield None if skipped else self._read(number, position), float(times[number])

    def _plan_times(self):
        times = self._index.frame_times()
        if times is None:
            times = np.arange(len(self._index.offsets)) / self._stated_rate
        return times

    def _read(self, number, position):
        header = self._header
        if header.kind == "raw":
            size = header.width * header.height * header.channels
            content = self._bytes(position, size, self._name_of(number, position))
            shape = (header.height, header.width, header.channels)
            return _as_rgb(np.frombuffer(content, np.uint8).reshape(shape), header.is_bayer)
        name, content = self._encoded(number, position)
        flags = cv2.IMREAD_GRAYSCALE if header.is_bayer else cv2.IMREAD_COLOR_RGB
        picture = decode_picture(
            content,
            name,
            flags | cv2.IMREAD_IGNORE_ORIENTATION,
            size=(header.height, header.width),
        )
        return _as_rgb(picture[..., None], True) if header.is_bayer else picture

    def _encoded(self, number, position):
        """(name in messages, bytes) of a picture."""
        name = self._name_of(number, position)
        # The length counts its own four bytes. The index has seen that the file is long enough.
        (length,) = struct.unpack("<I", self._bytes(position, 4, name))
        return name, self._bytes(position + 4, length - 4, name)

    def _name_of(self, number, position):
        return f"{self._name}: frame {number + 1}, at byte {position}"

    def _bytes(self, position, length, name):
        content = os.pread(self._file.fileno(), length, position)
        if len(content) < length:
            raise VideoError(f"{name}: cannot be read; did the file change in the meantime?")
        return content

    def _look_for_missing_frames(self, num_decoded):
        if self._index.fault:
            self.warnings.append(
                f"{self._name}: {self._index.fault}; {num_decoded} frames were read; copy or "
                "download it again."
            )


def _as_rgb(picture, is_bayer):
    """Turns a raw picture `(height, width, channels)` into RGB."""
    if is_bayer:
        return cv2.cvtColor(picture, cv2.COLOR_BayerBGGR2RGB)
    if picture.shape[-1] == 1:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)

"""Reads the frames of a video file with OpenCV, one after the other."""

import functools
import math
import os

# FFmpeg inside OpenCV writes each warning of each frame to stderr, and reads this
# setting once, when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np

from glimpse.pipelines.edit_lists import EditScan, scan_edits
from glimpse.pipelines.file_check import CONTAINERS, check_picture_size
from glimpse.pipelines.frame_rate import MAX_FRAMES_PER_SECOND
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.interlaced_streams import is_interlaced, tells_fields
from glimpse.pipelines.matroska_duration import stated_video_end
from glimpse.pipelines.packet_scan import scan_packets
from glimpse.pipelines.transport_packets import count_broken_packets
from glimpse.pipelines.truncated_files import counts_samples
from glimpse.pipelines.video_error import OtherDecoderError
from glimpse.pipelines.video_file import check_video_file, what_it_is

# Read at every opening: else a playlist in disguise makes it open other files, or addresses.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", f"format_whitelist;{','.join(CONTAINERS)}")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_PROBED_PACKETS = 64
_PIXELS_OF_ONE_THREAD = 1 << 16


def decoder_version():
    """The decoder's name and versions: another decoder gives other pixels."""
    line = [line for line in cv2.getBuildInformation().splitlines() if "avcodec:" in line]
    codec = line[0].split("(")[-1].rstrip(")") if "(" in "".join(line) else "unknown"
    return f"opencv {cv2.__version__}, avcodec {codec}"


class VideoReader(FrameReader):
    """Iterates over the frames of one video file as RGB pictures.

    Frames are uint8 `(height, width, 3)`, values 0-255, in the order of display.
    Grey and 10-bit video come as 8-bit RGB, rotation metadata is applied, pixels
    count as square. Frames are counted by decoding them, never by the header. Memory does not
    grow with the video's length, apart from 25 bytes a frame for its times.

        with VideoReader("clip.mp4") as reader:
            for frame in reader:
                ...

    A reader gives its frames once. When they are through, `num_frames` is their
    count and `warnings` holds one sentence for each sign that frames are missing or are not what
    they seem: a file shorter than its container says, fewer frames than the stream has packets or
    the header of an MP4 or QuickTime file lists, an end of a Matroska file's video long before the
    one that its header states, broken packets of a transport stream, and pictures that change
    their size and were scaled to the first.

    Limits: interlaced video is refused where the headers of H.264, HEVC, MPEG-2,
    MPEG-4 part 2, ProRes, DNxHD or DV show it; in other codecs, and where H.264 or MPEG-2 turns
    to fields only after its first 64 packets, it is not noticed. Damage inside a packet that
    still decodes to some picture is not noticed (`find_damage` finds it with PyAV), nor is
    damage to a file whose edit list hides frames, nor a change of size in other codecs than
    H.264, HEVC, VP8, VP9 and MPEG-1, -2 and -4.

    Args:
        path: A file name: str, bytes or PathLike.
        segment: As in `FrameReader`.
        strict: Whether a warning raises VideoError at the end of the iteration.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Attributes:
        As those of `FrameReader`.
        tells_fields: Whether the codec's headers would have shown that it is interlaced.

    Raises:
        VideoError: If the file is missing, a directory, empty, not a video, holds
            no frame that can be decoded, is interlaced, or has no sane frame rate.
    """

    def __init__(self, path, segment=None, strict=False, threads=0):
        super().__init__(path, segment, strict)
        self.decoder = decoder_version()
        self._threads = threads
        self._capture = None
        self._first_frame = None
        check_video_file(self.path, self._name)
        self._capture = self._open()
        if not self._capture.isOpened():
            raise OtherDecoderError(what_it_is(self.path, self._name))
        self._prepare_or_close()

    def close(self):
        """Releases the file; more calls do nothing."""
        super().close()
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        self._first_frame = None

    def _decode(self):
        clock = self._make_clock()
        capture, first = self._capture, self._first_frame
        number, seconds, frame = 0, clock(self._first_stamp), None
        self._first_frame = None
        self._last_time = seconds
        if not self._is_before(number, seconds):
            yield self._picture(first), seconds
        else:
            yield None, seconds
        while capture.grab():
            number += 1
            self._last_time = seconds = clock(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if self._is_before(number, seconds):
                yield None, seconds
                continue
            # Into the picture before, which saves asking for memory for each.
            success, frame = capture.retrieve(frame)
            if not success or frame is None or not frame.size:
                return
            yield self._picture(frame), seconds

    def _picture(self, frame):
        picture = np.empty_like(frame) if self.frame_memory is None else self.frame_memory()
        # In parts for which OpenCV asks for no other thread: its threads wait for the next frame
        # with full load, at the cost of whoever else decodes or computes.
        height, width = frame.shape[:2]
        rows = max(1, _PIXELS_OF_ONE_THREAD // width)
        for top in range(0, height, rows):
            part = slice(top, top + rows)
            cv2.cvtColor(frame[part], cv2.COLOR_BGR2RGB, picture[part])
        return picture

    def _plan_times(self):
        if self._edits.num_edits > 1:
            return None  # the same time may come again
        times = self._times_in(self._scan)
        return None if self._edits.num_hidden else times

    @functools.cached_property
    def _scan(self):
        capture = self._open([cv2.CAP_PROP_FORMAT, -1])
        try:
            return scan_packets(capture, self._codec)
        finally:
            capture.release()

    @functools.cached_property
    def _edits(self):
        return scan_edits(self.path) if counts_samples(self.path) else EditScan()

    def _open(self, parameters=()):
        # Bytes, because a str that is not UTF-8 ends the process inside OpenCV; absolute,
        # because a relative name with a colon is taken for a protocol.
        threads = [cv2.CAP_PROP_N_THREADS, self._threads] if self._threads else []
        return cv2.VideoCapture(os.fsencode(self.path), cv2.CAP_FFMPEG, [*threads, *parameters])

    def _prepare(self):
        self._codec = self._read_codec()
        extradata = self._extradata()
        self.tells_fields = tells_fields(self._codec, extradata)
        if is_interlaced(self._codec, extradata, self._first_packets):
            raise OtherDecoderError(
                f"{self._name}: the video is interlaced ({self._codec}), which OpenCV decodes to "
                "garbage; convert it with `ffmpeg -i INPUT -vf yadif OUTPUT.mp4`."
            )
        self._header_count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        width = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        check_picture_size(self._name, width, self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        success, frame = self._capture.read()
        if not success or frame is None or not frame.size:
            raise OtherDecoderError(
                f"{self._name}: opens as a video ({self._codec}) but no frame can be decoded: the "
                "file is cut off after its header, or OpenCV has no decoder for this codec; copy "
                "it again or convert it with `ffmpeg -i INPUT -c:v mpeg4 OUTPUT.mp4`."
            )
        self._first_frame = frame
        self._first_stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        # That one counts from the stream's own first stamp; this one counts frames.
        self._first_number = self._capture.get(cv2.CAP_PROP_PTS)
        self.height, self.width = frame.shape[:2]
        self.frames_per_second = self._frame_rate()

    def _read_codec(self):
        code = int(self._capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
        return code.to_bytes(4, "little").decode("latin-1").rstrip("\x00")

    def _extradata(self):
        index = int(self._capture.get(cv2.CAP_PROP_CODEC_EXTRADATA_INDEX))
        if index <= 0:
            return b""
        success, data = self._capture.retrieve(None, index)
        return data.tobytes() if success and data is not None else b""

    def _first_packets(self):
        capture = self._open([cv2.CAP_PROP_FORMAT, -1])
        try:
            for _ in range(_PROBED_PACKETS):
                success, packet = capture.read()
                if not success or packet is None:
                    return
                yield packet.tobytes()
        finally:
            capture.release()

    def _frame_rate(self):
        stated = self._capture.get(cv2.CAP_PROP_FPS)
        if math.isfinite(stated) and 0 < stated <= MAX_FRAMES_PER_SECOND:
            return float(stated)
        times = self.planned_times
        if times is not None and len(times) > 1:
            measured = float((len(times) - 1) / times[-1])
            if measured <= MAX_FRAMES_PER_SECOND:
                return measured
        raise OtherDecoderError(
            f"{self._name}: the header states {stated} frames per second and the time stamps give "
            "no rate either; convert it with `ffmpeg -r RATE -i INPUT OUTPUT.mp4`."
        )

    def _look_for_missing_frames(self, num_decoded):
        if not self._warn_if_cut_off(num_decoded):
            self._compare_counts(num_decoded)
        if broken := count_broken_packets(self.path):
            self.warnings.append(
                f"{self._name}: {broken} packets of the transport stream are damaged or missing; "
                "copy it again."
            )
        if len(self._scan.sizes) > 1:
            self.warnings.append(
                f"{self._name}: the pictures change their size on the way; all were scaled to "
                f"the first, {self.width} x {self.height}: cut the video where it changes."
            )

    def _compare_counts(self, num_decoded):
        scan, edits = self._scan, self._edits
        # Several edits may leave frames out and show others again.
        is_counted = edits.num_edits <= 1
        listed = self._header_count if is_counted and counts_samples(self.path) else 0
        # Which frames at an edit's very end are shown is a matter of rounding.
        hidden = edits.num_hidden + 1 if edits.num_hidden else 0
        if num_decoded < 0.9 * (listed - hidden) and listed - hidden - num_decoded > 2:
            self.warnings.append(
                f"{self._name}: {num_decoded} frames could be decoded of the "
                f"{listed:.0f} that the header lists: the file is damaged; compare it with its "
                "source, or convert it again."
            )
        elif is_counted and num_decoded < scan.num_pictures - hidden:
            self.warnings.append(
                f"{self._name}: {num_decoded} frames could be decoded of the {scan.num_pictures} "
                "that the file holds: it is damaged, or begins in the middle of a recording; copy "
                "it again, or convert it."
            )
        else:
            self._look_for_the_end()

    def _look_for_the_end(self):
        # A demuxer that loses its way in a damaged cluster looks like one at the end.
        stated = stated_video_end(self.path)
        if stated is None:
            return
        first = self._first_number / self._stated_rate
        last = first + self._last_time + 1 / self.frames_per_second
        if stated - last > max(1.0, 0.1 * stated):
            self.warnings.append(
                f"{self._name}: the video ends at {last:.2f} s and its header says "
                f"{stated:.2f} s: the file is damaged; compare it with its source, or convert it "
                "again."
            )

"""Reads the frames of a video file, one after the other, in memory that does not grow."""

import math
import os

# FFmpeg inside OpenCV writes each warning of each frame to stderr, and reads this
# setting once, when the first video is opened.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2

from glimpse.pipelines.file_check import CONTAINERS, check_picture_size
from glimpse.pipelines.interlaced_streams import is_interlaced
from glimpse.pipelines.truncated_files import counts_samples, missing_bytes
from glimpse.pipelines.video_error import VideoError, display_name

# Read at every opening: else a playlist in disguise makes it open other files, or addresses.
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", f"format_whitelist;{','.join(CONTAINERS)}")
if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

MAX_FRAMES_PER_SECOND = 1000.0
_PROBED_PACKETS = 64


def decoder_version():
    """The decoder's name and versions: another decoder gives other pixels."""
    line = [line for line in cv2.getBuildInformation().splitlines() if "avcodec:" in line]
    codec = line[0].split("(")[-1].rstrip(")") if "(" in "".join(line) else "unknown"
    return f"opencv {cv2.__version__}, avcodec {codec}"


class VideoReader:
    """Iterates over the frames of one video file as RGB pictures.

    Frames are uint8 `(height, width, 3)`, values 0-255, in the order of display.
    Grey and 10-bit video come as 8-bit RGB, rotation metadata is applied, pixels
    count as square. Frames are counted by decoding them, never by the header.

        with VideoReader("clip.mp4") as reader:
            for frame in reader:
                ...

    A reader gives its frames once. When they are through, `num_frames` is their
    count and `warnings` holds one sentence for each sign that frames are missing:
    a file shorter than its container says, or an MP4 or QuickTime file that gave
    clearly fewer frames than its header lists.

    Limits: interlaced video is refused where the headers of H.264, HEVC, MPEG-2,
    MPEG-4 part 2 or DV show it; in other codecs, and where H.264 or MPEG-2 turns
    to fields only after its first 64 packets, it is not noticed. Damage inside a file
    that keeps its length and frame count is not noticed either.

    Args:
        path: A file name: str, bytes or PathLike.
        strict: Whether a sign of missing frames raises VideoError at the end of
            the iteration, in place of a warning.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Attributes:
        path: The absolute path, as given (str or bytes).
        frames_per_second: float in (0, 1000], from the header, or from the
            time stamps of the first frames where the header's is not sane.
        height, width: of every frame, in pixels, after rotation.
        num_frames: Frames handed out so far.
        warnings: list of str.

    Raises:
        VideoError: If the file is missing, a directory, empty, not a video, holds
            no frame that can be decoded, is interlaced, or has no sane frame rate.
    """

    def __init__(self, path, strict=False, threads=0):
        path = os.fspath(path)
        self.path = os.path.abspath(path)
        self.strict = strict
        self.num_frames = 0
        self.warnings = []
        self._name = display_name(path)
        self._threads = threads
        self._capture = None
        self._check_file()
        self._capture = self._open()
        if not self._capture.isOpened():
            raise VideoError(self._not_opened())
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """Releases the file; more calls do nothing."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None
        self._first_frame = None

    def __iter__(self):
        if self._capture is None:
            raise VideoError(f"{self._name}: the reader is closed or used up; open the file again.")
        frame, self._first_frame = self._first_frame, None
        while frame is not None:
            self.num_frames += 1
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            if self._capture is None:
                raise VideoError(f"{self._name}: the reader was closed while it was being read.")
            frame = self._read()
        self._look_for_missing_frames()
        self.close()

    def _open(self, parameters=()):
        # Bytes, because a str that is not UTF-8 ends the process inside OpenCV; absolute,
        # because a relative name with a colon is taken for a protocol.
        threads = [cv2.CAP_PROP_N_THREADS, self._threads] if self._threads else []
        return cv2.VideoCapture(os.fsencode(self.path), cv2.CAP_FFMPEG, [*threads, *parameters])

    def _check_file(self):
        if os.path.isdir(self.path):
            raise VideoError(f"{self._name}: is a directory; give the path of a video file.")
        try:
            with open(self.path, "rb") as file:
                empty = not file.read(1)
        except FileNotFoundError:
            raise VideoError(f"{self._name}: no such file; check the path.") from None
        except (OSError, ValueError) as error:
            raise VideoError(
                f"{self._name}: cannot be opened ({error}); check the path and its permissions."
            ) from error
        if empty:
            raise VideoError(f"{self._name}: the file is empty (0 bytes); copy it again.")

    def _not_opened(self):
        lost = missing_bytes(self.path)
        if lost:
            return (
                f"{self._name}: the file is cut off, {lost} bytes are missing, and with them what "
                "a decoder needs to begin; copy or download it again."
            )
        with open(self.path, "rb") as file:
            start = file.read(4096)
        if b"\x00" not in start and not start.startswith((b"RIFF", b"\x1aE\xdf\xa3")):
            what = "not a video: it looks like text"
        else:
            what = "not a video, or so damaged that its container cannot be read"
        return (
            f"{self._name}: {what}; check what the file is, or convert it with "
            "`ffmpeg -i INPUT OUTPUT.mp4`."
        )

    def _prepare(self):
        codec = self._codec()
        if is_interlaced(codec, self._extradata(), self._first_packets):
            raise VideoError(
                f"{self._name}: the video is interlaced ({codec}), which OpenCV decodes to "
                "garbage; convert it with `ffmpeg -i INPUT -vf yadif OUTPUT.mp4`."
            )
        self._header_count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        width = self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        check_picture_size(self._name, width, self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        self._first_frame = self._read()
        if self._first_frame is None:
            raise VideoError(
                f"{self._name}: opens as a video ({codec}) but no frame can be decoded: the file "
                "is cut off after its header, or OpenCV has no decoder for this codec; copy it "
                "again or convert it with `ffmpeg -i INPUT -c:v mpeg4 OUTPUT.mp4`."
            )
        self.height, self.width = self._first_frame.shape[:2]
        self.frames_per_second = self._frame_rate()

    def _read(self):
        success, frame = self._capture.read()
        return frame if success and frame is not None and frame.size else None

    def _codec(self):
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
        capture = self._open()
        times = []
        while len(times) < 31 and capture.grab():
            times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        capture.release()
        if len(times) > 1 and times[-1] > times[0]:
            measured = 1000.0 * (len(times) - 1) / (times[-1] - times[0])
            if math.isfinite(measured) and 0 < measured <= MAX_FRAMES_PER_SECOND:
                return measured
        raise VideoError(
            f"{self._name}: the header states {stated} frames per second and the time stamps give "
            "no rate either; convert it with `ffmpeg -r RATE -i INPUT OUTPUT.mp4`."
        )

    def _look_for_missing_frames(self):
        lost = missing_bytes(self.path)
        promised = self._header_count
        if lost:
            self.warnings.append(
                f"{self._name}: the file is cut off: {lost} bytes are missing and "
                f"{self.num_frames} frames could be decoded; copy or download it again."
            )
        elif (
            counts_samples(self.path)
            and self.num_frames < 0.9 * promised
            and promised - self.num_frames > 2
        ):
            self.warnings.append(
                f"{self._name}: {self.num_frames} frames could be decoded of the "
                f"{promised:.0f} that the header lists: the file is damaged, or an edit list hides "
                "frames; compare it with its source, or convert it again."
            )
        if self.strict and self.warnings:
            raise VideoError(self.warnings[0])

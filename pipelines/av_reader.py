"""Reads the frames of a video file with PyAV, for what OpenCV does not read rightly."""

import array
import collections
import os

import av
import cv2
import numpy as np

from glimpse.pipelines.edit_lists import scan_edits
from glimpse.pipelines.file_check import CONTAINERS, check_picture_size
from glimpse.pipelines.frame_rate import MAX_FRAMES_PER_SECOND
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.packet_scan import PacketScan
from glimpse.pipelines.truncated_files import counts_samples
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_file import check_video_file, what_it_is

# FFmpeg writes each warning of each frame to stderr.
av.logging.set_level(None)
# Else a playlist in disguise makes it open other files, or addresses.
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS)}


def pyav_version():
    """The decoder's name and versions: another decoder gives other pixels."""
    version = ".".join(str(part) for part in av.library_versions["libavcodec"])
    return f"pyav {av.__version__}, avcodec {version}"


class AvReader(FrameReader):
    """Iterates over the frames of one video file as RGB pictures, as `VideoReader` does.

    Where OpenCV reads a file rightly, both give the same pixels and times: PyAV brings the same
    FFmpeg and converts colours by the same rules. Interlaced video is deinterlaced by FFmpeg's
    filter `yadif`, one frame for each frame, and `decoder` says so.

    Unlike OpenCV, which stops there, this reader goes on after a packet that cannot be decoded,
    and it counts such packets and the pictures that the decoder had to complete by guessing;
    `warnings` says how many. What no decoder notices is not counted: VP8, VP9 and Motion JPEG
    have no redundancy, so that most damage in them only looks wrong.

    Args:
        path: A file name: str, bytes or PathLike.
        segment: As in `FrameReader`.
        strict: Whether a warning raises VideoError at the end of the iteration.
        threads: Threads of the decoder; 0 leaves the choice to it.

    Attributes:
        As those of `FrameReader`.
        num_failed: Packets so far that could not be decoded.
        num_corrupt: Frames so far that the decoder marked as damaged.

    Raises:
        VideoError: If the file is missing, a directory, empty, not a video, or holds no frame
            that can be decoded.
    """

    def __init__(self, path, segment=None, strict=False, threads=0):
        super().__init__(path, segment, strict)
        self.num_failed = self.num_corrupt = 0
        self._threads = threads
        self._container = self._file = self._deinterlacer = None
        self._num_resized = self._num_woven = 0
        self._stopped_by = None
        check_video_file(self.path, self._name)
        self._prepare_or_close()

    def close(self):
        """Releases the file; more calls do nothing."""
        super().close()
        self._first_frame = self._frames = None
        if self._container is not None:
            self._container.close()
            self._container = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def count_damage(self):
        """Decodes the rest of the video without giving its frames; fills `warnings`."""
        self._look_for_missing_frames(1 + sum(1 for _ in self._frames))
        self.close()

    def _prepare(self):
        self._container, self._file = self._open()
        stream = self._stream = _video_stream(self._container)
        if stream is None or stream.codec_context is None:
            raise VideoError(
                f"{self._name}: holds no video stream that can be decoded; check what the file is."
            )
        check_picture_size(self._name, stream.codec_context.width, stream.codec_context.height)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = self._threads
        self._codec = stream.codec_context.name
        self._frames = self._decoded_frames()
        self._first_frame = next(self._frames, None)
        if self._first_frame is None:
            raise VideoError(
                f"{self._name}: opens as a video ({self._codec}) but no frame can be decoded: the "
                "file is cut off after its header, or damaged; copy or download it again."
            )
        self._coded_size = self._first_frame.width, self._first_frame.height
        self.decoder = pyav_version()
        if self._first_frame.interlaced_frame:
            self.decoder += ", yadif"
            self._deinterlacer = _make_deinterlacer(stream)
        self._turns = round(self._first_frame.rotation / 90) % 4
        sizes = self._coded_size[:: -1 if self._turns % 2 else 1]
        self.width, self.height = sizes
        self.frames_per_second = self._frame_rate(stream)

    def _open(self):
        file, source = None, os.fsdecode(self.path)
        try:
            source.encode()
        except UnicodeEncodeError:
            # FFmpeg takes names as UTF-8 alone.
            file = source = open(self.path, "rb")
        try:
            return av.open(source, container_options=_OPTIONS, metadata_errors="ignore"), file
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if file is not None:
                file.close()
            raise VideoError(what_it_is(self.path, self._name)) from error

    def _frame_rate(self, stream):
        # As OpenCV: no other rate is asked for where the average is absurd.
        stated = stream.average_rate or stream.guessed_rate
        if stated is not None and 0 < stated <= MAX_FRAMES_PER_SECOND:
            return float(stated)
        times = self.planned_times
        if times is not None and len(times) > 1:
            measured = float((len(times) - 1) / times[-1])
            if measured <= MAX_FRAMES_PER_SECOND:
                return measured
        raise VideoError(
            f"{self._name}: the header states {float(stated or 0)} frames per second and the time "
            "stamps give no rate either; convert it with `ffmpeg -r RATE -i INPUT OUTPUT.mp4`."
        )

    def _decode(self):
        clock = self._make_clock()
        for number, (frame, stamp) in enumerate(self._deinterlaced_frames()):
            seconds = clock(stamp)
            if self._is_before(number, seconds):
                yield None, seconds
            else:
                yield self._picture(frame), seconds

    def _stamp(self, frame):
        """When a frame is shown, in seconds, or None."""
        # AVI counts packets and knows no times of presentation: those that FFmpeg makes of
        # the counts are out of order, while those of decoding rise with the frames.
        stamp = frame.dts if self._container.format.name == "avi" else frame.pts
        return None if stamp is None else float(stamp * frame.time_base)

    def _picture(self, frame):
        # Bicubic, as OpenCV asks for, which matters where chroma is scaled; to BGR as well,
        # because FFmpeg's conversion of deep colour rounds differently to RGB.
        width, height = self._coded_size
        picture = frame.reformat(width, height, "bgr24", interpolation="BICUBIC").to_ndarray()
        picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return np.ascontiguousarray(np.rot90(picture, self._turns)) if self._turns else picture

    def _deinterlaced_frames(self):
        """Yields (frame, stamp)."""
        frame, self._first_frame = self._first_frame, None
        if self._deinterlacer is None:
            yield frame, self._stamp(frame)
            for frame in self._frames:
                self._num_woven += frame.interlaced_frame
                yield frame, self._stamp(frame)
            return
        source, sink = self._deinterlacer
        # The filter gives a frame for each frame, later, and counts in other units.
        stamps = collections.deque()
        while frame is not None:
            stamps.append(self._stamp(frame))
            if (frame.width, frame.height) != self._coded_size:
                # The graph is made for the first size.
                frame = frame.reformat(*self._coded_size)
            source.push(frame)
            for filtered in _pulled(sink):
                yield filtered, stamps.popleft()
            frame = next(self._frames, None)
        source.push(None)
        for filtered in _pulled(sink):
            yield filtered, stamps.popleft()

    def _decoded_frames(self):
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError) as error:
                self._stopped_by = error
                packet = None
            if packet is None:
                return
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self.num_failed += 1
                continue
            for frame in frames:
                self.num_corrupt += frame.is_corrupt
                size = frame.width, frame.height
                self._num_resized += size != getattr(self, "_coded_size", size)
                yield frame

    def _plan_times(self):
        if counts_samples(self.path) and scan_edits(self.path).num_edits > 1:
            return None  # the same time may come again
        times, keys = array.array("d"), array.array("b")
        container, file = self._open()
        try:
            stream = _video_stream(container)
            is_avi = container.format.name == "avi"
            for packet in container.demux(stream):
                stamp = packet.dts if is_avi else packet.pts
                if packet.size and not packet.is_discard:
                    times.append(float("nan" if stamp is None else stamp * stream.time_base))
                    keys.append(packet.is_keyframe)
        except av.error.FFmpegError:
            return None
        finally:
            container.close()
            if file is not None:
                file.close()
        times = self._times_in(PacketScan(len(times), times, keys, frozenset()))
        # A packet may be a field, or not to be shown.
        return None if self._deinterlacer is not None or self._codec == "vp8" else times

    def _look_for_missing_frames(self, num_decoded):
        self._warn_if_cut_off(num_decoded)
        if self.num_failed or self.num_corrupt or self._stopped_by:
            stopped = f"; reading stopped early: {self._stopped_by}" if self._stopped_by else ""
            self.warnings.append(
                f"{self._name}: the file is damaged: {self.num_failed} packets could not be "
                f"decoded and {self.num_corrupt} of {num_decoded} frames hold pictures that were "
                f"completed by guessing{stopped}; copy it again."
            )
        if self._num_resized:
            self.warnings.append(
                f"{self._name}: the pictures change their size on the way; all were scaled to "
                f"the first, {self.width} x {self.height}: cut the video where it changes."
            )
        if self._num_woven:
            self.warnings.append(
                f"{self._name}: {self._num_woven} frames are interlaced and the first is not, so "
                "that they were not deinterlaced; convert it with `ffmpeg -i INPUT -vf yadif "
                "OUTPUT.mp4`."
            )


def _video_stream(container):
    """The stream that OpenCV reads as well: the one that FFmpeg calls the best."""
    return container.streams.best("video")


def _make_deinterlacer(stream):
    graph = av.filter.Graph()
    source = graph.add_buffer(template=stream)
    # One frame for each frame; those that are not interlaced pass unchanged.
    yadif = graph.add("yadif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(yadif)
    yadif.link_to(sink)
    graph.configure()
    # The graph has to live as long as its ends.
    return _Ends(graph, source, sink)


class _Ends(tuple):
    """The input and output of a filter graph, which they keep alive."""

    def __new__(cls, graph, source, sink):
        ends = super().__new__(cls, (source, sink))
        ends.graph = graph
        return ends


def _pulled(sink):
    while True:
        try:
            yield sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return

"""What all readers of videos have in common: segments, counts, times and warnings."""

import array
import functools
import os

from absl import logging

from glimpse.pipelines.frame_clock import FrameClock
from glimpse.pipelines.frame_rate import fit_frame_rate, has_variable_rate
from glimpse.pipelines.truncated_files import missing_bytes
from glimpse.pipelines.video_error import VideoError, display_name


class FrameReader:
    """Iterates over the frames of one video, or of a segment of it, as RGB pictures.

    Frames are uint8 `(height, width, 3)`, values 0-255, in the order of display. A reader gives
    its frames once. What differs between kinds of files is in the subclasses, which set the
    attributes that are known when the file is opened and define `_decode`; `_plan_times` and
    `_look_for_missing_frames` where they can say something.

    Args:
        path: A file name: str, bytes or PathLike.
        segment: A `Segment`; None: the whole video. One that ends after the video does gives
            what there is, and a warning. Decoding stops at its end; damage after it is not seen.
        strict: Whether a warning raises VideoError at the end of the iteration.

    Attributes:
        path: The absolute path, as given (str or bytes).
        decoder: Name and version of what decodes the file; another decoder gives other pixels.
        height, width: Of every frame, in pixels, after rotation.
        num_frames: Frames handed out so far.
        frame_times: Seconds from the video's first frame to each frame handed out so far, an
            `array` of doubles, strictly rising.
        warnings: One sentence for each sign that frames are missing, a list.
        frame_memory: None, or a function that gives the uint8 array `(height, width, 3)` into which
            the next frame may be written, so that it need not be copied; not every reader asks.

    Raises:
        VideoError: If the file cannot be read, or the segment holds no frame.
    """

    decoder = ""

    def __init__(self, path, segment=None, strict=False):
        path = os.fspath(path)
        self.path = os.path.abspath(path)
        self.segment = segment
        self.strict = strict
        self.height = self.width = None
        self.num_frames = 0
        self.frame_times = array.array("d")
        self.warnings = []
        self.frame_memory = None
        self._name = display_name(path)
        self._stated_rate = self._fitted_rate = None
        self._stamps_jump = False
        self._closed = False

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """Releases the file; more calls do nothing."""
        self._closed = True

    @property
    def frames_per_second(self):
        """float in (0, 1000]: the stated rate, or the mean rate where the frames do not keep it.

        Where `planned_times` is None, the stated rate until the video's last frame was decoded.
        """
        if self._fitted_rate is None and self._stated_rate is not None:
            self._fitted_rate = fit_frame_rate(self._stated_rate, self.planned_times)
        return self._fitted_rate

    @frames_per_second.setter
    def frames_per_second(self, stated):
        self._stated_rate = stated
        self._fitted_rate = None

    @functools.cached_property
    def planned_times(self):
        """Seconds of all frames of the whole video, where they can be told without decoding.

        A float64 array, or None. A damaged file may give fewer frames.
        """
        return self._plan_times()

    @property
    def variable_rate(self):
        """Whether a frame is more than half a frame's time off its place at `frames_per_second`.

        None: not known before the frames of the whole video are through.
        """
        times = self.planned_times
        if times is None:
            if not self._closed or self.segment is not None or not self.num_frames:
                return None
            times = self.frame_times
        return has_variable_rate(self.frames_per_second, times)

    def __iter__(self):
        if self._closed:
            raise VideoError(f"{self._name}: the reader is closed or used up; open the file again.")
        number, seconds, is_through = -1, 0.0, True
        all_times = array.array("d")
        for number, (frame, seconds) in enumerate(self._decode()):
            all_times.append(seconds)
            if self._is_before(number, seconds):
                continue
            if self._is_after(number, seconds):
                is_through = False
                break
            self.num_frames += 1
            self.frame_times.append(seconds)
            yield frame
            if self._closed:
                raise VideoError(f"{self._name}: the reader was closed while it was being read.")
        if is_through:
            if self.planned_times is None:
                self._fitted_rate = fit_frame_rate(self._stated_rate, all_times)
            self._look_for_missing_frames(number + 1)
            self._look_at_the_segments_end(number, seconds)
        if self.segment is not None and not self.num_frames:
            raise VideoError(
                f"{self._name}: no frame lies in the segment {self.segment}: the video has "
                f"{number + 1} frames and its last one is at {seconds:g} s; correct the segment."
            )
        if self.strict and self.warnings:
            raise VideoError(self.warnings[0])
        self.close()

    def _is_before(self, number, seconds):
        """Whether a frame lies before the segment, so that no picture of it is needed."""
        if self.segment is None:
            return False
        return (number if self.segment.unit == "frames" else seconds) < self.segment.start

    def _is_after(self, number, seconds):
        if self.segment is None or self.segment.end is None:
            return False
        return (number if self.segment.unit == "frames" else seconds) >= self.segment.end

    def _look_at_the_segments_end(self, number, seconds):
        if self.segment is None or self.segment.end is None or not self.num_frames:
            return
        # A segment in seconds may end with the last frame's own time on the screen.
        rate = self.frames_per_second
        end = number + 1 if self.segment.unit == "frames" else seconds + 1.5 / rate
        if self.segment.end > end:
            self.warnings.append(
                f"{self._name}: the segment {self.segment} ends after the video, whose "
                f"{number + 1} frames end at {seconds + 1 / rate:.3f} s; {self.num_frames} frames "
                "of it were read."
            )

    def _prepare_or_close(self):
        """Calls the subclass's `_prepare` for an open file, and releases the file if it fails."""
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _warn_if_cut_off(self, num_decoded):
        """Warns of bytes that the container promises beyond the file's end; whether there are."""
        lost = missing_bytes(self.path)
        if lost:
            self.warnings.append(
                f"{self._name}: the file is cut off: {lost} bytes are missing and "
                f"{num_decoded} frames could be decoded; copy or download it again."
            )
        return bool(lost)

    def _decode(self):
        """Yields (RGB frame, seconds from the first frame) of the whole video, in order.

        In place of a frame for which `_is_before` is true it may yield None.
        """
        raise NotImplementedError

    def _make_clock(self):
        # At the fitted rate, because the header's may be wrong where stamps are missing, too; it
        # also asks for the planned times, which shows whether the stamps jump.
        rate = self.frames_per_second
        return FrameClock(rate, has_stamps=not self._stamps_jump)

    def _times_in(self, scan):
        """The times that a `PacketScan` tells, or None; says so where its stamps jump."""
        self._stamps_jump = scan.jumps_back
        if self._stamps_jump:
            logging.warning(
                "%s: its time stamps jump backwards, as where recordings were joined: all frames "
                "are read, and their times are counted from the frame rate.",
                self._name,
            )
        return scan.frame_times

    def _plan_times(self):
        """Returns what `planned_times` is."""
        return None

    def _look_for_missing_frames(self, num_decoded):
        """Appends to `warnings` when the last of the video's frames was decoded."""

"""What all readers of videos have in common: segments, counts, times and warnings."""

import os

from glimpse.pipelines.video_error import VideoError, display_name


class FrameReader:
    """Iterates over the frames of one video, or of a segment of it, as RGB pictures.

    Frames are uint8 `(height, width, 3)`, values 0-255, in the order of display. A reader gives
    its frames once. What differs between kinds of files is in the subclasses, which define
    `_decode` and set the attributes that are known when the file is opened.

    Args:
        path: A file name: str, bytes or PathLike.
        segment: A `Segment`; None: the whole video.
        strict: Whether a sign of missing frames raises VideoError at the end of the iteration, in
            place of a warning.

    Attributes:
        path: The absolute path, as given (str or bytes).
        decoder: Name and version of what decodes the file; another decoder gives other pixels.
        frames_per_second: float in (0, 1000].
        height, width: Of every frame, in pixels, after rotation.
        num_frames: Frames handed out so far.
        frame_times: Seconds from the video's first frame to each frame handed out so far, a list.
        warnings: One sentence for each sign that frames are missing, a list.

    Raises:
        VideoError: If the file cannot be read, or the segment holds no frame.
    """

    decoder = ""

    def __init__(self, path, segment=None, strict=False):
        path = os.fspath(path)
        self.path = os.path.abspath(path)
        self.segment = segment
        self.strict = strict
        self.frames_per_second = None
        self.height = self.width = None
        self.num_frames = 0
        self.frame_times = []
        self.warnings = []
        self._name = display_name(path)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """Releases the file; more calls do nothing."""

    def __iter__(self):
        for number, (frame, seconds) in enumerate(self._decode()):
            position = number if self.segment and self.segment.unit == "frames" else seconds
            if self.segment is not None:
                if position < self.segment.start:
                    continue
                if self.segment.end is not None and position >= self.segment.end:
                    break
            self.num_frames += 1
            self.frame_times.append(seconds)
            yield frame
        if self.segment is not None and not self.num_frames:
            raise VideoError(
                f"{self._name}: no frame lies in the segment {self.segment}; correct the segment."
            )
        self.close()

    def _decode(self):
        """Yields (RGB frame, seconds from the first frame) of the whole video, in order."""
        raise NotImplementedError

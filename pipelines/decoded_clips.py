"""Decodes clips in threads, ahead of whoever uses the frames."""

import collections
import concurrent.futures
import dataclasses
import queue
import threading

import numpy as np

from glimpse.pipelines.segment_union import span_of
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video

_CHUNK_FRAMES = 16
_CHUNK_BYTES = 8 << 20
_CHUNKS_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What is known of a video when its last frame was decoded."""

    last_number: int
    frames_per_second: float
    height: int
    width: int
    warnings: tuple


@dataclasses.dataclass(frozen=True)
class DecodedFrames:
    """Some frames of a video that follow each other.

    Args:
        frames: uint8 `(frames, height, width, 3)`.
        numbers: Number of each in the video, `(frames,)`; counted from the first that was
            asked for where that is known in seconds alone.
        times: Seconds from the video's first frame to each, `(frames,)`.
    """

    frames: np.ndarray
    numbers: np.ndarray
    times: np.ndarray

    def within(self, segment):
        """The (frames, times) that lie in a `Segment`; None: all."""
        if segment is None:
            return self.frames, self.times
        positions = self.numbers if segment.unit == "frames" else self.times
        start = np.searchsorted(positions, segment.start)
        stop = len(positions)
        if segment.end is not None:
            stop = np.searchsorted(positions, segment.end)
        return self.frames[start:stop], self.times[start:stop]


class _Stopped(Exception):
    """The user of the frames has gone."""


class DecodedClips:
    """Decodes several videos at a time and gives them out one after the other, in order.

    Memory is bounded: each thread waits when it is a few chunks ahead. A video is read once,
    whatever segments of it are wanted: from the first's start to the last's end, and frames in
    none of them are passed over.

        with DecodedClips(jobs, threads=2) as decoded:
            for job, chunks in decoded:
                for chunk in chunks:        # DecodedFrames
                    ...
                chunks.facts                # VideoFacts, or None where prepare returned False
                chunks.error                # VideoError, or None

    Args:
        jobs: Sequence of anything.
        path_of: Gives the video path of a job.
        segments_of: Gives the `Segment`s of a job that are wanted, None being the whole video.
        prepare: Called in the thread with a job and the name of the decoder of its video; False
            leaves the video undecoded. A VideoError or OSError in it becomes `error`.
        threads: Videos decoded at a time, at least 1.
    """

    def __init__(
        self,
        jobs,
        path_of=lambda job: job,
        segments_of=lambda job: [None],
        prepare=lambda job, decoder: True,
        threads=1,
    ):
        self._jobs = jobs
        self._path_of = path_of
        self._segments_of = segments_of
        self._prepare = prepare
        self._threads = threads
        self._stop = threading.Event()

    def __enter__(self):
        self._executor = concurrent.futures.ThreadPoolExecutor(self._threads, "decode")
        return self

    def __exit__(self, *unused):
        self._stop.set()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __iter__(self):
        waiting = collections.deque()
        jobs = iter(self._jobs)
        while True:
            while len(waiting) <= self._threads:
                job = next(jobs, waiting)
                if job is waiting:
                    break
                chunks = _Chunks()
                self._executor.submit(self._decode, job, chunks)
                waiting.append((job, chunks))
            if not waiting:
                return
            yield waiting.popleft()

    def _decode(self, job, chunks):
        try:
            segments = self._segments_of(job)
            span = span_of(segments)
            with open_video(self._path_of(job), segment=span, threads=1) as reader:
                if not self._prepare(job, reader.decoder):
                    self._put(chunks, None)
                    return
                for chunk in _chunks_of(reader, span, segments):
                    self._put(chunks, chunk)
                self._put(
                    chunks,
                    VideoFacts(
                        _first_number(span) + reader.num_frames - 1,
                        reader.frames_per_second,
                        reader.height,
                        reader.width,
                        tuple(reader.warnings),
                    ),
                )
        except _Stopped:
            return
        except Exception as error:
            self._put(chunks, error)

    def _put(self, chunks, item):
        while not self._stop.is_set():
            try:
                chunks.queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue
        raise _Stopped


def _chunks_of(reader, span, segments):
    """The frames of a reader that lie in one of the segments, as DecodedFrames."""
    kept = []
    for number, frame in enumerate(reader, start=_first_number(span)):
        time = reader.frame_times[-1]
        if any(_lies_in(number, time, segment) for segment in segments):
            kept.append((frame, number, time))
        elif kept:
            yield _stacked(kept)
            kept = []
        if len(kept) == _CHUNK_FRAMES or len(kept) * frame.nbytes >= _CHUNK_BYTES:
            yield _stacked(kept)
            kept = []
    if kept:
        yield _stacked(kept)


def _first_number(span):
    return int(span.start) if span is not None and span.unit == "frames" else 0


def _lies_in(number, time, segment):
    if segment is None:
        return True
    position = number if segment.unit == "frames" else time
    return segment.start <= position and (segment.end is None or position < segment.end)


def _stacked(kept):
    frames, numbers, times = zip(*kept, strict=True)
    return DecodedFrames(np.stack(frames), np.array(numbers), np.array(times))


class _Chunks:
    """The chunks of one video, then its facts or its error."""

    def __init__(self):
        self.queue = queue.Queue(_CHUNKS_AHEAD)
        self.facts = None
        self.error = None

    def __iter__(self):
        while isinstance(item := self.queue.get(), DecodedFrames):
            yield item
        if isinstance(item, VideoError | OSError):
            self.error = item
        elif isinstance(item, BaseException):
            raise item
        else:
            self.facts = item

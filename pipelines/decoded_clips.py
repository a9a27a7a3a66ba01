"""Decodes clips in threads, ahead of whoever uses the frames."""

import collections
import concurrent.futures
import dataclasses
import math
import queue
import threading

import numpy as np

from glimpse.pipelines.segment_union import span_of
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video

_CHUNK_FRAMES = 16
_CHUNK_BYTES = 8 << 20
# A second or two of the usual data sets' clips, so that one thread's video does not wait for
# another's to be used up; a constant, so that memory does not grow with the video's length.
_FRAMES_AHEAD = 256
_BYTES_AHEAD = 64 << 20


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

    Memory is bounded: each thread waits when it is 256 frames or 64 MiB ahead. A video is read
    once, whatever segments of it are wanted: from the first's start to the last's end, and frames
    in none of them are passed over. Each video is decoded by one thread of the codec, because
    several do not give the same pictures twice where a file is damaged.

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
                open_chunk = _OpenChunk(reader.height, reader.width)
                chunks.queue.maxsize = open_chunk.number_ahead
                for chunk in _chunks_of(reader, open_chunk, span, segments):
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


def _chunks_of(reader, chunk, span, segments):
    """The frames of a reader that lie in one of the segments, as DecodedFrames."""
    reader.frame_memory = chunk.next_frame
    for number, frame in enumerate(reader, start=_first_number(span)):
        time = reader.frame_times[-1]
        is_wanted = any(_lies_in(number, time, segment) for segment in segments)
        if is_wanted:
            chunk.add(frame, number, time)
        if chunk.numbers and (not is_wanted or len(chunk.numbers) == chunk.size):
            yield chunk.take()
    if chunk.numbers:
        yield chunk.take()


class _OpenChunk:
    """Gathers frames in one array, in which the reader writes them."""

    def __init__(self, height, width):
        self.size = min(_CHUNK_FRAMES, -(-_CHUNK_BYTES // (height * width * 3)))
        self._shape = self.size, height, width, 3
        self.number_ahead = max(
            1, min(_FRAMES_AHEAD // self.size, _BYTES_AHEAD // math.prod(self._shape))
        )
        self._frames = np.empty(self._shape, np.uint8)
        self.numbers, self._times = [], []

    def next_frame(self):
        """Where the next frame belongs; a frame that is not added is overwritten."""
        return self._frames[len(self.numbers)]

    def add(self, frame, number, time):
        memory = self.next_frame()
        if not np.may_share_memory(frame, memory):
            memory[...] = frame
        self.numbers.append(number)
        self._times.append(time)

    def take(self):
        """The frames so far as DecodedFrames; those that follow go to another array."""
        count = len(self.numbers)
        taken = DecodedFrames(self._frames[:count], np.array(self.numbers), np.array(self._times))
        self._frames = np.empty(self._shape, np.uint8)
        self.numbers, self._times = [], []
        return taken


def _first_number(span):
    return int(span.start) if span is not None and span.unit == "frames" else 0


def _lies_in(number, time, segment):
    if segment is None:
        return True
    position = number if segment.unit == "frames" else time
    return segment.start <= position and (segment.end is None or position < segment.end)


class _Chunks:
    """The chunks of one video, then its facts or its error."""

    def __init__(self):
        self.queue = queue.Queue()  # bounded once the frames' size is known
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

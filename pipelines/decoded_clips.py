"""Decodes clips in threads, ahead of whoever uses the frames."""

import collections
import concurrent.futures
import dataclasses
import queue
import threading

import numpy as np

from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader

_CHUNK_FRAMES = 16
_CHUNK_BYTES = 8 << 20
_CHUNKS_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What is known of a video when its last frame was decoded."""

    num_frames: int
    frames_per_second: float
    warnings: tuple


class _Stopped(Exception):
    """The user of the frames has gone."""


class DecodedClips:
    """Decodes several videos at a time and gives them out one after the other, in order.

    Memory is bounded: each thread waits when it is a few chunks ahead.

        with DecodedClips(jobs, threads=2) as decoded:
            for job, chunks in decoded:
                for chunk in chunks:        # uint8 (frames, height, width, 3)
                    ...
                chunks.facts                # VideoFacts, or None where prepare returned False
                chunks.error                # VideoError, or None

    Args:
        jobs: Sequence of anything.
        path_of: Gives the video path of a job.
        prepare: Called in the thread with a job before its video is opened; False
            leaves the video unopened. A VideoError or OSError in it becomes `error`.
        threads: Videos decoded at a time, at least 1.
    """

    def __init__(self, jobs, path_of=lambda job: job, prepare=lambda job: True, threads=1):
        self._jobs = jobs
        self._path_of = path_of
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
            if not self._prepare(job):
                self._put(chunks, None)
                return
            with VideoReader(self._path_of(job), threads=1) as reader:
                frames = []
                for frame in reader:
                    frames.append(frame)
                    if len(frames) == _CHUNK_FRAMES or len(frames) * frame.nbytes >= _CHUNK_BYTES:
                        self._put(chunks, np.stack(frames))
                        frames = []
                if frames:
                    self._put(chunks, np.stack(frames))
                self._put(
                    chunks,
                    VideoFacts(reader.num_frames, reader.frames_per_second, tuple(reader.warnings)),
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


class _Chunks:
    """The chunks of one video, then its facts or its error."""

    def __init__(self):
        self.queue = queue.Queue(_CHUNKS_AHEAD)
        self.facts = None
        self.error = None

    def __iter__(self):
        while isinstance(item := self.queue.get(), np.ndarray):
            yield item
        if isinstance(item, VideoError | OSError):
            self.error = item
        elif isinstance(item, BaseException):
            raise item
        else:
            self.facts = item

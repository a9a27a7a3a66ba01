"""Collects the frames of many clips into batches and gives each clip its features back."""

import collections
import concurrent.futures
import dataclasses

import numpy as np

from glimpse.pipelines.feature_writer import FeatureWriter

_COMMITS_AHEAD = 16
# Each waits for the disk nearly all of its time.
_COMMIT_THREADS = 4


@dataclasses.dataclass(eq=False)
class ExtractionJob:
    """What is stored under one key: a part of a video, or the same mirrored left to right.

    Args:
        name: The video, for messages.
        key: The key in the store.
        mirrored: Whether the frames are mirrored.
        shape: Shape of the stored features; None while they are not stored.
    """

    name: str
    key: str
    mirrored: bool = False
    shape: tuple | None = None
    metadata: dict | None = None
    writer: FeatureWriter | None = None
    error: str | None = None
    rest: np.ndarray | None = None


class ExtractionRun:
    """Collects frames into batches, runs the backbone, and hands the features to the writers.

    For a backbone that reads several frames at a time, consecutive frames of a clip
    are grouped into chunks that do not overlap; those left at its end are dropped.

    One batch is always under way while the next one is collected, so that a device
    with its own queue does not wait for this thread. Files are completed in other
    threads, because a disk takes milliseconds to confirm each.
    """

    def __init__(self, function, store):
        self._function = function
        self._store = store
        self._buffer = None
        self._filled = 0
        self._shares = []
        self._under_way = None
        self._unfinished = collections.deque()
        self._commits = collections.deque()

    def __enter__(self):
        self._executor = concurrent.futures.ThreadPoolExecutor(_COMMIT_THREADS, "store")
        return self

    def __exit__(self, kind, *unused):
        try:
            if kind is None:
                self._flush()
                self._collect()
                self._await_commits(0)
        finally:
            self._executor.shutdown()
            for job in self._unfinished:
                job.writer.discard()

    def add(self, job, frames):
        """Takes frames `(frames, height, width, 3)` of a job."""
        if job.writer is None:
            job.writer = FeatureWriter(self._store, job.key, self._function.dtype)
            self._unfinished.append(job)
        if job.mirrored:
            frames = frames[:, :, ::-1]
        if job.rest is not None:
            frames = np.concatenate([job.rest, frames])
        frames, rest = self._function.chunks(frames)
        job.rest = rest if len(rest) else None
        if not len(frames):
            return
        if self._buffer is None or self._buffer.shape[1:] != frames.shape[1:]:
            self._flush()
            self._buffer = np.empty((self._function.batch_size, *frames.shape[1:]), np.uint8)
        while len(frames):
            taken = frames[: len(self._buffer) - self._filled]
            self._buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            self._shares.append((job, len(taken)))
            frames = frames[len(taken) :]
            if self._filled == len(self._buffer):
                self._flush()

    def finish(self, job, metadata, error=None):
        """Says that a job's last frame was added, or that it has failed.

        Args:
            job: The ExtractionJob.
            metadata: What to store beside the features, a dict with `num_frames`.
            error: What went wrong, in words, or None.
        """
        job.error, job.metadata, job.rest = error, metadata, None
        self._store_finished()

    def _flush(self):
        if not self._filled:
            return
        features = self._function(self._buffer[: self._filled])
        self._collect()
        self._under_way = features, self._shares
        self._filled, self._shares = 0, []

    def _collect(self):
        if self._under_way is None:
            return
        features, shares = self._under_way
        self._under_way = None
        features = features.numpy()
        for job, count in shares:
            if job.error is None:
                try:
                    job.writer.append(features[:count])
                except ValueError as error:
                    raise ValueError(f"{job.name}: {error}") from error
            features = features[count:]
        self._store_finished()

    def _store_finished(self):
        while self._unfinished:
            job = self._unfinished[0]
            if job.error is not None:
                job.writer.discard()
            elif job.metadata and self._steps(job) == job.writer.num_frames:
                self._commits.append(self._executor.submit(self._commit, job))
                self._await_commits(_COMMITS_AHEAD)
            else:
                return
            self._unfinished.popleft()

    def _steps(self, job):
        return job.metadata["num_frames"] // self._function.frames_per_input

    def _commit(self, job):
        try:
            job.writer.metadata = job.metadata
            job.writer.commit()
            job.shape = job.writer.shape
            job.metadata = None
        finally:
            job.writer.discard()

    def _await_commits(self, remaining):
        while len(self._commits) > remaining:
            self._commits.popleft().result()

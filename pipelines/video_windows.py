"""Reads a video file into windows of features, as a model reads them."""

import dataclasses
import itertools

import numpy as np

from glimpse.pipelines.feature_stream import FeatureStream
from glimpse.pipelines.feature_windows import READS_VECTORS
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader

_FRAMES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, eq=False)
class VideoWindow:
    """One window of a video.

    Args:
        inputs: {input name: float32 array without the batch axis}.
        frames: {input name: numbers of the video's frames that stand for the steps: the frames
            themselves, or the middle ones of chunks}.
    """

    inputs: dict
    frames: dict


class VideoWindows:
    """Iterates over a video's windows as `VideoWindow`s, and tells what it has seen of the video.

    Each frame goes through a backbone once. All blocks of a video, and the window at a given time,
    are read in one pass and in memory that does not grow with the video's length. Other windows
    depend on its length: the frames are counted first, and what all of its windows read is held.

    Args:
        path: The video file.
        sampling: A `WindowSampling`.
        functions: {input name: `BackboneFunction`}, one object where two names share a backbone.
        start: Seconds at which one window begins, which is not mirrored; None: all windows of
            evaluation.

    Attributes:
        num_frames: Frames of the video, or those that the window at a given time took to read.
        frames_per_second: Rate of the video.
        warnings: Signs of missing frames.

    Raises:
        VideoError: If the file cannot be decoded, has too few frames for one step, or too low a
            frame rate.
        ValueError: If the video ends before a window does that begins after its first frame.
    """

    def __init__(self, path, sampling, functions, start=None):
        self.frames_per_second = None
        self.warnings = []
        self._path = path
        self._sampling = sampling
        self._functions = functions
        self._start = start
        # Frames of the video in a step of a window.
        self._chunk = next(
            function.frames_per_input
            for name, function in functions.items()
            if name in READS_VECTORS
        )
        # Frames of the video, once they are counted.
        self._total = None
        self._read = 0

    def __iter__(self):
        with VideoReader(self._path) as reader:
            self.frames_per_second = reader.frames_per_second
            plan, wanted = self._plan()
            streams = self._make_streams(wanted)
            window, given = next(plan), 0
            frames = iter(reader)
            while window is not None and (batch := list(itertools.islice(frames, _FRAMES_AT_ONCE))):
                self._read += len(batch)
                for stream in streams.values():
                    stream.add(np.stack(batch))
                while window is not None and self._is_read(window, streams):
                    yield from self._give(window, streams)
                    window, given = next(plan, None), given + 1
                    if wanted is None and window is not None:
                        self._forget(window, streams)
            self.warnings = self.warnings or list(reader.warnings)
        if window is None:
            return
        for stream in streams.values():
            stream.flush()
        self._count_steps(self._read)
        while window is not None and (wanted is not None or self._fits(window)):
            yield from self._give(window, streams)
            window, given = next(plan, None), given + 1
        if not given:
            yield from self._give(self._short_window(), streams)

    @property
    def num_frames(self):
        return self._read if self._total is None else self._total

    @property
    def _rate(self):
        """Steps a second."""
        return self.frames_per_second / self._chunk

    @property
    def _num_steps(self):
        return self._total // self._chunk

    def _plan(self):
        """An iterator of the windows' steps, and {backbone: steps} that they read if it is known.

        All blocks are endless: where they end is known when the video does.
        """
        sampling = self._sampling
        try:
            stride = sampling.stride(self._rate)
        except ValueError as error:
            raise VideoError(f"{self._path}: {error}") from error
        spans_all = sampling.sampling_rule == "random_frames"
        if self._start and spans_all:
            raise ValueError(
                f"--start={self._start:g}: the model looks at frames from all of the video; leave "
                "it out."
            )
        offsets = stride * np.arange(sampling.num_frames)
        if self._start is not None and not spans_all:
            return iter([self._first + offsets]), None
        if sampling.sampling_rule == "blocks" and sampling.eval_windows is None:
            return (start + offsets for start in itertools.count(0, sampling.block_stride)), None
        with VideoReader(self._path) as reader:
            self._count_steps(sum(1 for _ in reader))
            self.warnings = list(reader.warnings)
        windows = sampling.windows(self._num_steps, self._rate)
        windows = windows if self._start is None else windows[:1]
        wanted = {}
        for window in windows:
            for name, numbers in self._numbers(window).items():
                wanted.setdefault(id(self._functions[name]), set()).update(numbers.tolist())
        return iter(windows), wanted

    def _count_steps(self, num_frames):
        if num_frames < self._chunk:
            raise VideoError(
                f"{self._path}: not enough frames: it has {num_frames}, and the backbone reads "
                f"{self._chunk} at a time."
            )
        self._total = num_frames

    def _make_streams(self, wanted):
        """{(backbone, mirrored): FeatureStream}, one for inputs that share a backbone."""
        sides = (False, True) if self._sampling.flips and self._start is None else (False,)
        poolings = {}
        for name, function in self._functions.items():
            poolings.setdefault(function, set()).add(self._pooling(name))
        return {
            (id(function), side): FeatureStream(
                function, forms, side, None if wanted is None else wanted[id(function)]
            )
            for function, forms in poolings.items()
            for side in sides
        }

    def _pooling(self, name):
        return self._sampling.pooling if READS_VECTORS.get(name, True) else None

    @property
    def _first(self):
        """The step at which the window at a given time begins."""
        return round(self._start * self._rate)

    def _span(self, window):
        """When a window begins and ends, in steps."""
        steps = 0 if self._total is None else self._num_steps
        spans = self._sampling.spans(window[np.newaxis], steps, self._rate)
        return tuple(each[0] for each in spans)

    def _numbers(self, window):
        """The numbers of the steps that each input reads, within the video if its end is known."""
        start, end = self._span(window)
        found = {}
        for name, function in self._functions.items():
            found[name] = window
            if name not in READS_VECTORS:
                ratio = self._chunk / function.frames_per_input
                numbers = self._sampling.attended(start * ratio, end * ratio).astype("int64")
                if self._total is not None:
                    numbers = np.minimum(numbers, self._total // function.frames_per_input - 1)
                found[name] = numbers
        return found

    def _fits(self, window):
        """Whether what is read of the video holds all of a block."""
        return self._span(window)[1] <= self._read // self._chunk

    def _is_read(self, window, streams):
        if self._total is None and not self._fits(window):
            return False
        return all(
            stream.holds(numbers)
            for name, numbers in self._numbers(window).items()
            for (key, _), stream in streams.items()
            if key == id(self._functions[name])
        )

    def _give(self, window, streams):
        numbers, frames = self._numbers(window), {}
        for name, steps in numbers.items():
            chunk = self._functions[name].frames_per_input
            frames[name] = steps * chunk + chunk // 2
        for side in dict.fromkeys(side for _, side in streams):
            inputs = {
                name: streams[id(self._functions[name]), side].take(steps, self._pooling(name))
                for name, steps in numbers.items()
            }
            yield VideoWindow(inputs, frames)

    def _forget(self, window, streams):
        """Drops what neither this window nor a later one reads."""
        firsts = {}
        for name, numbers in self._numbers(window).items():
            firsts.setdefault(id(self._functions[name]), []).append(int(numbers[0]))
        for (key, _), stream in streams.items():
            stream.forget(min(firsts[key]))

    def _short_window(self):
        """The window of a video that is shorter than one, its last step repeated."""
        if self._start is not None and self._first:
            length = self._sampling.num_frames * self._sampling.stride(self._rate) / self._rate
            raise ValueError(
                f"--start={self._start:g}: a window takes {length:.2f} s and {self._path} ends "
                f"after {self._read / self.frames_per_second:.2f} s; start earlier."
            )
        return self._sampling.windows(self._num_steps, self._rate)[0]


def read_frames(path, numbers):
    """Returns frames of a video, uint8 RGB `(frames, height, width, 3)`.

    Args:
        path: The video file.
        numbers: Frame numbers, in any order; a number may come again.

    Raises:
        VideoError: If the file cannot be decoded or has fewer frames.
    """
    wanted, kept = set(map(int, numbers)), {}
    with VideoReader(path) as reader:
        for number, frame in enumerate(reader):
            if number in wanted:
                kept[number] = frame
            if len(kept) == len(wanted):
                return np.stack([kept[int(number)] for number in numbers])
    raise VideoError(f"{path}: has no frame {max(wanted)}.")

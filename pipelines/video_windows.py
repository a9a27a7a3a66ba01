"""Reads a video file into windows of features, as a model reads them."""

import dataclasses
import itertools

import numpy as np

from glimpse.pipelines.feature_stream import FeatureStream
from glimpse.pipelines.feature_windows import READS_VECTORS
from glimpse.pipelines.step_clock import STEP_ROUNDING, uneven_times
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video
from glimpse.pipelines.window_sampling import BLACK_STEP

_FRAMES_AT_ONCE = 16


@dataclasses.dataclass(frozen=True, eq=False)
class VideoWindow:
    """One window of a video.

    Args:
        inputs: {input name: float32 array without the batch axis}.
        frames: {input name: numbers of the video's frames that stand for the steps: the frames
            themselves, or the middle ones of chunks; -1 for a black frame}.
    """

    inputs: dict
    frames: dict


class VideoWindows:
    """Iterates over a video's windows as `VideoWindow`s, and tells what it has seen of the video.

    Each frame goes through a backbone once. All blocks of a video, and the window at a given time,
    are read in one pass and in memory that does not grow with the video's length; where they run
    by time stamps, these are read first. Other windows depend on the video's length: the frames
    are counted first, and what all of its windows read is held.

    Args:
        path: The video.
        sampling: A `WindowSampling`.
        functions: {input name: `BackboneFunction`}, one object where two names share a backbone.
        start: Seconds at which one window begins, which is not mirrored; None: all windows of
            evaluation.
        segment: The `Segment` to read in place of the whole video.

    Attributes:
        num_frames: Frames of the video, or those that the window at a given time took to read.
        frames_per_second: Rate of the video.
        warnings: Signs of missing frames, and how many steps are black or show a frame again.

    Raises:
        VideoError: If the file cannot be decoded, has too few frames for one step, or too low a
            frame rate.
        ValueError: If the video ends before a window does that begins after its first frame.
    """

    def __init__(self, path, sampling, functions, start=None, segment=None):
        self.frames_per_second = None
        self._missing_frames = []
        # Steps of all windows, but for mirrored copies; those that are black; those that show the
        # step before again though the video is long enough.
        self._steps = self._black_steps = self._repeated_steps = 0
        self._path = path
        self._sampling = sampling
        self._functions = functions
        self._start = start
        self._segment = segment
        # Frames of the video in a step of a window.
        self._chunk = next(
            function.frames_per_input
            for name, function in functions.items()
            if name in READS_VECTORS
        )
        # Frames of the video, once they are counted.
        self._total = None
        self._read = 0
        self._clock = None

    def __iter__(self):
        with open_video(self._path, self._segment) as reader:
            self.frames_per_second = reader.frames_per_second
            plan, wanted = self._plan(reader)
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
            if self._total is None and self._start is None:
                self._read += sum(1 for _ in frames)
            self._missing_frames = self._missing_frames or list(reader.warnings)
            if window is None:
                return
            self._count_steps(reader)
        for stream in streams.values():
            stream.flush()
        while window is not None and (wanted is not None or self._fits(window)):
            yield from self._give(window, streams)
            window, given = next(plan, None), given + 1
        if not given:
            yield from self._give(self._short_window(), streams)

    @property
    def num_frames(self):
        return self._read if self._total is None else self._total

    @property
    def warnings(self):
        found, of_all = list(self._missing_frames), f"of the {self._steps} steps of its windows"
        if self._black_steps:
            found.append(
                f"{self._path}: is shorter than {self._sampling.spread_over} frames: "
                f"{self._black_steps} {of_all} are black."
            )
        if self._repeated_steps:
            found.append(
                f"{self._path}: has less than {self._sampling.frames_per_second:g} frames a second "
                f"here and there: {self._repeated_steps} {of_all} show the frame of the step "
                "before."
            )
        return found

    @property
    def _rate(self):
        """Steps a second."""
        return self.frames_per_second / self._chunk

    @property
    def _num_steps(self):
        return self._total // self._chunk

    def _plan(self, reader):
        """An iterator of the windows' steps, and {backbone: steps} that they read if it is known.

        All blocks are endless: where they end is known when the video does.
        """
        sampling = self._sampling
        spans_all = sampling.sampling_rule in ("random_frames", "first_frames")
        if self._start and spans_all:
            raise ValueError(
                f"--start={self._start:g}: the model looks at frames from all of the video; leave "
                "it out."
            )
        if self._start is not None and not spans_all:
            self._clock = self._clock_of_stamps(reader)
            return iter(self._clock.windows([self._first], sampling.num_frames)), None
        if sampling.sampling_rule == "blocks" and sampling.eval_windows is None:
            self._clock = self._clock_of_stamps(reader)
            return self._blocks(), None
        self._count_steps(self._decoded_through())
        windows = sampling.windows(self._clock)
        windows = windows if self._start is None else windows[:1]
        wanted = {}
        for window in windows:
            for name, numbers in self._numbers(window).items():
                wanted.setdefault(id(self._functions[name]), set()).update(numbers.tolist())
        return iter(windows), wanted

    def _blocks(self):
        """The blocks in order, without end while the video's length is not known."""
        num_frames = self._sampling.num_frames
        starts = itertools.count(0, self._sampling.block_stride)
        num_starts = self._clock.num_starts(num_frames)
        for start in itertools.takewhile(lambda start: start < num_starts, starts):
            yield self._clock.windows([start], num_frames)[0]

    def _clock_of_stamps(self, reader):
        """The clock of a video of which no frame was decoded: of its time stamps, if uneven."""
        times = None
        if self._sampling.reads_times:
            planned = reader.planned_times
            if planned is None:
                planned = self._decoded_through().frame_times
            else:
                planned = self._within_segment(planned)
            times = self._uneven(planned)
        return self._make_clock(None if times is None else len(times), times)

    def _decoded_through(self):
        """A reader of which all frames were read."""
        with open_video(self._path, self._segment) as reader:
            for _ in reader:
                pass
        self._missing_frames = list(reader.warnings)
        self.frames_per_second = reader.frames_per_second
        return reader

    def _make_clock(self, num_steps, times):
        try:
            return self._sampling.clock(num_steps, self._rate, times)
        except ValueError as error:
            raise VideoError(f"{self._path}: {error}") from error

    def _within_segment(self, frame_times):
        """The times of the frames in the segment, of those of the whole video."""
        if self._segment is None:
            return frame_times
        positions = frame_times
        if self._segment.unit == "frames":
            positions = np.arange(len(frame_times))
        end = np.inf if self._segment.end is None else self._segment.end
        first, last = np.searchsorted(positions, [self._segment.start, end])
        return frame_times[first:last]

    def _uneven(self, frame_times):
        """The seconds of whole steps if they are uneven, else None."""
        whole = len(frame_times) // self._chunk * self._chunk
        return uneven_times(frame_times[: whole : self._chunk], self._rate) if whole else None

    def _count_steps(self, reader):
        """Takes the video's length, and its frames' times, from a reader that is through."""
        if reader.num_frames < self._chunk:
            raise VideoError(
                f"{self._path}: not enough frames: it has {reader.num_frames}, and the backbone "
                f"reads {self._chunk} at a time."
            )
        self._total, times = reader.num_frames, None
        was_even = self._clock is not None and self._clock.times is None
        if self._sampling.reads_times and not was_even:
            times = self._uneven(reader.frame_times)
        self._clock = self._make_clock(self._num_steps, times)

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
        if self._clock.times is None:
            return round(self._start * self._rate)
        return int(np.searchsorted(self._clock.times, self._start, side="right")) - 1

    def _span(self, window):
        """When a window begins and ends, in steps."""
        spans = self._sampling.spans(window[np.newaxis], self._clock)
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
        """Whether a block ends in what is read of the video; by its time stamps, if uneven."""
        if self._clock.times is None:
            return self._span(window)[1] <= self._read // self._chunk + STEP_ROUNDING
        count = self._sampling.num_frames
        return not self._clock.is_short(count) and window[0] < self._clock.num_starts(count)

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
        self._steps += len(window)
        self._black_steps += int((window == BLACK_STEP).sum())
        if not self._sampling.is_short(self._clock):
            is_repeat = (np.diff(window) == 0) & (window[1:] != BLACK_STEP)
            self._repeated_steps += int(is_repeat.sum())
        numbers, frames = self._numbers(window), {}
        for name, steps in numbers.items():
            chunk = self._functions[name].frames_per_input
            frames[name] = np.where(steps == BLACK_STEP, -1, steps * chunk + chunk // 2)
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
            length = self._sampling.num_frames * self._sampling.ratio(self._rate) / self._rate
            raise ValueError(
                f"--start={self._start:g}: a window takes {length:.2f} s and {self._path} ends "
                f"after {self._read / self.frames_per_second:.2f} s; start earlier."
            )
        return self._sampling.windows(self._clock)[0]


def read_frames(path, numbers):
    """Returns frames of a video, uint8 RGB `(frames, height, width, 3)`.

    Args:
        path: The video.
        numbers: Frame numbers, in any order; a number may come again. -1 is a black frame.

    Raises:
        VideoError: If the file cannot be decoded or has fewer frames.
    """
    kept = {}
    wanted = {int(number) for number in numbers} - {BLACK_STEP}
    with open_video(path) as reader:
        for number, frame in enumerate(reader):
            if BLACK_STEP not in kept:
                kept[BLACK_STEP] = np.zeros_like(frame)
            if number in wanted:
                kept[number] = frame
            if len(kept) == len(wanted) + 1:
                return np.stack([kept[int(number)] for number in numbers])
    raise VideoError(f"{path}: has no frame {max(wanted)}.")

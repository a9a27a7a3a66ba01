"""What extraction does with videos, the same on every machine that takes part."""

import bisect
import dataclasses

import numpy as np

from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.extraction_run import ExtractionJob, ExtractionRun
from glimpse.pipelines.feature_store import FeatureStore, feature_key
from glimpse.pipelines.step_clock import uneven_times
from glimpse.pipelines.video_error import VideoError, display_name
from glimpse.pipelines.video_source import video_sha256

_TIME_DIGITS = 6
_NO_FRAME = "no frame lies in the segment {}; correct the segment."


@dataclasses.dataclass(frozen=True)
class ExtractionStep:
    """Runs the frames of videos through a backbone and stores the features.

    Features that are stored already are left alone: then the video is hashed and not decoded.

    Args:
        fingerprint: `backbone_fingerprint` of the backbone.
        dtype: "float16" or "float32", of the features.
        batch_size: Frames per call of the backbone.
        cache: Folder of the FeatureStore.
        flips: Whether to extract the features of the mirrored frames as well.
        threads: Videos decoded at a time.
    """

    fingerprint: str
    dtype: str
    batch_size: int
    cache: str
    flips: bool = False
    threads: int = 1

    def black_key(self, height, width):
        """The key of the features of one step of black frames of a size."""
        return feature_key(f"black frame {height}x{width}", self.fingerprint, self.dtype, "none")

    def run(self, videos, function, on_video=lambda video, frames: None, black=False):
        """Extracts some videos, with batches that reach across them.

        Args:
            videos: `PlannedVideo`s.
            function: The `BackboneFunction`, of this step's dtype and batch size.
            on_video: Called with each video and the number of its frames once it was decoded.
            black: Whether to store the features of black frames, of the first clip's size, too.

        Returns:
            {number of the clip: outcome}, a dict that JSON can hold. With `error`, a text, or else
            with key, flipped_key, start, num_frames, num_video_frames, frames_per_second,
            frame_times, feature_shape, frame_size, warnings and decoder.

        Raises:
            ValueError: If a feature is not finite in `dtype`.
        """
        store = FeatureStore(self.cache)
        works = [_VideoWork(video) for video in videos]
        outcomes = {}
        with (
            ExtractionRun(function, store) as run,
            DecodedClips(
                works,
                lambda work: work.video.path,
                lambda work: work.video.parts,
                lambda work, decoder: work.prepare(self, store, decoder),
                self.threads,
            ) as decoded,
        ):
            for work, chunks in decoded:
                for chunk in chunks:
                    work.add(run, chunk)
                frames = work.finish(run, chunks, function.frames_per_input)
                outcomes.update(work.outcomes(function.frames_per_input))
                on_video(work.video, frames)
            if black:
                # Here, where it most often finds room in the last batch.
                self.store_black(outcomes, function, run, store)
        for work in works:
            for number, place, _ in work.video.clips:
                if "error" not in outcomes[number]:
                    shape = work.parts[place].jobs[0].shape
                    outcomes[number]["feature_shape"] = list(shape[1:])
        return outcomes

    def store_black(self, outcomes, function, run, store):
        """Stores the features of one step of black frames, unless they are; returns their key.

        Args:
            outcomes: What `run` returns; black frames are of the size of the first stored clip,
                because black is black after any resizing.
            function: The `BackboneFunction`.
            run: An `ExtractionRun` that is under way.
            store: The `FeatureStore`.
        """
        stored = [number for number, outcome in outcomes.items() if "error" not in outcome]
        if not stored:
            return None
        height, width = outcomes[min(stored)]["frame_size"]
        job = ExtractionJob("black frames", self.black_key(height, width))
        if not store.contains(job.key):
            run.add(job, np.zeros((function.frames_per_input, height, width, 3), np.uint8))
            run.finish(job, {"num_frames": function.frames_per_input})
        return job.key


class _PartWork:
    """One part of a video: its jobs, mirrored or not, and what is known of its frames."""

    def __init__(self, segment, jobs, metadata):
        self.segment = segment
        self.jobs = jobs
        self.missing = [job for job in jobs if job.shape is None]
        self.metadata = metadata
        self.times = []
        self.error = None

    def reaches(self, last_number, last_time):
        """Whether no frame after the part was read, so that what lacks there concerns it."""
        if self.segment is None or self.segment.end is None:
            return True
        return self.segment.end > (last_number if self.segment.unit == "frames" else last_time)


class _VideoWork:
    """One video on its way: what is to be done, and what came of it."""

    def __init__(self, video):
        self.video = video
        self.name = display_name(video.path)
        self.decoder = None
        self.parts = []
        self._error = None

    def prepare(self, step, store, decoder):
        """Finds out what is stored; returns whether the video must be decoded."""
        try:
            video = video_sha256(self.video.path)
        except OSError as error:
            raise VideoError(f"{self.name}: cannot be read ({error.strerror}).") from error
        if self.video.checked_sha256 not in (None, video):
            raise VideoError(
                f"{self.name}: is not the file that was checked (its SHA-256 is another); run "
                "`glimpse check-data` again."
            )
        self.decoder = decoder
        parts = []
        for segment in self.video.parts:
            place = None if segment is None else str(segment)
            jobs, known = [], None
            for mirrored in (False, True) if step.flips else (False,):
                key = feature_key(
                    video, step.fingerprint, step.dtype, self.decoder, mirrored, segment=place
                )
                job = ExtractionJob(self.name, key, mirrored)
                metadata = store.metadata(key)
                job.shape = store.shape(key) if metadata else None
                known = metadata if job.shape is not None else known
                jobs.append(job)
            parts.append(_PartWork(segment, jobs, known))
        self.parts = parts
        # All parts are decoded then: what is said of the video does not depend on what was stored.
        return any(part.missing for part in parts)

    def add(self, run, chunk):
        """Hands the frames of a chunk to the jobs that want them."""
        for part in self.parts:
            frames, times = chunk.within(part.segment)
            if len(frames):
                part.times += times.tolist()
                for job in part.missing:
                    run.add(job, frames)

    def finish(self, run, chunks, frames_per_input):
        """Completes the jobs of a video that was decoded; returns the number of its frames."""
        error = chunks.error
        if error is not None:
            text = str(error)
            self._error = text if isinstance(error, VideoError) else f"{self.name}: {text}"
        frames = 0
        for part in self.parts:
            if not part.missing:
                continue
            part.error = self._error or self._shortage(part, frames_per_input)
            if part.error is None:
                part.metadata = self._metadata(part, chunks.facts)
                frames += len(part.times)
            for job in part.missing:
                run.finish(job, part.metadata, part.error)
        return frames

    def _shortage(self, part, needed):
        count = len(part.times)
        if not count:
            return f"{self.name}: {_NO_FRAME.format(part.segment)}"
        if count < needed:
            return (
                f"{self.name}: not enough frames: it has {count}, and the backbone reads {needed} "
                "at a time."
            )
        return None

    def _metadata(self, part, facts):
        # What is stored depends neither on what the video is called nor on other parts of it.
        prefix = f"{self.name}: "
        last_time = max(each.times[-1] for each in self.parts if each.times)
        warnings = facts.warnings if part.reaches(facts.last_number, last_time) else ()
        return {
            "num_frames": len(part.times),
            "frames_per_second": facts.frames_per_second,
            "height": facts.height,
            "width": facts.width,
            "frame_times": part.times,
            "warnings": [warning.removeprefix(prefix) for warning in warnings],
        }

    def outcomes(self, frames_per_input):
        """{number of the clip: what the index needs to know of it}, all but the features' shape."""
        found = {}
        for number, place, segment in self.video.clips:
            part = self.parts[place] if self.parts else None
            error = self._error if part is None else part.error
            if error is None:
                found[number] = self._outcome(part, segment, frames_per_input)
            else:
                found[number] = {"error": error}
        for part in self.parts:
            part.metadata, part.times = None, []
        return found

    def _outcome(self, part, segment, frames_per_input):
        known = part.metadata
        start, stop = _place_in(part, segment, known["frame_times"])
        if start == stop:
            return {"error": f"{self.name}: {_NO_FRAME.format(segment)}"}
        times = np.array(known["frame_times"][start:stop])
        steps = (stop - start) // frames_per_input
        rate = known["frames_per_second"] / frames_per_input
        times = uneven_times(times[: steps * frames_per_input : frames_per_input], rate)
        return {
            "key": part.jobs[0].key,
            "flipped_key": part.jobs[1].key if len(part.jobs) > 1 else None,
            "start": start,
            "num_frames": steps,
            "num_video_frames": stop - start if frames_per_input > 1 else None,
            "frames_per_second": rate,
            "frame_times": times and [round(t, _TIME_DIGITS) for t in times],
            "frame_size": [known["height"], known["width"]],
            "warnings": [f"{self.name}: {warning}" for warning in known["warnings"]],
            "decoder": self.decoder,
        }


def _place_in(part, segment, times):
    """Where the frames of a clip lie among those of its part: the first, and the one after."""
    if segment == part.segment:
        return 0, len(times)
    positions = times
    if segment.unit == "frames":
        first = int(part.segment.start) if part.segment is not None else 0
        positions = range(first, first + len(times))
    start = bisect.bisect_left(positions, segment.start)
    stop = len(times)
    if segment.end is not None:
        stop = bisect.bisect_left(positions, segment.end)
    return start, stop

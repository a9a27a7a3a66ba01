"""Extraction on several machines, as an Apache Beam job."""

import contextlib
import fcntl
import json
import os
import pathlib
import shutil
import tempfile
import time

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.shared import Shared
from apache_beam.utils.windowed_value import WindowedValue

from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.feature_store import backbone_fingerprint
from glimpse.pipelines.feature_writer import host_name

# Videos whose frames share batches in one worker; it answers for them together.
_VIDEOS_TOGETHER = 16
_ANSWERS = ".beam-"
_YOUNG_SECONDS = 60
# Beam's own default may download a program to run the job with.
_DEFAULT_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


class BeamExtraction:
    """Runs the extraction step as a Beam job, one video an element, on any of Beam's runners.

    Every worker loads the backbone itself and stores features by itself: the cache's folder and
    the videos must be reachable by the same paths from all machines. What a worker stored stays
    when it dies or the job fails; the same job started again goes on from there.

    Args:
        load_backbone: A function without arguments that returns the backbone; it is sent to the
            workers, so it must be importable there (a `functools.partial` of such a one, say).
        folder: Where the job's answers are gathered, reachable from all machines as well.
        beam_flags: Beam's own flags, such as `["--runner=FlinkRunner", "--flink_master=..."]`.
            Without `--runner`, the job runs in this process.
    """

    def __init__(self, load_backbone, folder, beam_flags=()):
        self._load_backbone = load_backbone
        self._folder = os.path.abspath(os.fsdecode(folder))
        self._beam_flags = list(beam_flags)

    def __call__(self, step, videos):
        """Runs the step on all videos; returns its outcomes, {number of the clip: outcome}.

        Raises:
            ValueError: As `ExtractionStep.run`.
            RuntimeError: If the job failed, or did not answer for each clip.
        """
        flags = self._beam_flags
        if not any(flag.split("=")[0] == "--runner" for flag in flags):
            flags = [f"--runner={_DEFAULT_RUNNER}", *flags]
        os.makedirs(self._folder, exist_ok=True)
        _remove_left_over(self._folder)
        with _answers_folder(self._folder) as folder:
            try:
                with beam.Pipeline(options=PipelineOptions(flags)) as pipeline:
                    _ = (
                        pipeline
                        | "Videos" >> beam.Create(videos)
                        | "Spread" >> beam.Reshuffle()
                        | "Extract" >> beam.ParDo(_Extract(step, self._load_backbone))
                        | "Answer" >> beam.io.WriteToText(os.path.join(folder, "answers"))
                    )
            except Exception as error:
                raise RuntimeError(
                    f"The Beam job failed ({_last_line(error)}). Features that are stored stay: "
                    "run the same command again."
                ) from error
            outcomes = _read_answers(folder)
        expected = {number for video in videos for number, *_ in video.clips}
        if set(outcomes) != expected:
            raise RuntimeError(
                f"The Beam job answered for {len(outcomes)} of {len(expected)} clips; is the "
                f"folder {self._folder} the same on all machines?"
            )
        return outcomes


class _Extract(beam.DoFn):
    """Extracts videos and gives each clip's outcome, or what stopped all, as a line of JSON."""

    def __init__(self, step, load_backbone):
        self._step = step
        self._load_backbone = load_backbone
        # One backbone a process, however many threads of it take part.
        self._shared = Shared()
        self._videos = []

    def setup(self):
        self._function = self._shared.acquire(self._load)

    def start_bundle(self):
        self._videos = []

    def process(self, video):
        self._videos.append(video)
        if len(self._videos) == _VIDEOS_TOGETHER:
            yield from self._extract()

    def finish_bundle(self):
        for line in self._extract():
            window = GlobalWindow()
            yield WindowedValue(line, window.max_timestamp(), [window])

    def _load(self):
        backbone = self._load_backbone()
        found = backbone_fingerprint(backbone)
        if found != self._step.fingerprint:
            raise ValueError(
                "The backbone of this worker is not the one of the machine that started the job: "
                "install the same version of glimpse and the same weights on both."
            )
        return BackboneFunction(backbone, self._step.dtype, self._step.batch_size)

    def _extract(self):
        videos, self._videos = self._videos, []
        if not videos:
            return
        try:
            outcomes = self._step.run(videos, self._function)
        except ValueError as error:
            # An answer, because a runner would try again what cannot succeed.
            yield json.dumps({"stopped": str(error)})
            return
        Metrics.counter("glimpse", "videos").inc(len(videos))
        for number, outcome in outcomes.items():
            yield json.dumps({"number": number, "outcome": outcome})


@contextlib.contextmanager
def _answers_folder(folder):
    """A folder for a job's answers, locked and named after this machine while the job runs."""
    suffix = f"@{host_name()}"
    with tempfile.TemporaryDirectory(suffix, _ANSWERS, folder) as answers:
        lock = os.open(answers, os.O_RDONLY)
        try:
            # Where a folder cannot be locked, what a killed job leaves stays.
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield answers
        finally:
            os.close(lock)


def _remove_left_over(folder):
    """Removes the answers of jobs that this machine started and whose process is gone."""
    for path in pathlib.Path(folder).glob(f"{_ANSWERS}*@{host_name()}"):
        with contextlib.suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                # One that was made this moment may not be locked yet.
                if time.time() - os.fstat(lock).st_mtime > _YOUNG_SECONDS:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            finally:
                os.close(lock)


def _read_answers(folder):
    outcomes = {}
    for path in pathlib.Path(folder).glob("answers*"):
        with open(path, encoding="utf-8") as file:
            for line in file:
                answer = json.loads(line)
                if "stopped" in answer:
                    raise ValueError(answer["stopped"])
                outcomes[answer["number"]] = answer["outcome"]
    return outcomes


def _last_line(error):
    lines = str(error).strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else type(error).__name__

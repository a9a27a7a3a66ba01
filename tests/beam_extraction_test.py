"""Extraction as a Beam job: the same bytes as in one process, whoever dies."""

import functools
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from glimpse.pipelines.beam_extraction import BeamExtraction
from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.segment import Segment
from tests.bits_backbone import BitsBackbone
from tests.extraction_inputs_test import ChunkBackbone
from tests.numbered_videos import write_video
from tests.run_command import run_command
from tests.slow_backbone import SlowBackbone

ROOT = pathlib.Path(__file__).parent.parent


def make_clips(folder, lengths):
    """Videos of these lengths, every second one with two segments that overlap."""
    folder.mkdir(exist_ok=True)
    clips = []
    for number, length in enumerate(lengths):
        path = str(write_video(folder / f"{number} ü.mp4", num_frames=length, first=number))
        parts = [None] if number % 2 == 0 else [Segment(0, 0.4), Segment(0.2, length / 25)]
        for part in parts:
            clips.append(Clip(f"{len(clips)}", path, 0, "train", segment=part))
    return ClipSet("set", ("a",), tuple(clips))


def content(folder):
    """The bytes of all files of an extraction, by name."""
    files = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("backbone", [SlowBackbone, ChunkBackbone])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_same_bytes_as_in_one_process(tmp_path, backbone):
    clips = make_clips(tmp_path / "set", [7, 30, 12, 41, 2])
    (tmp_path / "set" / "2 ü.mp4").write_text("no video")
    options = {"progress": False, "batch_size": 16, "flips": True, "on_error": "report"}
    here = extract_features(clips, backbone(), tmp_path / "here", **options)
    runner = BeamExtraction(backbone, tmp_path / "beam")
    beam = extract_features(clips, backbone(), tmp_path / "beam", runner=runner, **options)
    assert beam.entries == here.entries and beam.failed == here.failed
    assert len(here.failed) == (1 if backbone is SlowBackbone else 2)
    assert content(tmp_path / "beam") == content(tmp_path / "here")
    assert sorted(os.listdir(tmp_path / "beam")) == ["features", "index.json"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_stops_a_worker_stops_the_job_in_the_same_words(tmp_path):
    clips = make_clips(tmp_path / "set", [3])
    scaled = functools.partial(BitsBackbone, 1000.0)
    runner = BeamExtraction(scaled, tmp_path / "out")
    with pytest.raises(ValueError, match=r'0 ü\.mp4: [0-9]+ features .*; use dtype="float32"'):
        extract_features(clips, scaled(), tmp_path / "out", progress=False, runner=runner)
    assert not [name for name in content(tmp_path / "out") if "partial" in name]
    another = BeamExtraction(ChunkBackbone, tmp_path / "out")
    with pytest.raises(RuntimeError, match="Beam job failed.*backbone of this worker is not"):
        extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False, runner=another)
    assert not (tmp_path / "out/index.json").exists()


_DRIVER = """
import sys
from glimpse.pipelines.beam_extraction import _answers_folder
with _answers_folder(sys.argv[1]) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_killed_jobs_left_is_removed_and_nothing_of_the_living(tmp_path):
    clips = make_clips(tmp_path / "set", [3])
    out = tmp_path / "out"
    out.mkdir()
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", _DRIVER, out],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        folders = [pathlib.Path(driver.stdout.readline().strip()) for driver in drivers]
        for folder in folders:
            (folder / "answers").write_text("{}")
        for driver in drivers[:2]:
            driver.kill()
            driver.communicate()
        dead, young, live = folders
        elsewhere, other = out / ".beam-old@elsewhere", out / ".beam-notes"
        elsewhere.mkdir()
        other.mkdir()
        then = time.time() - 1000
        for folder in (dead, live, elsewhere, other):
            os.utime(folder, (then, then))
        runner = BeamExtraction(BitsBackbone, out)
        extract_features(clips, BitsBackbone(), out, progress=False, runner=runner)
        left = {"features", "index.json", young.name, live.name, elsewhere.name, other.name}
        assert set(os.listdir(out)) == left and (live / "answers").exists()
        drivers[2].communicate()
        assert drivers[2].returncode == 0 and not live.exists()
    finally:
        for driver in drivers:
            driver.kill()
            driver.wait()


def test_the_command_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "glimpse.pipelines.beam_extraction")
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    cases = {
        ("--runner=beam",): "pip install 'glimpse[beam]'",
        ("--", "--direct_num_workers=2"): "give --runner=beam too",
        ("file.mp4",): "'file.mp4' is not a flag",
    }
    for flags, message in cases.items():
        assert run_command("extract", f"--data={tmp_path}", "--output=out", *flags) == 1
        assert message in capsys.readouterr().err


_JOB = """
import functools, sys
from glimpse.pipelines.beam_extraction import BeamExtraction
from glimpse.pipelines.extraction import extract_features
from tests.beam_extraction_test import make_clips, LENGTHS
from tests.slow_backbone import SlowBackbone
import pathlib
folder = pathlib.Path(sys.argv[1])
workers = folder / "workers"
runner = BeamExtraction(
    functools.partial(SlowBackbone, workers, float(sys.argv[2])),
    folder / "out",
    ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"],
)
if __name__ == "__main__":
    extract_features(
        make_clips(folder / "set", LENGTHS), SlowBackbone(), folder / "out", batch_size=8,
        progress=False, runner=runner,
    )
"""
LENGTHS = [40, 50, 60, 45, 30, 55, 33, 64]


@pytest.mark.slow
def test_a_worker_is_killed_and_the_job_restarted(tmp_path):
    (tmp_path / "workers").mkdir()
    script = tmp_path / "job.py"
    script.write_text(_JOB)

    def start(seconds):
        return subprocess.Popen(
            [sys.executable, script, tmp_path, str(seconds)],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )

    job = start(0.2)
    features = tmp_path / "out/features"
    deadline = time.monotonic() + 120
    while not (len(list(features.glob("*.tfrecord"))) >= 2 and list(features.glob(".*.partial"))):
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    workers = [int(path.name) for path in (tmp_path / "workers").iterdir()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert job.wait(timeout=120) != 0
    assert not (tmp_path / "out/index.json").exists()
    stored = {path.name: path.stat().st_mtime_ns for path in features.glob("[!.]*.tfrecord")}
    assert 2 <= len(stored)

    assert start(0.0).wait(timeout=240) == 0
    clips = make_clips(tmp_path / "set", LENGTHS)
    extract_features(clips, SlowBackbone(), tmp_path / "here", batch_size=8, progress=False)
    found = content(tmp_path / "out")
    left = [name for name in found if name.endswith(".partial")]
    assert {name: found[name] for name in found if name not in left} == content(tmp_path / "here")
    # What was stored when the worker died was used and not made again.
    for name, written in stored.items():
        assert (features / name).stat().st_mtime_ns == written


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

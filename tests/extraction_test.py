import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.clips import Clip, ClipSet, read_clips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.extraction_run import ExtractionRun
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import decoder_for, video_sha256
from tests.bits_backbone import BitsBackbone, numbers_in
from tests.numbered_videos import BITS, write_video
from tests.slow_backbone import SlowBackbone, conv_backbone

LENGTHS = {"a/0": 7, "a/1": 30, "a/2": 1, "b/0": 65, "b/1": 12, "b/2": 40}


@pytest.fixture
def clip_set(tmp_path):
    """Six clips; clip n shows the numbers from 10 n on."""
    for first, (name, length) in enumerate(LENGTHS.items()):
        path = tmp_path / "set" / f"{name} '#ü.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, num_frames=length, first=10 * first, rate=12.5)
    return read_clips(tmp_path / "set")


def expected_numbers(clip):
    name = clip.clip_id.split(" ")[0]
    first = 10 * list(LENGTHS).index(name)
    return list(range(first, first + LENGTHS[name]))


@pytest.mark.parametrize("batch_size", [1, 16, 500])
@pytest.mark.parametrize("threads", [1, 3])
def test_each_frame_once_and_in_place(tmp_path, clip_set, batch_size, threads):
    backbone = BitsBackbone()
    index = extract_features(
        clip_set, backbone, tmp_path / "out", batch_size=batch_size, decode_threads=threads,
        progress=False,
    )  # fmt: skip
    assert index.seen == index.expected == len(clip_set.clips) and not index.failed
    for clip in index.entries:
        features = index.read(clip)
        assert features.dtype == np.float16 and features.shape[1:] == (1, BITS, 3)
        assert numbers_in(features) == expected_numbers(clip)
        assert clip.num_frames == len(features)
        assert clip.frames_per_second == pytest.approx(12.5)
        assert numbers_in(index.read(clip, 0, 1)) == expected_numbers(clip)[:1]
    frames = sum(LENGTHS.values())
    # Batches reach across videos: only the last one may be part full. A black frame is the last.
    assert backbone.calls == [batch_size] * -(-(frames + 1) // batch_size)


def test_index_on_disk(tmp_path, clip_set):
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    assert FeatureIndex.load(tmp_path / "out") == index
    written = json.loads((tmp_path / "out/index.json").read_text())
    assert written["dataset"] == "set" and written["label_names"] == ["a", "b"]
    assert written["split_hash"] == clip_set.split_hash
    assert (written["backbone"], written["dtype"]) == ("bits", "float16")
    assert written["feature_shape"] == [1, BITS, 3]
    assert written["decoder"] == decoder_for(clip_set.clips[0].path)
    assert written["counts"] == {"expected": 6, "seen": 6, "failed": 0, "missing": 0}
    assert written["expected_in"] == index.seen_in == clip_set.expected
    assert (written["cache"], written["manifest_sha256"]) == ("features", None)
    clips = [(c.clip_id, c.label, c.split, c.path) for c in clip_set.clips]
    assert [(c.clip_id, c.label, c.split, c.path) for c in index.entries] == clips
    assert [c.split for c in index.clips("train")] == ["train"] * len(clip_set.in_split("train"))
    assert sorted(os.listdir(tmp_path / "out")) == ["features", "index.json"]
    assert len(os.listdir(tmp_path / "out/features")) == 2 * (6 + 1)  # one more for black
    with pytest.raises(ValueError, match="split must be one of"):
        index.clips("all")


def test_index_of_something_else(tmp_path):
    with pytest.raises(ValueError, match="no such file; extract features into this folder first"):
        FeatureIndex.load(tmp_path / "none")
    for content, message in {
        "[": "is not JSON",
        "[]": "is not an index of features",
        '{"format": "other"}': "is not an index of features",
        '{"format": "glimpse features", "format_version": 0}': "format version 0",
        '{"format": "glimpse features", "format_version": 1}': "is damaged",
    }.items():
        (tmp_path / "index.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            FeatureIndex.load(tmp_path)


def test_stored_clips_are_not_decoded_again(tmp_path, clip_set, monkeypatch):
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    os.unlink(index.path(index.entries[1]))
    with open(index.path(index.entries[2]), "r+b") as file:
        file.truncate(150)
    decoded = []

    def counting(self):
        decoded.append(self.path)
        return real(self)

    real = FrameReader.__iter__
    monkeypatch.setattr(FrameReader, "__iter__", counting)
    again = extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    assert again == index
    assert sorted(decoded) == sorted(clip.path for clip in index.entries[1:3])
    assert [numbers_in(again.read(c)) for c in again.entries] == [
        expected_numbers(c) for c in again.entries
    ]


def test_another_backbone_dtype_or_video_is_extracted_anew(tmp_path, clip_set):
    out = tmp_path / "out"
    keys = {c.key for c in extract_features(clip_set, BitsBackbone(), out, progress=False).entries}
    other = BitsBackbone()
    other.fingerprint = "bits 2"
    keys |= {c.key for c in extract_features(clip_set, other, out, progress=False).entries}
    index = extract_features(clip_set, BitsBackbone(), out, "float32", progress=False)
    keys |= {c.key for c in index.entries}
    assert index.read(index.entries[0]).dtype == np.float32
    path = clip_set.clips[0].path
    write_video(path, num_frames=3, first=200)
    index = extract_features(clip_set, BitsBackbone(), out, progress=False)
    keys |= {c.key for c in index.entries}
    assert numbers_in(index.read(index.entries[0])) == [200, 201, 202]
    assert len(keys) == 19


def damage(clip_set):
    bad = [clip_set.clips[1].path, clip_set.clips[4].path]
    with open(bad[0], "w") as file:
        file.write("no video")
    os.unlink(bad[1])
    return bad


def test_unreadable_clips_fail_at_the_end_with_all_their_names(tmp_path, clip_set):
    bad = damage(clip_set)
    with pytest.raises(VideoError, match="2 of 6 clips could not be decoded") as error:
        extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    assert all(path in str(error.value) for path in bad)
    names = os.listdir(tmp_path / "out/features")
    assert sum(name.endswith(".tfrecord") for name in names) == 4 + 1  # one more for black
    assert not (tmp_path / "out/index.json").exists()


def test_another_video_than_the_one_that_was_checked(tmp_path, clip_set):
    checked = {clip.path: video_sha256(clip.path) for clip in clip_set.clips}
    options = {"progress": False, "checked": checked}
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", **options)
    assert (index.seen, index.failed) == (6, ())
    path = clip_set.clips[4].path
    with open(path, "r+b") as file:  # the size stays, and every frame
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    for features in ("out", "new"):
        with pytest.raises(VideoError, match="is not the file that was checked") as error:
            extract_features(clip_set, BitsBackbone(), tmp_path / features, **options)
        assert path in str(error.value) and "run `glimpse check-data` again" in str(error.value)
    index = extract_features(
        clip_set, BitsBackbone(), tmp_path / "new", on_error="report", **options
    )
    assert index.seen == 5 and [entry["path"] for entry in index.failed] == [path]


def test_unreadable_clips_are_reported(tmp_path, clip_set):
    bad = damage(clip_set)
    index = extract_features(
        clip_set, BitsBackbone(), tmp_path / "out", progress=False, on_error="report"
    )
    assert (index.expected, index.seen) == (6, 4)
    assert [entry["path"] for entry in index.failed] == bad
    assert "looks like text" in index.failed[0]["reason"]
    assert [numbers_in(index.read(c)) for c in index.entries] == [
        expected_numbers(c) for c in index.entries
    ]


def test_truncated_clips_are_counted_as_warnings(tmp_path, clip_set):
    path = tmp_path / "cut.avi"
    write_video(path, "MJPG", num_frames=60)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clips = ClipSet("cut", ("a",), (Clip("cut", str(path), 0, "train"),))
    for _ in range(2):  # the second time from the store
        index = extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False)
        assert [entry["path"] for entry in index.warnings] == [str(path)]
        assert "is cut off" in index.warnings[0]["reason"]
        assert 0 < index.entries[0].num_frames < 60


def test_frame_sizes_may_differ_where_features_agree(tmp_path):
    clips = []
    for number, size in enumerate([(48, 64), (96, 64), (48, 128), (48, 64)]):
        path = write_video(
            tmp_path / f"{number}.mp4", num_frames=9, first=10 * number, height=size[0],
            width=size[1],
        )  # fmt: skip
        clips.append(Clip(path.name, str(path), 0, "train"))
    clips = ClipSet("sizes", ("a",), tuple(clips))
    index = extract_features(clips, BitsBackbone(), tmp_path / "out", batch_size=4, progress=False)
    for number, clip in enumerate(index.entries):
        assert numbers_in(index.read(clip)) == list(range(10 * number, 10 * number + 9))
    with pytest.raises(ValueError, match=r"features of 3 shapes: .*resizes its frames"):
        extract_features(clips, conv_backbone(), tmp_path / "out", progress=False)


def test_features_too_large_for_float16(tmp_path, clip_set):
    backbone = BitsBackbone(scale=1000.0)
    with pytest.raises(ValueError, match=r'#ü\.mp4: [0-9]+ features .*; use dtype="float32"'):
        extract_features(clip_set, backbone, tmp_path / "out", progress=False)
    assert not list((tmp_path / "out").rglob("*.partial"))
    index = extract_features(clip_set, backbone, tmp_path / "out", "float32", progress=False)
    assert index.read(index.entries[0]).max() > 65504


def test_limit_takes_classes_in_turn(tmp_path, clip_set):
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", limit=2, progress=False)
    assert (index.limit, index.expected) == (2, 6)
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", limit=1, progress=False)
    assert [c.split for c in index.entries] == ["train", "val", "test"]
    twenty = tuple(Clip(str(n), clip_set.clips[0].path, n // 10, "train") for n in range(20))
    index = extract_features(
        ClipSet("many", ("a", "b"), twenty), BitsBackbone(), tmp_path / "out", limit=5,
        progress=False,
    )  # fmt: skip
    assert [c.clip_id for c in index.entries] == ["0", "1", "2", "10", "11"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dtype": "float64"}, "dtype must be one of"),
        ({"on_error": "ignore"}, "on_error must be"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_wrong_arguments(tmp_path, clip_set, arguments, message):
    with pytest.raises(ValueError, match=message):
        extract_features(clip_set, BitsBackbone(), tmp_path / "out", **arguments)
    with pytest.raises(ValueError, match="holds no clips"):
        extract_features(ClipSet("none", ("a",), ()), BitsBackbone(), tmp_path / "out")


def test_full_disk_stops_and_leaves_no_final_name(tmp_path, clip_set):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
    try:
        with pytest.raises(OSError):
            extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    names = os.listdir(tmp_path / "out/features")
    assert not [name for name in names if name.endswith(".partial")]
    for name in names:
        assert os.path.getsize(tmp_path / "out/features" / name) <= 1024
    index = extract_features(clip_set, BitsBackbone(), tmp_path / "out", progress=False)
    assert [numbers_in(index.read(c)) for c in index.entries] == [
        expected_numbers(c) for c in index.entries
    ]


_PROCESS = """
import sys
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.extraction import extract_features
from tests.slow_backbone import SlowBackbone
extract_features(
    read_clips(sys.argv[1]), SlowBackbone(seconds=float(sys.argv[3])), sys.argv[2], batch_size=16,
    progress=False,
)
"""


def start_process(folder, out, seconds):
    """Extracts in a process of its own, which takes these seconds for each batch."""
    return subprocess.Popen(
        [sys.executable, "-c", _PROCESS, folder, out, str(seconds)],
        cwd=os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stderr=subprocess.DEVNULL,
    )


def content(folder):
    """The bytes of all whole files of an extraction, by name."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files
            if not path.name.endswith(".partial")}  # fmt: skip


def test_killed_and_resumed_gives_the_same_bytes(tmp_path, clip_set):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start_process(tmp_path / "set", killed, 0.25)
    features = killed / "features"
    deadline = time.monotonic() + 120
    while len(list(features.glob("*.tfrecord"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 2 <= len(list(features.glob("[!.]*.tfrecord"))) < 6
    assert not (killed / "index.json").exists()

    extract_features(clip_set, SlowBackbone(), killed, batch_size=16, progress=False)
    extract_features(clip_set, SlowBackbone(), whole, batch_size=16, progress=False)
    assert content(killed) == content(whole)


def test_two_at_once_give_the_same_bytes(tmp_path, clip_set):
    both, whole = tmp_path / "both", tmp_path / "whole"
    process = start_process(tmp_path / "set", both, 0.1)
    deadline = time.monotonic() + 120
    while not list(both.glob("features/.*.partial")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    extract_features(clip_set, SlowBackbone(seconds=0.1), both, batch_size=16, progress=False)
    assert process.wait(timeout=120) == 0
    extract_features(clip_set, SlowBackbone(), whole, batch_size=16, progress=False)
    assert content(both) == content(whole)
    assert not list(both.rglob("*.partial*"))


def test_features_do_not_depend_on_the_company_of_a_frame():
    frames = np.random.default_rng(0).integers(0, 256, (7, 48, 64, 3), np.uint8)
    function = BackboneFunction(conv_backbone(), "float32", batch_size=7)
    together = function(frames).numpy()
    for number in range(7):
        np.testing.assert_array_equal(function(frames[number : number + 1])[0], together[number])


def test_an_interrupt_leaves_no_threads_and_no_partial_files(tmp_path, clip_set, monkeypatch):
    partial = []

    def interrupt(self, job, metadata, error):
        if "/b/" in job.name:
            partial.extend((tmp_path / "out").rglob("*.partial"))
            raise KeyboardInterrupt
        real(self, job, metadata, error)

    real = ExtractionRun.finish
    monkeypatch.setattr(ExtractionRun, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        extract_features(clip_set, BitsBackbone(), tmp_path / "out", batch_size=1, progress=False)
    assert partial and not list((tmp_path / "out").rglob("*.partial"))
    assert not [t for t in threading.enumerate() if t.name.startswith("decode")]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

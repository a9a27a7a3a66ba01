"""The manifest's contents, from facts that files only claim; decoding is tested elsewhere."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.data_check import check_data
from glimpse.pipelines.manifest import Manifest, read_manifest, usable_clips
from glimpse.pipelines.segment import Segment
from tests import failing_checks

ROOT = pathlib.Path(__file__).parent.parent


def make_clips(folder, files, missing=(), **options):
    """A clip set of files {name: (split, what `act` is to find there)}."""
    folder.mkdir(exist_ok=True)
    clips = []
    for number, (name, (split, values)) in enumerate(files.items()):
        path = folder / f"{name}.avi"
        path.write_text(json.dumps({"sha256": f"{number:064x}", **values}))
        clips.append(Clip(name, str(path), 0, split))
    return ClipSet("ours", ("run",), tuple(clips), missing=tuple(missing), **options)


def check(clip_set, folder, name="manifest.jsonl", **options):
    options = {"workers": 1, "timeout": 2.0, "progress": False, "folder": folder, **options}
    return check_data(clip_set, folder / name, check=failing_checks.act, **options)


def statuses(manifest):
    return [(record["path"], record["status"]) for record in manifest.records]


def test_every_status_and_field(tmp_path):
    gone = {"clip_id": "lost", "path": str(tmp_path / "b/lost.avi"), "split": "test",
            "label": 0, "reason": "the split lists it"}  # fmt: skip
    clip_set = make_clips(
        tmp_path,
        {
            "a": ("train", {"sha256": "a" * 64, "variable_rate": True}),
            "broken": ("train", {"status": "corrupt", "reason": "is a text", "num_frames": None}),
            "gone": ("val", {"status": "missing", "reason": "there is no such file"}),
            "few": ("train", {"num_frames": 15}),
            "enough": ("train", {"num_frames": 16}),
            "cut": ("test", {"warnings": ["the file is cut off"], "num_frames": 90}),
            "twin": ("train", {"sha256": "a" * 64}),
            "leak": ("test", {"sha256": "a" * 64}),
            "segfault": ("test", {}),
            "hang": ("test", {}),
        },
        missing=[gone],
        split_name="split 1",
        left_out={"no label": 3},
        unknown_files=("x.txt", "y.txt"),
    )
    for clip in clip_set.clips[:5]:
        values = json.loads(pathlib.Path(clip.path).read_text())
        pathlib.Path(clip.path).write_text(json.dumps({"num_frames": 30, **values}))
    manifest = check(clip_set, tmp_path, min_frames=16, workers=3)
    assert [(r["path"], r["status"], r["reason"]) for r in manifest.records] == [
        ("a.avi", "found", None),
        ("broken.avi", "corrupt", "is a text"),
        ("gone.avi", "missing", "there is no such file"),
        ("few.avi", "short", "has 15 frames, fewer than min_frames=16"),
        ("enough.avi", "found", None),
        ("cut.avi", "corrupt", "the file is cut off"),
        ("twin.avi", "short", "has 12 frames, fewer than min_frames=16"),
        ("leak.avi", "short", "has 12 frames, fewer than min_frames=16"),
        ("segfault.avi", "corrupt", "the decoder ended its process (SIGSEGV)"),
        ("hang.avi", "corrupt", "the decoder hangs: no progress for 2 seconds"),
        ("b/lost.avi", "missing", "the split lists it"),
    ]
    assert manifest.records[0] == {
        "path": "a.avi", "clip_ids": ["a"], "splits": ["train"], "status": "found", "reason": None,
        "num_frames": 30, "width": 64, "height": 48, "frames_per_second": 25.0, "seconds": 0.48,
        "variable_rate": True, "sha256": "a" * 64, "bytes": 2, "decoder": "none", "warnings": [],
    }  # fmt: skip
    header = dict(manifest.header)
    assert header.pop("decoders")
    assert header == {
        "dataset": "ours", "protocol": None, "split_name": "split 1",
        "split_hash": clip_set.split_hash, "expected": {"train": 5, "val": 1, "test": 5},
        "left_out": {"no label": 3}, "unlisted": 2, "min_frames": 16, "allow_damaged": False,
        "records": 11,
    }  # fmt: skip
    assert read_manifest(tmp_path / "manifest.jsonl") == manifest

    again = check(clip_set, tmp_path, allow_damaged=True, workers=3)
    assert [(r["path"], r["status"], r["reason"]) for r in again.records[5:8]] == [
        ("cut.avi", "found", None),
        ("twin.avi", "duplicate", "the same bytes as 'a.avi'"),
        ("leak.avi", "duplicate", "the same bytes as 'a.avi', in two splits (test and train)"),
    ]
    assert [(entry["clip_id"], entry["status"]) for entry in again.unusable()] == [
        ("broken", "corrupt"), ("gone", "missing"), ("leak", "duplicate"),
        ("segfault", "corrupt"), ("hang", "corrupt"), ("lost", "missing"),
    ]  # fmt: skip


def test_bytes_depend_on_the_files_alone(tmp_path):
    files = {f"clip-{number}": ("train", {"num_frames": number}) for number in range(9)}
    clip_set = make_clips(tmp_path, {"late": ("train", {}), **files})
    check(clip_set, tmp_path, "one", workers=1)
    check(clip_set, tmp_path, "three", workers=3)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "three").read_bytes()
    moved = make_clips(tmp_path / "moved", {"late": ("train", {}), **files})
    check(moved, tmp_path / "moved", "one")
    assert (tmp_path / "moved/one").read_bytes() == (tmp_path / "one").read_bytes()


def test_clips_that_are_segments(tmp_path):
    clip_set = make_clips(tmp_path, {"film": ("train", {"segment_frames": [5, 0, 12]})})
    film = clip_set.clips[0]
    segments = [Segment(0, 0.2), Segment(9, 10), Segment(0, 40, "frames"), Segment(0, 0.2), None]
    clips = [
        dataclasses.replace(film, clip_id=f"film {number}", segment=segment)
        for number, segment in enumerate(segments)
    ]
    clip_set = dataclasses.replace(clip_set, clips=tuple(clips))
    manifest = check(clip_set, tmp_path)
    (record,) = manifest.records
    assert record["status"] == "found"
    assert record["clip_ids"] == [f"film {number}" for number in range(5)]
    assert [s["num_frames"] for s in record["segments"]] == [5, 0, 12, 5, 12]
    assert record["segments"][1] == {
        "start": 9, "end": 10, "unit": "seconds", "num_frames": 0,
        "reason": "the segment 9 to 10 seconds has 0 frames, fewer than min_frames=1",
    }  # fmt: skip
    record = {**record, "bytes": os.path.getsize(film.path)}
    real = dataclasses.replace(manifest, records=(record,))
    usable = usable_clips(clip_set, real, allow_missing=1)
    assert [clip.clip_id for clip in usable.clips] == ["film 0", "film 2", "film 3", "film 4"]
    (record,) = check(clip_set, tmp_path, min_frames=6).records
    assert [segment["reason"] for segment in record["segments"]] == [
        "the segment 0 to 0.2 seconds has 5 frames, fewer than min_frames=6",
        "the segment 9 to 10 seconds has 0 frames, fewer than min_frames=6",
        None,
        "the segment 0 to 0.2 seconds has 5 frames, fewer than min_frames=6",
        None,
    ]


def test_paths_and_names_of_any_bytes(tmp_path):
    name = os.fsdecode(b"caf\xe9 \n #1.avi")
    clip = Clip(name, os.path.join(tmp_path, name), 0, "train")
    pathlib.Path(clip.path).write_text("{}")
    outside = Clip("outside", str(tmp_path.parent / f"{tmp_path.name}.avi"), 0, "train")
    pathlib.Path(outside.path).write_text('{"sha256": "1"}')
    manifest = check(ClipSet("ours", ("run",), (clip, outside)), tmp_path)
    assert [record["path"] for record in manifest.records] == [name, outside.path]
    assert len((tmp_path / "manifest.jsonl").read_bytes().splitlines()) == 3
    assert read_manifest(tmp_path / "manifest.jsonl") == manifest


def test_an_interrupted_check_goes_on(tmp_path):
    files = {f"clip-{number}": ("train", {}) for number in range(6)}
    clip_set = make_clips(tmp_path, {**files, "hang": ("train", {})})
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\n"
        "from glimpse.pipelines.clips import read_clips\n"
        "from tests import failing_checks, manifest_test\n"
        "if __name__ == '__main__':\n"
        f"    folder = pathlib.Path({str(tmp_path)!r})\n"
        "    names = [*(f'clip-{n}' for n in range(6)), 'hang']\n"
        "    clips = manifest_test.Clip\n"
        "    clips = [clips(n, str(folder / f'{n}.avi'), 0, 'train') for n in names]\n"
        "    clip_set = manifest_test.ClipSet('ours', ('run',), tuple(clips))\n"
        "    manifest_test.check(clip_set, folder, workers=1, timeout=600)\n"
    )
    environment = {"PYTHONPATH": str(ROOT), "GLIMPSE_WITHOUT_KERAS": "1", "PATH": ""}
    caller = subprocess.Popen([sys.executable, script], env=environment)
    log = tmp_path / "log.txt"
    for _ in range(300):
        if log.exists() and "hang" in log.read_text():
            break
        time.sleep(0.1)
    assert failing_checks.calls(tmp_path) == [*files, "hang"]
    with pytest.raises(ValueError, match="another check is writing it"):
        check(clip_set, tmp_path)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)  # its alarm is ten minutes away
    log.unlink()

    partial = tmp_path / ".manifest.jsonl.partial"
    assert not (tmp_path / "manifest.jsonl").exists() and partial.exists()
    partial.write_bytes(partial.read_bytes()[:-5])  # the last line is cut off
    (tmp_path / "clip-1.avi").write_text('{"num_frames": 77}')  # another file
    os.utime(tmp_path / "clip-2.avi", (1, 1))
    with open(partial, "a") as file:
        file.write("not JSON\n")
    manifest = check(clip_set, tmp_path)
    assert failing_checks.calls(tmp_path) == ["clip-1", "clip-2", "clip-5", "hang"]
    assert manifest.records[1]["num_frames"] == 77
    assert not partial.exists()
    log.unlink()
    check(dataclasses.replace(clip_set, clips=clip_set.clips[:6]), tmp_path)
    assert sorted(failing_checks.calls(tmp_path)) == [*files]  # a finished check is done anew


def test_other_decoders_and_segments_are_checked_anew(tmp_path, monkeypatch):
    clip_set = make_clips(tmp_path, {"a": ("train", {}), "b": ("train", {})})
    partial, log = tmp_path / ".manifest.jsonl.partial", tmp_path / "log.txt"
    with monkeypatch.context() as patch:
        patch.setattr(Manifest, "save", lambda manifest, path: os.link(partial, tmp_path / "kept"))
        check(clip_set, tmp_path)
    kept = (tmp_path / "kept").read_text()
    log.unlink()

    def calls_given(text, clip_set):
        partial.write_text(text)
        check(clip_set, tmp_path)
        names = sorted(failing_checks.calls(tmp_path)) if log.exists() else []
        log.unlink(missing_ok=True)
        return names

    assert calls_given(kept, clip_set) == []
    assert calls_given(kept.replace('"opencv', '"other'), clip_set) == ["a", "b"]
    (tmp_path / "a.avi").write_text('{"segment_frames": [5]}')
    first, second = clip_set.clips
    part = dataclasses.replace(first, segment=Segment(0, 1))
    assert calls_given(kept, dataclasses.replace(clip_set, clips=(part, second))) == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_frames": 0}, "min_frames must be at least 1, got 0"),
        ({"workers": 0}, "workers must be at least 1, got 0"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0, got 0"),
    ],
)
def test_refused_arguments(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        check(make_clips(tmp_path, {"a": ("train", {})}), tmp_path, **options)
    assert not (tmp_path / "log.txt").exists()


def test_a_missing_folder_is_named_before_the_work(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none/m\.jsonl does not exist"):
        check(make_clips(tmp_path, {"a": ("train", {})}), tmp_path, "none/m.jsonl")
    assert not (tmp_path / "log.txt").exists()


def checked(folder, **files):
    """A clip set and its manifest, with the sizes that its files have."""
    clip_set = make_clips(folder, files)
    manifest = check(clip_set, folder)
    sizes = [os.path.getsize(clip.path) for clip in clip_set.clips]
    records = [{**r, "bytes": s} for r, s in zip(manifest.records, sizes, strict=True)]
    return clip_set, dataclasses.replace(manifest, records=tuple(records))


def test_a_clip_set_without_clips_is_refused(tmp_path):
    with pytest.raises(ValueError, match="The data set ours holds no clips"):
        check(ClipSet("ours", ("run",), ()), tmp_path)
    gone = {"clip_id": "lost", "path": None, "split": "test", "label": 0, "reason": "none"}
    manifest = check(ClipSet("ours", ("run",), (), missing=(gone,)), tmp_path)
    assert statuses(manifest) == [(None, "missing")]


def test_hashes_by_path(tmp_path):
    clip_set, manifest = checked(tmp_path, a=("train", {}), b=("test", {}), c=("test", {}))
    first, *_, last = clip_set.clips
    assert manifest.hashes([first, last]) == {first.path: f"{0:064x}", last.path: f"{2:064x}"}


def test_the_size_of_a_folder_is_that_of_its_pictures(tmp_path):
    clip_set, manifest = checked(tmp_path, a=("train", {}))
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "1.jpg").write_bytes(bytes(5))
    (folder / "2.jpg").write_bytes(bytes(7))
    (clip,) = clip_set.clips
    clip_set = dataclasses.replace(clip_set, clips=(dataclasses.replace(clip, path=str(folder)),))
    record = {**manifest.records[0], "bytes": 12}
    manifest = dataclasses.replace(manifest, records=(record,))
    assert usable_clips(clip_set, manifest) == clip_set
    (folder / "2.jpg").write_bytes(bytes(8))
    with pytest.raises(ValueError, match=r"is not the file that was checked .12 bytes then, 13"):
        usable_clips(clip_set, manifest)


def test_usable_clips(tmp_path):
    clip_set, manifest = checked(
        tmp_path,
        good=("train", {}),
        bad=("train", {"status": "corrupt", "reason": "is a text"}),
        other=("test", {}),
    )
    usable = usable_clips(clip_set, manifest, allow_missing=1)
    assert [clip.clip_id for clip in usable.clips] == ["good", "other"]
    assert usable.missing == (
        {"clip_id": "bad", "path": str(tmp_path / "bad.avi"), "split": "train",
         "label": 0, "reason": "corrupt: is a text"},
    )  # fmt: skip
    assert usable.expected == clip_set.expected == {"train": 2, "test": 1}
    assert usable.split_hash == clip_set.split_hash  # of the same split, some of it missing
    with pytest.raises(
        ValueError,
        match=r"1 of 3 clips cannot be used \(1 in train\), and allow_missing is 0\. The first: "
        "'bad': corrupt: is a text",
    ):
        usable_clips(clip_set, manifest)


def test_clips_that_the_reader_missed_count(tmp_path):
    gone = {"clip_id": "lost", "path": None, "split": "test", "label": 0, "reason": "none"}
    clip_set = make_clips(tmp_path, {"a": ("train", {})}, missing=[gone])
    manifest = check(clip_set, tmp_path)
    record = {**manifest.records[0], "bytes": os.path.getsize(clip_set.clips[0].path)}
    manifest = dataclasses.replace(manifest, records=(record, manifest.records[1]))
    with pytest.raises(ValueError, match=r"1 of 2 clips cannot be used \(1 in test\)"):
        usable_clips(clip_set, manifest)
    assert usable_clips(clip_set, manifest, allow_missing=1) == clip_set


def test_manifests_that_do_not_fit_are_refused(tmp_path):
    clip_set, manifest = checked(tmp_path, a=("train", {}), b=("test", {}))
    assert usable_clips(clip_set, manifest) == clip_set
    renamed = dataclasses.replace(clip_set, name="another")
    with pytest.raises(ValueError, match="of another data set: 'ours', and the data set's is 'ano"):
        usable_clips(renamed, manifest)
    with pytest.raises(ValueError, match="of another split: '', and the data set's is 'split 2'"):
        usable_clips(dataclasses.replace(clip_set, split_name="split 2"), manifest)
    fewer = dataclasses.replace(clip_set, clips=clip_set.clips[:1])
    with pytest.raises(ValueError, match="of another list of clips"):
        usable_clips(fewer, manifest)
    with pytest.raises(ValueError, match="no record of the clip 'b'"):
        usable_clips(clip_set, dataclasses.replace(manifest, records=manifest.records[:1]))
    (tmp_path / "b.avi").write_text("{}")
    with pytest.raises(ValueError, match=r"b\.avi: is not the file that was checked .*, 2 now"):
        usable_clips(clip_set, manifest)
    (tmp_path / "b.avi").unlink()
    with pytest.raises(ValueError, match=r"b\.avi: was there when it was checked"):
        usable_clips(clip_set, manifest)


@pytest.fixture(scope="module")
def whole_manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    check(make_clips(folder, {"a": ("train", {}), "b": ("test", {})}), folder)
    return (folder / "manifest.jsonl").read_text()


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (0, lambda text: "", "line 1: has no 'format'"),
        (0, lambda text: text.replace('"version": 1', '"version": 2'), "line 1: .* version 2"),
        (0, lambda text: text.replace("split_hash", "hash"), "line 1: has no 'split_hash'"),
        (1, lambda text: text[:30], "line 2: is not JSON"),
        (1, lambda text: "[]", "line 2: is not a JSON object"),
        (1, lambda text: "\udcff", "line 2: is not JSON"),
        (2, lambda text: text.replace("found", "fine"), "line 3: status 'fine' is none of"),
        (2, lambda text: text.replace('"reason"', '"why"'), "line 3: has no 'reason'"),
        (2, lambda text: text.replace('"sha256"', '"md5"'), "line 3: has no 'sha256'"),
        (2, lambda text: text.replace('["b"]', '["a"]'), "line 3: the clip 'a' has a second"),
        (2, lambda text: text.replace('["b"]', '["b", "c"]'), "line 3: .* differ in length"),
        (2, lambda text: "", "holds 1 records of the 2"),
    ],
)
def test_damaged_manifests(tmp_path, whole_manifest, line, change, message):
    path = tmp_path / "manifest.jsonl"
    lines = whole_manifest.splitlines()
    lines[line] = change(lines[line])
    text = "".join(f"{each}\n" for each in lines if each)
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(ValueError, match=rf"manifest\.jsonl:? {message}"):
        read_manifest(path)


def test_an_empty_manifest(tmp_path):
    (tmp_path / "m.jsonl").write_text("")
    with pytest.raises(ValueError, match="is empty; write it again with `glimpse check-data`"):
        read_manifest(tmp_path / "m.jsonl")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""`glimpse check-data` on real files: every one ends as a line, whatever is wrong with it."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.manifest import read_manifest, usable_clips
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_check import check_video, file_state
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader
from glimpse.pipelines.video_source import open_video, video_sha256
from tests import broken_files
from tests.numbered_videos import write_video
from tests.run_command import run_command
from tests.sports_trees import write_pictures, write_seq
from tests.video_damage_test import write_moving


def check(folder, *flags, output=None):
    output = output or folder.parent / "manifest.jsonl"
    flags = ("--workers=1", *flags)
    status = run_command("check-data", f"--data={folder}", f"--output={output}", *flags)
    return status, read_manifest(output) if output.exists() else None


def check_one(path, segments=(), progress=lambda seconds=0: None):
    segments = [[s.start, s.end, s.unit] for s in segments]
    return check_video({"path": str(path), "segments": segments}, progress)


def class_folders(folder, **counts):
    """FOLDER/train/run and FOLDER/test/run with so many different videos."""
    first = 0
    for split, count in counts.items():
        (folder / split / "run").mkdir(parents=True)
        for number in range(count):
            write_video(folder / split / "run" / f"{number}.avi", "MJPG", 4, first=first)
            first += 5
    return folder


def test_every_broken_file_ends_as_a_line(tmp_path, capfd):
    folder = class_folders(tmp_path / "data", train=2, test=1)
    kinds = {**broken_files.BROKEN, "dangling_link": broken_files.dangling_link}
    for number, (kind, write) in enumerate({**kinds, **broken_files.LYING}.items()):
        place = folder / ("train", "test")[number % 2] / "run" / kind
        place.mkdir()
        write(place / f"{kind}{('.avi', '.mp4')[number // 2 % 2]}")
    status, manifest = check(folder, "--workers=2", "--timeout=30")
    assert status == 1
    found = {pathlib.Path(record["path"]).stem: record for record in manifest.records}
    for kind in kinds:
        expected = "missing" if kind == "dangling_link" else "corrupt"
        assert (found[kind]["status"], bool(found[kind]["reason"])) == (expected, True), kind
        assert str(tmp_path) not in found[kind]["reason"]
        assert "Error:" not in found[kind]["reason"], found[kind]["reason"]
    for kind in broken_files.LYING:
        assert (found[kind]["status"], found[kind]["num_frames"]) == ("found", 12)
    assert found["0"]["status"] == "found"
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    # The videos that the playlists list are the same in both splits.
    unusable = [pathlib.Path(entry["path"]).stem for entry in manifest.unusable()]
    assert sorted({*unusable} - {"listed"}) == sorted(kinds)
    assert f"{len(unusable)} clips cannot be used" in said.out

    for kind, words in {
        "text": "looks like text",
        "web_page": "a web page",
        "archive": "an archive (ZIP)",
        "picture_jpeg": "a picture (JPEG)",
        "sound": "sound alone (WAV)",
        "playlist": "a playlist",
        "address": "a playlist",
        "pipe": "a named pipe",
        "unix_socket": "a socket",
        "device": "a device",
        "link_loop": "Too many levels of symbolic links",
        "dangling_link": "the link points to no file",
        "empty": "0 bytes",
        "cut_off": "the file is cut off",
        "cut_off_avi": "the file is cut off",
        "large_pictures": "claims pictures of 16000 x 16000 pixels",
    }.items():
        assert words in found[kind]["reason"], (kind, found[kind]["reason"])


def test_facts_of_a_whole_video(tmp_path):
    path = write_video(tmp_path / "a.mp4", num_frames=25, rate=12.5)
    facts = check_one(path)
    assert facts.pop("decoder").startswith("opencv ")
    assert facts.pop("state") == [path.stat().st_size, path.stat().st_mtime_ns]
    assert facts == {
        "status": "found", "reason": None, "bytes": path.stat().st_size,
        "sha256": video_sha256(path), "num_frames": 25, "width": 64, "height": 48,
        "frames_per_second": 12.5, "seconds": 2.0, "variable_rate": False, "warnings": [],
        "segment_frames": [],
    }  # fmt: skip


def test_segments_have_the_frames_that_a_reader_gives(tmp_path):
    path = write_video(tmp_path / "a.mp4", num_frames=25, rate=10)
    segments = [
        Segment(0.05, 1.0),
        Segment(1.0, 1.05),
        Segment(2.0),
        Segment(3, 20, "frames"),
        Segment(20, 90, "frames"),
        Segment(7),
        Segment(30, 40, "frames"),
    ]
    frames = check_one(path, segments)["segment_frames"]
    assert frames == [9, 1, 5, 17, 5, 0, 0]
    for segment, count in list(zip(segments, frames, strict=True))[:5]:
        with open_video(path, segment) as reader:
            assert sum(1 for _ in reader) == count
    with pytest.raises(VideoError, match="no frame lies in the segment 7"):
        list(open_video(path, segments[5]))


def test_a_variable_rate_is_told(tmp_path):
    av = pytest.importorskip("av")
    assert av
    from tests.numbered_videos import write_encoded

    times = [0, 1, 2, 8, 9, 10, 30, 31, 32, 33, 34, 50]
    facts = check_one(write_encoded(tmp_path / "a.mkv", "mpeg4", times=times))
    assert facts["variable_rate"] and facts["seconds"] > 50 / 25


def test_a_file_that_changes_while_it_is_read(tmp_path):
    path = write_video(tmp_path / "a.avi", "MJPG")
    calls = []

    def progress(seconds=0):
        calls.append(seconds)
        if len(calls) == 6:
            with open(path, "ab") as file:
                file.write(b"more")

    facts = check_one(path, progress=progress)
    assert (facts["status"], facts["reason"]) == (
        "corrupt",
        "the file changed while it was read; check it again once it is whole",
    )
    assert facts["state"] != file_state(path)  # so that it is read again when a check goes on


def test_every_frame_is_progress(tmp_path):
    calls = []
    check_one(
        write_video(tmp_path / "a.avi", "MJPG", 40), progress=lambda seconds=0: calls.append(1)
    )
    assert len(calls) >= 40


@pytest.mark.parametrize(
    "write",
    [
        broken_files.playlist,
        broken_files.playlist_with_binary_tail,
        broken_files.concatenation,
        broken_files.text,
        broken_files.picture_png,
    ],
)
@pytest.mark.parametrize("decoder", ["opencv", "pyav"])
def test_decoders_open_no_other_files_themselves(tmp_path, write, decoder, monkeypatch):
    """Where the look at the first bytes is passed, the decoder's list of containers holds."""
    from glimpse.pipelines import video_file

    monkeypatch.setattr(video_file, "refuse_other_files", lambda path, name: None)
    path = tmp_path / "a.avi"
    write(path)
    if decoder == "pyav":
        pytest.importorskip("av")
        from glimpse.pipelines.av_reader import AvReader as VideoReaderOfDecoder
    else:
        VideoReaderOfDecoder = VideoReader
    with pytest.raises(VideoError, match="not a video, or so damaged"):
        list(VideoReaderOfDecoder(path))


@pytest.mark.parametrize("kind", ["pipe", "device", "unix_socket", "playlist", "archive"])
def test_every_reader_refuses_what_the_check_refuses(tmp_path, kind):
    path = tmp_path / "a.avi"
    broken_files.BROKEN[kind](path)
    with pytest.raises(VideoError):
        open_video(path)


def damaged(path, start, length):
    """Noise in the place of some bytes: the file's length and its start and end stay."""
    content = bytearray(path.read_bytes())
    content[start : start + length] = np.random.default_rng(0).bytes(length)
    path.write_bytes(content)


def test_damage_inside_packets_is_corrupt(tmp_path):
    path = write_moving(tmp_path / "clip.mp4", "libx264", {"bf": "2"})
    facts = check_one(path)
    assert (facts["status"], facts["num_frames"], facts["warnings"]) == ("found", 60, [])
    damaged(path, path.stat().st_size // 2, 20)
    with open_video(path) as reader:
        assert sum(1 for _ in reader) == 60 and not reader.warnings
    facts = check_one(path)
    assert facts["num_frames"] == 60
    assert "frames hold pictures that were completed by guessing" in facts["warnings"][0]
    write_video(tmp_path / "whole.mp4")
    status, manifest = check(tmp_path, "--plain", output=tmp_path / "manifest.jsonl")
    assert status == 1
    assert [(r["path"], r["status"]) for r in manifest.records] == [
        ("clip.mp4", "corrupt"), ("whole.mp4", "found"),
    ]  # fmt: skip


@pytest.mark.parametrize("image_format", [102, 103, 201])
def test_damage_inside_the_pictures_of_a_seq_file(tmp_path, image_format):
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8))
    path = write_seq(tmp_path / "a.seq", frames=frames, image_format=image_format)
    assert (check_one(path)["status"], check_one(path)["warnings"]) == ("found", [])
    damaged(path, path.stat().st_size // 2, 200)
    facts = check_one(path)
    assert facts["num_frames"] == 3
    assert facts["warnings"][0].startswith(
        "1 of its 3 pictures are JPEG pictures with damage inside, and decode to something else; "
        "the first is a.seq: frame 2, at byte "
    )


def test_damage_inside_the_pictures_of_a_folder(tmp_path):
    folder = write_pictures(tmp_path / "a.mp4", ["1.jpg", "2.png", "3.jpg", "4.jpg"], 192, 256)
    assert (check_one(folder)["status"], check_one(folder)["warnings"]) == ("found", [])
    for name in ("3.jpg", "4.jpg"):
        damaged(folder / name, (folder / name).stat().st_size // 2, 200)
    facts = check_one(folder)
    assert (facts["status"], facts["num_frames"]) == ("found", 4)
    assert facts["warnings"] == [
        "2 of its 4 pictures are JPEG pictures with damage inside, and decode to something else; "
        "the first is a.mp4/3.jpg; copy it again."
    ]
    status, manifest = check(tmp_path, "--plain", output=tmp_path / "manifest.jsonl")
    assert (status, manifest.records[0]["status"]) == (1, "corrupt")


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"optimize": True, "quality": 100, "subsampling": 0},
        {"subsampling": "4:1:1", "restart_marker_blocks": 2},
        {"mode": "L"},
        {"mode": "CMYK"},
        {"quality": 1, "tail": bytes(300)},
    ],
)
def test_whole_jpegs_of_all_kinds_are_found(tmp_path, options):
    tail, mode = options.get("tail", b""), options.get("mode", "RGB")
    noise = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
    options = {name: value for name, value in options.items() if name not in ("tail", "mode")}
    (tmp_path / "a").mkdir()
    Image.fromarray(noise).convert(mode).save(tmp_path / "a/1.jpg", **options)
    with open(tmp_path / "a/1.jpg", "ab") as file:
        file.write(tail)
    facts = check_one(tmp_path / "a")
    assert (facts["status"], facts["reason"], facts["warnings"]) == ("found", None, [])


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere.jpg", "is no file, or a link that points to none; copy it again."),
        ("3.jpg", "cannot be read (Too many levels of symbolic links)"),
    ],
)
def test_a_picture_that_is_a_broken_link_is_named(tmp_path, target, words):
    folder = write_pictures(tmp_path / "a", ["1.jpg", "2.jpg"])
    (folder / "3.jpg").symlink_to(target)
    facts = check_one(folder)
    assert (facts["status"], facts["reason"]) == ("corrupt", f"the picture '3.jpg' {words}")


def test_summary_and_exit_status(tmp_path, capsys):
    folder = class_folders(tmp_path / "data", train=3, test=2)
    (folder / "notes.txt").write_text("not a clip")
    status, manifest = check(folder)
    assert status == 0 and len(manifest.records) == 5
    table = capsys.readouterr().out
    assert "not checked: 1 files that the data set does not list" in table
    (folder / "test/run/0.avi").write_bytes(b"")
    assert check(folder)[0] == 1
    said = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in said]
    names = ["clips", "found", "missing", "corrupt", "short", "duplicate", "expected", "usable"]
    assert names in rows
    assert ["train", "3", "0", "0", "0", "0", "3", "3"] in rows
    assert ["test", "1", "0", "1", "0", "0", "2", "1"] in rows
    assert ["total", "4", "0", "1", "0", "0", "5", "4"] in rows
    assert "  corrupt 'test/run/0.avi': the file is empty (0 bytes); copy it again." in said
    assert any(line.startswith("1 clips cannot be used; repair them, or give") for line in said)
    assert check(folder, "--allow_missing=1")[0] == 0
    capsys.readouterr()
    assert check(folder, "--min_frames=5", "--allow_missing=4")[0] == 1
    assert "has 4 frames, fewer than min_frames=5" in capsys.readouterr().out


def test_paths_are_relative_to_the_folder_of_a_csv_file(tmp_path):
    folder = class_folders(tmp_path / "data", train=1, test=1)
    (folder / "list.csv").write_text(
        "path,label,split\ntrain/run/0.avi,run,train\ntest/run/0.avi,run,test\n"
    )
    status, manifest = check(folder / "list.csv", output=tmp_path / "manifest.jsonl")
    assert status == 0
    assert [r["path"] for r in manifest.records] == ["train/run/0.avi", "test/run/0.avi"]


def test_training_uses_the_manifest(tmp_path):
    folder = class_folders(tmp_path / "data", train=3, test=2)
    (folder / "train/run/1.avi").write_bytes(b"")
    manifest = check(folder)[1]
    clip_set = read_clips(folder)
    with pytest.raises(ValueError, match=r"1 of 5 clips cannot be used \(1 in train\)"):
        usable_clips(clip_set, manifest)
    usable = usable_clips(clip_set, manifest, allow_missing=1)
    assert len(usable.clips) == 4
    assert usable.missing[0]["reason"].startswith("corrupt: the file is empty")
    assert usable.expected == {"train": 3, "test": 2}


def test_one_file_in_two_splits_is_a_record_and_no_refusal(tmp_path):
    folder = class_folders(tmp_path / "data", train=2, test=1)
    shutil.copy(folder / "train/run/0.avi", folder / "test/run/copy.avi")
    shutil.copy(folder / "train/run/0.avi", folder / "train/run/copy.avi")
    with pytest.raises(ValueError, match="the same video"):
        read_clips(folder)
    status, manifest = check(folder)
    assert status == 1
    assert {r["path"]: r["status"] for r in manifest.records} == {
        "train/run/0.avi": "found", "train/run/1.avi": "found", "train/run/copy.avi": "duplicate",
        "test/run/0.avi": "found", "test/run/copy.avi": "duplicate",
    }  # fmt: skip
    assert [entry["clip_id"] for entry in manifest.unusable()] == ["test/run/copy.avi"]
    assert "in two splits (test and train)" in manifest.unusable()[0]["reason"]


def test_files_cut_off_may_be_allowed(tmp_path):
    folder = class_folders(tmp_path / "data", train=1)
    broken_files.cut_off_avi(folder / "train/run/cut.avi")
    assert check(folder, "--plain")[0] == 1
    status, manifest = check(folder, "--plain", "--allow_damaged")
    assert status == 0
    record = manifest.records[1]
    assert (record["status"], record["num_frames"] > 10) == ("found", True)
    assert "cut off" in record["warnings"][0]
    assert manifest.header["allow_damaged"]


def test_a_plain_folder_and_odd_names(tmp_path):
    folder = tmp_path / "data"
    (folder / "deep/er").mkdir(parents=True)
    names = ["-a.avi", "b #1 'x\" ü%d.mp4", "new\nline.avi", os.fsdecode(b"caf\xe9.avi")]
    for number, name in enumerate(names):
        video = write_video(folder / f"v{name[-4:]}", "mp4v", 4, first=7 * number)
        video.rename(folder / "deep/er" / name)
    (folder / "deep/._c.avi").write_bytes(b"\0")
    (folder / "deep/note.txt").write_text("x")
    (folder / "empty.avi").mkdir()
    os.mkfifo(folder / "pipe.mov")
    status, manifest = check(folder, "--plain", "--allow_missing=2")
    assert status == 0
    assert manifest.header["expected"] == {"all": 6} and manifest.header["unlisted"] == 2
    found = {record["path"]: record["status"] for record in manifest.records}
    assert found == {
        "empty.avi": "corrupt", "pipe.mov": "corrupt",
        **{f"deep/er/{name}": "found" for name in names},
    }  # fmt: skip
    lines = (tmp_path / "manifest.jsonl").read_bytes().splitlines()
    assert len(lines) == 7 and all(json.loads(line) for line in lines)


def test_class_folders_hide_no_directory_and_no_pipe(tmp_path):
    folder = class_folders(tmp_path / "data", train=2, test=1)
    (folder / "train/run/folder.avi").mkdir()
    for split in ("train", "test"):
        os.mkfifo(folder / split / "run/pipe.avi")
        (folder / split / "run/empty.avi").touch()
    (folder / "test/run/link.avi").symlink_to("nowhere.avi")
    assert len(read_clips(folder).clips) == 9  # waits for no pipe
    status, manifest = check(folder)
    assert status == 1
    assert {r["clip_ids"][0] for r in manifest.records if r["status"] == "corrupt"} == {
        "train/run/folder.avi", "train/run/pipe.avi", "train/run/empty.avi",
        "test/run/pipe.avi", "test/run/empty.avi",
    }  # fmt: skip
    assert [r["clip_ids"] for r in manifest.records if r["status"] == "missing"] == [
        ["test/run/link.avi"]
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--plain", "--data={}/none"], "no such folder"),
        (["--plain", "--data={}"], "no file in it is called like a video"),
        (["--plain", "--data={}/v", "--output={}/none/m.jsonl"], "create it first"),
        (["--plain", "--data={}/v", "--dataset=csv"], "--plain reads no data set"),
    ],
)
def test_refusals(tmp_path, capsys, flags, words):
    (tmp_path / "v").mkdir()
    if "{}/v" in flags[1]:
        write_video(tmp_path / "v/a.avi", "MJPG", 2)
    flags = [flag.format(tmp_path) for flag in flags]
    if not any(flag.startswith("--output") for flag in flags):
        flags.append(f"--output={tmp_path}/m.jsonl")
    assert run_command("check-data", *flags) == 1
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
    assert not (tmp_path / "m.jsonl").exists()


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

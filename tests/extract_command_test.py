"""`glimpse extract`: what its flags do to the index, and what it prints."""

import json
import os

import pytest

from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.feature_index import FeatureIndex
from tests.numbered_videos import write_video
from tests.run_command import run_command


@pytest.fixture
def data(tmp_path):
    """A CSV file of five clips, two of them in one video."""
    for number, name in enumerate(["one", "two", "three", "four"]):
        write_video(tmp_path / f"{name}.mp4", num_frames=50, first=number)
    rows = [
        "path,label,start,end,split",
        "one.mp4,a,0,1,train",
        "one.mp4,b,0.5,1.5,train",
        "two.mp4,a,,,train",
        "three.mp4,b,,,val",
        "four.mp4,a,,,test",
    ]
    (tmp_path / "clips.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "clips.csv"


def test_a_manifest_says_which_clips_are_left_out(tmp_path, data, capsys):
    (tmp_path / "two.mp4").write_text("no video")
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out"
    checked = ("check-data", f"--data={data}", f"--output={manifest}", "--allow_missing=1")
    assert run_command(*checked) == 0
    extract = ("extract", f"--data={data}", f"--manifest={manifest}", f"--output={out}")
    capsys.readouterr()
    assert run_command(*extract) == 1
    assert "1 of 5 clips cannot be used" in capsys.readouterr().err
    assert not out.exists()
    assert run_command(*extract, "--allow_missing=1", f"--cache={tmp_path / 'cache'}") == 0
    printed = capsys.readouterr().out
    assert "4 of 5 clips, 150 frames, 0 failed" in printed
    assert "train: 3 expected, 2 seen, 1 missing" in printed
    assert "test: 1 expected, 1 seen, 0 missing" in printed
    index = FeatureIndex.load(out)
    assert [clip.num_frames for clip in index.entries] == [25, 25, 50, 50]
    assert (index.entries[0].key, index.entries[1].start) == (index.entries[1].key, 13)
    assert index.manifest_sha256 == file_sha256(manifest)
    (missing,) = index.missing
    assert missing["path"].endswith("two.mp4") and missing["reason"].startswith("corrupt")
    assert index.cache == str(tmp_path / "cache") and os.listdir(out) == ["index.json"]
    # A file that has changed since it was checked is refused, of the same size or another.
    content = bytearray((tmp_path / "four.mp4").read_bytes())
    content[-1] ^= 1
    (tmp_path / "four.mp4").write_bytes(content)
    for runner in ((), ("--runner=beam",)):
        assert run_command(*extract, "--allow_missing=1", *runner) == 1
        assert "four.mp4: is not the file that was checked (its SHA" in capsys.readouterr().err
    write_video(tmp_path / "four.mp4", num_frames=3)
    assert run_command(*extract, "--allow_missing=1") == 1
    assert "is not the file that was checked" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_beam_flags_stand_after_two_dashes(tmp_path, data, capsys):
    extract = ("extract", f"--data={data}", "--dtype=float32", "--batch_size=16")
    assert run_command(*extract, f"--output={tmp_path / 'here'}") == 0
    beam = ("--runner=beam", "--", "--runner=FnApiRunner", "--direct_num_workers=1")
    assert run_command(*extract, f"--output={tmp_path / 'beam'}", *beam) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[: len(printed) // 2][1:] == printed[len(printed) // 2 :][1:]
    here, there = ((tmp_path / name / "index.json").read_bytes() for name in ("here", "beam"))
    assert here == there and json.loads(here)["counts"]["seen"] == 5
    assert run_command(*extract, "--output=x", "--runner=beam", "--", "--runner=NoRunner") == 1
    assert "NoRunner" in capsys.readouterr().err


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

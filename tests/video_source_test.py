"""Which reader opens what, and what is said where none can."""

import hashlib
import os
import sys

import cv2
import numpy as np
import pytest

from glimpse.pipelines import video_source
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader, decoder_version
from glimpse.pipelines.video_source import decoder_for, open_video, video_sha256
from tests.numbered_videos import frame_number, numbered_frame, write_encoded, write_video

INTERLACED = {"x264-params": "tff=1"}


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setattr(video_source, "_has_pyav", lambda: False)
    monkeypatch.setitem(sys.modules, "av", None)


def test_opencv_reads_what_it_reads_rightly(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    with open_video(path, threads=1) as reader:
        assert type(reader) is VideoReader
        assert [frame_number(frame) for frame in reader] == list(range(12))
    assert reader.decoder == decoder_for(path) == decoder_version()


@pytest.mark.parametrize(
    ("codec", "options", "yadif"),
    [("libx264", INTERLACED, True), ("libsvtav1", {"preset": "12"}, False)],
)
def test_pyav_reads_what_opencv_does_not(tmp_path, codec, options, yadif):
    pytest.importorskip("av")
    path = write_encoded(tmp_path / "clip.mp4", codec, options, height=64, width=128)
    with open_video(path, strict=True) as reader:
        assert [frame_number(frame) for frame in reader] == list(range(12))
    assert reader.decoder == decoder_for(path)
    assert reader.decoder.startswith("pyav ") and reader.decoder.endswith(", yadif") == yadif


@pytest.mark.parametrize(
    ("codec", "options", "reason"),
    [("libx264", INTERLACED, "interlaced"), ("libsvtav1", {"preset": "12"}, "no frame can be")],
)
def test_without_pyav_the_reason_and_the_remedy(tmp_path, without_pyav, codec, options, reason):
    path = tmp_path / "clip.mp4"
    _write_in_another_process(path, codec, options)
    with pytest.raises(VideoError, match=reason) as error:
        open_video(path)
    assert "pip install 'glimpse[av]'" in str(error.value) and "`ffmpeg " in str(error.value)
    with pytest.raises(VideoError, match="glimpse"):
        decoder_for(path)


def test_what_neither_reads_has_opencvs_reason(tmp_path):
    pytest.importorskip("av")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(VideoError, match="not a video, or so damaged.*PyAV cannot read it either"):
        open_video(tmp_path / "noise.mp4")
    for name, reason in {"missing.mp4": "no such file", "empty.mp4": "is empty"}.items():
        (tmp_path / "empty.mp4").touch()
        with pytest.raises(VideoError, match=reason) as error:
            open_video(tmp_path / name)
        assert "PyAV" not in str(error.value)


def test_codecs_that_do_not_tell_of_fields_are_looked_at_by_pyav(tmp_path, monkeypatch):
    pytest.importorskip("av")
    from glimpse.pipelines.av_reader import AvReader

    path = write_video(tmp_path / "clip.avi", "MJPG")
    with open_video(path) as reader:
        assert type(reader) is VideoReader and not reader.tells_fields
    real = AvReader.__init__

    def fields(self, *args, **options):
        real(self, *args, **options)
        self.decoder = "pyav, yadif"

    monkeypatch.setattr(AvReader, "__init__", fields)
    with open_video(path) as reader:
        assert type(reader) is AvReader


def test_folders_of_pictures_and_norpix_files(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number:03d}.png"), numbered_frame(number)[..., ::-1])
    with open_video(folder) as reader:
        assert type(reader).__name__ == "ImageFolderReader"
        assert [frame_number(frame) for frame in reader] == [0, 1, 2]
    (tmp_path / "clip.seq").write_bytes(b"no such thing" * 200)
    with pytest.raises(VideoError, match="clip.seq"):
        open_video(tmp_path / "clip.seq")
    # The magic number alone, whatever the name.
    magic = b"\xed\xfe\x00\x00" + "Norpix seq".encode("utf-16-le")
    (tmp_path / "clip.bin").write_bytes(magic + bytes(2000))
    assert video_source._is_norpix(tmp_path / "clip.bin")
    assert not video_source._is_norpix(write_video(tmp_path / "clip.mp4"))


def test_hash_of_a_file_and_of_a_folder(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"123")
    assert video_sha256(path) == hashlib.sha256(b"123").hexdigest()
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, content in ((b"a.png", b"1"), (b"b\xe9.png", b"2")):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(content)
    before = video_sha256(folder)
    assert video_sha256(os.fsencode(folder)) == before
    (folder / "a.png").write_bytes(b"3")
    assert video_sha256(folder) != before
    (folder / "a.png").write_bytes(b"1")
    assert video_sha256(folder) == before
    (folder / "a.png").rename(folder / "c.png")
    assert video_sha256(folder) != before


def _write_in_another_process(path, codec, options):
    """The test's own process has no PyAV."""
    import subprocess

    program = (
        "from tests.numbered_videos import write_encoded\n"
        f"write_encoded({str(path)!r}, {codec!r}, {options!r}, height=64, width=128)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if "No module named 'av'" in result.stderr:
        pytest.skip("PyAV writes the video")
    assert result.returncode == 0, result.stderr


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

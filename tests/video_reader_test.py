import os
import pathlib
import subprocess
import sys

import cv2
import numpy as np
import pytest

from glimpse.pipelines import video_reader
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader, decoder_version
from tests.numbered_videos import (
    frame_number,
    is_rgb,
    mp4_boxes,
    numbered_frame,
    with_header_first,
    write_encoded,
    write_video,
)


def read(path, **options):
    with VideoReader(path, **options) as reader:
        frames = list(reader)
    assert all(f.dtype == np.uint8 and f.shape == (reader.height, reader.width, 3) for f in frames)
    assert reader.num_frames == len(frames)
    return reader, frames


def numbers(path, **options):
    return [frame_number(frame) for frame in read(path, **options)[1]]


@pytest.mark.parametrize(
    ("fourcc", "suffix"),
    [("mp4v", ".mp4"), ("MJPG", ".avi"), ("XVID", ".avi"), ("FFV1", ".avi"), ("FFV1", ".mkv"),
     ("mp4v", ".mov"), ("VP90", ".webm")],
)  # fmt: skip
def test_every_frame_in_order(tmp_path, fourcc, suffix):
    path = write_video(tmp_path / f"clip{suffix}", fourcc, num_frames=40)
    reader, frames = read(path)
    assert [frame_number(frame) for frame in frames] == list(range(40))
    assert all(is_rgb(frame) for frame in frames)
    assert (reader.height, reader.width) == (48, 64)
    assert reader.frames_per_second == pytest.approx(25)
    assert reader.warnings == []


def test_lossless_frames_are_exact(tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", num_frames=3)
    for number, frame in enumerate(read(path)[1]):
        # FFV1 keeps its YUV planes; colours pass through one rounding.
        assert np.abs(frame.astype(int) - numbered_frame(number)).max() <= 2


@pytest.mark.parametrize(("codec", "pixels"), [("ffv1", "yuv420p"), ("libx264", "yuv444p")])
@pytest.mark.parametrize(("height", "width"), [(49, 65), (17, 33), (120, 90)])
def test_odd_sizes(tmp_path, codec, pixels, height, width):
    pytest.importorskip("av", reason="OpenCV writes even sizes only")
    path = write_encoded(tmp_path / "clip.mkv", codec, {}, pixels, height=height, width=width)
    reader, frames = read(path)
    assert (reader.height, reader.width) == (height, width)
    assert [frame_number(frame) for frame in frames] == list(range(12))


@pytest.mark.parametrize(
    "name",
    ["with space.mp4", "quo'te\".mp4", "größe 映像 🎬.mp4", "a#b?c%20.mp4", "-leading.mp4",
     "frame%03d.mp4", "http:x.mp4", b"latin-\xe9.mp4"],
)  # fmt: skip
def test_odd_names(tmp_path, monkeypatch, name):
    plain = write_video(tmp_path / "plain.mp4")
    odd = os.path.join(os.fsencode(tmp_path), os.fsencode(name))
    os.rename(plain, odd)
    assert numbers(odd) == list(range(12))
    assert numbers(os.fsdecode(odd)) == list(range(12))
    monkeypatch.chdir(tmp_path)
    assert numbers(name) == list(range(12))


def test_rotation_is_applied(tmp_path):
    path = write_video(tmp_path / "clip.mp4", height=48, width=64)
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    matrix = [0, 1 << 16, 0, 0xFFFF0000, 0, 0, 48 << 16, 0, 1 << 30]
    content[start : start + 36] = b"".join(value.to_bytes(4, "big") for value in matrix)
    path.write_bytes(content)
    reader, frames = read(path)
    assert (reader.height, reader.width) == (64, 48)
    upright = [np.rot90(frame) for frame in frames]
    assert [frame_number(frame) for frame in upright] == list(range(12))


@pytest.mark.parametrize(
    ("codec", "suffix", "options", "pixels"),
    [
        ("libx264", ".mp4", {"bf": "3", "g": "8"}, "yuv420p"),
        ("libx264", ".mkv", {"bf": "3"}, "yuv444p"),
        ("libx264", ".mp4", {}, "yuv420p10le"),
        ("libx264", ".ts", {"bf": "2"}, "yuv420p"),
        ("libx264", ".mp4", {"x264-params": "fake-interlaced=1"}, "yuv420p"),
        ("libx265", ".mp4", {"x265-params": "log-level=0:bframes=3"}, "yuv420p"),
        ("libx265", ".mkv", {"x265-params": "log-level=0"}, "yuv420p10le"),
        ("libvpx-vp9", ".webm", {}, "yuv420p"),
        ("mpeg2video", ".mpg", {}, "yuv420p"),
        ("mpeg4", ".avi", {}, "yuv420p"),
        ("ffv1", ".mkv", {}, "gray"),
    ],
)
def test_encoded_elsewhere(tmp_path, codec, suffix, options, pixels):
    pytest.importorskip("av", reason="PyAV writes the codecs that OpenCV cannot write")
    path = write_encoded(tmp_path / f"clip{suffix}", codec, options, pixels)
    reader, frames = read(path, strict=True)
    assert [frame_number(frame) for frame in frames] == list(range(12))
    assert reader.frames_per_second == pytest.approx(25)
    if pixels != "gray":
        assert all(is_rgb(frame) for frame in frames)


@pytest.mark.parametrize(
    ("codec", "suffix", "options", "sizes"),
    [
        ("libx264", ".mp4", {"x264-params": "tff=1"}, {}),
        ("libx264", ".ts", {"x264-params": "bff=1"}, {}),
        ("libx264", ".mkv", {"x264-params": "tff=1", "profile": "main"}, {}),
        ("libx265", ".mp4", {"x265-params": "log-level=0:interlace=tff"}, {"height": 64}),
        ("mpeg2video", ".mpg", {"flags": "+ilme+ildct"}, {}),
        ("mpeg4", ".avi", {"flags": "+ilme+ildct"}, {}),
        ("mpeg4", ".mp4", {"flags": "+ilme+ildct"}, {}),
        ("dvvideo", ".avi", {}, {"height": 576, "width": 720}),
    ],
)
def test_interlaced_video_is_refused(tmp_path, codec, suffix, options, sizes):
    pytest.importorskip("av", reason="PyAV writes interlaced video")
    path = write_encoded(tmp_path / f"clip{suffix}", codec, options, **sizes)
    with pytest.raises(VideoError, match=r"clip\..*interlaced.*yadif"):
        VideoReader(path)


def test_variable_frame_rate_gives_every_frame_once(tmp_path):
    pytest.importorskip("av", reason="PyAV writes variable frame rates")
    times = [0, 1, 2, 10, 11, 40, 41, 42, 43, 80, 120, 121]
    for suffix in (".mp4", ".mkv"):
        path = write_encoded(tmp_path / f"clip{suffix}", "libx264", times=times)
        assert numbers(path, strict=True) == list(range(12))


class _WithRate:
    """A capture whose header states another frame rate."""

    def __init__(self, capture, rate, moving=True):
        self.capture, self.rate, self.moving = capture, rate, moving

    def __getattr__(self, name):
        return getattr(self.capture, name)

    def get(self, prop):
        if prop == cv2.CAP_PROP_FPS:
            return self.rate
        if prop == cv2.CAP_PROP_POS_MSEC and not self.moving:
            return 0.0
        return self.capture.get(prop)


@pytest.mark.parametrize("stated", [0.0, -1.0, float("nan"), float("inf"), 90000.0])
def test_frame_rate_from_time_stamps_where_the_header_is_not_sane(tmp_path, monkeypatch, stated):
    path = write_video(tmp_path / "clip.mp4", rate=12.5)
    real = cv2.VideoCapture
    monkeypatch.setattr(video_reader.cv2, "VideoCapture", lambda *a: _WithRate(real(*a), stated))
    assert VideoReader(path).frames_per_second == pytest.approx(12.5)
    monkeypatch.setattr(
        video_reader.cv2, "VideoCapture", lambda *a: _WithRate(real(*a), stated, moving=False)
    )
    with pytest.raises(VideoError, match="frames per second and the time stamps give no rate"):
        VideoReader(path)


def test_reasons_for_what_is_no_video(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    for name, reason in {
        "missing.mp4": "no such file",
        ".": "is a directory",
        "empty.mp4": r"is empty \(0 bytes\)",
        "text.mp4": "looks like text",
        "noise.mp4": "not a video, or so damaged",
        "loop.mp4": "cannot be opened",
    }.items():
        path = tmp_path / name
        with pytest.raises(VideoError, match=reason) as error:
            VideoReader(path)
        assert str(error.value).startswith(str(path))
    with pytest.raises(VideoError, match="cannot be opened"):
        VideoReader("nul\0byte.mp4")


def test_header_without_frames(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    boxes = mp4_boxes(path.read_bytes())
    path.write_bytes(boxes[b"ftyp"] + boxes[b"moov"])
    with pytest.raises(VideoError, match="no frame can be decoded"):
        VideoReader(path)


def test_mp4_cut_before_its_header(tmp_path):
    path = write_video(tmp_path / "clip.mp4", num_frames=40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match="cut off, [0-9]+ bytes are missing"):
        VideoReader(path)


def _cut(path, content, share):
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize(("fourcc", "suffix"), [("MJPG", ".avi"), ("FFV1", ".mkv"), ("", ".mp4")])
def test_truncated_file_is_reported(tmp_path, fourcc, suffix):
    path = write_video(tmp_path / f"clip{suffix}", fourcc or "mp4v", num_frames=60)
    content = with_header_first(path) if suffix == ".mp4" else path.read_bytes()
    path.write_bytes(content)
    assert numbers(path, strict=True) == list(range(60))
    _cut(path, content, 0.6)
    reader, frames = read(path)
    assert 1 <= len(frames) < 60
    assert len(reader.warnings) == 1
    assert f"{len(content) - path.stat().st_size} bytes are missing" in reader.warnings[0]
    assert f"{len(frames)} frames could be decoded" in reader.warnings[0]
    with pytest.raises(VideoError, match="is cut off"):
        numbers(path, strict=True)


def test_fewer_frames_than_the_header_lists(tmp_path):
    path = write_video(tmp_path / "clip.mp4", num_frames=60)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + int.from_bytes(content[start - 8 : start - 4], "big") // 2
    content[middle : content.index(b"moov") - 4] = bytes(content.index(b"moov") - 4 - middle)
    path.write_bytes(content)
    reader, frames = read(path)
    assert len(frames) < 54
    assert f"{len(frames)} frames could be decoded of the 60" in reader.warnings[0]
    with pytest.raises(VideoError, match="of the 60"):
        numbers(path, strict=True)


def test_a_reader_is_used_once_and_closes(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    with VideoReader(path) as reader:
        iterator = iter(reader)
        next(iterator)
    with pytest.raises(VideoError, match="was closed while it was being read"):
        next(iterator)
    with pytest.raises(VideoError, match="closed or used up"):
        next(iter(reader))


def test_nothing_is_written_to_stderr(tmp_path):
    path = write_video(tmp_path / "clip.mp4", num_frames=60)
    _cut(path, with_header_first(path), 0.6)
    (tmp_path / "text.mp4").write_text("no video")
    program = (
        "import sys\n"
        "from glimpse.pipelines.video_reader import VideoReader\n"
        "for path in sys.argv[1:]:\n"
        "    try: print(sum(1 for _ in VideoReader(path)))\n"
        "    except ValueError: print('refused')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, path, tmp_path / "text.mp4"],
        capture_output=True,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
    )
    assert result.stdout.split()[1] == "refused"
    assert not [line for line in result.stderr.splitlines() if "@ 0x" in line or "VIDEOIO" in line]


def test_memory_does_not_grow_with_length(tmp_path):
    resource = pytest.importorskip("resource", reason="peak memory is read on Unix")
    path = write_video(tmp_path / "clip.avi", "MJPG", num_frames=200, height=480, width=640)
    with VideoReader(path) as reader:
        frames = iter(reader)
        for _ in range(20):
            next(frames)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        remaining = sum(1 for _ in frames)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert remaining == 180
    assert grown * (1 if sys.platform == "darwin" else 1024) < 40 * 480 * 640 * 3


def test_decoder_version_names_opencv_and_its_codecs():
    assert cv2.__version__ in decoder_version()
    assert "avcodec" in decoder_version() and "unknown" not in decoder_version()


def test_path_is_absolute(tmp_path, monkeypatch):
    write_video(tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    assert pathlib.Path(VideoReader("clip.mp4").path) == tmp_path / "clip.mp4"


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""PyAV's reader: the same frames as OpenCV's, and those that OpenCV cannot give."""

import os

import numpy as np
import pytest

pytest.importorskip("av")

from glimpse.pipelines.av_reader import AvReader
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader
from tests.numbered_videos import frame_number, is_rgb, write_encoded, write_video

X265 = {"x265-params": "log-level=0"}


def read(reader):
    frames = list(reader)
    assert reader.num_frames == len(frames) == len(reader.frame_times)
    return frames


@pytest.mark.parametrize(
    ("codec", "suffix", "options", "pixels"),
    [
        ("libx264", ".mp4", {"bf": "3", "g": "8"}, "yuv420p"),
        ("libx264", ".mkv", {"bf": "3"}, "yuv444p"),
        ("libx264", ".mp4", {}, "yuv420p10le"),
        ("libx264", ".ts", {"bf": "2"}, "yuv420p"),
        ("libx264", ".h264", {"bf": "2"}, "yuv420p"),
        ("libx264", ".flv", {"bf": "2"}, "yuv422p"),
        ("libx264", ".avi", {"bf": "2"}, "yuv420p"),
        ("libx265", ".mp4", X265, "yuv420p"),
        ("libx265", ".mkv", X265, "yuv420p10le"),
        ("libvpx-vp9", ".webm", {}, "yuv420p"),
        ("libvpx", ".webm", {"auto-alt-ref": "1", "lag-in-frames": "8"}, "yuv420p"),
        ("mpeg1video", ".mpg", {}, "yuv420p"),
        ("mpeg2video", ".mpg", {"bf": "2"}, "yuv420p"),
        ("mpeg2video", ".m2v", {}, "yuv420p"),
        ("mpeg4", ".avi", {"bf": "2"}, "yuv420p"),
        ("msmpeg4", ".avi", {}, "yuv420p"),
        ("mjpeg", ".avi", {}, "yuvj420p"),
        ("mjpeg", ".mkv", {}, "yuvj422p"),
        ("prores_ks", ".mov", {}, "yuv422p10le"),
        ("svq1", ".mov", {}, "yuv410p"),
        ("ffv1", ".mkv", {}, "gray"),
        ("ffv1", ".mkv", {}, "yuv420p10le"),
        ("ffv1", ".mkv", {}, "bgr0"),
    ],
)
def test_same_pixels_and_times_as_opencv(tmp_path, codec, suffix, options, pixels):
    path = write_encoded(tmp_path / f"clip{suffix}", codec, options, pixels)
    with VideoReader(path, strict=True) as opencv, AvReader(path, strict=True) as pyav:
        expected, found = read(opencv), read(pyav)
    assert [frame_number(frame) for frame in found] == list(range(12))
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(pyav.frame_times, opencv.frame_times, atol=2e-6)
    assert (pyav.height, pyav.width) == (opencv.height, opencv.width) == (48, 64)
    assert pyav.frames_per_second == opencv.frames_per_second == pytest.approx(25)
    assert pyav.variable_rate is opencv.variable_rate is False
    assert pyav.warnings == opencv.warnings == []


@pytest.mark.parametrize(("height", "width"), [(49, 65), (17, 33), (121, 90)])
def test_odd_sizes(tmp_path, height, width):
    path = write_encoded(tmp_path / "clip.mkv", "ffv1", {}, "yuv420p", height=height, width=width)
    found = read(AvReader(path))
    assert found[0].shape == (height, width, 3)
    np.testing.assert_array_equal(found, read(VideoReader(path)))


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (0, -1, 1, 0), (-1, 0, 0, -1)])
def test_rotation_is_applied_as_opencv_does(tmp_path, turn):
    path = write_video(tmp_path / "clip.mp4")
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 44
    a, b, c, d = (value % (1 << 32) for value in (value * (1 << 16) for value in turn))
    matrix = [a, b, 0, c, d, 0, 0, 0, 1 << 30]
    content[start : start + 36] = b"".join(value.to_bytes(4, "big") for value in matrix)
    path.write_bytes(content)
    reader = AvReader(path)
    assert (reader.height, reader.width) == ((48, 64) if turn[0] else (64, 48))
    np.testing.assert_array_equal(read(reader), read(VideoReader(path)))


@pytest.mark.parametrize(
    ("codec", "suffix", "options", "pixels"),
    [
        ("libx264", ".mp4", {"x264-params": "tff=1"}, "yuv420p"),
        ("libx264", ".ts", {"x264-params": "bff=1"}, "yuv420p"),
        ("mpeg2video", ".mpg", {"flags": "+ilme+ildct"}, "yuv420p"),
        ("mpeg4", ".avi", {"flags": "+ilme+ildct"}, "yuv420p"),
        ("prores_ks", ".mov", {"flags": "+ilme+ildct"}, "yuv422p10le"),
    ],
)
def test_interlaced_video_is_deinterlaced(tmp_path, codec, suffix, options, pixels):
    path = write_encoded(tmp_path / f"clip{suffix}", codec, options, pixels)
    reader = AvReader(path, strict=True)
    frames = read(reader)
    assert [frame_number(frame) for frame in frames] == list(range(12))
    assert all(is_rgb(frame) for frame in frames)
    assert reader.decoder.endswith(", yadif")
    np.testing.assert_allclose(reader.frame_times, np.arange(12) / 25, atol=2e-6)


def test_deinterlacing_removes_the_comb(tmp_path):
    """A white block that moves between the fields of a frame has teeth without a filter."""
    import av

    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1:qp=1"})
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(10):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[::2, 4 * number : 4 * number + 12] = 255
            picture[1::2, 4 * number + 8 : 4 * number + 20] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))

    def teeth(frame):
        lines = frame[8:-8].astype(int).mean(-1)
        return np.abs(lines[2:] - 2 * lines[1:-1] + lines[:-2]).mean()

    frames = read(AvReader(path))
    reader = AvReader(path)
    reader._deinterlacer = None
    woven = read(reader)
    assert f"{len(woven) - 1} frames are interlaced" in reader.warnings[0]
    assert teeth(frames[5]) < 0.4 * teeth(woven[5])


def test_av1(tmp_path):
    path = write_encoded(tmp_path / "clip.mp4", "libsvtav1", {"preset": "12"}, height=64, width=128)
    with pytest.raises(VideoError, match="no frame can be decoded"):
        VideoReader(path)
    assert [frame_number(frame) for frame in read(AvReader(path))] == list(range(12))


@pytest.mark.parametrize("name", [b"latin-\xe9.mp4", "frame%03d.mp4", "http:x.mp4", "-a#b 'c.mp4"])
def test_odd_names(tmp_path, monkeypatch, name):
    plain = write_video(tmp_path / "plain.mp4")
    os.rename(plain, os.path.join(os.fsencode(tmp_path), os.fsencode(name)))
    monkeypatch.chdir(tmp_path)
    assert [frame_number(frame) for frame in read(AvReader(name))] == list(range(12))


def test_segments_and_threads(tmp_path):
    path = write_encoded(tmp_path / "clip.mp4", "libx264", {"bf": "2"})
    reader = AvReader(path, Segment(3, 7, "frames"), threads=1)
    assert [frame_number(frame) for frame in reader] == [3, 4, 5, 6]
    assert list(reader.frame_times) == pytest.approx([0.12, 0.16, 0.2, 0.24])


def test_what_fails_inside_a_file_is_counted_and_reading_goes_on(tmp_path):
    path = write_encoded(tmp_path / "clip.avi", "mjpeg", {}, "yuvj420p", num_frames=40)
    content = bytearray(path.read_bytes())
    first = content.index(b"movi")
    places = [p for p in range(first, len(content)) if content[p : p + 4] == b"00dc"]
    for place in places[5:8]:
        content[place + 8 : place + 600] = bytes(592)
    path.write_bytes(content)
    reader = AvReader(path)
    numbers = [frame_number(frame) for frame in reader]
    assert numbers == [*range(5), *range(8, 40)]
    assert reader.num_failed == 3
    assert "3 packets could not be decoded" in reader.warnings[0]
    with pytest.raises(VideoError, match="3 packets could not be decoded"):
        list(AvReader(path, strict=True))


def test_reasons_for_what_is_no_video(tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    for name, reason in {
        "missing.mp4": "no such file",
        "text.mp4": "looks like text",
        "noise.mp4": "not a video, or so damaged",
    }.items():
        with pytest.raises(VideoError, match=reason):
            AvReader(tmp_path / name)


def test_a_reader_closes(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    with AvReader(path) as reader:
        frames = iter(reader)
        next(frames)
    with pytest.raises(VideoError, match="was closed while it was being read"):
        next(frames)
    with pytest.raises(VideoError, match="closed or used up"):
        next(iter(reader))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

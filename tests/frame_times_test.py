"""When frames are shown: by decoding, without decoding, and what the frame rate follows."""

from array import array
from fractions import Fraction

import numpy as np
import pytest

from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.frame_clock import FrameClock
from glimpse.pipelines.frame_rate import fit_frame_rate, has_variable_rate
from glimpse.pipelines.frame_times import read_frame_times
from glimpse.pipelines.packet_scan import PacketScan
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_check import check_video
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader
from glimpse.pipelines.video_source import open_video
from tests.numbered_videos import frame_number, write_encoded, write_video

UNEVEN = [0, 1, 2, 10, 11, 40, 41, 42, 43, 80, 120, 121]


def decoded_times(path):
    with open_video(path, strict=True) as reader:
        assert [frame_number(frame) for frame in reader] == list(range(reader.num_frames))
    return reader, np.array(reader.frame_times)


def both_readers():
    pytest.importorskip("av", reason="PyAV writes time stamps as asked for")
    from glimpse.pipelines.av_reader import AvReader

    return VideoReader, AvReader


@pytest.mark.parametrize(
    ("stamps", "times"),
    [
        ([5.0, 5.5, 6.0], [0, 0.5, 1.0]),
        # Program streams end in frames without a stamp, raw streams have none.
        ([0.0, 0.1, 0.3, 0.0, 0.0], [0, 0.1, 0.3, 0.55, 0.8]),
        ([0.0, 0.0, 0.0], [0, 0.25, 0.5]),
        ([None, None, 9.0], [0, 0.25, 0.5]),
        ([0.0, None, 0.3, None], [0, 0.25, 0.3, 0.55]),
        # A stamp that runs backwards, and one that the places in between have passed.
        ([0.0, 1.0, 0.5, 1.1, 2.0], [0, 1.0, 1.25, 1.5, 2.0]),
    ],
)
def test_clock(stamps, times):
    clock = FrameClock(4.0)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(times)


def test_clock_without_stamps():
    clock = FrameClock(4.0, has_stamps=False)
    assert [clock(stamp) for stamp in [5.0, 5.1, 9.0]] == [0, 0.25, 0.5]


def test_clock_does_not_drift():
    clock = FrameClock(30000 / 1001)
    times = [clock(None) for _ in range(100_000)]
    assert times[-1] == pytest.approx(99_999 * 1001 / 30000, abs=1e-6)


def test_fitted_rates():
    ticks = np.arange(100)
    assert fit_frame_rate(25, ticks / 25) == 25
    assert fit_frame_rate(25, None) == 25
    # Milliseconds, as in Matroska, and two decimals.
    for exact in (24000 / 1001, 30000 / 1001, 60000 / 1001):
        assert fit_frame_rate(19001 / 317 * exact * 1001 / 60000, None) == exact
        assert fit_frame_rate(exact, np.round(ticks / exact, 3)) == exact
    assert fit_frame_rate(29.97, None) == 30000 / 1001
    assert fit_frame_rate(30.0, None) == 30 and fit_frame_rate(24.0, None) == 24
    # A header that lies about a constant rate.
    assert fit_frame_rate(1000.0, ticks / 12.5) == pytest.approx(12.5)
    assert not has_variable_rate(12.5, ticks / 12.5)
    uneven = np.array(UNEVEN) / 25
    assert fit_frame_rate(25, uneven) == pytest.approx(11 / (121 / 25))
    assert has_variable_rate(25, uneven)
    half = np.array([0, 1.49, 2]) / 25
    assert not has_variable_rate(25, half) and has_variable_rate(25, half + [0, 0.02 / 25, 0])


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
def test_variable_rate(tmp_path, suffix):
    pytest.importorskip("av", reason="PyAV writes variable frame rates")
    path = write_encoded(tmp_path / f"clip{suffix}", "libx264", {"bf": "2"}, times=UNEVEN)
    with VideoReader(path, strict=True) as reader:
        assert reader.variable_rate is True
        assert reader.frames_per_second == pytest.approx(11 / (121 / 25))
        assert [frame_number(frame) for frame in reader] == list(range(12))
    np.testing.assert_allclose(reader.frame_times, np.array(UNEVEN) / 25, atol=2e-6)
    np.testing.assert_allclose(read_frame_times(path), np.array(UNEVEN) / 25, atol=2e-6)


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "30", "50", "60000/1001"])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [("libx264", ".mp4"), ("libx264", ".mkv"), ("libx264", ".ts"), ("mpeg4", ".avi"),
     ("mpeg2video", ".mpg"), ("libvpx-vp9", ".webm")],
)  # fmt: skip
def test_constant_rates(tmp_path, codec, suffix, rate):
    pytest.importorskip("av", reason="PyAV writes exact frame rates")
    rate = Fraction(rate)
    options = {} if codec == "libvpx-vp9" else {"bf": "2"}
    path = write_encoded(
        tmp_path / f"clip{suffix}", codec, options, rate=rate, num_frames=40, height=32
    )
    reader, times = decoded_times(path)
    assert reader.frames_per_second == float(rate)
    assert reader.variable_rate is False
    # Matroska counts milliseconds.
    np.testing.assert_allclose(times, np.arange(40) / float(rate), atol=6e-4)
    np.testing.assert_allclose(read_frame_times(path), times, atol=2e-6)


@pytest.mark.parametrize(
    ("fourcc", "suffix"), [("mp4v", ".mp4"), ("MJPG", ".avi"), ("VP90", ".webm")]
)
def test_times_without_decoding_are_those_of_decoding(tmp_path, monkeypatch, fourcc, suffix):
    path = write_video(tmp_path / f"clip{suffix}", fourcc, num_frames=30)
    _, times = decoded_times(path)
    monkeypatch.setattr(VideoReader, "_decode", None)
    np.testing.assert_allclose(read_frame_times(path), times, atol=2e-6)


def test_times_of_streams_that_tell_none_come_from_decoding(tmp_path):
    pytest.importorskip("av", reason="PyAV writes raw streams")
    path = write_encoded(tmp_path / "clip.h264", "libx264", {"bf": "2"})
    reader = VideoReader(path)
    assert reader.planned_times is None and reader.variable_rate is None
    assert reader.frames_per_second == 25
    list(reader)
    assert reader.variable_rate is False
    np.testing.assert_allclose(read_frame_times(path), np.arange(12) / 25)


def test_dropped_frames_of_avi_keep_their_time(tmp_path):
    path = write_video(tmp_path / "clip.avi", "XVID")
    content = path.read_bytes()
    place, chunks = content.index(b"movi") + 4, []
    while content[place : place + 4] == b"00dc":
        length = 8 + -(-int.from_bytes(content[place + 4 : place + 8], "little") // 2) * 2
        chunks.append(content[place : place + length])
        place += length
    chunks.insert(5, b"00dc" + bytes(4))
    start = content.index(b"movi")
    body = b"".join(chunks)
    content = bytearray(content[: start + 4] + body)
    content[start - 4 : start] = (len(body) + 4).to_bytes(4, "little")
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path.write_bytes(content)
    reader, times = decoded_times(path)
    assert reader.num_frames == 12
    np.testing.assert_allclose(times * 25, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12])
    np.testing.assert_allclose(read_frame_times(path), times)


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".flv", ".mp4"])
def test_a_first_stamp_that_is_not_zero(tmp_path, suffix):
    readers = both_readers()
    stamps = [250 + time for time in UNEVEN]
    path = write_encoded(tmp_path / f"clip{suffix}", "libx264", {"bf": "2"}, times=stamps)
    for reader in readers:
        with reader(path, strict=True) as opened:
            planned = opened.planned_times
            assert [frame_number(frame) for frame in opened] == list(range(12))
        np.testing.assert_allclose(planned, np.array(UNEVEN) / 25, atol=2e-6)
        np.testing.assert_allclose(opened.frame_times, planned, atol=2e-6)


def scan_of(times, key_places=(0,)):
    keys = array("b", [place in key_places for place in range(len(times))])
    return PacketScan(len(times), array("d", times), keys, frozenset())


def test_stamps_that_jump_back():
    assert scan_of([7, 7.3, 7.1, 7.2]).frame_times == pytest.approx([0, 0.1, 0.2, 0.3])
    ahead = [0, 16, *range(1, 16), *range(17, 60)]  # as far as H.264 reorders
    np.testing.assert_array_equal(scan_of(ahead).frame_times, np.arange(60))
    anew = [*range(40), *(time + 0.5 for time in range(40))]
    assert scan_of(anew).jumps_back and scan_of(anew).frame_times is None
    short = [0, 1, 2, 0.5, 1.5, 2.5]
    assert scan_of(short, (0, 3)).jumps_back and scan_of(short, (0, 3)).frame_times is None
    # Pictures before a key frame in time may be decoded after it, and a gap is no jump back.
    assert not scan_of([0, 2, 1, 5, 3, 4, 900, 901], (0, 3, 6)).jumps_back
    assert scan_of([0, float("nan"), 2]).frame_times is None
    assert not scan_of([0, float("nan"), 2]).jumps_back
    assert scan_of([0, float("nan"), 2, 1], (0, 3)).jumps_back
    assert scan_of([]).frame_times is None and not scan_of([]).jumps_back


def joined(path, parts):
    """Joins transport streams; their packets are counted anew, so that none seems to be lost."""
    content, counts = bytearray(b"".join(part.read_bytes() for part in parts)), {}
    for place in range(0, len(content), 188):
        stream = (content[place + 1] & 0x1F, content[place + 2])
        if content[place + 3] & 0x10:
            counts[stream] = (counts.get(stream, -1) + 1) % 16
        content[place + 3] = content[place + 3] & 0xF0 | counts.get(stream, 0)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("length", [8, 40])
@pytest.mark.parametrize("shift", [0, 500, -900])
def test_joined_streams_are_counted_from_the_rate(tmp_path, caplog, length, shift):
    readers, base = both_readers(), Fraction(1, 25000)
    options = {"bf": "2", "g": "12"}
    parts = [
        write_encoded(
            tmp_path / f"{first}.ts", "libx264", options, times=times, time_base=base, first=first
        )
        for first, times in (
            (0, [1000 * number for number in range(length)]),
            # Its rate is another one from its twentieth frame on.
            (length, [shift + 1000 * n + 2000 * max(0, n - 20) for n in range(40)]),
        )
    ]
    path = joined(tmp_path / "both.ts", parts)
    total = length + 40
    for reader in readers:
        caplog.clear()
        with reader(path, strict=True) as opened:
            assert opened.planned_times is None and opened.frames_per_second == 25
            assert [frame_number(frame) for frame in opened] == list(range(total))
        assert "both.ts: its time stamps jump backwards" in caplog.text
        assert opened.frames_per_second == 25 and opened.variable_rate is False
        np.testing.assert_allclose(opened.frame_times, np.arange(total) / 25)
        with reader(path, Segment(0.2, 1.0), strict=True) as opened:
            assert [frame_number(frame) for frame in opened] == list(range(5, 25))
    np.testing.assert_allclose(read_frame_times(path), np.arange(total) / 25)
    assert check_video({"path": str(path), "segments": []}, lambda *_: None)["warnings"] == []


def test_rate_of_frames_whose_times_decoding_tells(tmp_path):
    readers, hidden = both_readers(), 3
    times = [-9, -6, -2, 0, 1, 2, 10, 11, 40, 41, 42, 43, 80, 120, 121]
    path = write_encoded(tmp_path / "clip.mp4", "libx264", {"bf": "2"}, times=times)
    shown = np.array(times[hidden:]) - times[hidden]
    mean = (len(shown) - 1) / (shown[-1] / 25)
    with VideoReader(path) as opened:
        assert opened.planned_times is None
        assert opened.frames_per_second != pytest.approx(mean, rel=1e-4)
    for reader in readers:
        with reader(path, strict=True) as opened:
            assert [frame_number(frame) for frame in opened] == list(range(hidden, len(times)))
        np.testing.assert_allclose(opened.frame_times, shown / 25, atol=2e-5)
        assert opened.frames_per_second == pytest.approx(mean, rel=1e-4)
        assert opened.variable_rate is True
        # A segment that is read to the video's end tells all times as well, others do not.
        with reader(path, Segment(5, None, "frames")) as part:
            list(part)
        assert part.frames_per_second == opened.frames_per_second
    with DecodedClips([path]) as decoded:
        for _, chunks in decoded:
            list(chunks)
            assert chunks.facts.frames_per_second == pytest.approx(mean, rel=1e-4)
    facts = check_video({"path": str(path), "segments": []}, lambda *_: None)
    assert facts["frames_per_second"] == pytest.approx(mean, rel=1e-4)


def test_a_rate_that_the_container_cannot_tell_is_refused(tmp_path):
    readers = both_readers()
    path = write_encoded(tmp_path / "clip.mkv", "libx264", {"bf": "0"}, rate=1500, num_frames=60)
    for reader in readers:
        with pytest.raises(VideoError, match=r"states 1500\.0 frames per second and the time"):
            with reader(path) as opened:
                list(opened)
    with pytest.raises(VideoError, match="states 1500"):
        open_video(path)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

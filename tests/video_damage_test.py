"""Damaged files: nothing of what is missing or guessed passes without a warning."""

import struct

import numpy as np
import pytest

from glimpse.pipelines.edit_lists import EditScan, scan_edits
from glimpse.pipelines.stream_damage import can_find_damage, find_damage
from glimpse.pipelines.transport_packets import count_broken_packets
from glimpse.pipelines.truncated_files import missing_bytes
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader
from glimpse.pipelines.video_source import open_video
from tests.numbered_videos import frame_number, numbered_frame, write_encoded, write_video


def warnings_of(path, reader=VideoReader):
    with reader(path) as opened:
        opened.numbers = [frame_number(frame) for frame in opened]
    return opened.numbers, opened.warnings


def write_moving(path, codec, options=None, pixels="yuv420p", num_frames=60, **size):
    """Writes noise that moves, so that packets are long enough to be damaged."""
    av = pytest.importorskip("av", reason="PyAV writes what OpenCV cannot write")
    height, width = size.get("height", 96), size.get("width", 128)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        for number in range(num_frames):
            picture = np.roll(noise, 3 * number, 1)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".ts", "libx264"), (".m2ts", "libx264"), (".mpg", "mpeg2video")]
)
def test_streams_without_a_length_that_were_cut(tmp_path, suffix, codec):
    path = write_moving(tmp_path / f"clip{suffix}", codec)
    content = path.read_bytes()
    assert missing_bytes(path) == 0 and warnings_of(path)[1] == []
    for cut in (1, 77, 1500):
        path.write_bytes(content[: len(content) * 2 // 3 - len(content) * 2 // 3 % 188 - cut])
        frames, warnings = warnings_of(path)
        assert missing_bytes(path) > 0
        assert f"{missing_bytes(path)} bytes are missing" in warnings[0]
        assert 20 < len(frames) < 60


def test_a_program_stream_states_what_is_missing(tmp_path):
    path = write_moving(tmp_path / "clip.mpg", "mpeg2video")
    content = path.read_bytes()
    last = content.rindex(b"\x00\x00\x01\xe0")
    length = 6 + int.from_bytes(content[last + 4 : last + 6], "big")
    path.write_bytes(content[: last + 50])
    assert missing_bytes(path) == length - 50
    path.write_bytes(content[: last + length])
    assert missing_bytes(path) == 0


def _pid(head):
    return (head[0] & 0x1F) << 8 | head[1]


def test_packets_of_a_transport_stream_that_are_missing_or_wrong(tmp_path):
    path = write_moving(tmp_path / "clip.ts", "libx264")
    content = path.read_bytes()
    assert count_broken_packets(path) == 0
    streams = [content[p + 1 : p + 3] for p in range(0, len(content), 188)]
    # The tables come between the pictures' packets now and then.
    middle = next(
        p
        for p in range(len(streams) // 2, len(streams))
        if len({*map(_pid, streams[p - 1 : p + 7])}) == 1
    )
    middle *= 188
    path.write_bytes(content[:middle] + content[middle + 3 * 188 :])
    assert count_broken_packets(path) == 1
    assert "1 packets of the transport stream are damaged or missing" in warnings_of(path)[1][-1]
    twice = content[: middle + 188] + content[middle:]
    path.write_bytes(twice)
    assert count_broken_packets(path) == 0
    marked = bytearray(content)
    marked[middle + 1] |= 0x80
    marked[middle + 5 * 188] = 0
    path.write_bytes(marked)
    # Each also leaves a gap in the count of its stream.
    assert count_broken_packets(path) == 4


def test_files_of_other_kinds_have_no_transport_packets(tmp_path):
    assert count_broken_packets(write_video(tmp_path / "clip.mp4")) == 0


@pytest.mark.parametrize(("codec", "suffix"), [("mpeg4", ".avi"), ("mjpeg", ".avi")])
def test_a_packet_that_ends_the_decoding_is_noticed(tmp_path, codec, suffix):
    path = write_moving(
        tmp_path / f"clip{suffix}", codec, {}, "yuvj420p" if codec == "mjpeg" else "yuv420p"
    )
    content = bytearray(path.read_bytes())
    first = content.index(b"movi")
    places = [p for p in range(first, len(content)) if content[p : p + 4] == b"00dc"]
    for place in places[20:24]:
        content[place + 8 : place + 600] = bytes(592)
    path.write_bytes(content)
    frames, warnings = warnings_of(path)
    assert 20 <= len(frames) < 60
    # Of the four, those without a start code are joined to the packet before.
    held = range(56, 61)
    assert any(f"{len(frames)} frames could be decoded of the {n}" in warnings[0] for n in held)
    with pytest.raises(VideoError, match="that the file holds: it is damaged"):
        list(VideoReader(path, strict=True))


def test_a_matroska_file_whose_reader_loses_its_way(tmp_path):
    path = write_moving(tmp_path / "clip.webm", "libvpx-vp9", {"deadline": "realtime"})
    assert warnings_of(path)[1] == []
    content = bytearray(path.read_bytes())
    content[len(content) // 3 :] = np.random.default_rng(0).bytes(len(content) - len(content) // 3)
    path.write_bytes(content)
    frames, warnings = warnings_of(path)
    assert len(frames) < 60
    assert any("its header says 2.40 s" in w or "of the" in w for w in warnings)


@pytest.mark.parametrize(
    ("codec", "suffix"), [("libx264", ".mp4"), ("mpeg4", ".avi"), ("mpeg2video", ".mpg")]
)
def test_damage_that_keeps_length_and_frames_is_found_with_pyav(tmp_path, codec, suffix):
    path = write_moving(tmp_path / f"clip{suffix}", codec, {"bf": "2"})
    assert can_find_damage() and find_damage(path) == []
    content = bytearray(path.read_bytes())
    # Six bytes in the middle of pictures, none of them in a header.
    for place in np.linspace(0.4, 0.5, 6):
        content[int(place * len(content))] ^= 0xFF
    path.write_bytes(content)
    assert len(find_damage(path)) == 1
    assert "frames hold pictures that were completed by guessing" in find_damage(path)[0]


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", ".h264", {}),
        ("libx264", ".ts", {}),
        ("libx265", ".hevc", {"x265-params": "log-level=0"}),
        ("mpeg2video", ".m2v", {}),
        ("mpeg1video", ".m1v", {}),
    ],
)
@pytest.mark.parametrize("reader", ["opencv", "pyav"])
def test_pictures_that_change_their_size(tmp_path, codec, suffix, options, reader):
    pytest.importorskip("av", reason="PyAV writes raw streams")
    small = write_encoded(tmp_path / f"small{suffix}", codec, options)
    large = write_encoded(tmp_path / f"large{suffix}", codec, options, height=96, width=128)
    path = tmp_path / f"both{suffix}"
    path.write_bytes(small.read_bytes() + small.read_bytes())
    from glimpse.pipelines.av_reader import AvReader

    reader = VideoReader if reader == "opencv" else AvReader
    assert not [w for w in warnings_of(path, reader)[1] if "size" in w]
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with reader(path) as opened:
        frames = list(opened)
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    # MPEG-1 and -2 lose the picture that waits for its place when the size changes.
    assert [frame_number(frame) for frame in frames][:11] == list(range(11))
    assert (
        "change their size on the way; all were scaled to the first, 64 x 48"
        in (opened.warnings[-1])
    )


@pytest.mark.parametrize(
    ("codec", "fourcc"), [("libvpx", "VP80"), ("libvpx-vp9", "VP90"), ("mpeg4", "mp4v")]
)
def test_sizes_in_key_frames(tmp_path, codec, fourcc):
    av = pytest.importorskip("av")
    from glimpse.pipelines.sequence_headers import picture_size

    suffix = ".mkv"
    path = write_encoded(tmp_path / f"clip{suffix}", codec, height=80, width=112)
    with av.open(str(path)) as container:
        packet = bytes(next(container.demux(video=0)))
        extradata = container.streams.video[0].codec_context.extradata or b""
    assert picture_size(fourcc, extradata + packet if codec == "mpeg4" else packet) == (112, 80)
    assert picture_size(fourcc, packet[:5]) is None


def edited(path, start=None, duration=None):
    """Changes the edit list of an MP4 file: media time and length, in its units."""
    content = bytearray(path.read_bytes())
    place = content.index(b"elst") + 12
    if duration is not None:
        content[place : place + 4] = duration.to_bytes(4, "big")
    if start is not None:
        content[place + 4 : place + 8] = start.to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("start", "duration", "shown"),
    [(None, None, range(12)), (1024 + 5 * 512, None, range(5, 12)), (None, 320, range(8)),
     (1024 + 2 * 512, 320, range(2, 10))],
)  # fmt: skip
def test_edit_lists_hide_frames_without_a_warning(tmp_path, start, duration, shown):
    pytest.importorskip("av", reason="PyAV writes edit lists")
    path = write_encoded(tmp_path / "clip.mp4", "libx264", {"bf": "3", "g": "8"})
    edited(path, start, duration)
    numbers, warnings = warnings_of(path)
    assert numbers == list(shown)
    assert scan_edits(path) == EditScan(1, 12 - len(shown))
    assert warnings == []


def test_a_file_without_an_edit_list_hides_nothing(tmp_path):
    assert scan_edits(write_video(tmp_path / "clip.mp4")).num_hidden == 0
    assert scan_edits(write_video(tmp_path / "clip.avi", "MJPG")) == EditScan()


def with_edits(path, entries):
    """Gives an MP4 file whose header comes last another edit list: (duration, media time)."""
    content = path.read_bytes()
    start = content.index(b"edts") - 4
    length = int.from_bytes(content[start : start + 4], "big")
    list_ = b"".join(struct.pack(">IiI", *entry, 1 << 16) for entry in entries)
    box = struct.pack(">I4sII", 16 + len(list_), b"elst", 0, len(entries)) + list_
    box = struct.pack(">I4s", 8 + len(box), b"edts") + box
    changed = bytearray(content[:start] + box + content[start + length :])
    assert content.index(b"mdat") < content.index(b"moov")
    for name in (b"moov", b"trak"):
        place = content.index(name) - 4
        size = int.from_bytes(content[place : place + 4], "big") + len(box) - length
        changed[place : place + 4] = size.to_bytes(4, "big")
    path.write_bytes(changed)
    return path


def test_several_edits_leave_frames_out_and_show_others_again(tmp_path):
    pytest.importorskip("av", reason="PyAV writes edit lists")
    from glimpse.pipelines.av_reader import AvReader

    path = write_encoded(tmp_path / "clip.mp4", "libx264", {"bf": "2", "g": "8"}, num_frames=40)
    first = 1024  # media time of the first frame, each of which lasts 512 of them
    for starts in ((5, 25), (25, 5), (5, 5)):
        with_edits(path, [(400, first + 512 * start) for start in starts])
        assert scan_edits(path).num_edits == 2
        expected = [number for start in starts for number in range(start, start + 10)]
        for reader in (VideoReader, AvReader):
            numbers, warnings = warnings_of(path, reader)
            assert numbers == expected and warnings == []
            with reader(path) as opened:
                assert opened.planned_times is None
    # An empty edit delays the video and is none.
    with_edits(path, [(400, -1), (1600, first)])
    assert scan_edits(path) == EditScan(1, 0)
    assert warnings_of(path) == (list(range(40)), [])


def test_what_is_appended_to_boxes_is_not_missing(tmp_path):
    path = write_video(tmp_path / "clip.mp4")
    content = path.read_bytes()
    for junk in (
        b"TAGappended by a downloader",
        bytes(1000),
        b"\xff" * 30,
        b"\0\0\0\x10junkjunk" * 9,
    ):
        path.write_bytes(content + junk)
        assert missing_bytes(path) == 0
        assert warnings_of(path) == (list(range(12)), [])
    for name in (b"moof", b"mdat", b"uuid"):
        path.write_bytes(content + (5000).to_bytes(4, "big") + name + bytes(92))
        assert missing_bytes(path) == 4900


def test_headers_that_lie_about_the_number_of_frames(tmp_path):
    path = write_video(tmp_path / "clip.avi", "XVID", num_frames=30)
    content = bytearray(path.read_bytes())
    place = content.index(b"avih") + 8 + 16
    assert int.from_bytes(content[place : place + 4], "little") == 30
    length = content.index(b"strh") + 8 + 32
    for lie in (3, 4000):
        content[place : place + 4] = content[length : length + 4] = lie.to_bytes(4, "little")
        path.write_bytes(content)
        with open_video(path, strict=True) as reader:
            assert [frame_number(frame) for frame in reader] == list(range(30))
        assert reader.num_frames == 30 and reader.variable_rate is False


def test_numbers_survive_damage_elsewhere(tmp_path):
    """Frames before the damage are the ones that were written."""
    path = write_video(tmp_path / "clip.avi", "MJPG", num_frames=30)
    content = bytearray(path.read_bytes())
    first = content.index(b"movi")
    places = [p for p in range(first, len(content)) if content[p : p + 4] == b"00dc"]
    content[places[20] + 8 : places[20] + 400] = bytes(392)
    path.write_bytes(content)
    numbers, warnings = warnings_of(path)
    assert numbers[:20] == list(range(20)) and warnings
    assert numbered_frame(3).shape == (48, 64, 3)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

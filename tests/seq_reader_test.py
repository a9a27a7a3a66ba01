import os
import struct
import tracemalloc

import cv2
import numpy as np
import pytest

from glimpse.pipelines.segment import Segment
from glimpse.pipelines.seq_reader import SeqReader
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video, video_sha256
from tests.numbered_videos import frame_number, is_rgb, numbered_frame
from tests.sports_trees import SEQ_DEPTHS, seq_header, seq_picture, write_seq


def numbers(reader):
    return [frame_number(frame) for frame in reader]


def read(path, **options):
    with SeqReader(path, **options) as reader:
        return numbers(reader), reader


def starts(path, extra=8):
    """Where the compressed pictures begin in a file."""
    content, places, position = path.read_bytes(), [], 1024
    while position < len(content):
        places.append(position)
        position += struct.unpack_from("<I", content, position)[0] + extra
    return places


@pytest.mark.parametrize("image_format", sorted(SEQ_DEPTHS))
@pytest.mark.parametrize("extra", [8, 16])
@pytest.mark.parametrize("stated_frames", [9, 0])
def test_every_format_gives_its_frames(tmp_path, image_format, extra, stated_frames):
    path = write_seq(
        tmp_path / "-a clip #1.seq",
        9,
        image_format=image_format,
        extra=extra,
        first=120,
        stated_frames=stated_frames,
    )
    with SeqReader(path) as reader:
        frames = list(reader)
    assert [frame_number(frame) for frame in frames] == list(range(120, 129))
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for frame in frames)
    assert (reader.height, reader.width, reader.num_frames) == (48, 64, 9)
    assert reader.frames_per_second == 25.0 and not reader.warnings
    np.testing.assert_allclose(reader.frame_times, np.arange(9) / 25, atol=1e-9)
    in_colour = SEQ_DEPTHS[image_format] == 24 or image_format in (101, 103)
    assert all(is_rgb(frame) == in_colour for frame in frames)


def test_raw_and_png_frames_are_exact(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (4, 6, 10, 3), np.uint8)
    for image_format in (2, 200):
        path = write_seq(
            tmp_path / "a.seq", height=6, width=10, image_format=image_format, frames=list(frames)
        )
        with SeqReader(path) as reader:
            np.testing.assert_array_equal(list(reader), frames)


@pytest.mark.parametrize("image_format", [101, 103])
def test_a_bayer_mosaic_becomes_its_colours(tmp_path, image_format):
    flat = np.empty((32, 32, 3), np.uint8)
    flat[:] = (200, 120, 40)
    path = write_seq(
        tmp_path / "a.seq", height=32, width=32, image_format=image_format, frames=[flat] * 2
    )
    with SeqReader(path) as reader:
        inside = next(iter(reader))[2:-2, 2:-2].astype(int)
    assert np.abs(inside - flat[0, 0]).max() <= (0 if image_format == 101 else 25)


def test_open_video_takes_it_by_its_bytes_and_its_name(tmp_path):
    path = write_seq(tmp_path / "clip.seq", 3)
    renamed = tmp_path / "clip"
    renamed.write_bytes(path.read_bytes())
    for file in (path, renamed, os.fsencode(path)):
        with open_video(file) as reader:
            assert isinstance(reader, SeqReader) and numbers(reader) == [0, 1, 2]
    assert cv2.__version__ in reader.decoder and reader.decoder.startswith("norpix seq ")
    assert video_sha256(path) == video_sha256(renamed)


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (Segment(2, 5, "frames"), [2, 3, 4]),
        (Segment(6, None, "frames"), [6, 7]),
        (Segment(0.08, 0.2), [2, 3, 4]),
        (Segment(0.081, 0.2), [3, 4]),
    ],
)
@pytest.mark.parametrize("image_format", [201, 200])
def test_segments(tmp_path, segment, expected, image_format):
    path = write_seq(tmp_path / "a.seq", 8, image_format=image_format)
    found, reader = read(path, segment=segment)
    assert found == expected and not reader.warnings
    assert reader.frame_times[0] == pytest.approx(expected[0] / 25)


def test_damage_outside_a_segment_is_not_met(tmp_path):
    path = write_seq(tmp_path / "a.seq", 8)
    content = bytearray(path.read_bytes())
    content[starts(path)[1] + 40 : starts(path)[2] - 10] = bytes(
        starts(path)[2] - starts(path)[1] - 50
    )
    path.write_bytes(content)
    assert read(path, segment=Segment(3, 6, "frames"))[0] == [3, 4, 5]
    with pytest.raises(VideoError, match="frame 2, at byte"):
        read(path)


@pytest.mark.parametrize("true_rate", [10.0, 24.0, 30.0])
@pytest.mark.parametrize("num_frames", [3, 60])
def test_the_rate_is_that_of_the_time_stamps(tmp_path, true_rate, num_frames):
    stamps = [5 + n / true_rate for n in range(num_frames)]
    _, reader = read(write_seq(tmp_path / "a.seq", num_frames, stamps=stamps))
    assert reader.frames_per_second == pytest.approx(
        true_rate, rel=0.01 if num_frames < 9 else 1e-3
    )
    np.testing.assert_allclose(reader.frame_times, np.arange(num_frames) / true_rate, atol=1.1e-3)


def test_a_stated_rate_that_rounded_stamps_agree_with_is_kept(tmp_path):
    _, reader = read(write_seq(tmp_path / "a.seq", 40, rate=30000 / 1001))
    assert reader.frames_per_second == 30000 / 1001 and reader.variable_rate is False


def test_a_dropped_frame_leaves_its_gap_in_the_times(tmp_path):
    stamps = [n / 25 for n in range(12) if n not in (4, 5)]
    _, reader = read(write_seq(tmp_path / "a.seq", 10, stamps=stamps))
    np.testing.assert_allclose(reader.frame_times, stamps, atol=1e-9)
    assert reader.variable_rate


@pytest.mark.parametrize(
    "stamps",
    [[0] * 6, [1, 2, 3, 3, 4, 5], [5, 4, 3, 2, 1, 0], [0, 1.3e9, 2.6e9, 3e9, 3.1e9, 4e9]],
)
def test_stamps_that_are_no_times_leave_the_headers_rate(tmp_path, stamps):
    path = write_seq(tmp_path / "a.seq", 6, rate=20.0, stamps=stamps)
    found, reader = read(path)
    assert found == list(range(6)) and reader.frames_per_second == 20.0
    np.testing.assert_allclose(reader.frame_times, np.arange(6) / 20)


@pytest.mark.parametrize("rate", [0.0, -3.0, float("nan"), float("inf"), 1e9])
def test_a_rate_that_is_none(tmp_path, rate):
    stamps = [n / 10 for n in range(6)]
    path = write_seq(tmp_path / "a.seq", 6, rate=rate, stamps=stamps)
    assert read(path)[1].frames_per_second == pytest.approx(10)
    path = write_seq(tmp_path / "a.seq", 6, rate=rate, stamps=[0] * 6)
    with pytest.raises(VideoError, match="frames per second and the time stamps give no rate"):
        SeqReader(path)


def test_a_single_frame(tmp_path):
    for extra in (8, 16):
        found, reader = read(write_seq(tmp_path / "a.seq", 1, extra=extra))
        assert found == [0] and reader.frames_per_second == 25.0 and not reader.warnings


@pytest.mark.parametrize("stated", [0, 8])
@pytest.mark.parametrize("image_format", [201, 200, 2])
def test_a_file_that_is_cut_off(tmp_path, stated, image_format):
    path = write_seq(tmp_path / "a.seq", 8, image_format=image_format, stated_frames=stated)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 9 // 16])
    found, reader = read(path)
    assert found == list(range(len(found))) and 2 < len(found) < 8
    (warning,) = reader.warnings
    assert f"cut off in frame {len(found) + 1}" in warning
    assert ("of 8" in warning) == bool(stated)
    with pytest.raises(VideoError, match="cut off in frame"):
        read(path, strict=True)


def test_cut_off_between_frames_and_without_the_last_pad(tmp_path):
    path = write_seq(tmp_path / "a.seq", 4, extra=16)
    content, places = path.read_bytes(), starts(path, 16)
    path.write_bytes(content[:-10])
    found, reader = read(path)
    assert found == [0, 1, 2, 3] and not reader.warnings
    path.write_bytes(content[: places[3]])
    found, reader = read(path)
    assert found == [0, 1, 2] and "frame 4" in reader.warnings[0]
    assert "is missing of 4" in reader.warnings[0]
    unstated = write_seq(tmp_path / "b.seq", 4, stated_frames=0)
    unstated.write_bytes(unstated.read_bytes() + bytes(64))
    assert not read(unstated)[1].warnings


def test_a_header_that_lies_about_the_number_of_frames(tmp_path):
    found, reader = read(write_seq(tmp_path / "a.seq", 6, stated_frames=4))
    assert found == list(range(6)) and not reader.warnings
    found, reader = read(write_seq(tmp_path / "a.seq", 6, stated_frames=2**32 - 1))
    assert found == list(range(6)) and "frame 7, at byte" in reader.warnings[0]
    raw = write_seq(tmp_path / "a.seq", 6, image_format=200, stated_frames=4)
    found, reader = read(raw)
    assert found == list(range(4))
    assert "states 4 frames, and there is room for 6" in reader.warnings[0]


@pytest.mark.parametrize("length", [0, 3, 2**31, 2**32 - 1])
def test_a_length_that_cannot_be(tmp_path, length):
    path = write_seq(tmp_path / "a.seq", 5)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, starts(path)[3], length)
    path.write_bytes(content)
    tracemalloc.start()
    found, reader = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == [0, 1, 2] and len(reader.warnings) == 1 and peak < 10e6
    struct.pack_into("<I", content, 1024, length)
    path.write_bytes(content)
    with pytest.raises(VideoError, match="holds no whole frame: "):
        SeqReader(path)


def with_picture(path, number, change):
    """Puts change(picture) in the place of a compressed picture, of the same length."""
    content, place = bytearray(path.read_bytes()), starts(path)[number]
    (length,) = struct.unpack_from("<I", content, place)
    picture = change(bytes(content[place + 4 : place + length]))
    content[place + 4 : place + length] = picture.ljust(length - 4, b"\0")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("image_format", "change", "message"),
    [
        (201, lambda p: p[: len(p) // 2], "JPEG picture is cut off"),
        (201, lambda p: p[:4] + bytes(len(p) - 6) + p[-2:], "header is damaged"),
        (2, lambda p: p[: len(p) // 2], "PNG picture"),
        (201, lambda p: seq_picture(numbered_frame(1, 24, 32), 201), "of 32 x 24 pixels where 64"),
        (201, lambda p: seq_picture(numbered_frame(1, 48, 64), 2)[:2], None),
    ],
)
def test_a_damaged_picture_names_its_frame(tmp_path, image_format, change, message):
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path = write_seq(tmp_path / "a.seq", image_format=image_format, frames=[frame] * 4)
    with_picture(path, 2, change)
    if message is None:  # not even the beginning of a picture: the frames end there
        with SeqReader(path) as reader:
            assert len(list(reader)) == 2 and "frame 3, at byte" in reader.warnings[0]
        return
    with pytest.raises(VideoError, match=rf"a\.seq: frame 3, at byte \d+: .*{message}"):
        list(SeqReader(path))


def test_a_small_picture_that_claims_a_large_size_is_not_decoded(tmp_path):
    path = write_seq(tmp_path / "a.seq", 2)
    content = bytearray(path.read_bytes())
    place = content.index(b"\xff\xc0")
    struct.pack_into(">HH", content, place + 5, 60000, 60000)
    path.write_bytes(content)
    with pytest.raises(VideoError, match="frame 1.*(more|above the) "):
        list(SeqReader(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"magic": 0xFEEE}, r"not a Norpix \.seq file"),
        ({"name": "Norpix sea"}, r"not a Norpix \.seq file"),
        ({"header_size": 8192}, "states the header size 8192, and only 1024"),
        ({"image_format": 400}, "states the image format 400, and only one of 1, 2, 100"),
        ({"origin": 7}, "states the origin 7"),
        ({"real_depth": 12}, "states the real bit depth 12, and only 8"),
        ({"depth": 32}, "states the bit depth 32, and only 8 or 24"),
        ({"image_format": 101}, "states the bit depth 24, and only 8 can"),
        ({"width": 0}, "states pictures of 0 x 48"),
        ({"height": 2**32 - 1, "width": 2**32 - 1}, "claims pictures of 4294967295 x 4294967295"),
        ({"image_format": 200, "image_bytes": 5}, "states 5 bytes a picture"),
        ({"image_format": 200, "stride": 9216 - 1}, "9215 from one to the next"),
        ({"image_format": 200, "image_bytes": 2**32 - 1, "stride": 2**32 - 1}, "no whole frame"),
        ({}, "holds no whole frame: nothing comes after"),
    ],
)
def test_headers_that_are_refused(tmp_path, changes, message):
    path = tmp_path / "a.seq"
    path.write_bytes(seq_header(**changes))
    with pytest.raises(VideoError, match=message):
        SeqReader(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (bytes(1024), "its header is empty"),
        (seq_header()[:700], "cut off in its header"),
        (b"\0\1\2\3" * 500, r"not a Norpix \.seq file"),
        (seq_header(image_format=200, stride=9728) + bytes(50), "cut off in frame 1"),
    ],
)
def test_files_that_are_none(tmp_path, content, message):
    path = tmp_path / "a.seq"
    path.write_bytes(content)
    with pytest.raises(VideoError, match=message):
        SeqReader(path)
    with pytest.raises(VideoError, match="no such file"):
        SeqReader(tmp_path / "b.seq")


def test_a_reader_is_used_once_and_closes_its_file(tmp_path):
    reader = SeqReader(write_seq(tmp_path / "a.seq", 3))
    assert numbers(reader) == [0, 1, 2]
    with pytest.raises(VideoError, match="closed or used up"):
        numbers(reader)
    reader.close()


def test_memory_does_not_grow_with_the_files_length(tmp_path):
    picture = seq_picture(numbered_frame(1), 201)
    framed = struct.pack("<I", len(picture) + 4) + picture
    peaks = []
    for count in (50, 2000):
        path = tmp_path / f"{count}.seq"
        with open(path, "wb") as file:
            file.write(seq_header())
            for number in range(count):
                file.write(framed + struct.pack("<IHH", *divmod(40 * number, 1000), 0))
        tracemalloc.start()
        with SeqReader(path) as reader:
            assert sum(1 for _ in reader) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # 16 bytes a frame for its place and time here, 8 in the reader, and NumPy's copies of these.
    assert peaks[1] - peaks[0] < 2000 * 100


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

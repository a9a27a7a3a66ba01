import os

import cv2
import numpy as np
import pytest
from PIL import Image

from glimpse.pipelines.image_folder_reader import PICTURES_PER_SECOND, ImageFolderReader
from glimpse.pipelines.picture_names import missing_numbers
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video, video_sha256
from tests.numbered_videos import frame_number, is_rgb, numbered_frame
from tests.sports_trees import write_pictures


def read(folder, **options):
    with ImageFolderReader(folder, **options) as reader:
        return [frame_number(frame) for frame in reader], reader


def test_numbers_count_as_numbers(tmp_path):
    names = [f"{n}.jpg" for n in range(1, 13)]
    found, reader = read(write_pictures(tmp_path / "a clip, #1", names))
    assert found == list(range(12)) and reader.names == names
    assert (reader.height, reader.width) == (48, 64) and not reader.warnings
    with ImageFolderReader(tmp_path / "a clip, #1") as reader:
        frames = list(reader)
    assert all(is_rgb(f) and f.dtype == np.uint8 and f.shape == (48, 64, 3) for f in frames)


@pytest.mark.parametrize(
    "names",
    [
        ["2538-5_70133.jpg", "2538-5_70134.jpg", "2538-5_70135.jpg"],
        ["RF1-13207_7098.jpg", "RF1-13207_7099.jpg", "RF1-13207_70100.jpg", "RF1-13207_70101.jpg"],
        ["7608-9_70(2)9.JPG", "7608-9_70(2)10.JPG", "7608-9_70(2)11.JPG"],
        ["img_0008.png", "img_0009.png", "img_0010.png"],
        ["frame 2.jpeg", "frame 4.jpeg", "frame 6.jpeg", "frame 8.jpeg"],
        ["-7.jpg", "-8.jpg"],
        ["a10.jpg", "a10000.jpg"],
    ],
)
def test_names_without_gaps(tmp_path, names):
    found, reader = read(write_pictures(tmp_path, names))
    assert found == list(range(len(names))) and not reader.warnings


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3, 5, 6], 1),
        ([1, 2, 9], 6),
        ([98, 99, 102], 2),
        ([2, 4, 6, 10], 1),
        ([70, 71, 75], 3),
    ],
)
def test_gaps_are_counted(tmp_path, numbers, missing):
    names = [f"{n:04d}.jpg" for n in numbers]
    assert missing_numbers(names) == missing
    write_pictures(tmp_path, names)
    found, reader = read(tmp_path)
    assert found == list(range(len(numbers)))
    assert f"leave out {missing};" in reader.warnings[0]
    with pytest.raises(VideoError, match="leave out"):
        read(tmp_path, strict=True)


def test_what_is_no_picture_is_left_alone(tmp_path):
    write_pictures(tmp_path, ["1.jpg", "2.jpg"])
    (tmp_path / ".3.jpg").write_bytes(b"hidden")
    (tmp_path / "._1.jpg").write_bytes(b"macOS")
    (tmp_path / "clip.avi").write_bytes(b"no picture")
    (tmp_path / "Thumbs.db").write_bytes(b"no picture")
    (tmp_path / "4.jpg").mkdir()
    (tmp_path / "gt").mkdir()
    assert read(tmp_path)[0] == [0, 1]


def test_rate_times_and_segments(tmp_path):
    write_pictures(tmp_path, [f"{n}.jpg" for n in range(20)])
    _, reader = read(tmp_path)
    assert reader.frames_per_second == PICTURES_PER_SECOND == 10.0
    np.testing.assert_allclose(reader.frame_times, np.arange(20) / 10)
    assert read(tmp_path, segment=Segment(3, 6, "frames"))[0] == [3, 4, 5]
    assert read(tmp_path, segment=Segment(0.5, 0.8))[0] == [5, 6, 7]
    found, reader = read(tmp_path, segment=Segment(0.5, 0.8), frames_per_second=20)
    assert found == list(range(10, 16)) and reader.frames_per_second == 20.0
    for rate in (0, -1, float("nan"), 1e6):
        with pytest.raises(ValueError, match="frames_per_second must be above 0"):
            ImageFolderReader(tmp_path, frames_per_second=rate)


def test_damage_before_a_segment_is_not_met(tmp_path):
    write_pictures(tmp_path, [f"{n}.jpg" for n in range(6)])
    (tmp_path / "2.jpg").write_bytes(b"damaged")
    assert read(tmp_path, segment=Segment(3, None, "frames"))[0] == [3, 4, 5]


def test_grey_deep_and_turned_pictures(tmp_path):
    frame = numbered_frame(5)
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "1.jpg"), grey)
    cv2.imwrite(str(tmp_path / "2.png"), grey.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "3.png"), np.dstack([frame[..., ::-1], grey]))
    turned = Image.fromarray(np.rot90(frame))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    turned.save(tmp_path / "4.jpg", exif=exif, quality=95)
    with ImageFolderReader(tmp_path) as reader:
        frames = list(reader)
    assert [frame_number(f) for f in frames] == [5] * 4
    assert all(f.shape == (48, 64, 3) and f.dtype == np.uint8 for f in frames)
    np.testing.assert_array_equal(frames[1][..., 0], grey)
    np.testing.assert_array_equal(frames[2], frame)
    assert is_rgb(frames[3])


def truncated(content):
    return content[: len(content) * 2 // 3]


def damaged_png(content):
    middle = len(content) // 2
    return content[:middle] + bytes(9) + content[middle + 9 :]


@pytest.mark.parametrize(
    ("suffix", "change", "message"),
    [
        (".jpg", truncated, "the JPEG picture is cut off"),
        (".png", truncated, "the PNG picture is cut off"),
        (".png", damaged_png, "the PNG picture is damaged"),
        (".jpg", lambda content: b"", "neither a JPEG nor a PNG"),
        (".jpg", lambda content: b"<html>not found</html>", "neither a JPEG nor a PNG"),
        (".jpg", lambda content: b"GIF89a" + bytes(200), "neither a JPEG nor a PNG"),
    ],
)
def test_a_damaged_picture_is_named(tmp_path, suffix, change, message):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"{number}{suffix}"), noise)
    path = tmp_path / f"2{suffix}"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(VideoError, match=rf"2\{suffix}: {message}"):
        read(tmp_path)


def test_a_cut_off_jpeg_with_a_whole_thumbnail(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    small, whole = (cv2.imencode(".jpg", each)[1].tobytes() for each in (noise[:8, :8], noise))
    thumbnail = b"\xff\xe2" + (len(small) + 2).to_bytes(2, "big") + small
    for name, content in (("1", whole), ("2", whole + b"trailing bytes"), ("3", truncated(whole))):
        (tmp_path / f"{name}.jpg").write_bytes(content[:2] + thumbnail + content[2:])
    with pytest.raises(VideoError, match=r"3\.jpg: the JPEG picture is cut off"):
        list(ImageFolderReader(tmp_path))
    (tmp_path / "3.jpg").unlink()
    assert len(read(tmp_path)[0]) == 2


def test_a_picture_of_another_size_is_named(tmp_path):
    write_pictures(tmp_path, ["1.jpg", "2.jpg"])
    write_pictures(tmp_path, ["3.jpg"], height=24, width=32)
    with pytest.raises(VideoError, match=r"3\.jpg: a picture of 32 x 24 .* first is 64 x 48"):
        read(tmp_path)


def test_a_claim_of_more_pixels_than_are_decoded(tmp_path):
    write_pictures(tmp_path, ["1.jpg"])
    content = bytearray((tmp_path / "1.jpg").read_bytes())
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "1.jpg").write_bytes(content)
    with pytest.raises(VideoError, match=r"1\.jpg: its header claims"):
        ImageFolderReader(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no picture"),
        (["1.jpg", "cover.jpg"], "'cover.jpg' has no number"),
        (["1.jpg", "1.png"], "'1.jpg' and '1.png' have the same number"),
        (["1.jpg", "01.jpg"], "'01.jpg' and '1.jpg' have the same number"),
    ],
)
def test_folders_that_are_refused(tmp_path, names, message):
    write_pictures(tmp_path, names)
    with pytest.raises(VideoError, match=message):
        ImageFolderReader(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(VideoError, match="cannot be read"):
        ImageFolderReader(tmp_path / "gone")


def test_open_video_takes_folders(tmp_path):
    folder = write_pictures(tmp_path / "clip", ["1.jpg", "2.jpg"])
    for path in (folder, os.fsencode(folder)):
        with open_video(path) as reader:
            assert isinstance(reader, ImageFolderReader) and len(list(reader)) == 2
    assert cv2.__version__ in reader.decoder and reader.decoder.startswith("picture folder ")
    before = video_sha256(folder)
    (folder / "2.jpg").rename(folder / "3.jpg")
    assert video_sha256(folder) != before


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Miniature trees of UCF Sports and Olympic Sports, and Norpix .seq files.

Every function returns the path that `read_clips` is given. No two clips show the same frames.
"""

import itertools
import struct

import cv2
import numpy as np

from glimpse.pipelines.datasets.olympic_sports import LABEL_NAMES as OLYMPIC_CLASSES
from glimpse.pipelines.datasets.ucf_sports import FOLDERS
from tests.numbered_videos import numbered_frame, write_video

# Bit depth of each image format.
SEQ_DEPTHS = {1: 8, 2: 24, 100: 8, 101: 8, 102: 8, 103: 8, 200: 24, 201: 24}
_ENCODED = {1: ".png", 2: ".png", 102: ".jpg", 103: ".jpg", 201: ".jpg"}


def seq_header(**changes):
    """The 1,024 bytes of a .seq header; `changes` are its fields."""
    fields = {
        "magic": 0xFEED,
        "name": "Norpix seq",
        "version": 3,
        "header_size": 1024,
        "width": 64,
        "height": 48,
        "depth": 24,
        "real_depth": 8,
        "image_bytes": 64 * 48 * 3,
        "image_format": 201,
        "stated_frames": 0,
        "origin": 0,
        "stride": 0,
        "rate": 25.0,
    } | changes
    head = struct.pack("<I", fields["magic"]) + fields["name"].encode("utf-16-le") + bytes(4)
    head += struct.pack("<iI", fields["version"], fields["header_size"])
    head += "No Description".encode("utf-16-le").ljust(512, b"\0")
    names = "width height depth real_depth image_bytes image_format stated_frames origin stride"
    head += struct.pack("<9Id", *(fields[name] for name in names.split()), fields["rate"])
    return head.ljust(1024, b"\0")


def to_mosaic(frame):
    """What a sensor under a Bayer filter of blue, green / green, red sees of an RGB frame."""
    mosaic = frame[..., 1].copy()
    mosaic[::2, ::2] = frame[::2, ::2, 2]
    mosaic[1::2, 1::2] = frame[1::2, 1::2, 0]
    return mosaic


def seq_picture(frame, image_format):
    """The bytes of an RGB frame in an image format of .seq files."""
    if image_format in (101, 103):
        picture = to_mosaic(frame)
    elif SEQ_DEPTHS[image_format] == 8:
        picture = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    else:
        picture = frame[..., ::-1]
    if image_format not in _ENCODED:
        return np.ascontiguousarray(picture).tobytes()
    return cv2.imencode(_ENCODED[image_format], picture)[1].tobytes()


def write_seq(
    path,
    num_frames=8,
    height=48,
    width=64,
    image_format=201,
    extra=8,
    rate=25.0,
    stamps=None,
    first=0,
    frames=None,
    **changes,
):
    """Writes a .seq file of frames first, first + 1, ...

    Args:
        path: The file.
        extra: Bytes after each compressed picture: 8 or 16, the first 6 of them its time stamp.
        stamps: Seconds of each frame; None: by the rate, from 2 s on.
        frames: RGB frames in place of the numbered ones.
        **changes: Fields of the header that are to be other than what is written.
    """
    if frames is None:
        frames = [numbered_frame(n, height, width) for n in range(first, first + num_frames)]
    stamps = [2 + n / rate for n in range(len(frames))] if stamps is None else stamps
    image_bytes = height * width * SEQ_DEPTHS[image_format] // 8
    stride = image_bytes + 6 + 512 - (image_bytes + 6) % 512
    header = {
        "width": width,
        "height": height,
        "depth": SEQ_DEPTHS[image_format],
        "image_bytes": image_bytes,
        "image_format": image_format,
        "stated_frames": len(frames),
        "stride": stride,
        "rate": rate,
    }
    parts = [seq_header(**header | changes)]
    for frame, seconds in zip(frames, stamps, strict=True):
        picture = seq_picture(frame, image_format)
        stamp = struct.pack("<IH", int(seconds), round(seconds % 1 * 1000))
        if image_format in _ENCODED:
            picture = struct.pack("<I", len(picture) + 4) + picture
            parts.append(picture + stamp.ljust(extra, b"\0"))
        else:
            parts.append((picture + stamp).ljust(stride, b"\0"))
    path.write_bytes(b"".join(parts))
    return path


def write_pictures(folder, names, height=48, width=64, first=0):
    """Writes frames first, first + 1, ... as pictures of these names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, start=first):
        frame = numbered_frame(number, height, width)
        cv2.imwrite(str(folder / name), frame[..., ::-1])
    return folder


def _write_boxes(folder, stems, left):
    folder.mkdir()
    for number, stem in enumerate(stems):
        line = f"{left + number}\t10\t12\t24\tDiving\t\r\n"
        (folder / f"{stem}.tif.txt").write_bytes(line.encode())


def make_ucf_sports(folder, sequences=None, num_frames=3, quirks=True, height=48, width=64):
    """UCF Sports in `folder`/ucf_sports_actions/ucf action, with all 150 sequences or fewer.

    Sequences have pictures, an AVI and boxes, but for what is known of the official files: no AVI
    in Diving-Side/008-014, no pictures in Golf-Swing-Back/001-005 and Golf-Swing-Front/002, whose
    name has parentheses, and an AVI that is shorter in Diving-Side/006.

    Args:
        folder: Where to make it.
        sequences: How many of each of the 13 folders; None: all.
        num_frames: Of each sequence; one in seven has one more.
        quirks: Whether to add a second actor in Walk-Front/001, no boxes in Lifting/001, the
            pictures in jpeg/ in Run-Side/001, and stray files.
        height, width: Of the frames.
    """
    root, numbers = folder / "ucf_sports_actions/ucf action", itertools.count()
    for directory, (_, count) in FOLDERS.items():
        for number in range(1, min(count, sequences or count) + 1):
            name, first = f"{directory}/{number:03d}", next(numbers)
            place = root / name
            place.mkdir(parents=True)
            # Two sequences in a row are of one recording. The first one's numbers go on to one
            # more digit, right behind the recording's "70".
            stem, begin = f"{2500 + first // 2}-5_70", 98 + 500 * (first % 2)
            frames = [f"{begin + n}" for n in range(num_frames + (first % 7 == 0))]
            if name == "Golf-Swing-Front/002":
                stem = "7608-9_70(2)"
            length, size = len(frames), {"height": height, "width": width}
            has_avi = directory != "Diving-Side" or number < 8
            only_avi = directory == "Golf-Swing-Back" or name == "Golf-Swing-Front/002"
            if has_avi:
                shorter = name == "Diving-Side/006"
                write_video(
                    place / f"{stem}{frames[0]}.avi",
                    "XVID",
                    num_frames=length - shorter,
                    first=first,
                    **size,
                )
            if only_avi:
                continue
            in_jpeg = quirks and name == "Run-Side/001"
            pictures = place / "jpeg" if in_jpeg else place
            write_pictures(pictures, [f"{stem}{n}.jpg" for n in frames], first=first, **size)
            if not (quirks and name == "Lifting/001"):
                _write_boxes(place / "gt", [stem + n for n in frames], 5)
            if quirks and name == "Walk-Front/001":
                _write_boxes(place / "gt2", [stem + n for n in frames], 30)
    if quirks:
        (root / "Diving-Side/001/Thumbs.db").write_bytes(b"stray")
        (root / "Diving-Side/001/._2500-5_7098.jpg").write_bytes(b"a companion of macOS")
    return root.parent


def make_olympic_sports(
    folder, train=3, test=2, num_frames=6, spelling="spaces", quirks=True, height=48, width=64
):
    """Olympic Sports in `folder`/olympic_sports, with `train` and `test` clips of each class.

    The clips are of every format that the reader knows but Bayer's, with 8 and 16 bytes after a
    picture, with and without a stated number of frames.

    Args:
        folder: Where to make it.
        train, test: Clips of each class.
        num_frames: Of each clip; after 256 clips one more.
        spelling: Of the split files: "spaces" (without the word diving) or "underscores".
        quirks: Whether to add blank lines, a clip that is listed but missing, one that is not
            listed, and a file of Piotr's toolbox.
        height, width: Of the frames.
    """
    root, numbers = folder / "olympic_sports", itertools.count()
    kinds = itertools.cycle(
        [
            {"image_format": 201},
            {"image_format": 102, "extra": 16},
            {"image_format": 201, "extra": 16, "stated_frames": 0},
            {"image_format": 200},
            {"image_format": 2},
        ]
    )
    for label, label_name in enumerate(OLYMPIC_CLASSES):
        (root / label_name).mkdir(parents=True)
        words = label_name
        if spelling == "spaces":
            words = label_name.removeprefix("diving_").replace("_", " ")
        for split, count in (("train", train), ("test", test)):
            stems = []
            for number in range(count):
                serial = next(numbers)
                start = "-_"[number % 2]
                stems.append(f"{start}9t7_hXcl{serial:03d}_{number:05d}_{number + 169:05d}")
                write_seq(
                    root / label_name / f"{stems[-1]}.seq",
                    num_frames + serial // 256,
                    height,
                    width,
                    first=serial,
                    **next(kinds),
                )
            if quirks and label_name == "vault" and split == "test":
                stems.append("gone_gone_1_00001_00099")
            listing = root / "train_test_split" / split / f"{words}.txt"
            listing.parent.mkdir(parents=True, exist_ok=True)
            blank = "\n\n" if quirks else ""
            listing.write_text("".join(f"{stem}\n" for stem in stems) + blank)
        if quirks and label == 0:
            write_seq(root / label_name / "not_listed_1_00001_00006.seq", num_frames)
            (root / label_name / f"{stems[0]}-seek.mat").write_bytes(b"MATLAB 5.0")
    return root

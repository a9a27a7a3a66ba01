"""Files that are broken, or no videos at all, each in its own way."""

import io
import os
import pathlib
import socket
import struct
import wave
import zipfile

import cv2
import numpy as np

from tests.numbered_videos import mp4_boxes, with_header_first, write_video


def _source(folder, fourcc="mp4v", suffix=".mp4", **options):
    """The bytes of a whole video."""
    path = pathlib.Path(folder) / f".source{suffix}"
    content = write_video(path, fourcc, **options).read_bytes()
    path.unlink()
    return content


def _header_first(folder, **options):
    """The bytes of a whole MP4 whose header is before its frames."""
    path = write_video(pathlib.Path(folder) / ".source.mp4", **options)
    content = with_header_first(path)
    path.unlink()
    return content


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("This film was removed.\n" * 400)


def short_text(path):
    path.write_text("x")


def utf16_text(path):
    path.write_text("This film was removed.\n" * 400, encoding="utf-16")


def web_page(path):
    path.write_text("\n<!DOCTYPE html><html><body>404 Not Found</body></html>\n")


def subtitles(path):
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello.\n")


def random_bytes(path):
    path.write_bytes(np.random.default_rng(0).bytes(50_000))


def zeros(path):
    path.write_bytes(bytes(50_000))


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("video.avi", _source(path.parent, "MJPG", ".avi"))


def picture_jpeg(path):
    path.write_bytes(cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes())


def picture_png(path):
    path.write_bytes(cv2.imencode(".png", np.zeros((48, 64, 3), np.uint8))[1].tobytes())


def picture_webp(path):
    path.write_bytes(cv2.imencode(".webp", np.zeros((48, 64, 3), np.uint8))[1].tobytes())


def sound(path):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    path.write_bytes(content.getvalue())


def sound_in_mp4(path):
    """An MP4 whose only track is turned from video into sound."""
    path.write_bytes(_source(path.parent).replace(b"vide", b"soun"))


def playlist(path):
    write_video(path.with_name("listed.mp4"))
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nlisted.mp4\n#EXT-X-ENDLIST\n")


def playlist_with_binary_tail(path):
    playlist(path)
    path.write_bytes(path.read_bytes() + bytes(9000))


def concatenation(path):
    write_video(path.with_name("listed.mp4"))
    path.write_text("ffconcat version 1.0\nfile 'listed.mp4'\n")


def address(path):
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")


def session_description(path):
    path.write_text("v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n")


def dash_manifest(path):
    path.write_bytes(
        b"\x01\x02" + b'<MPD profiles="urn:mpeg:dash:profile:isoff-live:2011"/>' + b"\0"
    )


def header_only(path):
    boxes = mp4_boxes(_header_first(path.parent))
    path.write_bytes(boxes[b"ftyp"] + boxes[b"moov"])


def no_header(path):
    boxes = mp4_boxes(_source(path.parent))
    path.write_bytes(boxes[b"ftyp"] + boxes[b"mdat"])


def cut_off(path):
    content = _header_first(path.parent, num_frames=40)
    path.write_bytes(content[: len(content) * 2 // 3])


def cut_off_avi(path):
    content = _source(path.parent, "MJPG", ".avi", num_frames=40)
    path.write_bytes(content[: len(content) * 2 // 3])


def cut_off_after_first_bytes(path):
    path.write_bytes(_source(path.parent)[:40])


def no_frames(path):
    """An AVI that was opened for writing and closed."""
    content = bytearray(_source(path.parent, "MJPG", ".avi", num_frames=1))
    start = content.index(b"movi")
    path.write_bytes(bytes(content[: start + 4]))


def bit_flips(path):
    """Flips inside the frames alone: the file keeps its length and its header."""
    content = bytearray(_source(path.parent, num_frames=30))
    frames = content.index(b"mdat") + 200, content.index(b"moov") - 4
    for position in np.random.default_rng(0).integers(*frames, 200):
        content[position] ^= 1 << position % 8
    path.write_bytes(bytes(content))


def huge_picture_avi(path):
    """The header claims 65535 x 65535 pixels."""
    content = bytearray(_source(path.parent, "MJPG", ".avi"))
    content = content.replace(struct.pack("<II", 64, 48), struct.pack("<II", 65535, 65535))
    path.write_bytes(bytes(content))


def huge_picture_jpegs(path):
    """The pictures inside claim 65500 x 65500 pixels as well."""
    huge_picture_avi(path)
    small, huge = struct.pack(">HH", 48, 64), struct.pack(">HH", 65500, 65500)
    path.write_bytes(path.read_bytes().replace(small, huge))


def large_pictures(path):
    """16000 x 16000 pixels in some kilobytes, which FFmpeg decodes to a gigabyte."""
    content = _source(path.parent, "MJPG", ".avi")
    content = content.replace(struct.pack("<II", 64, 48), struct.pack("<II", 16000, 16000))
    path.write_bytes(content.replace(struct.pack(">HH", 48, 64), struct.pack(">HH", 16000, 16000)))


def zero_picture(path):
    content = _source(path.parent, "MJPG", ".avi")
    path.write_bytes(content.replace(struct.pack("<II", 64, 48), struct.pack("<II", 0, 0)))


def no_rate(path):
    content = bytearray(_source(path.parent, "MJPG", ".avi"))
    start = content.index(b"strh") + 8 + 20  # scale, rate
    content[start : start + 8] = bytes(8)
    content[32:36] = bytes(4)  # microseconds per frame
    path.write_bytes(bytes(content))


def unknown_codec(path):
    path.write_bytes(_source(path.parent, "MJPG", ".avi").replace(b"MJPG", b"ZZZ9"))


def directory(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def unix_socket(path):
    # The name of a socket may have 108 bytes at most; that of a test's folder may have more.
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            os.chdir(path.parent)
            listener.bind(path.name)
        finally:
            os.chdir(here)


def device(path):
    path.symlink_to("/dev/zero")


def link_loop(path):
    path.symlink_to(path.name)


BROKEN = {
    function.__name__: function
    for function in (
        empty,
        text,
        short_text,
        utf16_text,
        web_page,
        subtitles,
        random_bytes,
        zeros,
        archive,
        picture_jpeg,
        picture_png,
        picture_webp,
        sound,
        sound_in_mp4,
        playlist,
        playlist_with_binary_tail,
        concatenation,
        address,
        session_description,
        dash_manifest,
        header_only,
        no_header,
        cut_off,
        cut_off_avi,
        cut_off_after_first_bytes,
        no_frames,
        bit_flips,
        huge_picture_jpegs,
        large_pictures,
        unknown_codec,
        directory,
        pipe,
        unix_socket,
        device,
        link_loop,
    )
}


def dangling_link(path):
    path.symlink_to("nowhere.avi")


# Their headers lie, and every frame is there nevertheless.
LYING = {function.__name__: function for function in (huge_picture_avi, zero_picture, no_rate)}

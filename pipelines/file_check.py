"""Refuses what is no video file before a decoder opens it.

FFmpeg opens more than its name says: a text file becomes a film of its letters, a picture a video
of one frame, a name with `%d` a series of other files, and a playlist whatever files or addresses
it lists. A named pipe is waited for without end. None of these fails by itself.
"""

import os
import stat

from glimpse.pipelines.video_error import VideoError, display_name

# What FFmpeg may take a file for: containers and raw streams of video, in its own names. Left out
# are playlists (concat, dash, hls, sdp, ...), text (tty), series of pictures and sound alone.
CONTAINERS = tuple(
    """
    3g2 3gp amv apng asf asf_o av1 avi avs2 avs3 cavsvideo dirac dnxhd dv f4v flv gif gxf
    h261 h263 h264 hevc ivf live_flv lxf m4v matroska mj2 mjpeg mjpeg_2000 mov mp4 mpeg
    mpegts mpegvideo mxf nsv nut obu ogg pva rm roq ty vc1 vc1test vvc webm wtv yuv4mpegpipe
    """.split()
)
# 16384 x 8192: twice 8K in each direction. A header of some bytes can claim more than any memory.
MAX_PIXELS = 1 << 27
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"<asx", b"<smil", b"v=0\r\n", b"v=0\n")
_SIGNATURES = (
    (b"PK\x03\x04", "is an archive (ZIP)"),
    (b"PK\x05\x06", "is an archive (ZIP)"),
    (b"Rar!\x1a\x07", "is an archive (RAR)"),
    (b"7z\xbc\xaf\x27\x1c", "is an archive (7z)"),
    (b"\x1f\x8b\x08", "is an archive (gzip)"),
    (b"BZh", "is an archive (bzip2)"),
    (b"\xfd7zXZ\x00", "is an archive (xz)"),
    (b"\x28\xb5\x2f\xfd", "is an archive (zstd)"),
    (b"%PDF-", "is a PDF document"),
    (b"BM", "is a picture (BMP)"),
    (b"II*\x00", "is a picture (TIFF)"),
    (b"MM\x00*", "is a picture (TIFF)"),
    (b"ID3", "is sound alone (MP3)"),
    (b"fLaC", "is sound alone (FLAC)"),
)
_STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1")
_HEAD = 1 << 16


def refuse_other_files(path, name=None):
    """Looks at what a file is, without decoding it; a folder passes.

    Args:
        path: The file or folder: str, bytes or PathLike.
        name: How the file is called in messages; None: as `display_name` has it.

    Raises:
        VideoError: If it is missing, cannot be read, is a pipe, socket or device, is empty, or
            its first bytes are those of a text, playlist, archive, picture or sound.
    """
    name = display_name(path) if name is None else name
    try:
        mode = os.stat(path).st_mode
        for is_kind, words in _KINDS:
            if is_kind(mode):
                raise VideoError(f"{name}: is {words}, not a file; give the path of a video file.")
        if stat.S_ISDIR(mode):
            return
        with open(path, "rb") as file:
            head = file.read(_HEAD)
            reason = _other_kind(head, file)
    except FileNotFoundError:
        link = os.path.islink(path)
        what = "the link points to no file" if link else "no such file; check the path"
        raise VideoError(f"{name}: {what}.") from None
    except VideoError:
        raise
    except (OSError, ValueError) as error:
        what = getattr(error, "strerror", None) or error
        raise VideoError(
            f"{name}: cannot be opened ({what}); check the path and its permissions."
        ) from error
    if not head:
        raise VideoError(f"{name}: the file is empty (0 bytes); copy it again.")
    if reason:
        raise VideoError(f"{name}: not a video: it {reason}; check what the file is.")


def check_picture_size(name, width, height):
    """Refuses pictures that would fill the memory, before the first is decoded.

    Raises:
        VideoError: If width * height is above `MAX_PIXELS`.
    """
    if width * height > MAX_PIXELS:
        raise VideoError(
            f"{name}: its header claims pictures of {width:.0f} x {height:.0f} pixels, above the "
            f"{MAX_PIXELS} that are decoded: the header is damaged, or the video must be scaled "
            "with `ffmpeg -i INPUT -vf scale=1920:-2 OUTPUT.mp4`."
        )


def _other_kind(head, file):
    """What the file is, with a verb, where its first bytes show that it is no video, else None."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:256].lower()
    if start.startswith(_PLAYLISTS) or b"<mpd" in head.lower():
        return "is a playlist, and what it lists is not opened"
    for signature, words in _SIGNATURES:
        if head.startswith(signature):
            return words
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, as a download that failed leaves behind"
    if head[257:262] == b"ustar":
        return "is an archive (tar)"
    if head.startswith(b"RIFF") and head[8:12] in (b"WAVE", b"WEBP"):
        return "is sound alone (WAV)" if head[8:12] == b"WAVE" else "is a picture (WebP)"
    if head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS:
        return "is a picture (HEIF or AVIF)"
    if head.startswith(b"\x89PNG") and b"acTL" not in head:  # acTL: an animation
        return "is a picture (PNG)"
    if head.startswith(b"\xff\xd8\xff") and not _has_second_jpeg(head, file):
        return "is a picture (JPEG)"
    if _is_text(head) and not head.startswith(b"YUV4MPEG2 "):
        return "looks like text"
    return None


def _has_second_jpeg(head, file):
    """Whether a JPEG picture is followed by another: a raw stream of Motion JPEG."""
    seam = b"\xff\xd9\xff\xd8\xff"
    rest = head
    while rest:
        if seam in rest:
            return True
        more = file.read(_HEAD)
        rest = rest[-len(seam) :] + more if more else b""
    return False


def _is_text(head):
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            head = head[: len(head) // 2 * 2].decode("utf-16").encode()
        except UnicodeDecodeError:
            return False
    printable = sum(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in head[:4096])
    return b"\x00" not in head[:4096] and printable >= 0.99 * len(head[:4096])

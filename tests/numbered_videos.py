"""Videos whose frames carry their own number, in blocks that survive any codec."""

import pathlib

import cv2
import numpy as np

BITS = 8


def numbered_frame(number, height=48, width=64):
    """An RGB frame: the number's bits above, most significant first; red and blue below."""
    frame = np.zeros((height, width, 3), np.uint8)
    split = height * 2 // 3
    for bit in range(BITS):
        if number >> (BITS - 1 - bit) & 1:
            frame[:split, bit * width // BITS : (bit + 1) * width // BITS] = 255
    frame[split:, : width // 2] = (255, 0, 0)
    frame[split:, width // 2 :] = (0, 0, 255)
    return frame


def frame_number(frame):
    """The number that a frame carries."""
    height, width = frame.shape[:2]
    row = frame[height // 3]
    centres = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    return int("".join(str(int(row[centre].mean() > 127)) for centre in centres), 2)


def is_rgb(frame):
    """Whether red is left and blue is right below, and red is the first channel."""
    height, width = frame.shape[:2]
    left, right = frame[height * 5 // 6, width // 4], frame[height * 5 // 6, width * 3 // 4]
    return min(left[0], right[2]) > 150 and max(left[2], right[0]) < 100


def write_video(path, fourcc="mp4v", num_frames=12, height=48, width=64, rate=25.0, first=0):
    """Writes frames first, first + 1, ... with OpenCV."""
    writer = cv2.VideoWriter(
        str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*fourcc), rate, (width, height)
    )
    assert writer.isOpened(), fourcc
    for number in range(first, first + num_frames):
        writer.write(numbered_frame(number, height, width)[..., ::-1])
    writer.release()
    return path


def write_encoded(path, codec, options=None, pixels="yuv420p", times=None, **sizes):
    """Writes frames with PyAV, at `times` in units of 1/rate s (default 0, 1, 2, ...).

    `sizes`: height, width, rate, num_frames (default 48, 64, 25, 12), time_base (of `times`, a
    Fraction) and first, the number that the first frame carries.
    """
    import av

    options, height, width = options or {}, sizes.get("height", 48), sizes.get("width", 64)
    rate = sizes.get("rate", 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, pixels
        if "time_base" in sizes:
            stream.codec_context.time_base = sizes["time_base"]
        times = times or range(sizes.get("num_frames", 12))
        for number, time in enumerate(times, start=sizes.get("first", 0)):
            picture = numbered_frame(number, height, width)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            frame.pts = time
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def mp4_boxes(content):
    """The outermost boxes of an MP4 file: dict of name to bytes, in order."""
    boxes, position = {}, 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        boxes[content[position + 4 : position + 8]] = content[position : position + length]
        position += length
    return boxes


def with_header_first(path):
    """The bytes of an OpenCV MP4 file with its moov box before the frames, as for streaming."""
    boxes = mp4_boxes(pathlib.Path(path).read_bytes())
    moov = bytearray(boxes.pop(b"moov"))
    start = moov.index(b"stco") + 8
    count = int.from_bytes(moov[start : start + 4], "big")
    for entry in range(start + 4, start + 4 + 4 * count, 4):
        offset = int.from_bytes(moov[entry : entry + 4], "big") + len(moov)
        moov[entry : entry + 4] = offset.to_bytes(4, "big")
    frames = boxes.pop(b"mdat")
    return b"".join(boxes.values()) + bytes(moov) + frames

"""Measures decoding against other libraries: the same files, the same pictures.

    python -m benchmarks.decoding [--json]

Written are an H.264 video of 640 x 360 and an MPEG-4 video of 320 x 240. Every candidate gives RGB
frames as NumPy arrays, at full size or resized to 224 x 224, as its own documentation shows for
speed: all threads for one video, one thread for each of several, whose frames are gathered in
chunks of 16 as an extraction takes them. In each round they take turns, in an order that moves by
one; ratios are taken within a round, and the median over the rounds counts.
Ratios of processor time stand beside those of time on the clock, which say little on a machine that
is busy with other work.
"""

import concurrent.futures
import importlib.util
import json
import os
import statistics
import tempfile
import time

import cv2
import numpy as np
import tabulate
from absl import app, flags

from benchmarks.machine import describe_machine
from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.video_source import open_video

_JSON = flags.DEFINE_bool("json", False, "Print one JSON object in place of the table.")
_FRAMES = flags.DEFINE_integer("frames", 600, "Frames of each video.", 1)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "Rounds of each comparison.", 1)
_COPIES = flags.DEFINE_integer("copies", 4, "Videos that are decoded at a time.", 1)
_SIZE = 224
# As the extraction takes them.
_CHUNK = 16


def moving_scene(height, width):
    """A function that gives frame n of a smooth scene that moves, RGB."""
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    scene = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return lambda number: np.roll(scene, 3 * number, 1)


def write_h264(path, num_frames, height=360, width=640):
    """Writes an H.264 video with PyAV."""
    import av

    picture = moving_scene(height, width)
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "23"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_mpeg4(path, num_frames, height=240, width=320):
    """Writes an MPEG-4 video with OpenCV."""
    picture = moving_scene(height, width)
    code = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, code, 30.0, (width, height))
    for number in range(num_frames):
        writer.write(picture(number)[..., ::-1])
    writer.release()


def _resized(frame):
    return cv2.resize(frame, (_SIZE, _SIZE), interpolation=cv2.INTER_LINEAR)


def decode_glimpse(path, size=None, threads=0):
    """Decodes with this project's reader; returns the number of frames."""
    count = 0
    with open_video(path, threads=threads) as reader:
        for frame in reader:
            if size:
                _resized(frame)
            count += 1
    return count


def decode_pyav(path, size=None, threads=0, own_resize=True):
    """Decodes with PyAV, resized by FFmpeg or by OpenCV."""
    import av

    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for frame in container.decode(stream):
            if size and own_resize:
                frame.reformat(size, size, "rgb24", interpolation="BILINEAR").to_ndarray()
            elif size:
                _resized(frame.to_ndarray(format="rgb24"))
            else:
                frame.to_ndarray(format="rgb24")
            count += 1
    return count


def decode_decord(path, size=None, threads=0, own_resize=True):
    """Decodes with decord, resized by it or by OpenCV."""
    import decord

    options = {"width": size, "height": size} if size and own_resize else {}
    reader = decord.VideoReader(path, num_threads=threads, **options)
    for number in range(len(reader)):
        frame = reader[number].asnumpy()
        if size and not own_resize:
            _resized(frame)
    return len(reader)


def decode_pyav_chunks(path):
    """Decodes with PyAV in one thread, in chunks of frames in one array."""
    import av

    count, frames = 0, []
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == _CHUNK:
                count, frames = count + len(np.stack(frames)), []
    return count + len(np.stack(frames) if frames else [])


def decode_decord_chunks(path):
    """Decodes with decord in one thread, in chunks of frames in one array."""
    import decord

    reader = decord.VideoReader(path, num_threads=1)
    starts = range(0, len(reader), _CHUNK)
    batches = (range(start, min(start + _CHUNK, len(reader))) for start in starts)
    return sum(len(reader.get_batch(batch).asnumpy()) for batch in batches)


def _in_threads(decode, paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        return sum(executor.map(decode, paths))


def decode_several(paths):
    """Decodes several videos as the extraction does, in chunks; returns the number of frames."""
    with DecodedClips(paths, threads=os.cpu_count()) as decoded:
        return sum(len(chunk.frames) for _, chunks in decoded for chunk in chunks)


def candidates(path, copies):
    """{case: {library: function without arguments that returns the number of frames}}."""
    found = {
        "full size": {"glimpse": lambda: decode_glimpse(path)},
        f"{_SIZE} x {_SIZE}": {"glimpse": lambda: decode_glimpse(path, _SIZE)},
        f"{len(copies)} videos, in chunks": {"glimpse": lambda: decode_several(copies)},
    }
    others = {
        "av": ("PyAV", decode_pyav, decode_pyav_chunks),
        "decord": ("decord", decode_decord, decode_decord_chunks),
    }
    for module, (name, decode, chunks) in others.items():
        if importlib.util.find_spec(module) is None:
            continue
        full, small, several = found.values()
        full[name] = lambda decode=decode: decode(path)
        small[name] = lambda decode=decode: decode(path, _SIZE)
        small[f"{name} + cv2.resize"] = lambda decode=decode: decode(path, _SIZE, own_resize=False)
        several[name] = lambda chunks=chunks: _in_threads(chunks, copies)
    return found


def measure(cases, num_frames, rounds):
    """Frames per second of each candidate and its ratio to glimpse's, medians over the rounds."""
    results = []
    for case, functions in cases.items():
        names = list(functions)
        taken = {name: [] for name in names}
        worked = {name: [] for name in names}
        for number in range(rounds + 1):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                start, start_work = time.perf_counter(), time.process_time()
                count = functions[name]()
                spent, work = time.perf_counter() - start, time.process_time() - start_work
                expected = num_frames * (int(case.split()[0]) if "videos" in case else 1)
                assert count == expected, f"{name} gave {count} frames of {expected}"
                if number:  # the first round warms the caches
                    taken[name].append(spent)
                    worked[name].append(work)
        for name in names:
            results.append(
                {
                    "case": case,
                    "library": name,
                    "frames_per_second": expected / statistics.median(taken[name]),
                    "glimpse_over_this": _median_ratio(taken[name], taken["glimpse"]),
                    "glimpse_over_this_by_work": _median_ratio(worked[name], worked["glimpse"]),
                    "seconds": taken[name],
                    "processor_seconds": worked[name],
                }
            )
    return results


def _median_ratio(others, own):
    return statistics.median(other / mine for other, mine in zip(others, own, strict=True))


def report(results):
    """The results as text."""
    rows = [
        [
            row["video"],
            row["case"],
            row["library"],
            f"{row['frames_per_second']:.0f}",
            f"{row['glimpse_over_this']:.2f}",
            f"{row['glimpse_over_this_by_work']:.2f}",
        ]
        for row in results["rows"]
    ]
    headers = ["video", "frames", "library", "frames/s", "glimpse / this", "by processor time"]
    return "\n".join(
        [
            ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
            tabulate.tabulate(rows, headers, disable_numparse=True),
        ]
    )


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(arguments[1:])}")
    results, rows = {"machine": describe_machine("opencv-python", "av", "decord")}, []
    with tempfile.TemporaryDirectory() as folder:
        videos = {"MPEG-4 320 x 240": write_mpeg4}
        if importlib.util.find_spec("av") is not None:
            videos = {"H.264 640 x 360": write_h264, **videos}
        for video, write in videos.items():
            copies = [
                os.path.join(folder, f"{write.__name__}_{i}.mp4") for i in range(_COPIES.value)
            ]
            for path in copies:
                write(path, _FRAMES.value)
            cases = candidates(copies[0], copies)
            measured = measure(cases, _FRAMES.value, _ROUNDS.value)
            rows += [{"video": video, **row} for row in measured]
    results["rows"] = rows
    print(json.dumps(results) if _JSON.value else report(results))


if __name__ == "__main__":
    app.run(main)

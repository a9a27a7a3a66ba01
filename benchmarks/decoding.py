"""Measures decoding against other libraries: the same files, the same pictures.

    python -m benchmarks.decoding [--json]

Written are an H.264 video of 640 x 360 and an MPEG-4 video of 320 x 240. Every candidate gives RGB
frames as NumPy arrays: at full size; resized to 224 x 224, all by the same function of OpenCV or
each by what it brings itself; and of several videos at a time, in chunks of 16. Each library does
so as is fastest by its documentation, once with one thread for each video and once with as many as
it likes; the better of the two by the clock counts, and is named. In each round all take turns, in
an order that moves by one; ratios are taken within a round, and the median over the rounds counts.
Ratios of processor time stand beside those of time on the clock, which say little on a machine that
is busy with other work. A library that is not installed or cannot be loaded is named with the
reason.
"""

import concurrent.futures
import functools
import importlib
import itertools
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


def decode_glimpse(path, threads, size=None):
    """Decodes with this project's reader, resized by OpenCV; returns the number of frames."""
    count = 0
    with open_video(path, threads=threads) as reader:
        for frame in reader:
            if size:
                _resized(frame)
            count += 1
    return count


def decode_opencv(path, threads, size=None, own_resize=False):
    """Decodes with OpenCV alone, without any of the checks of this project's reader."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    count, frame = 0, None
    while capture.grab():
        _, frame = capture.retrieve(frame)
        picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        if size:
            _resized(picture)
        count += 1
    return count


def decode_pyav(path, threads, size=None, own_resize=False):
    """Decodes with PyAV, resized by FFmpeg or by OpenCV."""
    return sum(1 for _ in _pyav_frames(path, threads, size, own_resize))


def _pyav_frames(path, threads, size=None, own_resize=False):
    import av
    from av.video.reformatter import VideoReformatter

    # One for all frames: those of the frames themselves prepare the conversion anew each time.
    convert = VideoReformatter().reformat
    options = {"width": size, "height": size, "interpolation": "BILINEAR"} if own_resize else {}
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for frame in container.decode(stream):
            picture = convert(frame, format="rgb24", **options).to_ndarray()
            yield _resized(picture) if size and not own_resize else picture


def decode_decord(path, threads, size=None, own_resize=False):
    """Decodes with decord, resized by it or by OpenCV."""
    import decord

    options = {"width": size, "height": size} if own_resize else {}
    reader = decord.VideoReader(path, num_threads=threads, **options)
    for number in range(len(reader)):
        frame = reader[number].asnumpy()
        if size and not own_resize:
            _resized(frame)
    return len(reader)


def decode_torchcodec(path, threads, size=None, own_resize=False):
    """Decodes with torchcodec, resized by it or by OpenCV."""
    from torchcodec import transforms
    from torchcodec.decoders import VideoDecoder

    options = {"transforms": [transforms.Resize((size, size))]} if own_resize else {}
    decoder = VideoDecoder(
        path, dimension_order="NHWC", num_ffmpeg_threads=threads, seek_mode="approximate", **options
    )
    count = 0
    for frame in decoder:
        count += 1
        if size and not own_resize:
            _resized(frame.numpy())
    return count


def chunks_glimpse(path, threads):
    """Decodes with this project's reader, in chunks of frames in one array."""
    with open_video(path, threads=threads) as reader:
        return _gathered(reader, reader.height, reader.width)


def chunks_pyav(path, threads):
    """Decodes with PyAV, in chunks of frames in one array."""
    frames = _pyav_frames(path, threads)
    first = next(frames)
    return _gathered(itertools.chain([first], frames), *first.shape[:2])


def _gathered(frames, height, width):
    count = 0
    for count, frame in enumerate(frames, 1):
        if count % _CHUNK == 1:
            chunk = np.empty((_CHUNK, height, width, 3), np.uint8)
        chunk[(count - 1) % _CHUNK] = frame
    return count


def chunks_decord(path, threads):
    """Decodes with decord, in chunks of frames in one array."""
    import decord

    reader = decord.VideoReader(path, num_threads=threads)
    starts = range(0, len(reader), _CHUNK)
    batches = (range(start, min(start + _CHUNK, len(reader))) for start in starts)
    return sum(len(reader.get_batch(batch).asnumpy()) for batch in batches)


def chunks_torchcodec(path, threads):
    """Decodes with torchcodec, in chunks of frames in one array."""
    from torchcodec.decoders import VideoDecoder

    decoder = VideoDecoder(
        path, dimension_order="NHWC", num_ffmpeg_threads=threads, seek_mode="approximate"
    )
    ends = ((start, min(start + _CHUNK, len(decoder))) for start in range(0, len(decoder), _CHUNK))
    return sum(len(decoder.get_frames_in_range(*pair).data.numpy()) for pair in ends)


def _in_threads(decode, paths, threads):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
        return sum(executor.map(lambda path: decode(path, threads), paths))


def decode_several(paths):
    """Decodes several videos as the extraction does, in chunks; returns the number of frames."""
    with DecodedClips(paths, threads=os.cpu_count()) as decoded:
        return sum(len(chunk.frames) for _, chunks in decoded for chunk in chunks)


def other_libraries():
    """({name: its functions for frames and for chunks}, {name: why it is left out})."""
    others = {
        "bare OpenCV": ("cv2", decode_opencv, None),
        "PyAV": ("av", decode_pyav, chunks_pyav),
        "decord": ("decord", decode_decord, chunks_decord),
        "torchcodec": ("torchcodec.decoders", decode_torchcodec, chunks_torchcodec),
    }
    found, reasons = {}, {}
    for name, (module, *functions) in others.items():
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:  # what FFmpeg's libraries raise
            words = str(error).strip().splitlines()[0].split()
            # Without the folders of this machine.
            reason = " ".join(word.rsplit("/", 1)[-1] for word in words)
            reasons[name] = f"{type(error).__name__}: {reason}"
        else:
            found[name] = functions
    return found, reasons


def candidates(others, copies):
    """{case: {(library, threads): function that returns the number of frames}}."""
    path, found = copies[0], {}
    resized = f"{_SIZE} x {_SIZE} by "
    for threads, spoken in ((1, "1"), (0, "free")):
        several = found.setdefault(f"{len(copies)} videos, in chunks", {})
        if threads == 1:
            several["glimpse", spoken] = lambda: decode_several(copies)
        several["open_video", spoken] = functools.partial(
            _in_threads, chunks_glimpse, copies, threads
        )
        decoders = {"glimpse": (decode_glimpse, None), **others}
        for name, (decode, chunks) in decoders.items():
            run = functools.partial(decode, path, threads)
            found.setdefault("full size", {})[name, spoken] = run
            small = functools.partial(run, _SIZE)
            found.setdefault(resized + "OpenCV", {})[name, spoken] = small
            own = small if name == "glimpse" else functools.partial(small, own_resize=True)
            found.setdefault(resized + "itself", {})[name, spoken] = own
            if chunks is not None:
                several[name, spoken] = functools.partial(_in_threads, chunks, copies, threads)
    return found


def measure(cases, num_frames, rounds):
    """Frames per second of each candidate and its ratio to glimpse's, medians over the rounds."""
    results = []
    for case, functions in cases.items():
        keys = list(functions)
        taken = {key: [] for key in keys}
        worked = {key: [] for key in keys}
        expected = num_frames * (int(case.split()[0]) if "videos" in case else 1)
        for number in range(rounds + 1):
            turn = number % len(keys)
            for key in keys[turn:] + keys[:turn]:
                start, start_work = time.perf_counter(), time.process_time()
                count = functions[key]()
                spent, work = time.perf_counter() - start, time.process_time() - start_work
                assert count == expected, f"{key[0]} gave {count} frames of {expected}"
                if number:  # the first round warms the caches
                    taken[key].append(spent)
                    worked[key].append(work)
        best = {}
        for key in keys:
            if statistics.median(taken[key]) < statistics.median(taken[best.get(key[0], key)]):
                best[key[0]] = key
            best.setdefault(key[0], key)
        own = best["glimpse"]
        for name, key in best.items():
            results.append(
                {
                    "case": case,
                    "library": name,
                    "threads": key[1],
                    "frames_per_second": expected / statistics.median(taken[key]),
                    "glimpse_over_this": _median_ratio(taken[key], taken[own]),
                    "glimpse_over_this_by_work": _median_ratio(worked[key], worked[own]),
                    "seconds": taken[key],
                    "processor_seconds": worked[key],
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
            row["threads"],
            f"{row['frames_per_second']:.0f}",
            f"{row['glimpse_over_this']:.2f}",
            f"{row['glimpse_over_this_by_work']:.2f}",
        ]
        for row in results["rows"]
    ]
    headers = ["video", "frames", "library", "threads", "frames/s", "clock", "work"]
    return "\n".join(
        [
            ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
            *(f"{name} left out: {reason}" for name, reason in results["left_out"].items()),
            tabulate.tabulate(rows, headers, disable_numparse=True),
            "clock, work: the library's time / glimpse's, on the clock and of the processors",
        ]
    )


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(arguments[1:])}")
    others, reasons = other_libraries()
    machine = describe_machine("opencv-python", "av", "decord", "torchcodec")
    results, rows = {"machine": machine, "left_out": reasons}, []
    with tempfile.TemporaryDirectory() as folder:
        videos = {"MPEG-4 320 x 240": write_mpeg4}
        if "PyAV" in others:
            videos = {"H.264 640 x 360": write_h264, **videos}
        for video, write in videos.items():
            copies = [
                os.path.join(folder, f"{write.__name__}_{i}.mp4") for i in range(_COPIES.value)
            ]
            for path in copies:
                write(path, _FRAMES.value)
            cases = candidates(others, copies)
            measured = measure(cases, _FRAMES.value, _ROUNDS.value)
            rows += [{"video": video, **row} for row in measured]
    results["rows"] = rows
    print(json.dumps(results) if _JSON.value else report(results))


if __name__ == "__main__":
    app.run(main)

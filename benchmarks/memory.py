"""Measures the memory that reading and extraction take against a video's length.

    python -m benchmarks.memory [--json]

Each measurement is a process of its own, which reads its peak resident memory from the operating
system when it is done. Videos are of small pictures, so that what grows would show.
"""

import json
import os
import subprocess
import sys
import tempfile

import cv2
import numpy as np
import tabulate
from absl import app, flags

from benchmarks.machine import describe_machine, peak_mebibytes

_JSON = flags.DEFINE_bool("json", False, "Print one JSON object in place of the table.")
_LENGTHS = flags.DEFINE_list("lengths", ["100", "100000"], "Frames of the videos.")
_MEASURE = flags.DEFINE_string("measure", None, "Only this: PART:PATH, and print its peak.")
_HEIGHT, _WIDTH = 64, 96


def write_long_video(path, num_frames):
    """Writes a video of moving noise with OpenCV, one frame in memory at a time."""
    noise = np.random.default_rng(0).integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8)
    noise = cv2.GaussianBlur(noise, (0, 0), 4)
    code = cv2.VideoWriter_fourcc(*"mp4v")
    writer = cv2.VideoWriter(path, cv2.CAP_FFMPEG, code, 25.0, (_WIDTH, _HEIGHT))
    for number in range(num_frames):
        writer.write(np.roll(noise, number, 1))
    writer.release()


def read_with_opencv(path):
    """Reads all frames with the reader around OpenCV."""
    from glimpse.pipelines.video_reader import VideoReader

    with VideoReader(path, strict=True, threads=1) as reader:
        return sum(1 for _ in reader)


def read_with_pyav(path):
    """Reads all frames with the reader around PyAV."""
    from glimpse.pipelines.av_reader import AvReader

    with AvReader(path, strict=True, threads=1) as reader:
        return sum(1 for _ in reader)


def extract(path):
    """Extracts one number a frame with a backbone that costs next to nothing."""
    import keras

    from glimpse.pipelines.backbone_function import BackboneFunction
    from glimpse.pipelines.clips import Clip, ClipSet
    from glimpse.pipelines.extraction import extract_features

    inputs = keras.Input((None, None, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1 / 255)(inputs)
    backbone = keras.Model(inputs, keras.layers.AveragePooling2D(32)(pixels), name="means")
    clips = [Clip("long", path, 0, "train")]
    clip_set = ClipSet("memory", ["moving"], clips, [])
    with tempfile.TemporaryDirectory() as folder:
        function = BackboneFunction(backbone, "float16")
        index = extract_features(clip_set, function, folder, progress=False)
    return index.entries[0].num_frames


PARTS = {
    "reading, OpenCV": read_with_opencv,
    "reading, PyAV": read_with_pyav,
    "extraction": extract,
}


def measure(part, path):
    """(frames, peak resident memory in MiB) of a part in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", f"--measure={part}:{path}"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def report(results):
    """The results as text."""
    lengths = results["lengths"]
    rows = [
        [row["part"], *(f"{peak:.0f}" for peak in row["peak"]), f"{row['bytes_a_frame']:.0f}"]
        for row in results["rows"]
    ]
    headers = ["peak MiB", *(f"{length} frames" for length in lengths), "bytes a frame"]
    return "\n".join(
        [
            ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
            tabulate.tabulate(rows, headers, disable_numparse=True),
        ]
    )


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(arguments[1:])}")
    if _MEASURE.value:
        part, path = _MEASURE.value.split(":", 1)
        frames = PARTS[part](path)
        print(json.dumps([frames, peak_mebibytes()]))
        return
    lengths = [int(length) for length in _LENGTHS.value]
    results = {"machine": describe_machine("opencv-python", "av", "tensorflow"), "lengths": lengths}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, f"{length}.mp4") for length in lengths]
        for path, length in zip(paths, lengths, strict=True):
            write_long_video(path, length)
        for part in PARTS:
            peaks = []
            for path, length in zip(paths, lengths, strict=True):
                frames, peak = measure(part, path)
                assert frames == length, f"{part}: {frames} frames of {length}"
                peaks.append(peak)
            more = (peaks[-1] - peaks[0]) * (1 << 20) / max(1, lengths[-1] - lengths[0])
            rows.append({"part": part, "peak": peaks, "bytes_a_frame": more})
    results["rows"] = rows
    print(json.dumps(results) if _JSON.value else report(results))


if __name__ == "__main__":
    app.run(main)

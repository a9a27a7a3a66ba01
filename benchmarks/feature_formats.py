"""Measures file formats for stored features: windows of 30 frames, read at random.

    python -m benchmarks.feature_formats [--json] [--folder=DISK]

Each video is one file of 7 x 7 x 1024 float16 a frame. All formats take turns within each round and
read the same windows, with as many threads as there are processors; a window counts when it is a
float32 array. Cold: the files were put out of the page cache just before; warm: they were read just
before. The clock of a round starts with its first window, so that no start-up counts. Medians over
the rounds. h5py, array_record and tensorstore are left out where they are not
installed.
"""

import concurrent.futures
import importlib.util
import json
import os
import shutil
import statistics
import tempfile
import time

import numpy as np
import tabulate
import tensorflow as tf
from absl import app, flags

from benchmarks.machine import describe_machine
from glimpse.pipelines.feature_index import FeatureIndex, IndexedClip
from glimpse.pipelines.feature_source import FeatureSource
from glimpse.pipelines.feature_store import FeatureStore

_JSON = flags.DEFINE_bool("json", False, "Print one JSON object in place of the table.")
_FOLDER = flags.DEFINE_string("folder", None, "Where to write; default: the temporary folder.")
_VIDEOS = flags.DEFINE_integer("videos", 12, "Videos of each format.", 1)
_FRAMES = flags.DEFINE_integer("frames", 300, "Frames of a video.", 30)
_WINDOWS = flags.DEFINE_integer("windows", 64, "Windows a round.", 2)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds.", 1)

FRAME_SHAPE = (7, 7, 1024)
WINDOW = 30
WINDOW_BYTES = WINDOW * 2 * 7 * 7 * 1024


def in_threads(read):
    """Makes a reader of one window, in Python, one of all windows of a round."""

    def read_all(windows):
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as executor:
            yield from executor.map(lambda window: read(*window).astype("float32"), windows)

    return read_all


def in_graph(read):
    """The same of a reader made of TensorFlow operations: a tf.data pipeline."""

    def read_all(windows):
        rows = tf.data.Dataset.from_tensor_slices(np.array(windows, "int32"))
        found = rows.map(
            lambda row: tf.cast(read(row[0], row[1]), tf.float32),
            num_parallel_calls=os.cpu_count(),
        )
        yield from found.as_numpy_iterator()

    return read_all


class Records:
    """The format of `FeatureStore`: TFRecord, one record a frame."""

    def write(self, folder, number, features):
        FeatureStore(folder).write(f"{number}", features)

    def readers(self, folder, num_videos):
        store = FeatureStore(folder)
        clips = tuple(
            IndexedClip(f"{n}", f"{n}", 0, "train", f"{n}", store.shape(f"{n}")[0], 25.0)
            for n in range(num_videos)
        )
        index = FeatureIndex(
            folder, "", "", ("",), "", "", "float16", FRAME_SHAPE, "", None, len(clips), (), (),
            clips, cache=".",
        )  # fmt: skip
        gather = FeatureSource(index, clips).gather()

        def read_in_graph(video, start):
            return gather(video, start + tf.range(WINDOW), tf.constant(0))

        return {
            "TFRecord by offset, TensorFlow": in_graph(read_in_graph),
            "TFRecord by offset, numpy map": in_threads(
                lambda video, start: store.read(f"{video}", start, start + WINDOW)
            ),
        }


class Npy:
    """One .npy file a video."""

    def write(self, folder, number, features):
        np.save(os.path.join(folder, f"{number}.npy"), features)

    def readers(self, folder, num_videos):
        paths = [os.path.join(folder, f"{number}.npy") for number in range(num_videos)]
        names = tf.constant(paths)
        header = np.load(paths[0], mmap_mode="r").offset
        frame_bytes = WINDOW_BYTES // WINDOW
        total = os.path.getsize(paths[0])

        def decode(content):
            return tf.reshape(tf.io.decode_raw(content, tf.float16), (WINDOW, *FRAME_SHAPE))

        def read_file(video, start):
            content = tf.io.read_file(names[video])
            return decode(tf.strings.substr(content, header + start * frame_bytes, WINDOW_BYTES))

        def read_records(video, start):
            start = header + tf.cast(start, tf.int64) * frame_bytes
            record = tf.data.FixedLengthRecordDataset(
                names[video], WINDOW_BYTES, start, total - start - WINDOW_BYTES, WINDOW_BYTES
            )
            return decode(record.get_single_element())

        def read_map(video, start):
            return np.load(paths[video], mmap_mode="r")[start : start + WINDOW]

        return {
            ".npy, numpy map": in_threads(read_map),
            ".npy, FixedLengthRecordDataset": in_graph(read_records),
            ".npy, whole file, TensorFlow": in_graph(read_file),
        }


class Hdf5:
    """One HDF5 file a video, a chunk a frame."""

    package = "h5py"

    def write(self, folder, number, features):
        import h5py

        with h5py.File(os.path.join(folder, f"{number}.h5"), "w") as file:
            file.create_dataset("features", data=features, chunks=(1, *FRAME_SHAPE))

    def readers(self, folder, num_videos):
        import h5py

        def read(video, start):
            with h5py.File(os.path.join(folder, f"{video}.h5"), "r") as file:
                return file["features"][start : start + WINDOW]

        return {"HDF5, h5py": in_threads(read)}


class ArrayRecord:
    """One ArrayRecord file a video, a record a frame, not compressed."""

    package = "array_record"

    def write(self, folder, number, features):
        from array_record.python.array_record_module import ArrayRecordWriter

        path = os.path.join(folder, f"{number}.arrayrecord")
        writer = ArrayRecordWriter(path, "group_size:1,uncompressed")
        for frame in features:
            writer.write(frame.tobytes())
        writer.close()

    def readers(self, folder, num_videos):
        from array_record.python.array_record_module import ArrayRecordReader

        def read(video, start):
            reader = ArrayRecordReader(os.path.join(folder, f"{video}.arrayrecord"))
            frames = reader.read(start, start + WINDOW)
            reader.close()
            return np.frombuffer(b"".join(frames), "float16").reshape(WINDOW, *FRAME_SHAPE)

        return {"ArrayRecord": in_threads(read)}


class Zarr:
    """One Zarr array a video by tensorstore, a chunk a frame, not compressed."""

    package = "tensorstore"

    def _open(self, folder, number, **options):
        import tensorstore

        path = os.path.join(folder, f"{number}.zarr")
        spec = {"driver": "zarr", "kvstore": {"driver": "file", "path": path}, **options}
        return tensorstore.open(spec, create=bool(options)).result()

    def write(self, folder, number, features):
        metadata = {
            "chunks": [1, *FRAME_SHAPE],
            "compressor": None,
            "shape": list(features.shape),
            "dtype": "<f2",
        }
        self._open(folder, number, metadata=metadata).write(features).result()

    def readers(self, folder, num_videos):
        def read(video, start):
            return self._open(folder, video)[start : start + WINDOW].read().result()

        return {"Zarr, tensorstore": in_threads(read)}


FORMATS = (Records, Npy, Hdf5, ArrayRecord, Zarr)


def flush(folder):
    """Puts the files of a folder out of the page cache; needs no rights but those to read them."""
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_read():
    """What this process has had read from the disk so far, in bytes."""
    with open("/proc/self/io", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("read_bytes")).split()[1])


def measure(folder, num_videos, num_frames, num_windows, rounds):
    """Writes all formats and reads windows of them; returns one dict for each reader."""
    rng = np.random.default_rng(0)
    videos = [
        rng.standard_normal((num_frames, *FRAME_SHAPE), "float32").astype("float16")
        for _ in range(num_videos)
    ]
    found, readers, left_out = {}, {}, []
    for kind in FORMATS:
        package = getattr(kind, "package", None)
        if package and importlib.util.find_spec(package) is None:
            left_out.append(package)
            continue
        place = os.path.join(folder, kind.__name__)
        os.makedirs(place)
        begin = time.perf_counter()
        for number, features in enumerate(videos):
            kind().write(place, number, features)
        os.sync()
        written = time.perf_counter() - begin
        size = sum(
            os.path.getsize(os.path.join(root, name))
            for root, _, names in os.walk(place)
            for name in names
        )
        for name, read in kind().readers(place, num_videos).items():
            readers[name] = place, read
            content = sum(each.nbytes for each in videos)
            found[name] = {
                "reader": name,
                "write_megabytes_per_second": content / written / 1e6,
                "size_over_content": size / content,
                "seconds_cold": [],
                "seconds_warm": [],
                "disk_bytes": [],
            }
    for _ in range(rounds):
        windows = [
            (int(rng.integers(num_videos)), int(rng.integers(num_frames - WINDOW + 1)))
            for _ in range(num_windows)
        ]
        for name, (place, read) in readers.items():
            flush(place)
            for state in ("cold", "warm"):
                before, begin = bytes_read(), None
                for (video, start), window in zip(windows, read(windows), strict=True):
                    begin = begin or time.perf_counter()
                    assert window.dtype == np.float32
                    assert window[7, 3, 3, 5] == videos[video][start + 7, 3, 3, 5], name
                found[name][f"seconds_{state}"].append(time.perf_counter() - begin)
                if state == "cold":
                    found[name]["disk_bytes"].append(bytes_read() - before)
    for row in found.values():
        for state in ("cold", "warm"):
            each = statistics.median(row[f"seconds_{state}"]) / (num_windows - 1)
            row[f"windows_per_second_{state}"] = 1 / each
            row[f"megabytes_per_second_{state}"] = WINDOW_BYTES / each / 1e6
        row["disk_bytes_over_content"] = statistics.median(row["disk_bytes"]) / (
            num_windows * WINDOW_BYTES
        )
    return list(found.values()), left_out


def report(results):
    """The results as text."""
    rows = [
        [
            row["reader"],
            f"{row['windows_per_second_cold']:.0f}",
            f"{row['megabytes_per_second_cold']:.0f}",
            f"{row['windows_per_second_warm']:.0f}",
            f"{row['megabytes_per_second_warm']:.0f}",
            f"{row['disk_bytes_over_content']:.2f}",
            f"{row['size_over_content']:.4f}",
            f"{row['write_megabytes_per_second']:.0f}",
        ]
        for row in results["readers"]
    ]
    headers = [
        "format and reader", "cold windows/s", "MB/s", "warm windows/s", "MB/s",
        "from disk / content", "size / content", "write MB/s",
    ]  # fmt: skip
    lines = [
        ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
        tabulate.tabulate(rows, headers, disable_numparse=True),
    ]
    if results["left_out"]:
        lines.append(f"left out, because not installed: {', '.join(results['left_out'])}")
    return "\n".join(lines)


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(arguments[1:])}")
    folder = tempfile.mkdtemp(dir=_FOLDER.value)
    try:
        readers, left_out = measure(
            folder, _VIDEOS.value, _FRAMES.value, _WINDOWS.value, _ROUNDS.value
        )
    finally:
        shutil.rmtree(folder)
    machine = describe_machine("tensorflow", "numpy")
    results = {"machine": machine, "readers": readers, "left_out": left_out}
    print(json.dumps(results) if _JSON.value else report(results))


if __name__ == "__main__":
    app.run(main)

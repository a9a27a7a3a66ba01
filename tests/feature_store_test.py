"""The store of features: what is read is what was written, whole, and damage is told."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from glimpse.pipelines.feature_store import FeatureStore, backbone_fingerprint, feature_key

KEY = "0" * 64


def features(frames=5, dtype="float16", seed=0):
    return np.random.default_rng(seed).normal(size=(frames, 2, 3, 4)).astype(dtype)


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path / "store")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_reads_what_was_written(store, dtype):
    written = features(dtype=dtype)
    assert not store.contains(KEY) and store.metadata(KEY) is None
    store.write(KEY, written, {"frames_per_second": 25.0})
    assert store.contains(KEY) and store.shape(KEY) == (5, 2, 3, 4)
    assert store.metadata(KEY) == {"frames_per_second": 25.0}
    assert store.read(KEY).dtype == dtype
    np.testing.assert_array_equal(store.read(KEY), written)
    for start, stop in [(0, 1), (1, 4), (4, 5), (2, 2), (3, None)]:
        np.testing.assert_array_equal(store.read(KEY, start, stop), written[start:stop])


def test_pieces_give_the_same_bytes_as_the_whole(store):
    written = features(frames=1234)
    store.write("whole", written)
    with store.writer("pieces", "float16") as writer:
        for start in range(0, 1234, 100):
            writer.append(written[start : start + 100])
    with open(store.path("whole"), "rb") as whole, open(store.path("pieces"), "rb") as pieces:
        assert whole.read() == pieces.read()


@pytest.mark.parametrize("frames", [(-1, 2), (0, 6), (3, 2), (6, None)])
def test_range_outside_the_video(store, frames):
    store.write(KEY, features())
    with pytest.raises(IndexError, match="it has 5"):
        store.read(KEY, *frames)


def test_missing_features(store):
    with pytest.raises(KeyError, match="extract them again"):
        store.read(KEY)


RECORD_BYTES = 2 * 2 * 3 * 4 + 16


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda b: b[:-1], "319 bytes, not 320"),
        (lambda b: b[:RECORD_BYTES], "64 bytes, not 320"),
        (lambda b: b"", "0 bytes, not 320"),
        (lambda b: b + b[:RECORD_BYTES], "384 bytes, not 320"),
    ],
)
def test_features_of_a_wrong_size_count_as_absent(store, damage, words):
    store.write(KEY, features())
    path = pathlib.Path(store.path(KEY))
    path.write_bytes(damage(path.read_bytes()))
    assert_damaged(store, words)


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda text: "", "json beside it is damaged"),
        (lambda text: "[]", "json beside it is damaged"),
        (lambda text: text.replace("shape", "shppe"), "json beside it is damaged.*shape"),
        (lambda text: text.replace("float16", "int8"), "json beside it is damaged.*int8"),
        (lambda text: text.replace("[5,", "[4,"), "320 bytes, not 256"),
        (None, "json beside it is missing"),
    ],
)
def test_features_with_damaged_metadata_count_as_absent(store, damage, words):
    store.write(KEY, features())
    path = pathlib.Path(store.metadata_path(KEY))
    path.write_text(damage(path.read_text())) if damage else path.unlink()
    assert_damaged(store, words)


def assert_damaged(store, words):
    """Damaged features are absent to readers, told by `stored` and `verify`, and written anew."""
    assert not store.contains(KEY) and store.metadata(KEY) is None
    with pytest.raises(KeyError):
        store.read(KEY)
    for tell in (store.stored, store.verify):
        with pytest.raises(ValueError, match=words):
            tell(KEY)
    store.write(KEY, features())
    np.testing.assert_array_equal(store.read(KEY), features())
    store.verify(KEY)


@pytest.mark.parametrize("place", range(0, 2 * RECORD_BYTES, 7))
def test_a_flipped_bit_is_found_by_verify_alone(store, place):
    store.write(KEY, features())
    seen = []
    store.verify(KEY, seen.append)
    assert seen == [RECORD_BYTES - 16] * 5
    path = pathlib.Path(store.path(KEY))
    content = bytearray(path.read_bytes())
    content[RECORD_BYTES + place] ^= 4
    path.write_bytes(content)
    assert store.contains(KEY)
    with pytest.raises(ValueError, match="a record is damaged"):
        store.verify(KEY)


def test_other_features_under_the_key_are_found_by_their_hash(store):
    """Whole records with right checksums: only the hash tells them."""
    store.write(KEY, features())
    store.write("other", features(seed=1))
    shutil.copy(store.path("other"), store.path(KEY))
    assert store.contains(KEY)
    with pytest.raises(ValueError, match="SHA-256 differs"):
        store.verify(KEY)
    with pytest.raises(KeyError, match="extract them again"):
        store.verify("absent")


def test_the_hash_and_the_layout_are_public(store):
    """Readers without this program need the page in docs alone."""
    written = features()
    with store.writer(KEY, "float16") as writer:
        writer.append(written[:2])
        writer.append(written[2:])
        writer.metadata = {"warnings": ["none"]}
    with open(store.metadata_path(KEY), encoding="utf-8") as file:
        assert json.load(file) == {
            "shape": [5, 2, 3, 4],
            "dtype": "float16",
            "sha256": hashlib.sha256(written.tobytes()).hexdigest(),
            "metadata": {"warnings": ["none"]},
        }
    records = list(tf.data.TFRecordDataset(store.path(KEY)).as_numpy_iterator())
    assert records == [frame.tobytes() for frame in written]


def test_a_range_is_read_without_the_rest(store):
    """Frame 2 can be read from a file in which all other bytes are wrong."""
    store.write(KEY, features())
    with open(store.path(KEY), "r+b") as file:
        file.write(b"\xff" * 2 * RECORD_BYTES)
        file.seek(3 * RECORD_BYTES)
        file.write(b"\xff" * 2 * RECORD_BYTES)
    np.testing.assert_array_equal(store.read(KEY, 2, 3), features()[2:3])


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_values_that_are_not_finite_are_refused(store, value):
    for dtype in ("float16", "float32"):
        wrong = features(dtype=dtype)
        wrong[3, 1, 1, 1] = value
        with pytest.raises(ValueError, match="1 features of 120 are not finite"):
            store.write(KEY, wrong)
    assert not store.contains(KEY)
    assert not os.listdir(store.folder) if os.path.isdir(store.folder) else True


def test_largest_float16_is_kept(store):
    store.write(KEY, np.full((2, 3), 65504, np.float16))
    assert store.read(KEY).max() == 65504


def test_wrong_arrays(store):
    with pytest.raises(ValueError, match="dtype must be one of"):
        store.write(KEY, features(dtype="float64"))
    with (
        pytest.raises(ValueError, match="must be float16, got float32"),
        store.writer(KEY, "float16") as writer,
    ):
        writer.append(features(dtype="float32"))
    with pytest.raises(ValueError, match="those before"), store.writer(KEY, "float16") as writer:
        writer.append(features())
        writer.append(features()[..., :2])
    for count in (0, 1):
        with (
            pytest.raises(ValueError, match="No features were appended"),
            store.writer(KEY, "float16") as writer,
        ):
            for _ in range(count):
                writer.append(features()[:0])
    assert not store.contains(KEY)
    assert os.listdir(store.folder) == []


def test_full_disk_leaves_nothing_behind(store):
    store.write("before", features())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.write(KEY, features(frames=5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not store.contains(KEY)
    assert sorted(os.listdir(store.folder)) == ["before.json", "before.tfrecord"]


def test_many_writers_of_one_key(store):
    written = features(frames=200)
    with concurrent.futures.ThreadPoolExecutor(8) as executor:
        writes = [executor.submit(store.write, KEY, written, {"n": 1}) for _ in range(40)]
        for write in writes:
            np.testing.assert_array_equal(store.read(KEY), written) if store.contains(KEY) else None
            write.result()
    assert sorted(os.listdir(store.folder)) == [f"{KEY}.json", f"{KEY}.tfrecord"]
    np.testing.assert_array_equal(store.read(KEY), written)


WRITER = """
import sys
import numpy as np
from glimpse.pipelines.feature_store import FeatureStore
store = FeatureStore(sys.argv[1])
while True:
    for key in ("a", "b", "c"):
        with store.writer(key, "float16") as writer:
            for frame in range(200):
                writer.append(np.full((1, 64), frame, np.float16))
                if frame == 100 and sys.argv[2] == "first":
                    print("writing", flush=True)
                    sys.stdin.read()
        print("written", flush=True)
"""


def start_writer(store, when):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, store.folder, when],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_no_part_counts_wherever_a_writer_is_killed(store):
    """One in the middle of a file, another at some moment of writing it again and again."""
    writers = [start_writer(store, when) for when in ("first", "later")]
    assert all(writer.stdout.readline() for writer in writers)
    time.sleep(0.1)
    for writer in writers:
        writer.kill()
        writer.communicate()
    assert any(name.endswith(".partial") for name in os.listdir(store.folder))
    expected = np.repeat(np.arange(200, dtype=np.float16)[:, None], 64, axis=1)
    assert store.contains("a")
    for key in ("a", "b", "c"):
        if store.contains(key):
            store.verify(key)
            np.testing.assert_array_equal(store.read(key), expected)
        store.write(key, expected)
        store.verify(key)


def test_files_are_readable_as_others_in_the_folder(store, tmp_path):
    store.write(KEY, features())
    (tmp_path / "plain").touch()
    for path in (store.path(KEY), store.metadata_path(KEY)):
        assert os.stat(path).st_mode == os.stat(tmp_path / "plain").st_mode


def test_key_depends_on_all_that_makes_the_features():
    parts = ["video", "backbone", "float16", "decoder 1"]
    keys = {feature_key(*parts)}
    for position, other in enumerate(["video 2", "backbone 2", "float32", "decoder 2"]):
        keys.add(feature_key(*parts[:position], other, *parts[position + 1 :]))
    assert len(keys) == 5
    assert feature_key(*parts) == feature_key(*parts)
    assert all(len(key) == 64 for key in keys)
    # Of the first features that were stored by this key: what is on disk stays found.
    assert feature_key(*parts).startswith("6cec8b2b")
    with pytest.raises(ValueError, match="dtype must be one of"):
        feature_key("video", "backbone", "int8", "decoder")


def test_key_depends_on_the_segment_and_the_side():
    parts = ["video", "backbone", "float16", "decoder 1"]
    segments = (None, "0.0-5.0 seconds", "0.0-6.0 seconds", "mirrored")
    keys = {
        feature_key(*parts, mirrored=mirrored, segment=segment)
        for segment in segments
        for mirrored in (False, True)
    }
    assert len(keys) == 8
    assert feature_key(*parts, segment=None) == feature_key(*parts)
    for wrong in ("", 5, (0.0, 5.0)):
        with pytest.raises(ValueError, match="text of a Segment or None"):
            feature_key(*parts, segment=wrong)


def model(filters=4, seed=0, activation="relu", name=None):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((None, None, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 255)(inputs)
    outputs = keras.layers.Conv2D(filters, 3, activation=activation)(scaled)
    return keras.Model(inputs, outputs, name=name)


def test_fingerprint_is_config_and_weights_without_names(tmp_path):
    first = backbone_fingerprint(model())
    assert backbone_fingerprint(model(name="other")) == first
    model().save(tmp_path / "model.keras")
    assert backbone_fingerprint(keras.models.load_model(tmp_path / "model.keras")) == first
    others = [model(filters=5), model(seed=1), model(activation="tanh")]
    changed = model()
    changed.layers[-1].bias.assign([0, 0, 0, 1e-6])
    assert len({first, *(backbone_fingerprint(other) for other in [*others, changed])}) == 5


def test_fingerprint_of_other_callables():
    def mean(frames):
        return frames

    with pytest.raises(ValueError, match="string attribute `fingerprint`"):
        backbone_fingerprint(mean)
    mean.fingerprint = "mean 1"
    first = backbone_fingerprint(mean)
    mean.fingerprint = "mean 2"
    assert backbone_fingerprint(mean) != first
    with pytest.raises(ValueError, match="is not built"):
        backbone_fingerprint(keras.Sequential([keras.layers.Dense(3)]))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

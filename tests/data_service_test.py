"""The same windows from any number of threads, from each worker's share, and by tf.data service."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from tests.synthetic_features import make_features, make_numbered_features

SAMPLING = WindowSampling(num_frames=4, block_stride=2)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("features"), counts=(7, 1, 1))


def windows_of(index, memory_bytes, sampling=SAMPLING, split="train"):
    return FeatureWindows(index, split, sampling, memory_bytes=memory_bytes)


def batches_of(dataset, number=-1):
    return list(dataset.take(number).as_numpy_iterator())


def assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        for values, others in zip(one, other, strict=True):
            np.testing.assert_array_equal(values, others)


@pytest.mark.parametrize(
    "memory_bytes, workers, batch_size", [(0, 3, 2), (0, 2, 5), (10**6, 3, 5), (10**6, 1, 8)]
)
def test_the_workers_rows_are_the_batch_of_one_process(index, memory_bytes, workers, batch_size):
    windows = windows_of(index, memory_bytes)
    number = windows.batches_per_epoch(batch_size, per_clip=1) * 2
    for dataset in (
        lambda shard: windows.in_order(batch_size, shard=shard),
        lambda shard: windows.shuffled(batch_size, 3, per_clip=1, shard=shard).take(number),
    ):
        whole = batches_of(dataset(None))
        shares = [batches_of(dataset((worker, workers))) for worker in range(workers)]
        assert all(len(share) == len(whole) for share in shares)
        joined = [
            tuple(np.concatenate(parts) for parts in zip(*batches, strict=True))
            for batches in zip(*shares, strict=True)
        ]
        assert_same(joined, whole)
        for batches, (_, labels) in zip(zip(*shares, strict=True), whole, strict=True):
            sizes = [len(batch[1]) for batch in batches]
            assert max(sizes) - min(sizes) <= 1 and sum(sizes) == len(labels)
            assert all(batch[0].shape[1:] == (4, 2, 3, 4) for batch in batches)


def test_a_worker_reads_its_own_rows_alone(tmp_path):
    """What is damaged in the other worker's clip does not stop it."""
    index = make_features(tmp_path)
    windows = windows_of(index, 0, split="val")
    damaged = index.clips("val")[5]
    with open(index.path(damaged), "r+b") as file:
        file.write(b"\xff" * 8)
    last = windows.num_windows - 1
    assert windows.window_clips[last] == 5
    batches_of(windows.in_order(windows.num_windows, shard=(0, 2)))
    with pytest.raises(tf.errors.DataLossError):
        batches_of(windows.in_order(windows.num_windows, shard=(1, 2)))


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0)])
def test_a_worker_that_is_not_there_is_refused(index, shard):
    windows = windows_of(index, 0)
    with pytest.raises(ValueError, match="0 <= worker < workers"):
        windows.in_order(2, shard=shard)
    with pytest.raises(ValueError, match="0 <= worker < workers"):
        windows.shuffled(2, 0, shard=shard)


@pytest.mark.parametrize("rule", ["blocks", "random_windows", "random_frames"])
def test_windows_depend_on_the_seed_whatever_the_threads(tmp_path, rule):
    index = make_numbered_features(
        tmp_path, {"train": (40, 9, 25, 60)}, flips=True, shape=(1, 1, 3)
    )
    found = {}
    for memory_bytes in (0, 10**6):
        windows = windows_of(index, memory_bytes, WindowSampling(5, sampling_rule=rule, flips=True))
        for threads in (None, 1, 7):
            dataset = windows.shuffled(3, seed=5, per_clip=2)
            options = tf.data.Options()
            if threads is not None:
                options.threading.private_threadpool_size = threads
                options.threading.max_intra_op_parallelism = 1
                options.autotune.enabled = threads > 1
            found[memory_bytes, threads] = batches_of(dataset.with_options(options), 9)
    first = found.pop((0, None))
    for other in found.values():
        assert_same(other, first)
    assert len({label for _, labels in first[:3] for label in labels}) > 1


@pytest.mark.parametrize("memory_bytes", [0, 10**6])
def test_a_data_service_gives_every_window_exactly_once(index, memory_bytes):
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    config = service.WorkerConfig(dispatcher_address=address, heartbeat_interval_ms=100)
    workers = [service.WorkerServer(config) for _ in range(2)]
    windows = windows_of(index, memory_bytes)
    whole = batches_of(windows.in_order(1))
    dataset = windows.in_order(1).apply(
        service.distribute(service.ShardingPolicy.DYNAMIC, dispatcher.target)
    )
    found = batches_of(dataset)
    assert len(workers) == 2 and len(found) == len(whole) == windows.num_windows
    assert sorted(x.tobytes() for x, _ in found) == sorted(x.tobytes() for x, _ in whole)
    # Endless shuffled epochs by one worker: in their own order.
    shuffled = windows.shuffled(4, seed=1, per_clip=1)
    served = shuffled.apply(
        service.distribute(service.ShardingPolicy.OFF, dispatcher.target, job_name="one")
    )
    number = windows.batches_per_epoch(4, per_clip=1)
    keys = {x.tobytes() for x, _ in batches_of(shuffled, number)}
    assert keys <= {x.tobytes() for x, _ in batches_of(served, 4 * number)}


def test_clips_that_share_stored_features_are_held_once_and_begin_where_they_begin(tmp_path):
    index = make_numbered_features(tmp_path, {"train": (50, 12)}, flips=True, shape=(1, 1, 3))
    video, other = index.clips("train")
    parts = [
        dataclasses.replace(video, clip_id=f"part {start}", start=start, num_frames=count, label=1)
        for start, count in ((10, 8), (14, 20), (30, 3))
    ]
    dataclasses.replace(index, entries=(*parts, other)).save()
    index = FeatureIndex.load(tmp_path)
    sampling = WindowSampling(num_frames=4, flips=True)
    expected = [
        (number, clip.start + step, side)
        for number, clip in ((0, parts[0]), (0, parts[1]), (0, parts[2]), (1, other))
        for step in range(max(clip.num_frames - 3, 1))
        for side in (0, 1)
    ]
    for memory_bytes in (0, 10**6):
        windows = windows_of(index, memory_bytes, sampling)
        found = [tuple(x[0, 0, 0, 0].astype(int)) for x, _ in batches_of(windows.in_order(1))]
        assert found == expected
        short = [x[0, :, 0, 0, 1].astype(int).tolist() for x, _ in batches_of(windows.in_order(1))]
        assert [30, 31, 32, 32] in short
    # Steps 10 to 34 of the video and 12 of the other, both sides, 3 floats each.
    assert windows._sources["features"].held_bytes == (24 + 12) * 2 * 3 * 4


@pytest.mark.parametrize("memory_bytes", [0, 10**6])
@pytest.mark.parametrize("pooling", [None, "average"])
def test_a_black_frame_stands_where_the_video_has_ended(tmp_path, memory_bytes, pooling):
    index = make_numbered_features(tmp_path, {"train": (100, 260)}, shape=(2, 2, 3))
    index.store.write("black", np.full((1, 2, 2, 3), 77, "float32"))
    sampling = WindowSampling(num_frames=6, sampling_rule="first_frames")
    names = ("inputs",) if pooling else ("features",)
    with pytest.raises(ValueError, match="hold no black frame"):
        FeatureWindows(index, "train", sampling, names)
    index = dataclasses.replace(index, black_key="black")
    windows = FeatureWindows(index, "train", sampling, names, memory_bytes=memory_bytes)
    expected = {0: [0, 40, 80, 77, 77, 77], 1: [0, 40, 80, 120, 160, 200]}
    for dataset in (windows.in_order(2), windows.shuffled(2, 0).take(3)):
        for features, labels in dataset.as_numpy_iterator():
            assert sorted(labels) == [0, 1]
            for window, label in zip(features, labels, strict=True):
                assert window.reshape(6, -1)[:, 1].tolist() == expected[label]
    index.store.write("black", np.full((1, 2, 2), 77, "float32"))
    with pytest.raises(ValueError, match="black frame are missing or damaged"):
        FeatureWindows(index, "train", sampling, names)


def test_a_window_reads_its_own_bytes_of_the_file(tmp_path):
    index = make_numbered_features(tmp_path, {"train": (400,)}, shape=(8, 8, 48))
    record = 8 * 8 * 48 * 4 + 16
    for sampling in (WindowSampling(8), WindowSampling(8, step_stride=40)):
        windows = windows_of(index, 0, sampling)
        dataset = windows.shuffled(1, 0, per_clip=1).prefetch(0)
        options = tf.data.Options()
        options.autotune.enabled = False
        batches = iter(dataset.with_options(options))
        next(batches)
        before = read_bytes()
        for _ in range(20):
            next(batches)
        # One window is 8 of 400 steps; what is read ahead counts, too.
        assert read_bytes() - before < 2 * 20 * 8 * record


def read_bytes():
    with open("/proc/self/io", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("rchar")).split()[1])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

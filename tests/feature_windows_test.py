"""Windows of cached features: the right frames, every window once, the same order by seed."""

import dataclasses
import pathlib

import numpy as np
import pytest

from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.sampling import sample_blocks
from tests.synthetic_features import make_features, spoil_stored


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("features"))


def frames_and_clips(dataset, batches):
    """(clip number, frame numbers) of every window, read from the features themselves."""
    found = []
    for features, labels in dataset.take(batches).as_numpy_iterator():
        for window, label in zip(features, labels, strict=True):
            assert window.shape[1:] == (2, 3, 4) and window.dtype == np.float32
            marked = window[0, ..., 3] == 1
            assert window[0, marked, 2].tolist() == [label - 1]
            numbers = (64 * window[:, 0, 0, :2]).astype(int)
            found.append((int(numbers[0, 0]), tuple(numbers[:, 1])))
    return found


@pytest.mark.parametrize(
    "sampling",
    [
        WindowSampling(num_frames=4),
        WindowSampling(num_frames=4, frames_per_second=15.0),
        WindowSampling(num_frames=4, frames_per_second=15.0, block_stride=3),
        WindowSampling(num_frames=40),
    ],
)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("memory_bytes", [0, 10**6])
def test_every_window_in_order_holds_the_protocols_frames(tmp_path, sampling, dtype, memory_bytes):
    index = make_features(tmp_path, dtype=dtype)
    windows = FeatureWindows(index, "val", sampling, memory_bytes=memory_bytes)
    found = frames_and_clips(windows.in_order(batch_size=5), -1)
    stride = 2 if sampling.frames_per_second else 1
    expected = [
        (12 + number, tuple(block))
        for number, clip in enumerate(index.clips("val"))
        for block in sample_blocks(
            clip.num_frames, sampling.num_frames, stride, sampling.block_stride
        )
    ]
    assert found == expected
    assert windows.num_windows == len(expected)


def test_an_epoch_of_all_windows_is_a_permutation(index):
    windows = FeatureWindows(index, "train", WindowSampling(num_frames=4))
    batches = windows.batches_per_epoch(batch_size=8)
    ordered = frames_and_clips(windows.in_order(8), -1)
    first = frames_and_clips(windows.shuffled(8, seed=3), batches)
    assert sorted(first) == sorted(ordered)
    assert first != ordered


def test_epochs_depend_on_seed_and_number_alone(index):
    windows = FeatureWindows(index, "train", WindowSampling(num_frames=4))
    batches = windows.batches_per_epoch(8, per_clip=2)
    both = frames_and_clips(windows.shuffled(8, seed=3, per_clip=2), 2 * batches)
    size = len(both) // 2
    assert size == 24
    second = frames_and_clips(windows.shuffled(8, seed=3, first_epoch=1, per_clip=2), batches)
    assert both[size:] == second
    assert both[:size] != second
    assert frames_and_clips(windows.shuffled(8, seed=4, per_clip=2), batches) != both[:size]


def test_windows_per_clip_takes_each_clip_that_often(index):
    windows = FeatureWindows(index, "train", WindowSampling(num_frames=4))
    found = frames_and_clips(
        windows.shuffled(5, seed=0, per_clip=3), windows.batches_per_epoch(5, 3)
    )
    clips = [clip for clip, _ in found]
    assert sorted(clips) == sorted(list(range(12)) * 3)


def test_random_windows_reach_every_start(index):
    windows = FeatureWindows(index, "train", WindowSampling(num_frames=8))
    found = set(frames_and_clips(windows.shuffled(12, seed=1, per_clip=1), 60))
    assert found == set(frames_and_clips(windows.in_order(12), -1))


def test_the_datasets_hold_no_python(index):
    """tf.data service and several workers cannot run Python functions."""
    for memory_bytes in (0, 10**6):
        windows = FeatureWindows(
            index, "train", WindowSampling(num_frames=4), memory_bytes=memory_bytes
        )
        for dataset in (windows.in_order(4), windows.shuffled(4, seed=0)):
            graph = dataset._as_serialized_graph().numpy()
            assert b"PyFunc" not in graph
            assert (b"TFRecordDataset" in graph) == (memory_bytes == 0)


def test_damaged_features_are_named_with_the_remedy(tmp_path):
    index = make_features(tmp_path)
    with open(index.store.path(index.clips("val")[2].key), "r+b") as file:
        file.truncate(200)
    with pytest.raises(ValueError, match="val_2.mp4.*extract them again"):
        FeatureWindows(index, "val", WindowSampling(num_frames=4))


@pytest.mark.parametrize("memory_bytes", [10**9, 0])
def test_features_that_are_not_numbers_are_named_with_folder_and_clip(tmp_path, memory_bytes):
    index = make_features(tmp_path)
    key = index.clips("val")[2].key
    path = index.store.path(key)
    sampling = WindowSampling(num_frames=4)
    for value, what in ((np.nan, "NaN"), (np.inf, "infinite numbers")):
        spoil_stored(index, key, 1, value)
        windows = FeatureWindows(index, "val", sampling, memory_bytes=memory_bytes)
        windows.check_finite(1)
        words = f"^The features of .*val_2.mp4 in {tmp_path} hold {what}: remove {path} and"
        with pytest.raises(ValueError, match=words):
            windows.check_finite(2)
        if memory_bytes:
            for read in (windows.in_order, lambda size, of=windows: of.shuffled(size, 0)):
                with pytest.raises(ValueError, match=words):
                    read(2)


def test_a_missing_split_and_a_rate_above_the_videos_are_named(tmp_path):
    index = make_features(tmp_path, counts=(3, 0, 3))
    with pytest.raises(ValueError, match="no clip of split 'val'"):
        FeatureWindows(index, "val", WindowSampling())
    with pytest.raises(ValueError, match="train_0.mp4.*60"):
        sampling = WindowSampling(frames_per_second=60.0, rate_rule="stride")
        FeatureWindows(index, "train", sampling)


@pytest.mark.parametrize("step", [0, 4, 8])
def test_a_flipped_bit_is_met_before_training(tmp_path, step):
    """Also in steps that no clip takes: what was written is known of all of them together."""
    index = make_features(tmp_path, counts=(3, 1, 1), lengths=(9, 9))
    clips = tuple(dataclasses.replace(clip, start=2, num_frames=5) for clip in index.entries)
    index = dataclasses.replace(index, entries=clips)
    windows = FeatureWindows(index, "train", WindowSampling(4))
    assert next(iter(windows.in_order(1)))[0].numpy()[0, :, 0, 0, 1].tolist() == [
        number / 64 for number in (2, 3, 4, 5)
    ]
    path = pathlib.Path(index.store.path("train_1"))
    content = bytearray(path.read_bytes())
    content[step * (2 * 2 * 3 * 4 + 16) + 20] ^= 1
    path.write_bytes(content)
    assert index.store.contains("train_1")
    words = rf"/videos/train_1\.mp4 are damaged: {path}: .*SHA-256.* Remove that file and extract"
    with pytest.raises(ValueError, match=words):
        FeatureWindows(index, "train", WindowSampling(4)).in_order(1)
    FeatureWindows(index, "val", WindowSampling(4)).in_order(1)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

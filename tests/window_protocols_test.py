"""Every sampling protocol frame by frame, on features that tell clip, step and side."""

import dataclasses
import math

import numpy as np
import pytest

from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.sampling import part_frames, sample_frames, sample_windows, spread_frames
from glimpse.pipelines.step_clock import StepClock
from tests.synthetic_features import make_features, make_numbered_features

LENGTHS = {"train": (40, 9, 25, 200), "val": (30, 41)}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_numbered_features(tmp_path_factory.mktemp("flips"), LENGTHS, flips=True)


def read(dataset, batches=-1):
    """(clip, steps, mirrored) of every window, from its features."""
    found = []
    for features, _ in dataset.take(batches).as_numpy_iterator():
        for window in features:
            flat = window.reshape((len(window), -1, 3))[:, 0]
            assert np.ptp(flat[:, 0]) == np.ptp(flat[:, 2]) == 0
            found.append((int(flat[0, 0]), tuple(flat[:, 1].astype(int)), int(flat[0, 2])))
    return found


def vectors(index, split="train", **options):
    names = options.pop("input_names", ("inputs",))
    return FeatureWindows(index, split, WindowSampling(**options), names)


def by_fours(windows):
    """The epochs of one window of each of four clips."""
    return [windows[start : start + 4] for start in range(0, len(windows), 4)]


def is_window(steps, length, stride=1):
    """Whether steps are consecutive, or all there are with the last repeated."""
    if length < len(steps) * stride:
        last = (length - 1) // stride * stride
        return list(steps) == [min(k * stride, last) for k in range(len(steps))]
    return all(b - a == stride for a, b in zip(steps, steps[1:], strict=False))


@pytest.mark.parametrize("rate", [None, 15.0])
def test_training_takes_one_random_window_of_each_clip_and_epoch(index, rate):
    windows = vectors(index, num_frames=12, sampling_rule="random_windows", frames_per_second=rate)
    assert windows.batches_per_epoch(3) == 2
    stride = 1 if rate is None else 2
    epochs = by_fours(read(windows.shuffled(4, seed=1), 60))
    for epoch in epochs:
        assert sorted(clip for clip, _, _ in epoch) == [0, 1, 2, 3]
        assert all(is_window(steps, LENGTHS["train"][clip], stride) for clip, steps, _ in epoch)
        assert not any(side for *_, side in epoch)
    starts = {steps[0] for epoch in epochs for clip, steps, _ in epoch if clip == 2}
    assert starts <= set(range(25 - 12 * stride + 1)) and len(starts) > (10 if stride == 1 else 1)
    # Windows begin anywhere, whatever the blocks' stride.
    odd = vectors(index, num_frames=12, sampling_rule="random_windows", block_stride=50)
    assert {steps[0] for _, steps, _ in read(odd.shuffled(4, seed=1), 60)} & set(range(1, 50))


def test_evaluation_takes_40_random_windows_and_their_mirrored_copies(index):
    windows = vectors(index, "val", num_frames=12, sampling_rule="random_windows", flips=True)
    found = read(windows.in_order(7))
    assert windows.num_windows == len(found) == 2 * 80
    for number, clip in enumerate((4, 5)):
        mine = found[80 * number : 80 * number + 80]
        assert {c for c, _, _ in mine} == {clip}
        assert [side for *_, side in mine] == [0, 1] * 40
        assert [s for _, s, side in mine if side] == [s for _, s, side in mine if not side]
        assert all(is_window(steps, LENGTHS["val"][number]) for _, steps, _ in mine)
        starts = [steps[0] for _, steps, side in mine if not side]
        assert starts == sorted(starts) and len(set(starts)) > 8
    assert [tuple(windows.frame_numbers(i)) for i in range(160)] == [s for _, s, _ in found]
    assert windows.window_mirrored.tolist() == [False, True] * 80
    assert windows.window_clips.tolist() == [0] * 80 + [1] * 80
    again = vectors(index, "val", num_frames=12, sampling_rule="random_windows", flips=True)
    assert read(again.in_order(40)) == found
    other = FeatureWindows(index, "val", again.sampling, ("inputs",), seed=1)
    assert read(other.in_order(40)) != found


def test_a_video_with_one_start_has_one_window(index):
    windows = vectors(index, num_frames=40, sampling_rule="random_windows", eval_windows=5)
    starts = [steps[0] for _, steps, _ in read(windows.in_order(8))]
    # Of 40, 9, 25 and 200 frames only the last leaves a choice.
    assert len(starts) == 1 + 1 + 1 + 5 and starts[:3] == [0, 0, 0]


def test_random_frames_are_in_order_and_differ(index):
    windows = vectors(index, num_frames=10, sampling_rule="random_frames")
    epochs = by_fours(read(windows.shuffled(4, seed=3), 40))
    for epoch in epochs:
        assert sorted(clip for clip, _, _ in epoch) == [0, 1, 2, 3]
        for clip, steps, _ in epoch:
            length = LENGTHS["train"][clip]
            if length < 10:
                assert steps == tuple(min(k, length - 1) for k in range(10))
            else:
                assert len(set(steps)) == 10 and list(steps) == sorted(steps)
                assert 0 <= steps[0] and steps[-1] < length
    # Each of the 25 frames is as likely as another: 40 epochs draw each 16 times in the mean.
    drawn = [step for epoch in epochs for clip, steps, _ in epoch if clip == 2 for step in steps]
    counts = np.bincount(drawn, minlength=25)
    assert counts.min() >= 5 and counts.max() <= 28
    thinned = vectors(index, num_frames=10, sampling_rule="random_frames", frames_per_second=10.0)
    for clip, steps, _ in read(thinned.shuffled(4, seed=3), 20):
        assert all(step % 3 == 0 and step < LENGTHS["train"][clip] for step in steps)


def test_evaluation_of_random_frames_is_evenly_spaced_or_a_mean_over_draws(index):
    windows = vectors(index, num_frames=10, sampling_rule="random_frames")
    assert [steps for _, steps, _ in read(windows.in_order(4))] == [
        (2, 6, 10, 14, 18, 22, 26, 30, 34, 38),
        (0, 1, 2, 3, 4, 5, 6, 7, 8, 8),
        (1, 3, 6, 8, 11, 13, 16, 18, 21, 23),
        (10, 30, 50, 70, 90, 110, 130, 150, 170, 190),
    ]
    draws = vectors(index, num_frames=10, sampling_rule="random_frames", eval_windows=3)
    found = read(draws.in_order(4))
    assert [clip for clip, _, _ in found] == [0, 0, 0, 1, 2, 2, 2, 3, 3, 3]
    assert len({steps for clip, steps, _ in found if clip == 3}) == 3
    assert all(list(steps) == sorted(set(steps)) for clip, steps, _ in found if clip != 1)


def test_evaluation_of_a_few_blocks_spreads_them(index):
    few = vectors(index, num_frames=10, eval_windows=4)
    starts = [(clip, steps[0]) for clip, steps, _ in read(few.in_order(4))]
    # 31, 1, 16 and 191 blocks: the middle one of each quarter of them.
    assert starts == [(0, s) for s in (3, 11, 19, 27)] + [(1, 0)] + [
        (2, s) for s in (2, 6, 10, 14)
    ] + [(3, s) for s in (23, 71, 119, 167)]


def test_mirrored_windows_in_training_are_about_half(index):
    windows = vectors(index, num_frames=10, flips=True)
    found = read(windows.shuffled(32, seed=0), windows.batches_per_epoch(32))
    plain = vectors(index, num_frames=10)
    assert sorted((c, s) for c, s, _ in found) == sorted(
        (c, s) for c, s, _ in read(plain.in_order(9))
    )
    sides = np.array([side for *_, side in found])
    assert 90 < sides.sum() < 150 and len(sides) == 31 + 1 + 16 + 191
    assert len(set(sides[:20])) == 2
    second = read(windows.shuffled(32, seed=0, first_epoch=1), windows.batches_per_epoch(32))
    assert [side for *_, side in second] != sides.tolist()


@pytest.mark.parametrize("rule", ["blocks", "random_windows", "random_frames"])
def test_epochs_depend_on_seed_and_number_alone(index, rule):
    """Whatever the threads, where it starts, and whether features are held in memory."""
    sampling = WindowSampling(8, sampling_rule=rule, flips=True)
    held = FeatureWindows(index, "train", sampling, ("inputs",))
    batches = held.batches_per_epoch(4, per_clip=2)
    both = read(held.shuffled(4, seed=5, per_clip=2), 2 * batches)
    assert len(both) == 16
    on_disk = FeatureWindows(index, "train", sampling, ("inputs",), memory_bytes=0)
    second = read(on_disk.shuffled(4, seed=5, first_epoch=1, per_clip=2), batches)
    assert both[8:] == second and both[:8] != second
    assert read(held.shuffled(4, seed=6, per_clip=2), batches) != both[:8]
    assert read(on_disk.in_order(16)) == read(held.in_order(5))


def loops_parts(start, end, parts, place):
    """The frame on show at each part's instant, by exact fractions."""
    from fractions import Fraction

    start, end = Fraction(start), Fraction(end)
    found = []
    for j in range(parts):
        low = start + (end - start) * j / parts
        high = start + (end - start) * (j + 1) / parts
        if place == "first":
            found.append(math.floor(low))
        elif place == "middle":
            found.append(math.floor((low + high) / 2))
        else:
            found.append(math.ceil(high) - 1)
    return found


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize(
    ("start", "end", "parts"),
    [(0, 192, 12), (160, 352, 24), (7, 12, 9), (0, 10, 4), (3.75, 9.5, 5)],
)
def test_one_frame_of_each_part(start, end, parts, place):
    found = part_frames(np.float64(start), np.float64(end), parts, place)
    assert found.tolist() == loops_parts(start, end, parts, place)


def test_torabis_parts_are_his_16_frames():
    instants = np.float64(0), np.float64(192)
    assert part_frames(*instants, 12, "first").tolist() == list(range(0, 192, 16))
    assert part_frames(*instants, 12, "middle").tolist() == list(range(8, 192, 16))
    assert part_frames(*instants, 12, "last").tolist() == list(range(15, 192, 16))
    assert part_frames(*instants, 24, "first").tolist() == list(range(0, 192, 8))
    # A rate such as 29.97 / 16 is no float64: the parts still begin at whole frames.
    ratio = 29.97 / (29.97 / 16)
    found = part_frames(np.arange(1000.0) * ratio, np.arange(1000.0) * ratio + 12 * ratio, 12)
    assert (found == 16 * (np.arange(1000)[:, None] + np.arange(12))).all()


def both_read(dataset, batches=-1):
    """(clip, chunks, attended frames, mirrored) of every window of two sources."""
    found = []
    for x, _ in dataset.take(batches).as_numpy_iterator():
        for inputs, attended in zip(x["inputs"], x["attended"], strict=True):
            assert set(inputs[:, 0]) == set(attended[:, 0])
            assert set(inputs[:, 2]) == set(attended[:, 2]) and np.ptp(inputs[:, 2]) == 0
            chunks, frames = (each[:, 1].astype(int).tolist() for each in (inputs, attended))
            found.append((int(inputs[0, 0]), chunks, frames, int(inputs[0, 2])))
    return found


TWO_LENGTHS = {"train": (500, 199, 192, 40), "val": (310, 600)}
TWO_RATES = {0: 29.97, 1: 25.0, 2: 30.0, 3: 23.976, 4: 12.5, 5: 60.0}


@pytest.fixture(scope="module")
def chunks_and_frames(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    return tuple(
        make_numbered_features(folder / name, TWO_LENGTHS, TWO_RATES, size, flips=True)
        for name, size in (("chunks", 16), ("frames", 1))
    )


@pytest.mark.parametrize("attended_frames", [None, 24, 5])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_attended_frames_lie_in_the_chunks_time(chunks_and_frames, attended_frames, place):
    chunks, frames = chunks_and_frames
    sampling = WindowSampling(
        12, sampling_rule="random_windows", flips=True, eval_windows=6,
        attended_frames=attended_frames, attended_place=place,
    )  # fmt: skip
    names = ("inputs", "attended")
    windows = FeatureWindows(chunks, "train", sampling, names, attended_index=frames)
    count = attended_frames or 12
    assert windows.input_shapes == {"inputs": (12, 3), "attended": (count, 3)}
    evaluated = both_read(windows.in_order(5))
    trained = both_read(windows.shuffled(4, seed=2), 20)
    assert {side for *_, side in trained} == {0, 1}
    for clip, steps, attended, _ in evaluated + trained:
        length = TWO_LENGTHS["train"][clip]
        assert is_window(steps, length // 16)
        expected = loops_parts(16 * steps[0], 16 * (steps[0] + 12), count, place)
        assert attended == [min(frame, length - 1) for frame in expected]
    numbers = [windows.attended_numbers(i).tolist() for i in range(windows.num_windows)]
    assert numbers == [attended for _, _, attended, _ in evaluated]
    # 500 frames are 31 chunks; 199 and 192 are 12, one window; 40 are 2, repeated.
    assert [clip for clip, *_ in evaluated] == [0] * 12 + [1] * 2 + [2] * 2 + [3] * 2


def test_attended_frames_of_random_frames_cover_the_video(chunks_and_frames):
    _, frames = chunks_and_frames
    sampling = WindowSampling(6, sampling_rule="random_frames", attended_frames=5)
    windows = FeatureWindows(frames, "val", sampling, ("inputs", "attended"))
    for clip, _, attended, _ in both_read(windows.in_order(5)) + both_read(
        windows.shuffled(2, 0), 3
    ):
        length = TWO_LENGTHS["val"][clip - 4]
        assert attended == loops_parts(0, length, 5, "first")


def test_attended_features_default_to_the_inputs_own(chunks_and_frames):
    _, frames = chunks_and_frames
    sampling = WindowSampling(4, frames_per_second=5.0, block_stride=40, attended_frames=2)
    windows = FeatureWindows(frames, "train", sampling, ("inputs", "attended"))
    found = both_read(windows.in_order(8))
    assert found[0][1:3] == ([0, 6, 12, 18], [0, 12])
    assert found[1][1:3] == ([40, 46, 52, 58], [40, 52])


def test_two_sources_need_the_same_clips_and_durations(chunks_and_frames, tmp_path):
    chunks, frames = chunks_and_frames
    sampling, names = WindowSampling(4), ("inputs", "attended")
    fewer = dataclasses.replace(frames, entries=frames.entries[1:])
    for one, other in ((chunks, fewer), (fewer, chunks)):
        with pytest.raises(ValueError, match="1 clips of split 'train' are missing in .*train_0"):
            FeatureWindows(one, "train", sampling, names, attended_index=other)
    # The backbone of chunks had no use for the last clip, of 40 frames.
    fewer = dataclasses.replace(chunks, entries=(*chunks.entries[:3], *chunks.entries[4:]))
    with pytest.raises(ValueError, match="train_3.*--min_video_frames"):
        FeatureWindows(fewer, "train", sampling, names, attended_index=frames)
    long = WindowSampling(4, min_video_frames=64)
    assert len(FeatureWindows(fewer, "train", long, names, attended_index=frames).clips) == 3
    longer = make_numbered_features(tmp_path, {"train": (500, 199, 192, 90)}, TWO_RATES)
    with pytest.raises(ValueError, match="train_3 takes 1.33 s in .* and 3.75 s in"):
        FeatureWindows(chunks, "train", sampling, names, attended_index=longer)


def test_short_videos_are_left_out_and_named(chunks_and_frames):
    chunks, _ = chunks_and_frames
    windows = FeatureWindows(chunks, "train", WindowSampling(12, min_video_frames=192), ("inputs",))
    assert [clip.clip_id for clip in windows.left_out] == ["train_3"]
    assert [clip.clip_id for clip in windows.clips] == ["train_0", "train_1", "train_2"]
    assert windows.labels.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="--min_video_frames=9999: all 4 clips"):
        FeatureWindows(chunks, "train", WindowSampling(min_video_frames=9999), ("inputs",))


def test_several_labels_are_a_vector(tmp_path):
    index = make_numbered_features(tmp_path, {"train": (5, 5, 5)}, labels=[(0, 2), (), (1,)])
    windows = FeatureWindows(index, "train", WindowSampling(5), ("inputs",))
    expected = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], "float32")
    np.testing.assert_array_equal(windows.labels, expected)
    _, labels = next(windows.in_order(3).as_numpy_iterator())
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("memory_bytes", [0, 10**6])
@pytest.mark.parametrize("pooling", ["average", "max", "flatten"])
def test_maps_become_vectors(tmp_path, pooling, memory_bytes):
    index = make_numbered_features(tmp_path, {"train": (6, 7)}, shape=(2, 5, 3))
    key = index.clips("train")[1].key
    stored = index.store.read(key)
    stored += np.random.default_rng(0).normal(size=stored.shape).astype("float32")
    index.store.write(key, stored)
    windows = FeatureWindows(
        index, "train", WindowSampling(4, pooling=pooling), ("features", "inputs", "attended"),
        memory_bytes=memory_bytes,
    )  # fmt: skip
    size = 30 if pooling == "flatten" else 3
    assert windows.input_shapes == {
        "features": (4, 2, 5, 3), "inputs": (4, size), "attended": (4, size)
    }  # fmt: skip
    x, _ = next(windows.in_order(7).as_numpy_iterator())
    maps = np.stack([stored[s : s + 4] for s in range(4)])
    expected = {
        "average": maps.astype("float64").mean(axis=(2, 3)),
        "max": maps.max(axis=(2, 3)),
        "flatten": maps.reshape((4, 4, -1)),
    }[pooling]
    np.testing.assert_array_equal(x["features"][3:], maps)
    np.testing.assert_allclose(x["inputs"][3:], expected, atol=1e-5)
    np.testing.assert_array_equal(x["inputs"], x["attended"])


def test_wrong_inputs_are_refused_by_name(index, tmp_path):
    with pytest.raises(ValueError, match="reads features .* are \\(3,\\) a frame"):
        vectors(index, input_names=("features",))
    with pytest.raises(ValueError, match="input_names must be of"):
        vectors(index, input_names=("words",))
    plain = make_numbered_features(tmp_path, {"train": (6,)})
    with pytest.raises(ValueError, match="train_0.mp4 .* no mirrored frames: .*--flips"):
        vectors(plain, flips=True)
    maps = make_features(tmp_path / "maps")
    with pytest.raises(ValueError, match=r"reads frames .* \(2, 3, 4\) .*--backbone=pixels"):
        FeatureWindows(maps, "train", WindowSampling(4), ("frames",))
    for options, message in (
        ({"sampling_rule": "all"}, "sampling_rule must be one of"),
        ({"pooling": "sum"}, "pooling must be one of"),
        ({"attended_place": "any"}, "attended_place must be one of"),
        ({"num_frames": 0}, "num_frames must be a whole number"),
        ({"eval_windows": 0}, "eval_windows must be a whole number"),
        ({"min_video_frames": 1.5}, "min_video_frames must be a whole number"),
        ({"step_stride": 2, "frames_per_second": 3.0}, "give one of them"),
    ):
        with pytest.raises(ValueError, match=message):
            WindowSampling(**options)


def test_every_nth_step(index):
    windows = vectors(index, num_frames=5, step_stride=4, block_stride=7)
    found = [steps for clip, steps, _ in read(windows.in_order(9)) if clip == 0]
    assert found == [tuple(range(s, s + 20, 4)) for s in (0, 7, 14)]


def test_the_datasets_hold_no_python(index):
    for rule in ("random_windows", "random_frames"):
        sampling = WindowSampling(4, sampling_rule=rule, flips=True)
        windows = FeatureWindows(index, "train", sampling, ("inputs", "attended"))
        for dataset in (windows.in_order(4), windows.shuffled(4, seed=0)):
            assert b"PyFunc" not in dataset._as_serialized_graph().numpy()


def test_plain_functions_agree_with_their_words():
    windows = sample_windows(StepClock(100, 3), 5, count=2000, seed=7)
    assert windows.shape == (2000, 5) and set(windows[:, 0]) == set(range(86))
    assert (np.diff(windows) == 3).all()
    np.testing.assert_array_equal(windows, sample_windows(StepClock(100, 3), 5, count=2000, seed=7))
    assert spread_frames(1, 3).tolist() == [[0, 0, 0]]
    assert spread_frames(30, 30).tolist() == [list(range(30))]
    for f, n in ((31, 30), (600, 7), (8, 1)):
        parts = [k * f / n for k in range(n + 1)]
        middles = [math.floor((a + b) / 2) for a, b in zip(parts, parts[1:], strict=False)]
        assert spread_frames(f, n).tolist() == [middles]
    assert sample_frames(4, 4, 9).tolist() == [[0, 1, 2, 3]]
    drawn = sample_frames(6, 3, 400)
    assert (np.diff(drawn) > 0).all() and len({tuple(row) for row in drawn}) == 20


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

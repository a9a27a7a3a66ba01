"""The papers' protocols, frame by frame, in evaluation, in training and from a video file.

What is expected is written down from the papers and the released code, by other means than the
package's own.
"""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.window_plan import WindowPlan
from tests.numbered_videos import write_video
from tests.synthetic_features import make_numbered_features
from tests.window_places import make_clips, planned, streamed, trained


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("videos"), {}

    def make(num_frames, rate=30.0):
        if (num_frames, rate) not in made:
            path = folder / f"{num_frames}_{rate:g}.avi"
            made[num_frames, rate] = write_video(path, "FFV1", num_frames, rate=rate)
        return made[num_frames, rate]

    return make


def released_blocks(f, skip):
    """Sharma et al.'s data handler: 30 frames, every start, the last frame again in short clips."""
    if f < 30 * skip:
        frames = list(range(0, f, skip))
        return [frames + [frames[-1]] * (30 - len(frames))]
    return [[start + skip * k for k in range(30)] for start in range(f - 30 * skip + 1)]


@pytest.mark.parametrize("rate", [30, 30000 / 1001])
@pytest.mark.parametrize(
    ("wanted", "skip", "rate_rule"),
    [(None, 1, "time"), (30.0, 1, "time"), (15.0, 2, "time"), (15.0, 2, "stride")],
)
def test_sharmas_blocks(video, rate, wanted, skip, rate_rule):
    sampling = WindowSampling(30, wanted, rate_rule=rate_rule)
    lengths = [1, 22, 29, 30, 31, 59, 60, 61, 75]
    expected = {number: released_blocks(f, skip) for number, f in enumerate(lengths)}
    assert [planned(sampling, f, rate) for f in lengths] == list(expected.values())
    for epoch in (trained(sampling, lengths, rate), trained(sampling, lengths, rate, seed=9)):
        found = {number: [] for number in expected}
        for clip, steps, _ in epoch:
            found[clip].append(steps)
        assert {number: sorted(each) for number, each in found.items()} == expected
    for f in (22, 61):
        shown, numbers, windows = streamed(video(f, rate), sampling)
        assert shown == numbers == released_blocks(f, skip)
        assert windows.num_frames == f and windows.warnings == []


def test_the_counts_of_sharmas_blocks():
    assert len(released_blocks(100, 1)) == 71 and len(planned(WindowSampling(), 100)) == 71
    assert planned(WindowSampling(), 22)[0][20:] == [20] + [21] * 9
    assert planned(WindowSampling(30, 15.0), 50)[0] == [*range(0, 50, 2), 48, 48, 48, 48, 48]


TORABI = WindowSampling(
    192, sampling_rule="random_windows", flips=True, eval_windows=40, min_video_frames=192
)


def test_torabis_80_windows(video):
    found = planned(TORABI, 230)
    assert len(found) == 80
    assert all(steps == list(range(steps[0], steps[0] + 192)) for steps in found)
    starts = [steps[0] for steps in found]
    assert starts[::2] == starts[1::2] == sorted(starts[::2])
    assert min(starts) >= 0 and max(starts) <= 230 - 192 and len(set(starts)) > 15
    assert WindowPlan(make_clips([230]), TORABI).mirrored.tolist() == [False, True] * 40
    # All 39 starts come up, each about as often as another.
    many = WindowSampling(192, sampling_rule="random_windows", eval_windows=3900)
    counts = np.bincount([steps[0] for steps in planned(many, 230)], minlength=39)
    assert len(counts) == 39 and counts.min() > 60 and counts.max() < 145
    few = WindowSampling(192, sampling_rule="random_windows", flips=True, eval_windows=2)
    _, numbers, _ = streamed(video(230), few)
    assert numbers == planned(few, 230) and len(numbers) == 4


def test_torabis_training_takes_one_window_a_clip_half_of_them_mirrored(video):
    found = trained(TORABI, [192, 230, 500], epochs=100)
    assert len(found) == 300
    for epoch in range(100):
        assert sorted(clip for clip, *_ in found[3 * epoch : 3 * epoch + 3]) == [0, 1, 2]
    for clip, most in ((0, 0), (1, 38), (2, 308)):
        starts = [steps[0] for number, steps, _ in found if number == clip]
        assert 0 <= min(starts) and max(starts) <= most
        assert most == 0 or max(starts) > 0.9 * most
        assert len(set(starts)) == 1 if most == 0 else len(set(starts)) > 25
    assert all(steps == list(range(steps[0], steps[0] + 192)) for _, steps, _ in found)
    assert 110 < sum(mirrored for *_, mirrored in found) < 190


def test_torabis_clips_below_192_frames_are_left_out_and_named(tmp_path):
    lengths = {"test": (192, 191, 300)}
    index = make_numbered_features(tmp_path, lengths, flips=True)
    windows = FeatureWindows(index, "test", TORABI, ("inputs",))
    assert [clip.clip_id for clip in windows.left_out] == ["test_1"]
    # One start leaves one window and its mirrored copy.
    assert windows.window_clips.tolist() == [0] * 2 + [1] * 80


def test_windows_of_chunks_begin_at_their_multiples_of_16(tmp_path):
    """Where frames have features of their own, a window may begin at any."""
    lengths = {"test": (430,)}
    chunks = make_numbered_features(tmp_path / "chunks", lengths, 30.0, 16)
    frames = make_numbered_features(tmp_path / "frames", lengths, 30.0)
    sampling = WindowSampling(12, sampling_rule="random_windows", eval_windows=60)
    windows = FeatureWindows(chunks, "test", sampling, ("inputs", "attended"), frames)
    attended = [windows.attended_numbers(number).tolist() for number in range(60)]
    # 26 whole chunks: 15 starts, at the frames 0, 16, ..., 224.
    assert {each[0] for each in attended} == set(range(0, 225, 16))
    assert all(each == list(range(each[0], each[0] + 192, 16)) for each in attended)
    strided = WindowSampling(12, step_stride=16, sampling_rule="random_windows", eval_windows=60)
    windows = FeatureWindows(frames, "test", strided, ("inputs",))
    found = [windows.frame_numbers(number).tolist() for number in range(60)]
    assert all(each == list(range(each[0], each[0] + 192, 16)) for each in found)
    assert any(each[0] % 16 for each in found) and max(each[0] for each in found) <= 430 - 192


@pytest.mark.parametrize("num_frames", [30, 60])
def test_chams_random_frames(video, num_frames):
    sampling = WindowSampling(num_frames, sampling_rule="random_frames")
    found = trained(sampling, [200, 70, 20], epochs=40)
    for clip, steps, _ in found:
        length = (200, 70, 20)[clip]
        if length < num_frames:
            assert steps == list(range(length)) + [length - 1] * (num_frames - length)
        else:
            assert len(steps) == num_frames and steps == sorted(set(steps))
            assert 0 <= steps[0] and steps[-1] < length
    drawn = np.bincount([step for clip, steps, _ in found if clip == 0 for step in steps])
    mean = 40 * num_frames / 200
    assert len(drawn) == 200 and abs(drawn - mean).max() < 6 * math.sqrt(mean)
    # In testing: the middle frame of each of as many equal parts.
    spread = [
        math.floor(Fraction(200 * k, num_frames) + Fraction(100, num_frames))
        for k in range(num_frames)
    ]
    assert planned(sampling, 200) == [spread]
    shown, numbers, _ = streamed(video(200), sampling)
    assert shown == numbers == [spread]
    draws = WindowSampling(num_frames, sampling_rule="random_frames", eval_windows=5)
    found = planned(draws, 200)
    assert len({tuple(steps) for steps in found}) == 5
    assert all(steps == sorted(set(steps)) and steps[-1] < 200 for steps in found)
    shown, numbers, _ = streamed(video(200), draws)
    assert shown == numbers == found


# 240 frames in 26 parts: six of ten frames, then twenty of nine.
THESIS = [
    0, 10, 20, 30, 40, 50, 60, 69, 78, 87, 96, 105, 114,
    123, 132, 141, 150, 159, 168, 177, 186, 195, 204, 213, 222, 231,
]  # fmt: skip
STA = WindowSampling(26, sampling_rule="first_frames")


@pytest.mark.parametrize(
    ("length", "real"),
    [(240, 26), (1000, 26), (239, 26), (232, 26), (231, 25), (100, 11), (97, 11), (96, 10), (1, 1)],
)
def test_the_thesis_frames_and_its_black_ones(length, real):
    expected = THESIS[:real] + [-1] * (26 - real)
    assert planned(STA, length) == [expected]
    found = trained(STA, [length, 300], epochs=2)
    assert sorted(found) == sorted(2 * [(0, expected, 0), (1, THESIS, 0)])
    plan = WindowPlan(make_clips([length, 300]), STA)
    assert plan.counts == {
        "short_clips": 0,
        "black_clips": int(real < 26),
        "black_steps": 26 - real,
        "slow_clips": 0,
        "repeated_steps": 0,
    }


@pytest.mark.parametrize("flips", [False, True])
def test_the_thesis_frames_of_a_video_file(video, flips):
    sampling = WindowSampling(26, sampling_rule="first_frames", flips=flips)
    expected = [THESIS[:11] + [-1] * 15]
    shown, numbers, windows = streamed(video(100), sampling)
    # The pixels of a mirrored frame carry another number; the frames are the same.
    assert shown[:1] == expected and numbers == expected * (1 + flips)
    assert len(windows.warnings) == 1
    assert "shorter than 240 frames: 15 of the 26 steps" in windows.warnings[0]
    assert streamed(video(250), STA)[0] == [THESIS]
    assert streamed(video(250), STA)[2].warnings == []


def test_black_steps_read_the_features_of_a_black_frame(tmp_path):
    """What a backbone gives for black, which is not zero."""
    index = make_numbered_features(tmp_path, {"train": (12, 5)}, shape=(2, 2, 3), offset=1)
    with pytest.raises(ValueError, match="no black frame"):
        FeatureWindows(
            index, "train", WindowSampling(4, sampling_rule="first_frames", spread_over=8)
        )
    index.store.write("black", np.full((1, 2, 2, 3), 7, "float32"))
    index = dataclasses.replace(index, black_key="black")
    sampling = WindowSampling(4, sampling_rule="first_frames", spread_over=8)
    for memory_bytes in (0, 10**6):
        windows = FeatureWindows(index, "train", sampling, memory_bytes=memory_bytes)
        assert windows.sampling_counts["black_steps"] == 1
        ordered = [x for x, _ in windows.in_order(1).as_numpy_iterator()]
        steps = [x[0, :, 0, 0, 1].tolist() for x in ordered]
        assert steps == [[1, 3, 5, 7], [1, 3, 5, 7]] and (ordered[1][0, 3] == 7).all()
        assert ordered[1][0, 2, 0, 0].tolist() == [1, 5, 0]
        for x, _ in windows.shuffled(2, 0).take(1).as_numpy_iterator():
            assert sorted(x[:, 3, 0, 0].tolist()) == [[0, 7, 0], [7, 7, 7]]


def test_first_frames_at_a_rate_are_those_of_its_seconds():
    # 8 s of 15 frames a second: every second frame of 240.
    sampling = WindowSampling(4, 15.0, sampling_rule="first_frames", spread_over=120)
    assert planned(sampling, 300) == [[0, 60, 120, 180]]
    assert planned(sampling, 121) == [[0, 60, 120, -1]]
    assert trained(sampling, [120])[0][1] == [0, 60, -1, -1]


def test_attended_frames_of_first_frames_lie_in_their_time(tmp_path):
    index = make_numbered_features(tmp_path, {"test": (300, 200)})
    sampling = WindowSampling(4, sampling_rule="first_frames", attended_frames=3)
    windows = FeatureWindows(index, "test", sampling, ("inputs", "attended"))
    assert windows.attended_numbers(0).tolist() == [0, 80, 160]
    # floor(200 k / 3): of the frames that there are.
    assert windows.attended_numbers(1).tolist() == [0, 66, 133]


def test_what_has_no_effect_or_none_that_is_meant_is_refused():
    for options, words in (
        ({"spread_over": 100}, "spread_over must be left out unless sampling_rule is first_frames"),
        ({"sampling_rule": "first_frames", "eval_windows": 3}, "eval_windows must be left out"),
        (
            {"sampling_rule": "first_frames", "num_frames": 26, "spread_over": 25},
            "spread_over must be at least num_frames=26, got 25",
        ),
        ({"rate_rule": "stride"}, "rate_rule must be left out unless frames_per_second is given"),
        ({"rate_rule": "nearest", "frames_per_second": 5.0}, "rate_rule must be one of time, str"),
        ({"spread_over": None}, "spread_over must be a whole number"),
    ):
        with pytest.raises(ValueError, match=words):
            WindowSampling(**options)


def test_chunks_of_16_frames_do_not_overlap(video):
    sampling = WindowSampling(3, flips=False)
    shown, numbers, windows = streamed(video(70), sampling, frames_per_input=16)
    # Four whole chunks; the last six frames fill none.
    assert shown == [[0, 16, 32], [16, 32, 48]]
    assert numbers == [[8, 24, 40], [24, 40, 56]] and windows.num_frames == 70
    assert streamed(video(16), sampling, 16)[0] == [[0, 0, 0]]
    with pytest.raises(VideoError, match="not enough frames: it has 15, .* reads 16 at a time"):
        streamed(video(15), sampling, 16)


def test_a_segment_is_sampled_as_a_video_of_its_own(video):
    path = video(200)
    for segment in (Segment(50, 85, "frames"), Segment(49.5 / 30, 84.5 / 30)):
        shown, numbers, windows = streamed(path, WindowSampling(30, 15.0), segment=segment)
        assert numbers == released_blocks(35, 2) and windows.num_frames == 35
        assert shown == [[50 + number for number in steps] for steps in numbers]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Windows at another rate than the video's: by the clock, and by time stamps where uneven.

What is expected is written down by hand, or asks for each instant which frame was shown last.
"""

import dataclasses
import json
import pathlib
from fractions import Fraction

import numpy as np
import pytest

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.step_clock import StepClock, uneven_times
from glimpse.pipelines.training_windows import TrainingWindows
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.window_plan import WindowPlan
from tests.numbered_videos import write_encoded, write_video
from tests.synthetic_features import make_numbered_features
from tests.window_places import FrameNumbers, make_clips, planned, streamed, trained

NTSC = {23.976: 24, 24000 / 1001: 24, 29.97: 30, 30000 / 1001: 30, 59.94: 60, 60000 / 1001: 60}


def shown_by_time(num_frames, rate, wanted, count):
    """Every window of a video in exact fractions of a second: frame n begins at n / rate."""
    times = [Fraction(n) / rate for n in range(num_frames)]
    return shown_by_times(times, Fraction(num_frames) / rate, wanted, count)


def shown_by_times(times, end, wanted, count):
    """The same of frames that begin at any times."""

    def window(first, instants):
        return [max(n for n, time in enumerate(times) if time <= t) for t in instants]

    starts = [n for n, time in enumerate(times) if time + Fraction(count) / wanted <= end]
    if not starts:
        instants = [Fraction(k) / wanted for k in range(count) if Fraction(k) / wanted < end]
        found = window(0, instants)
        return [found + [found[-1]] * (count - len(found))]
    return [window(n, [times[n] + Fraction(k) / wanted for k in range(count)]) for n in starts]


HAND = [
    (25, 10.0, [0, 2, 5, 7, 10, 12, 15]),
    (25, 30.0, [0, 0, 1, 2, 3, 4, 5]),
    (50, 30.0, [0, 1, 3, 5, 6, 8, 10]),
    (60, 25.0, [0, 2, 4, 7, 9, 12, 14]),
    (23.976, 15.0, [0, 1, 3, 4, 6, 8, 9]),
    (24000 / 1001, 30.0, [0, 0, 1, 2, 3, 4, 4]),
    (29.97, 30.0, [0, 1, 2, 3, 4, 5, 6]),
    (29.97, 20.0, [0, 1, 3, 4, 6, 7, 9]),
    (30, 15.0, [0, 2, 4, 6, 8, 10, 12]),
    (30, 60.0, [0, 0, 1, 1, 2, 2, 3]),
    (59.94, 30.0, [0, 2, 4, 6, 8, 10, 12]),
    (60000 / 1001, 29.97, [0, 2, 4, 6, 8, 10, 12]),
    (50, 25.0, [0, 2, 4, 6, 8, 10, 12]),
]


@pytest.mark.parametrize(("rate", "wanted", "expected"), HAND)
def test_known_conversions(rate, wanted, expected):
    sampling = WindowSampling(7, wanted)
    found = planned(sampling, 40, rate)
    assert found[0] == expected
    assert found[9] == [9 + step for step in expected]
    assert sorted(steps for _, steps, _ in trained(sampling, [40], rate)) == found


def test_the_conversions_in_the_docs():
    text = (pathlib.Path(__file__).parent.parent / "docs/sampling.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line[2:4].isdecimal()]
    assert len(rows) == 9
    for rate, wanted, steps in rows:
        found = planned(WindowSampling(7, float(wanted)), 40, float(rate))
        assert found[0] == list(map(int, steps.split()))


@pytest.mark.parametrize("rate", [*NTSC, 25, 30, 50, 60, 12.5])
@pytest.mark.parametrize("wanted", [1, 6, 10, 15, 24, 25, 30, 50])
def test_every_window_shows_what_is_on_show(rate, wanted):
    exact = Fraction(NTSC.get(rate, rate))
    for num_frames in (1, 7, 33, 90):
        for count in (1, 8, 30):
            expected = shown_by_time(num_frames, exact, wanted, count)
            sampling = WindowSampling(count, float(wanted))
            assert planned(sampling, num_frames, rate) == expected


def test_whole_ratios_are_the_strides_of_the_released_code():
    for rate, wanted in ((30, 15), (29.97, 10), (59.94, 20), (24, 6), (25, 5), (23.976, 24)):
        for length in (5, 60, 100):
            by_time = planned(WindowSampling(8, float(wanted)), length, rate)
            strides = WindowSampling(8, float(wanted), rate_rule="stride")
            assert by_time == planned(strides, length, rate)
    # Where the division leaves a rest, it is dropped: 12.5 frames a second in place of 10.
    assert planned(WindowSampling(4, 10.0, rate_rule="stride"), 8, 25) == [[0, 2, 4, 6]]
    with pytest.raises(ValueError, match="/0.mp4: frames_per_second is 30.0, but .* only 25"):
        planned(WindowSampling(4, 30.0, rate_rule="stride"), 8, 25)


def test_settings_of_models_from_before_the_rules_give_the_same_windows():
    recorded = json.loads(
        '{"num_frames": 5, "frames_per_second": 7.5, "block_stride": 3, "sampling_rule": "blocks",'
        '"eval_windows": null, "flips": false, "pooling": "average", "attended_frames": null,'
        '"attended_place": "first", "min_video_frames": null, "step_stride": null}'
    )
    sampling = WindowSampling(**recorded)
    assert sampling.rate_rule == "time"
    assert planned(sampling, 24, 15.0) == [[s, s + 2, s + 4, s + 6, s + 8] for s in range(0, 15, 3)]


def test_what_a_low_rate_shows_again_is_counted():
    clips = [*make_clips([6, 40], 25.0), *make_clips([40], 30.0)]
    plan = WindowPlan(clips, WindowSampling(12, 30.0, block_stride=100))
    # 0 0 1 2 3 4 5 5 6 7 8 9: frames 0 and 5 twice. The first clip is too short for a window.
    assert plan.steps[1].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    assert plan.counts["slow_clips"] == 1 and plan.counts["repeated_steps"] == 2
    assert plan.counts["short_clips"] == 1
    assert plan.steps[0].tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 5, 5, 5, 5]


def test_a_window_spans_its_seconds():
    clock = WindowSampling(4, 10.0).clock(20, 25.0)
    starts, ends = WindowSampling(4, 10.0).spans(np.array([[3, 5, 8, 10]]), clock)
    assert (starts.tolist(), ends.tolist()) == ([3.0], [13.0])
    # So its attended frames lie in them, at a rate of their own.
    sampling = WindowSampling(4, 10.0, attended_frames=5)
    assert sampling.attended(starts, ends).tolist() == [[3, 5, 7, 9, 11]]


# Seconds of the frames, in 25ths: three bursts and two waits.
TICKS = (0, 1, 2, 3, 10, 11, 12, 20, 21, 22)
TIMES = tuple(tick / 25 for tick in TICKS)


def test_uneven_frames_by_hand():
    by_fives = WindowSampling(4, 5.0)  # every 5 ticks
    # The last one's instants are 3, 8, 13 and 18; no later window ends by 24.4.
    expected = [[0, 3, 4, 6], [1, 3, 5, 6], [2, 3, 6, 6], [3, 3, 6, 6]]
    assert planned(by_fives, 10, 25.0, TIMES) == expected
    assert sorted(s for _, s, _ in trained(by_fives, [10], 25.0, TIMES)) == expected
    # Five steps would take 25 ticks of 24.4; the sixth instant is after the end.
    assert planned(WindowSampling(5, 5.0), 10, 25.0, TIMES) == [[0, 3, 4, 6, 7]]
    assert planned(WindowSampling(7, 5.0), 10, 25.0, TIMES) == [[0, 3, 4, 6, 7, 7, 7]]
    # Without a rate, and by strides, every step counts alike.
    assert planned(WindowSampling(9), 10, 25.0, TIMES) == [list(range(9)), list(range(1, 10))]
    strides = WindowSampling(5, 12.5, rate_rule="stride")
    assert planned(strides, 10, 25.0, TIMES) == [[0, 2, 4, 6, 8]]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("wanted", [4, 10, 20])
def test_uneven_frames_by_their_stamps(seed, wanted):
    """In evaluation and in training, among clips at an even rate, with the same ends."""
    gaps = np.random.default_rng(seed).choice([1, 1, 2, 5], 40)
    ticks = [0, *np.cumsum(gaps).tolist()]
    times = [Fraction(tick, 20) for tick in ticks]
    end = times[-1] + times[-1] / (len(times) - 1)
    expected = shown_by_times(times, end, wanted, 6)
    sampling = WindowSampling(6, float(wanted))
    clips = make_clips([41], 20.0, tuple(map(float, times))) + make_clips([30, 9], 20.0)
    plan = WindowPlan(clips, sampling)
    assert plan.steps[plan.clip_numbers == 0].tolist() == expected
    windows = TrainingWindows(sampling, plan.clocks)
    found = {0: [], 1: [], 2: []}
    for window in windows.epoch(0, 1).as_numpy_iterator():
        found[int(window["clip"])].append(
            (window["steps"].tolist(), float(window["start"]), float(window["end"]))
        )
    for clip, drawn in found.items():
        rows = plan.clip_numbers == clip
        spans = plan.spans[rows].tolist()
        assert sorted(drawn) == sorted(
            (steps, *span) for steps, span in zip(plan.steps[rows].tolist(), spans, strict=True)
        )
    # A window ends where its time does: so much of the way from one frame to the next.
    for steps, (_, last) in zip(expected, plan.spans[plan.clip_numbers == 0], strict=True):
        instant = times[steps[0]] + Fraction(6, wanted)
        after = next(n for n, time in enumerate([*times, end]) if time >= instant)
        gap = [*times, end][after] - times[after - 1]
        share = (instant - times[after - 1]) / gap
        assert last == pytest.approx(float(after - 1 + share))


def test_random_frames_and_first_frames_of_an_uneven_video():
    # Five instants of a fifth of a second: frames 0, 3, 4, 6 and 7.
    spread = WindowSampling(3, 5.0, sampling_rule="random_frames")
    assert planned(spread, 10, 25.0, TIMES) == [[0, 4, 7]]
    drawn = {tuple(steps) for _, steps, _ in trained(spread, [10], 25.0, TIMES, epochs=60)}
    assert len(drawn) == 10 and {step for steps in drawn for step in steps} == {0, 3, 4, 6, 7}
    first = WindowSampling(3, 5.0, sampling_rule="first_frames", spread_over=6)
    assert planned(first, 10, 25.0, TIMES) == [[0, 4, 7]]
    later = dataclasses.replace(first, spread_over=8)
    assert planned(later, 10, 25.0, TIMES) == [[0, 6, -1]]
    assert trained(later, [10], 25.0, TIMES)[0][1] == [0, 6, -1]
    windows = planned(WindowSampling(2, 5.0, sampling_rule="random_windows"), 10, 25.0, TIMES)
    # Instants 0.2 s apart, of windows that take 10 of 24.4 ticks.
    allowed = [[0, 3], [1, 3], [2, 3], [3, 3], [4, 6], [5, 6], [6, 6]]
    assert len(windows) == 40 and all(steps in allowed for steps in windows)


def test_even_stamps_are_no_table():
    assert uneven_times([0.0], 25) is None
    assert uneven_times(np.arange(500) / 25, 25) is None
    assert uneven_times(np.round(np.arange(5000) * 1001 / 30000, 3), 29.97) is None
    assert uneven_times(np.arange(500) * 1001 / 24000, 24) is None
    assert uneven_times(7 + np.arange(10) / 25, 25) is None
    late = np.arange(500) / 25
    late[400:] += 1 / 25
    assert uneven_times(late, 25) == tuple(late)
    # Frames that follow each other evenly, at another rate than the header's.
    assert len(uneven_times(np.arange(50) / 10, 25)) == 50
    assert uneven_times(7 + np.array(TIMES), 25) == pytest.approx(TIMES)


def test_clocks_refuse_what_they_cannot_run_by():
    for arguments, words in (
        ({"num_steps": 0}, "num_steps must be at least 1"),
        ({"num_steps": 3, "times": [0, 1], "period": 1}, "times must be 3 seconds"),
        ({"num_steps": 3, "times": [0, 2, 1], "period": 1}, "that do not fall"),
        ({"num_steps": 2, "times": [0, np.nan], "period": 1}, "times must be 2 seconds"),
    ):
        with pytest.raises(ValueError, match=words):
            StepClock(**arguments)


SAMPLINGS = [
    WindowSampling(4, 5.0),
    WindowSampling(2, 10.0, block_stride=3),
    WindowSampling(9, 5.0),
    WindowSampling(3, 5.0, eval_windows=2),
    WindowSampling(3, 8.0, sampling_rule="random_windows", eval_windows=5),
    WindowSampling(4, 5.0, sampling_rule="random_frames"),
    WindowSampling(4, 5.0, sampling_rule="first_frames", spread_over=10),
    WindowSampling(4),
    WindowSampling(4, 4.0, rate_rule="stride"),
]


@pytest.fixture(scope="module")
def uneven_file(tmp_path_factory):
    pytest.importorskip("av")
    folder = tmp_path_factory.mktemp("uneven")
    times = [*TICKS, 30, 31]
    path = write_encoded(folder / "clip.mkv", "ffv1", times=times, pixels="bgr0")
    clips = ClipSet("set", ("a",), (Clip("0", str(path), 0, "test"),))
    index = extract_features(clips, FrameNumbers(), folder / "features", "float32", progress=False)
    return path, index


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=range(len(SAMPLINGS)))
def test_an_uneven_file_streams_as_its_features_do(uneven_file, sampling):
    path, index = uneven_file
    assert len(index.entries[0].frame_times) == 12
    windows = FeatureWindows(index, "test", sampling, ("inputs",))
    expected = [windows.frame_numbers(number).tolist() for number in range(windows.num_windows)]
    found = [x[0] for x, _ in windows.in_order(1).as_numpy_iterator()]
    shown = [np.where(x[:, 1] > 0, x[:, 0], -1).astype(int).tolist() for x in found]
    assert shown == expected
    streamed_shown, numbers, reader = streamed(path, sampling)
    assert streamed_shown == numbers == expected and reader.num_frames == 12
    if sampling == SAMPLINGS[0]:
        times = [Fraction(tick, 25) for tick in (*TICKS, 30, 31)]
        assert expected == shown_by_times(times, times[-1] * 12 / 11, 5, 4)
        assert "steps of its windows show the frame of the step before" in reader.warnings[0]


def test_an_uneven_file_is_read_to_its_end(tmp_path):
    pytest.importorskip("av")
    times = [*range(40), *range(60, 100)]
    path = write_encoded(tmp_path / "gap.mkv", "ffv1", times=times, pixels="bgr0")
    shown, _, reader = streamed(path, WindowSampling(2, 5.0, block_stride=50))
    assert shown == [[0, 5], [50, 55]] and reader.num_frames == 80


def test_a_window_at_a_given_time_of_an_uneven_file(uneven_file):
    path, _ = uneven_file
    # At 0.45 s the frame of 0.44 s is on show; then the instants 16 and 21 of 25.
    assert streamed(path, WindowSampling(3, 5.0), start=0.45)[0] == [[5, 6, 8]]
    assert streamed(path, WindowSampling(9, 5.0), start=0.0)[0] == [[0, 3, 4, 6, 7, 9, 10, 10, 10]]
    with pytest.raises(ValueError, match=r"--start=1: a window takes 0.60 s .*; start earlier"):
        streamed(path, WindowSampling(3, 5.0), start=1.0)


@pytest.mark.parametrize(("rate", "wanted"), [(25, 10), (25, 30), (24000 / 1001, 15), (50, 20)])
def test_files_at_even_rates_stream_as_planned(tmp_path, rate, wanted):
    path = write_video(tmp_path / "clip.avi", "FFV1", 30, rate=rate)
    sampling = WindowSampling(5, float(wanted))
    shown, numbers, windows = streamed(path, sampling)
    assert shown == numbers == shown_by_time(30, Fraction(NTSC.get(rate, rate)), wanted, 5)
    assert bool(windows.warnings) == (wanted > rate)
    path = write_video(tmp_path / "short.avi", "FFV1", 6, rate=rate)
    sampling = WindowSampling(20, float(wanted))
    expected = shown_by_time(6, Fraction(NTSC.get(rate, rate)), wanted, 20)
    assert streamed(path, sampling)[0] == expected
    with pytest.raises(VideoError, match="short.avi: frames_per_second is 90.0, but"):
        streamed(path, WindowSampling(5, 90.0, rate_rule="stride"))


def test_attended_frames_follow_the_clock(tmp_path):
    chunks = make_numbered_features(tmp_path / "chunks", {"test": (96,)}, 25.0, 4)
    frames = make_numbered_features(tmp_path / "frames", {"test": (96,)}, 25.0)
    # A chunk every 0.16 s, and a step every 0.4: 2.5 chunks, or ten frames.
    sampling = WindowSampling(3, 2.5, attended_frames=6)
    windows = FeatureWindows(chunks, "test", sampling, ("inputs", "attended"), frames)
    assert windows.frame_numbers(1).tolist() == [1, 3, 6]
    assert windows.attended_numbers(1).tolist() == [4, 9, 14, 19, 24, 29]
    (x, _), *_ = windows.shuffled(1, 0).take(1).as_numpy_iterator()
    first = x["inputs"][0, 0, 1]
    assert x["attended"][0, :, 1].tolist() == [4 * first + 5 * k for k in range(6)]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

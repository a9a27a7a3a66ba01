import numpy as np
import pytest

from glimpse.pipelines.sampling import frame_stride, sample_blocks


def sharma_blocks(f, num_frames, skip):
    """The released protocol, written out frame by frame."""
    blocks = []
    for start in range(max(1, f - num_frames * skip + 1)):
        if f < num_frames * skip:
            block = [n for n in range(0, f, skip)]
            block = (block + [block[-1]] * num_frames)[:num_frames]
        else:
            block = [start + n * skip for n in range(num_frames)]
        blocks.append(block)
    return blocks


@pytest.mark.parametrize("f", [1, 2, 3, 5, 29, 30, 31, 59, 60, 61, 100])
@pytest.mark.parametrize("skip", [1, 2, 3, 5])
@pytest.mark.parametrize("num_frames", [1, 2, 30])
def test_blocks_are_sharmas_frame_by_frame(f, skip, num_frames):
    blocks = sample_blocks(f, num_frames, skip)
    assert blocks.tolist() == sharma_blocks(f, num_frames, skip)
    assert blocks.min() >= 0 and blocks.max() < f


def test_known_blocks():
    assert sample_blocks(32).tolist() == [list(range(s, s + 30)) for s in range(3)]
    assert sample_blocks(7, num_frames=4, frame_stride=2).tolist() == [[0, 2, 4, 6]]
    assert sample_blocks(8, num_frames=4, frame_stride=2).tolist() == [[0, 2, 4, 6]]
    assert sample_blocks(9, num_frames=4, frame_stride=2).tolist() == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert sample_blocks(4, num_frames=4, frame_stride=3).tolist() == [[0, 3, 3, 3]]
    assert sample_blocks(1, num_frames=3).tolist() == [[0, 0, 0]]


def test_block_stride_takes_every_nth_start():
    every = sample_blocks(100, 30, 2)
    assert np.array_equal(sample_blocks(100, 30, 2, block_stride=7), every[::7])
    assert sample_blocks(5, 30, block_stride=9).shape == (1, 30)


@pytest.mark.parametrize(
    "arguments", [(0,), (-3,), (5.0,), (5, 0), (5, 30, 0), (5, 30, 1, 0), (None,), (5, 30, -1)]
)
def test_refuses_what_is_no_count(arguments):
    with pytest.raises(ValueError, match="must be a whole number of at least 1, got"):
        sample_blocks(*arguments)


@pytest.mark.parametrize(
    ("video", "wanted", "stride"),
    [
        (30, 30, 1),
        (29.97, 30, 1),
        (30000 / 1001, 15, 2),
        (24000 / 1001, 6, 4),
        (30, 15, 2),
        (30, 6, 5),
        (30, 1, 30),
        (25, 10, 2),
        (25, 25, 1),
        (60, 25, 2),
        (50, 24.9, 2),
    ],
)
def test_frame_stride_is_the_skip_rule(video, wanted, stride):
    assert frame_stride(video, wanted) == stride


def test_frame_stride_refuses():
    with pytest.raises(ValueError, match=r"frames_per_second is 30, but the video has only 25;"):
        frame_stride(25, 30)
    for rates in [(0, 1), (25, 0), (float("nan"), 5), (25, float("inf"))]:
        with pytest.raises(ValueError, match="must be a finite number above 0"):
            frame_stride(*rates)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

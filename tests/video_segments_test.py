"""Parts of videos: exactly their frames, nothing converted before them, nothing decoded after."""

import numpy as np
import pytest

from glimpse.pipelines import frame_reader
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_reader import VideoReader
from glimpse.pipelines.video_source import open_video
from tests.numbered_videos import frame_number, write_encoded, write_video


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", num_frames=50, rate=12.5)


def numbers(path, segment, **options):
    with open_video(path, segment, **options) as reader:
        found = [frame_number(frame) for frame in reader]
    assert reader.num_frames == len(found) == len(reader.frame_times)
    np.testing.assert_allclose(reader.frame_times, np.array(found) / 12.5, atol=1e-6)
    return found


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        (Segment(3, 7, "frames"), range(3, 7)),
        (Segment(0, 1, "frames"), range(1)),
        (Segment(45, None, "frames"), range(45, 50)),
        (Segment(0, 50, "frames"), range(50)),
        (Segment(0.8, 1.6), range(10, 20)),
        # A frame belongs to the second in which it is shown first: 0.08 s each.
        (Segment(0.81, 1.59), range(11, 20)),
        (Segment(0, 0.01), range(1)),
        (Segment(3.2), range(40, 50)),
        (Segment(3.2, 4.0), range(40, 50)),
    ],
)
def test_the_frames_of_a_segment(path, segment, expected):
    assert numbers(path, segment, strict=True) == list(expected)


def test_variable_rates_are_cut_by_their_times(tmp_path):
    pytest.importorskip("av", reason="PyAV writes variable frame rates")
    times = [0, 1, 2, 10, 11, 40, 41, 42, 43, 80, 120, 121]
    path = write_encoded(tmp_path / "clip.mkv", "libx264", {"bf": "2"}, times=times)
    with VideoReader(path, Segment(0.4, 1.7), strict=True) as reader:
        assert [frame_number(frame) for frame in reader] == [3, 4, 5, 6, 7]
    assert list(reader.frame_times) == pytest.approx([0.4, 0.44, 1.6, 1.64, 1.68])


def test_no_picture_is_made_before_a_segment_and_no_frame_decoded_after_it(path, monkeypatch):
    calls = {"grab": 0, "retrieve": 0}

    class Counting:
        def __init__(self, capture):
            self.capture = capture

        def __getattr__(self, name):
            if name in calls:
                calls[name] += 1
            return getattr(self.capture, name)

    reader = VideoReader(path, Segment(20, 25, "frames"))
    reader._capture = Counting(reader._capture)
    assert [frame_number(frame) for frame in reader] == list(range(20, 25))
    # The first frame was read when the file was opened; the 25th tells that the segment ended.
    assert calls == {"grab": 25, "retrieve": 6}


def test_a_segment_that_ends_after_the_video_says_so(path):
    for segment, last in ((Segment(40, 60, "frames"), 50), (Segment(3.2, 9.0), 50)):
        with open_video(path, segment) as reader:
            assert [frame_number(frame) for frame in reader] == list(range(40, last))
        assert len(reader.warnings) == 1
        assert (
            f"the segment {segment} ends after the video, whose 50 frames end at 4.000 s"
            in (reader.warnings[0])
        )
        assert "10 frames of it were read" in reader.warnings[0]
        with pytest.raises(VideoError, match="ends after the video"):
            numbers(path, segment, strict=True)


def test_a_segment_without_a_frame_is_refused(path):
    for segment in (Segment(50, 60, "frames"), Segment(4.0), Segment(0.081, 0.159)):
        with pytest.raises(VideoError, match=f"no frame lies in the segment {segment}"):
            numbers(path, segment)


def test_damage_after_a_segment_is_not_looked_for(path, monkeypatch):
    monkeypatch.setattr(frame_reader, "missing_bytes", lambda path: 1 / 0)
    assert numbers(path, Segment(0, 5, "frames"), strict=True) == list(range(5))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

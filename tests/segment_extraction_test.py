"""Extraction of clips that are parts of videos, and what indices share and count."""

import dataclasses
import json
import os
import random

import numpy as np
import pytest

from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FeatureIndex
from glimpse.pipelines.frame_clock import FrameClock
from glimpse.pipelines.frame_reader import FrameReader
from glimpse.pipelines.planned_video import plan_videos
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.segment_union import span_of, union_of
from glimpse.pipelines.video_error import VideoError
from tests.bits_backbone import BitsBackbone, numbers_in
from tests.extraction_inputs_test import CHUNK, ChunkBackbone, frames_of
from tests.numbered_videos import write_encoded, write_video

RATE = 10


def clip_set_of(segments, **others):
    """A set of one clip for each (path, segment)."""
    clips = [
        Clip(f"clip {number}", str(path), 0, "train", segment=segment)
        for number, (path, segment) in enumerate(segments)
    ]
    return ClipSet("set", ("a",), tuple(clips), **others)


@pytest.fixture
def video(tmp_path):
    """Eight seconds; frame n shows n and is at n / 10 seconds."""
    return write_video(tmp_path / "video.mp4", num_frames=80, rate=RATE)


@pytest.fixture
def decoded(monkeypatch):
    """The (name, segment) of each video of which the extraction reads frames."""
    found = []

    def reading(self):
        found.append((os.path.basename(self.path), self.segment))
        return real(self)

    real = FrameReader.__iter__
    monkeypatch.setattr(FrameReader, "__iter__", reading)
    return found


def numbers(index):
    return [numbers_in(index.read(clip)) for clip in index.entries]


def test_overlapping_segments_share_their_frames(tmp_path, video, decoded):
    other = write_video(tmp_path / "other.mp4", num_frames=9, first=100, rate=RATE)
    segments = [
        (video, Segment(1, 3)),
        (other, None),
        (video, Segment(2, 4.05)),
        (video, Segment(6, 7)),
        (video, Segment(7, 7.5)),  # touches the one before
        (video, Segment(2.5, 2.8)),  # inside of others
        (video, Segment(1, 3)),
    ]
    backbone = BitsBackbone()
    index = extract_features(
        clip_set_of(segments), backbone, tmp_path / "out", batch_size=1, progress=False
    )
    expected = [
        list(range(10, 30)),
        list(range(100, 109)),
        list(range(20, 41)),
        list(range(60, 70)),
        list(range(70, 75)),
        list(range(25, 28)),
        list(range(10, 30)),
    ]
    assert numbers(index) == expected
    # Frames 10 to 40, 60 to 69, 70 to 74, the other video's, and a black one; each once.
    assert len(backbone.calls) == 31 + 10 + 5 + 9 + 1
    assert decoded == [("video.mp4", Segment(1, 7.5)), ("other.mp4", None)]
    keys = [clip.key for clip in index.entries]
    assert keys[0] == keys[2] == keys[5] == keys[6]
    assert len(set(keys)) == 4
    assert [clip.start for clip in index.entries] == [0, 0, 10, 0, 0, 15, 0]
    assert [clip.frame_times for clip in index.entries] == [None] * 7
    assert FeatureIndex.load(tmp_path / "out") == index
    for clip, shown in zip(index.entries, expected, strict=True):
        assert numbers_in(index.read(clip, 1, 3)) == shown[1:3]
        with pytest.raises(IndexError, match="it has"):
            index.read(clip, 0, clip.num_frames + 1)
    # From the store, without decoding.
    again = extract_features(
        clip_set_of(segments), backbone, tmp_path / "out", batch_size=1, progress=False
    )
    assert again == index and len(backbone.calls) == 56 and len(decoded) == 2


def test_only_the_missing_part_of_a_video_goes_through_the_backbone(tmp_path, video):
    clips = clip_set_of([(video, Segment(0, 1)), (video, Segment(2, 100))])
    backbone = BitsBackbone()
    index = extract_features(clips, backbone, tmp_path / "out", batch_size=1, progress=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out/features").iterdir()}
    for place, frames in ((0, 10), (1, 60)):
        os.unlink(index.path(index.entries[place]))
        calls = len(backbone.calls)
        assert index == extract_features(
            clips, backbone, tmp_path / "out", batch_size=1, progress=False
        )
        assert len(backbone.calls) == calls + frames
        after = {path.name: path.read_bytes() for path in (tmp_path / "out/features").iterdir()}
        assert after == before


def test_segments_in_frames(tmp_path, video):
    segments = [Segment(70, 75, "frames"), Segment(3, 9, "frames"), Segment(8, 20, "frames")]
    index = extract_features(
        clip_set_of([(video, segment) for segment in segments]),
        BitsBackbone(),
        tmp_path / "out",
        progress=False,
    )
    assert numbers(index) == [list(range(70, 75)), list(range(3, 9)), list(range(8, 20))]
    mixed = [Segment(3, 9, "frames"), Segment(0.5, 1)]
    index = extract_features(
        clip_set_of([(video, segment) for segment in mixed]),
        BitsBackbone(),
        tmp_path / "mixed",
        progress=False,
    )
    assert numbers(index) == [list(range(3, 9)), list(range(5, 10))]
    assert len({clip.key for clip in index.entries}) == 1


def test_frames_of_uneven_times_are_found_by_their_times(tmp_path):
    times = [0, 1, 2, 3, 20, 21, 22, 50, 51, 52, 53, 54]
    path = write_encoded(tmp_path / "uneven.mkv", "ffv1", times=times, pixels="bgr0")
    segments = [None, Segment(2 / 25, 21 / 25), Segment(0, 1.5)]
    index = extract_features(
        clip_set_of([(path, segment) for segment in segments]),
        BitsBackbone(),
        tmp_path / "out",
        progress=False,
    )
    assert numbers(index) == [list(range(12)), [2, 3, 4], list(range(7))]
    whole, part, _ = index.entries
    assert np.allclose(whole.frame_times, np.array(times) / 25, atol=2e-3)
    assert np.allclose(part.frame_times, np.array([0, 1, 18]) / 25, atol=2e-3)
    assert FeatureIndex.load(tmp_path / "out").entries == index.entries


def test_frames_are_at_whole_microseconds():
    """Whatever the last bits of the difference of two stamps: 0.32 - 0.28 is below 0.04."""
    clock = FrameClock(25.0)
    assert [clock((n + 7) / 25) for n in range(200)] == [round(n / 25, 6) for n in range(200)]


def test_a_frame_is_in_the_segment_that_begins_with_it(tmp_path):
    path = write_encoded(tmp_path / "v.mkv", "ffv1", times=list(range(100)), pixels="bgr0")
    segments = [Segment(round(n / 25, 2), round((n + 1) / 25, 2)) for n in range(100)]
    index = extract_features(
        clip_set_of([(path, segment) for segment in segments]),
        BitsBackbone(),
        tmp_path / "out",
        progress=False,
    )
    assert numbers(index) == [[number] for number in range(100)]


def test_chunks_begin_at_each_clip(tmp_path, video, decoded):
    segments = [Segment(1, 3), Segment(2.1, 3.5), Segment(1, 3), None]
    backbone = ChunkBackbone()
    index = extract_features(
        clip_set_of([(video, segment) for segment in segments]),
        backbone,
        tmp_path / "out",
        batch_size=CHUNK,
        progress=False,
    )
    starts = [(10, 5), (21, 3), (10, 5), (0, 20)]
    for clip, (first, steps) in zip(index.entries, starts, strict=True):
        expected = first + np.arange(steps * CHUNK).reshape((-1, CHUNK))
        assert frames_of(index.read(clip)) == expected.tolist()
        assert clip.frames_per_second == pytest.approx(RATE / CHUNK) and clip.start == 0
    assert [clip.video_frames for clip in index.entries] == [20, 14, 20, 80]
    assert index.dropped_frames == 2
    assert len({clip.key for clip in index.entries}) == 3
    assert len(decoded) == 1 and len(backbone.calls) == 5 + 3 + 20 + 1


def test_a_clip_outside_of_its_video_fails_alone(tmp_path, video):
    segments = [Segment(1, 3), Segment(7, 20), Segment(9, 10), Segment(2, 4)]
    clips = clip_set_of([(video, segment) for segment in segments])
    with pytest.raises(VideoError, match="1 of 4 clips could not be decoded"):
        extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False)
    for options in ({"on_error": "report"}, {"allow_missing": 1}):
        index = extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False, **options)
        assert numbers(index) == [list(range(10, 30)), list(range(70, 80)), list(range(20, 40))]
        (failure,) = index.failed
        assert (failure["clip_id"], failure["path"]) == ("clip 2", str(video))
        assert "no frame lies in the segment 9 to 10 seconds" in failure["reason"]


def test_a_segment_that_is_cut_short_is_warned_of(tmp_path, video):
    clips = clip_set_of([(video, Segment(1, 3)), (video, Segment(7, 20))])
    for _ in range(2):  # the second time from the store
        index = extract_features(clips, BitsBackbone(), tmp_path / "out", progress=False)
        (warning,) = index.warnings
        assert warning["path"] == str(video) and "ends after the video" in warning["reason"]


def test_missing_clips_are_counted_and_bounded(tmp_path, video):
    gone = {"clip_id": "gone", "path": "gone.mp4", "split": "test", "label": 0}
    gone["reason"] = "no such file"
    clips = clip_set_of(
        [(video, None), (tmp_path / "none.mp4", None)],
        missing=(gone,), left_out={"empty segments": 3}, protocol="activitynet", split_name="v",
    )  # fmt: skip
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"1 clips of the data set set are missing.*gone"):
        extract_features(clips, BitsBackbone(), out, progress=False)
    assert not out.exists()
    with pytest.raises(VideoError, match="1 of 2 clips could not be decoded"):
        extract_features(clips, BitsBackbone(), out, progress=False, allow_missing=1)
    index = extract_features(
        clips, BitsBackbone(), out, progress=False, allow_missing=2, manifest_sha256="0a"
    )
    assert index.expected_in == {"train": 2, "test": 1}
    assert index.seen_in == {"train": 1, "test": 0}
    assert (index.missing, index.left_out) == ((gone,), {"empty segments": 3})
    assert (index.protocol, index.split_name, index.manifest_sha256) == ("activitynet", "v", "0a")
    assert FeatureIndex.load(out) == index
    assert json.loads((out / "index.json").read_text())["counts"]["missing"] == 1


def test_indices_share_a_cache(tmp_path, video, decoded):
    cache = tmp_path / "cache"
    clips = clip_set_of([(video, None)])
    indices = [
        extract_features(clips, BitsBackbone(), tmp_path / name, progress=False, cache=cache)
        for name in ("one", "two")
    ]
    assert len(decoded) == 1
    assert [index.cache for index in indices] == [str(cache)] * 2
    assert os.listdir(tmp_path / "two") == ["index.json"]
    assert numbers(FeatureIndex.load(tmp_path / "two")) == [list(range(80))]
    inside = extract_features(
        clips, BitsBackbone(), tmp_path, progress=False, cache=tmp_path / "cache"
    )
    assert inside.cache == "cache" and len(decoded) == 1
    # An index whose cache is inside goes wherever its folder goes.
    (tmp_path / "moved").mkdir()
    for name in ("index.json", "cache"):
        os.rename(tmp_path / name, tmp_path / "moved" / name)
    assert numbers(FeatureIndex.load(tmp_path / "moved")) == [list(range(80))]


@pytest.mark.parametrize("backbone", [BitsBackbone, ChunkBackbone])
def test_the_features_of_black_are_stored(tmp_path, video, backbone):
    index = extract_features(clip_set_of([(video, None)]), backbone(), tmp_path, progress=False)
    black = index.store.read(index.black_key)
    assert black.shape == (1, *index.feature_shape) and not black.any()
    other = write_video(tmp_path / "other.mp4", num_frames=8, height=96)
    again = extract_features(clip_set_of([(other, None)]), backbone(), tmp_path, progress=False)
    assert again.black_key != index.black_key
    assert index.black_key not in {clip.key for clip in index.entries}


def test_each_frame_of_a_segment_is_in_one_part():
    drawn = random.Random(0)
    for _ in range(200):
        segments = []
        for _ in range(drawn.randint(1, 6)):
            start = drawn.randrange(40)
            end = drawn.choice([None, start + drawn.randint(1, 15)])
            segments.append(Segment(start, end if drawn.random() < 0.2 or end else 60, "frames"))
        parts, span = union_of(segments), span_of(segments)

        def lies_in(frame, segment):
            whole = segment is None
            return whole or (
                segment.start <= frame and (segment.end is None or frame < segment.end)
            )

        for frame in range(70):
            wanted = any(lies_in(frame, segment) for segment in segments)
            assert sum(lies_in(frame, part) for part in parts) == wanted
            assert lies_in(frame, span) or not wanted
        clips = [Clip(str(n), "v", 0, "train", segment=s) for n, s in enumerate(segments)]
        (video,) = plan_videos(clips)
        for number, place, segment in video.clips:
            part = video.parts[place]
            assert segment == (None if clips[number].segment == Segment(0) else segment)
            assert all(
                lies_in(frame, part) for frame in range(70) if lies_in(frame, clips[number].segment)
            )


def test_segments_have_names_with_all_their_digits():
    one, other = Segment(1234.5671, 1300), Segment(1234.5672, 1300)
    assert str(one) == "1234.5671 to 1300 seconds" != str(other)
    assert str(dataclasses.replace(one, start=1234.0, end=None)) == "1234 to the end seconds"


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

import threading
import time

import cv2
import numpy as np
import pytest

from glimpse.pipelines import decoded_clips
from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.image_folder_reader import ImageFolderReader
from glimpse.pipelines.segment import Segment
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_source import open_video

_SHAPE = (48, 64, 3)


def _picture(number):
    return np.full(_SHAPE, 2 * number, np.uint8)


def _write_video(path, num_frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, _SHAPE[1::-1])
    for number in range(num_frames):
        writer.write(_picture(number))
    writer.release()
    return path


def _decoded(path):
    with open_video(path) as reader:
        return np.stack(list(reader))


@pytest.fixture(name="video")
def _video(tmp_path):
    return _write_video(tmp_path / "video.avi", 50)


def test_chunks_hold_the_frames_of_the_segments_and_keep_them(video):
    segments = [Segment(3, 5, "frames"), Segment(7, 30, "frames"), Segment(31, 32, "frames")]
    with DecodedClips([video], segments_of=lambda job: segments) as decoded:
        # All are held until the last is there: none is overwritten by those after it.
        kept = [chunk for _, chunks in decoded for chunk in chunks]
    assert [list(chunk.numbers) for chunk in kept] == [
        [3, 4], list(range(7, 23)), list(range(23, 30)), [31],
    ]  # fmt: skip
    frames = _decoded(video)
    for chunk in kept:
        np.testing.assert_array_equal(chunk.frames, frames[chunk.numbers])
        np.testing.assert_allclose(chunk.times, chunk.numbers / 25, atol=1e-3)


def test_readers_that_write_elsewhere_are_copied(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(20):
        cv2.imwrite(str(folder / f"{number:03}.png"), _picture(number))
    with DecodedClips([folder]) as decoded:
        kept = [chunk.frames for _, chunks in decoded for chunk in chunks]
    assert [len(frames) for frames in kept] == [16, 4]
    with ImageFolderReader(folder) as reader:
        np.testing.assert_array_equal(np.concatenate(kept), np.stack(list(reader)))


def test_large_frames_come_in_smaller_chunks(video, monkeypatch):
    monkeypatch.setattr(decoded_clips, "_CHUNK_BYTES", 2 * 48 * 64 * 3 + 1)
    with DecodedClips([video]) as decoded:
        lengths = [len(chunk.frames) for _, chunks in decoded for chunk in chunks]
    assert lengths == [3] * 16 + [2]


def test_videos_in_order_with_their_facts_or_errors(tmp_path, video):
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"RIFF" + bytes(100))
    counts, outcomes = [], []
    with DecodedClips([video, broken, video], threads=2) as decoded:
        for job, chunks in decoded:
            counts.append((job, sum(len(chunk.frames) for chunk in chunks)))
            outcomes.append((chunks.facts, chunks.error))
    assert counts == [(video, 50), (broken, 0), (video, 50)]
    assert outcomes[0][0].last_number == 49 and outcomes[0][1] is None
    assert outcomes[1][0] is None and isinstance(outcomes[1][1], VideoError)


@pytest.mark.parametrize("limit", [{"_FRAMES_AHEAD": 32}, {"_BYTES_AHEAD": 32 * 48 * 64 * 3}])
def test_decoding_waits_when_it_is_ahead(tmp_path, monkeypatch, limit):
    path = _write_video(tmp_path / "long.avi", 120)
    for name, value in limit.items():
        monkeypatch.setattr(decoded_clips, name, value)
    taken = []
    original = decoded_clips._OpenChunk.take

    def take(chunk):
        taken.append(threading.current_thread().name)
        return original(chunk)

    monkeypatch.setattr(decoded_clips._OpenChunk, "take", take)
    with DecodedClips([path]) as decoded:
        for _, chunks in decoded:
            deadline = time.monotonic() + 5
            while len(taken) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.2)
            assert len(taken) == 3  # two wait to be used, the third for its place
            assert sum(len(chunk.frames) for chunk in chunks) == 120

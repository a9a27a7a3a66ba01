"""When the video of a Matroska file ends, and that longer sound is not taken for damage."""

import numpy as np
import pytest

from glimpse.pipelines.matroska_duration import stated_video_end
from glimpse.pipelines.video_reader import VideoReader
from tests.numbered_videos import frame_number, numbered_frame, write_video


def warnings_of(path):
    with VideoReader(path) as opened:
        return [frame_number(frame) for frame in opened], opened.warnings


def write_with_sound(path, num_frames=50, seconds=6.0, first=0):
    av = pytest.importorskip("av", reason="PyAV writes sound")
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=25)
        video.height, video.width, video.pix_fmt = 48, 64, "yuv420p"
        sound = container.add_stream("libopus", rate=48000) if seconds else None
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number), format="rgb24")
            frame.pts = first + number
            container.mux(video.encode(frame.reformat(format="yuv420p")))
        container.mux(video.encode(None))
        for start in range(0, int(seconds * 48000), 960):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), "int16"), "s16", "stereo")
            frame.sample_rate, frame.pts = 48000, start
            container.mux(sound.encode(frame))
        if sound:
            container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize("first", [0, 250])
@pytest.mark.parametrize("seconds", [0, 20.0])
def test_sound_that_ends_later_and_video_that_begins_later(tmp_path, suffix, first, seconds):
    path = write_with_sound(tmp_path / f"clip{suffix}", seconds=seconds, first=first)
    end = first / 25 + 2.0
    assert stated_video_end(path) == pytest.approx(end, abs=0.002)
    assert warnings_of(path) == (list(range(50)), [])
    content = path.read_bytes()
    # Without its own duration, the video's end is told by the file's if there is no sound.
    path.write_bytes(content.replace(b"DURATION", b"duration"))
    expected = None if seconds else pytest.approx(end, abs=0.002)
    assert stated_video_end(path) == expected
    assert warnings_of(path) == (list(range(50)), [])
    # A video that ends a good deal before its own stated end lost something.
    for text in (b"00:00:02.", b"00:00:12."):
        content = content.replace(text, b"00:00:39.")
    path.write_bytes(content)
    assert "its header says 39." in warnings_of(path)[1][0]


def test_a_matroska_header_that_is_cut_anywhere(tmp_path):
    path = write_with_sound(tmp_path / "clip.mkv", num_frames=3, seconds=0)
    content = path.read_bytes()
    for length in [*range(4, 700, 7), 2000]:
        path.write_bytes(content[:length])
        assert stated_video_end(path) in (None, pytest.approx(0.12))
    path.write_bytes(content[:300] + np.random.default_rng(0).bytes(2000))
    assert stated_video_end(path) is None
    path.write_bytes(write_video(tmp_path / "clip.mp4").read_bytes())
    assert stated_video_end(path) is None


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

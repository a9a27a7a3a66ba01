"""Overlay videos show every frame at the video's rate, and are whole or absent."""

import cv2
import numpy as np
import pytest

from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.overlay_video import write_overlay_video


def make_gaze(indices=(2, 4, 8), size=(28, 36), **changes):
    frames = np.empty((len(indices), *size, 3), np.uint8)
    frames[:] = (20 * np.asarray(indices))[:, None, None, None]
    attention = np.full((len(indices), 4, 6), 0.2 / 23)
    for number in range(len(indices)):
        attention[number, 1, number] = 0.8
    fields = {
        "frames": frames,
        "frame_indices": np.array(indices),
        "frames_per_second": 12.5,
        "attention": attention,
        "step_probabilities": np.tile([0.25, 0.75], (len(indices), 1)),
        "probabilities": np.array([0.25, 0.75]),
        "label_names": ("bow", "squat"),
    }
    return Gaze(**(fields | changes))


def read_video(path):
    reader = cv2.VideoCapture(str(path))
    rate, pictures = reader.get(cv2.CAP_PROP_FPS), []
    while True:
        ok, picture = reader.read()
        if not ok:
            return rate, np.stack(pictures)
        pictures.append(picture[..., ::-1])


def test_every_video_frame_is_shown_at_the_video_rate(tmp_path):
    path = tmp_path / "gaze.mp4"
    video = np.empty((12, 28, 36, 3), np.uint8)
    video[:] = (20 * np.arange(12))[:, None, None, None]
    write_overlay_video(make_gaze(), path, iter(video), boxes=False)
    rate, pictures = read_video(path)
    assert rate == pytest.approx(12.5) and len(pictures) == 7
    assert pictures.shape[1] > 448 and pictures.shape[2] >= 2 * 448
    left = pictures[:, 100:300, 100:300].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(left, 20 * np.arange(2, 9), atol=6)
    assert [file.name for file in tmp_path.iterdir()] == ["gaze.mp4"]


def test_maps_are_held_until_the_next_attended_frame(tmp_path):
    path = tmp_path / "gaze.mp4"
    gaze = make_gaze(frames=np.full((3, 28, 36, 3), 128, np.uint8))
    write_overlay_video(gaze, path, style="dim", boxes=False)
    _, pictures = read_video(path)
    width = 36 * 16
    overlays = pictures[:, : 28 * 16, width + 8 : 2 * width + 8].astype(float).mean(axis=-1)
    brightest = [picture.mean(axis=0).argmax() * 6 // width for picture in overlays]
    assert brightest == [0, 0, 1, 1, 1, 1, 2]


def test_padded_clips_and_boxes_off_the_frame_are_drawn(tmp_path):
    boxes = np.array([[2.0, 3, 12, 20], [40, 3, 60, 20], [5, 5, 5, 5], [-9, -9, -1, -1]])
    attention = np.array(make_gaze((0, 1, 3, 3)).attention)
    attention[1] = 0.0
    names = {"model_name": "m\n" * 90, "label_names": ("x" * 300, "ß — 日")}
    gaze = make_gaze((0, 1, 3, 3), boxes=boxes, attention=attention, **names)
    write_overlay_video(gaze, tmp_path / "gaze.mp4")
    assert len(read_video(tmp_path / "gaze.mp4")[1]) == 4


class FailingWriter:
    """Stands for OpenCV's writer; `opened` tells whether it even opens."""

    opened = True

    def __init__(self, path, *arguments):
        if self.opened:
            with open(path, "wb") as file:
                file.write(b"half a header")

    def isOpened(self):
        return self.opened

    def write(self, picture):
        pass

    def release(self):
        pass


@pytest.mark.parametrize(("opened", "message"), [(False, "mp4v"), (True, "0 of 7 frames")])
def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch, opened, message):
    path = tmp_path / "gaze.mp4"
    path.write_bytes(b"old")
    monkeypatch.setattr(FailingWriter, "opened", opened)
    monkeypatch.setattr(cv2, "VideoWriter", FailingWriter)
    monkeypatch.setattr(cv2, "VideoWriter_fourcc", lambda *letters: 0, raising=False)
    with pytest.raises(OSError, match=message):
        write_overlay_video(make_gaze(), path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_bad_arguments_are_named(tmp_path):
    gaze = make_gaze()
    with pytest.raises(ValueError, match="path must end in .mp4"):
        write_overlay_video(gaze, tmp_path / "gaze.avi")
    with pytest.raises(ValueError, match="5 frames, but frame_indices reach 8"):
        write_overlay_video(gaze, tmp_path / "gaze.mp4", np.zeros((5, 28, 36, 3), np.uint8))
    with pytest.raises(ValueError, match=r"frame 0 is uint8 of shape \(9, 9, 3\)"):
        write_overlay_video(gaze, tmp_path / "gaze.mp4", np.zeros((9, 9, 9, 3), np.uint8))
    assert not list(tmp_path.iterdir())


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

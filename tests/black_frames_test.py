"""Black frames that fill a short clip's window are read by the model, and measured by nothing."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from glimpse.models.step_classifier import StepClassifier
from glimpse.pipelines.attention_measurement import AttentionMeasurement
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.video_windows import read_frames
from tests.colour_answerer import make_answerer, make_truth
from tests.numbered_videos import frame_number, write_video
from tests.synthetic_features import make_numbered_features

# Of 8 frames in 4 parts: 0, 2, 4 and 6.
SAMPLING = WindowSampling(4, sampling_rule="first_frames", spread_over=8)


@pytest.fixture
def index(tmp_path):
    index = make_numbered_features(
        tmp_path, {"test": (8, 3)}, shape=(2, 3, 3), labels=[0, 1], offset=1
    )
    index.store.write("black", np.full((1, 2, 3, 3), -1, "float32"))
    return dataclasses.replace(index, black_key="black")


class Teller(StepClassifier):
    """Says class 0 of a clip's frames, and class 1 of black ones."""

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        pass

    def call(self, features, mask=None, training=None, attention_override=None):
        is_black = ops.cast(features[:, :, 0, 0, 1] < 0, "int32")
        return self.answer(20.0 * ops.one_hot(is_black, 3), None, None)


def test_steps_that_are_black_do_not_count(index):
    results = evaluate(Teller(3), index, "test", SAMPLING, progress=False)
    # Four frames of class 0 are told rightly; of class 1 there are two frames, wrongly taken for 0,
    # and two black ones, for 1.
    assert results["step_accuracy"] == 4 / 6
    assert results["sampling_counts"]["black_steps"] == 2
    assert results["sampling_counts"]["black_clips"] == 1


def test_attention_is_measured_on_the_clips_own_frames(index):
    windows = FeatureWindows(index, "test", SAMPLING)
    boxes = np.tile([0.0, 0.0, 1.0, 1.0], (8, 1)).tolist()
    truth = {
        "test_0": make_truth(boxes, (2, 3)),
        # The last frame's box is elsewhere: no black frame may be compared with it.
        "test_1": make_truth([*boxes[:2], [2.0, 1.0, 3.0, 2.0]], (2, 3)),
    }
    measurement = AttentionMeasurement(windows, truth)
    attention = np.zeros((2, 4, 2, 3), "float32")
    attention[:, :, 0, 0] = 1
    # Frames 0 and 2 of the second clip, and two black ones.
    measurement.add(0, {"attention_weights": attention})
    found = measurement.localisation
    assert found["mass"] == pytest.approx((1 + 0.5) / 2)
    assert found["pointing"] == pytest.approx((1 + 0.5) / 2)


def test_a_gaze_shows_the_videos_frames(tmp_path):
    path = write_video(tmp_path / "short.avi", "FFV1", 5)
    answerer = make_answerer(num_frames=4)
    answerer.sampling = SAMPLING
    boxes = [[float(n), 0.0, n + 1.0, 1.0] for n in range(5)]
    window = answerer.window(path)
    assert window.frame_indices.tolist() == [0, 2, 4, -1]
    assert [frame_number(frame) for frame in window.frames[:3]] == [0, 2, 4]
    assert window.frames[3].max() == 0
    black = np.asarray(answerer.backbone.backbone(window.frames[3:]))
    np.testing.assert_allclose(window.features[3:], black)
    gaze = answerer.gaze(path, make_truth(boxes, (48, 64)))
    assert gaze.frame_indices.tolist() == [0, 2, 4] and len(gaze.frames) == 3
    assert gaze.attention.shape[0] == gaze.step_probabilities.shape[0] == 3
    assert gaze.boxes[:, 0].tolist() == [0.0, 2.0, 4.0]


def test_black_frames_by_number(tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", 5)
    frames = read_frames(path, [-1, 3, -1])
    assert frames[::2].max() == 0 and frame_number(frames[1]) == 3
    assert read_frames(path, [-1]).shape == (1, 48, 64, 3)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

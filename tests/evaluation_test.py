"""Evaluation against answers worked out by hand, and the checks before it."""

import functools

import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models.step_classifier import StepClassifier
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from tests.synthetic_features import LABEL_NAMES, SHAPE, make_features, spoil_stored

SAMPLING = WindowSampling(num_frames=4)
SIZE = (20, 30)


class Reader(StepClassifier):
    """Reads the label from the marked region, and errs from a given frame of the clip on.

    Attends to the marked region alone.
    """

    def __init__(self, errs_from=100, **kwargs):
        super().__init__(3, **kwargs)
        self.errs_from = errs_from

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        pass

    def call(self, features, mask=None, training=None, attention_override=None):
        marked = features[..., 3]
        label = ops.sum(features[..., 2] * marked, axis=(2, 3)) + 1
        frame = 64 * features[:, :, 0, 0, 1]
        label = ops.where(frame >= self.errs_from, (label + 1) % 3, label)
        return self.answer(20.0 * ops.one_hot(ops.cast(label, "int32"), 3), mask, marked)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    return make_features(tmp_path_factory.mktemp("features"))


def truth_of(index):
    """The actor stands in the marked region; one other figure in the region before it."""
    truth = {}
    for clip in index.entries:
        features = index.read(clip)
        region = int(np.flatnonzero(features[0, ..., 3])[0])
        boxes = {}
        for role, place in (("actor", region), ("distractor", (region - 1) % 6)):
            row, column = divmod(place, 3)
            box = [10 * column, 10 * row, 10 * column + 10, 10 * row + 10]
            boxes[role] = [box] * clip.num_frames
        figures = [{"role": role, "boxes": each} for role, each in boxes.items()]
        truth[clip.clip_id] = {"frame_size": SIZE, "figures": figures}
    return truth


def test_a_perfect_reader_is_perfect_and_looks_at_the_actor(index):
    results = evaluate(Reader(), index, "test", SAMPLING, truth_of(index), progress=False)
    assert results["window_accuracy"] == results["video_accuracy"] == 1.0
    assert results["mean_average_precision"] == 1.0
    assert results["per_class"] == dict.fromkeys(LABEL_NAMES, 1.0)
    gaze = results["localisation"]
    assert gaze["mass"] == pytest.approx(1.0) and gaze["pointing"] == 1.0
    assert gaze["uniform"] == pytest.approx(1 / 6)
    assert gaze["distractor_mass"] == 0 and gaze["distractor_uniform"] == pytest.approx(1 / 6)
    assert gaze["mass_over_uniform"] == pytest.approx(6.0)


def test_windows_and_videos_are_counted_apart(index):
    """With errors from frame 6 on, a window is right if at most half of its frames are late."""
    results = evaluate(Reader(6), index, "test", SAMPLING, progress=False)
    right, videos_right, windows = 0, 0, 0
    for clip in index.clips("test"):
        starts = np.arange(clip.num_frames - 4 + 1)
        good = np.array([sum(frame < 6 for frame in range(s, s + 4)) for s in starts])
        # The step probabilities are 0 or 1 up to 1e-8; equal halves go to the smaller label.
        label, wrong = clip.label, (clip.label + 1) % 3
        right += np.sum((good > 2) | ((good == 2) & (label < wrong)))
        windows += len(starts)
        share = good.mean() / 4
        videos_right += share > 0.5
    assert results["window_accuracy"] == pytest.approx(right / windows)
    assert results["video_accuracy"] == pytest.approx(videos_right / 6)
    assert 0 < results["window_accuracy"] < 1


def test_the_stamp_says_what_was_measured(index):
    stamp = evaluate(Reader(), index, "val", SAMPLING, rule="majority", progress=False)["stamp"]
    assert stamp["seen"] == {"val": 6} and stamp["expected"] == {"train": 12, "val": 6, "test": 6}
    assert stamp["failed"] == stamp["missing"] == 0
    assert stamp["sampling"]["num_frames"] == 4
    assert "majority over the windows" in stamp["pooling"]
    assert stamp["split_hash"] == index.split_hash


def test_a_model_without_a_gaze_has_no_localisation(index):
    model = glimpse.create_model("softmax_regression", 3, label_names=LABEL_NAMES)
    model.build((None, 4, *SHAPE))
    results = evaluate(model, index, "test", SAMPLING, truth_of(index), progress=False)
    assert results["localisation"] is None
    assert len(results["clips"]) == 6


@pytest.mark.parametrize("place", ["features", "weights"])
def test_answers_that_are_not_numbers_are_traced_to_features_or_weights(
    tmp_path, monkeypatch, place
):
    index = make_features(tmp_path, counts=(3, 3, 3))
    model = glimpse.create_model("softmax_regression", 3, label_names=LABEL_NAMES)
    model.build((None, 4, *SHAPE))
    words = "^The model answers NaN for /videos/test_0.mp4, whose features are finite"
    if place == "weights":
        model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    else:
        words = f"^The features of /videos/test_1.mp4 in {tmp_path} hold NaN"
        spoil_stored(index, index.clips("test")[1].key, 0, np.nan)
        # As with a split that is too large to be held.
        windows = functools.partial(FeatureWindows, memory_bytes=0)
        monkeypatch.setattr("glimpse.pipelines.evaluation.FeatureWindows", windows)
    with pytest.raises(ValueError, match=words):
        evaluate(model, index, "test", SAMPLING, progress=False)


def test_models_of_other_classes_or_features_are_refused(index):
    other = glimpse.create_model("softmax_regression", 3, label_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="a, b, c.*left, right, still"):
        evaluate(other, index, "test", SAMPLING)
    model = glimpse.create_model("softmax_regression", 3, label_names=LABEL_NAMES)
    model.build((None, 4, 7, 7, 64))
    with pytest.raises(ValueError, match=r"\(7, 7, 64\).*\(2, 3, 4\)"):
        evaluate(model, index, "test", SAMPLING)


def test_keras_counts_the_same_accuracy(index):
    """Keras's own metric over the same windows."""
    from glimpse.pipelines.feature_windows import FeatureWindows

    model = Reader(6)
    model.compile(run_eagerly=True)
    windows = FeatureWindows(index, "test", SAMPLING).in_order(4)
    accuracy = model.evaluate(windows, verbose=0, return_dict=True)["accuracy"]
    ours = evaluate(Reader(6), index, "test", SAMPLING, progress=False)["window_accuracy"]
    assert accuracy == pytest.approx(ours, abs=1e-6)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Evaluation of models of every input, of clips with several labels, and of temporal attention."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from glimpse.models.step_classifier import StepClassifier
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.highlighting import MEASURES
from glimpse.pipelines.ranking import average_precision
from tests.highlighting_references import loops_score
from tests.synthetic_features import LABEL_NAMES, make_features, make_numbered_features

LENGTHS = {"test": (160, 96, 200, 130, 170)}
SAMPLING = WindowSampling(4, sampling_rule="random_windows", eval_windows=3, attended_frames=8)


class Numbers(StepClassifier):
    """Answers from the clip's number, and attends most to the frames that lie next to `loved`."""

    input_names = ("inputs", "attended")

    def __init__(self, loved=50.0, **kwargs):
        super().__init__(3, **kwargs)
        self.loved = loved

    def build(self, inputs_shape, mask_shape=None, attention_override_shape=None):
        pass

    def call(self, inputs, mask=None, training=None, attention_override=None):
        inputs, attended = inputs["inputs"], inputs["attended"]
        # Right but for clip 3, and of each window's steps all but the first.
        label = inputs[..., 0] % 3 + ops.cast(inputs[..., 0] == 3, "float32")
        label = label + ops.cast(ops.arange(4) == 0, "float32")
        logits = 4.0 * ops.one_hot(ops.cast(label % 3, "int32"), 3) + inputs[..., 1:2] / 100
        weights = ops.softmax(-ops.abs(attended[..., 1] - self.loved) / 9.0)
        return self.answer(logits, None, ops.repeat(weights[:, None], 4, axis=1))


class Vectors(Numbers):
    """Probabilities that follow the clip's number in another order a class."""

    input_names = ("inputs",)

    def call(self, inputs, mask=None, training=None, attention_override=None):
        clip = inputs[..., 0]
        logits = ops.stack([clip, 2.5 - clip, ops.sin(7.0 * clip)], axis=-1)
        return self.answer(logits, mask)


@pytest.fixture(scope="module")
def indices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("numbered")
    return tuple(
        make_numbered_features(folder / name, LENGTHS, 25.0, size, flips=True)
        for name, size in (("chunks", 16), ("frames", 1))
    )


def truth_of(index):
    """Clip 1 is idle, clip 2's action takes it all, the others' takes frames 40 to 70."""
    intervals = [(40, 70), (0, 0), (0, 200), (40, 70), (40, 70)]
    return {
        clip.clip_id: {"action_interval": list(interval)}
        for clip, interval in zip(index.entries, intervals, strict=True)
    }


def test_two_sources_and_the_highlighted_frames(indices):
    chunks, frames = indices
    results = evaluate(
        Numbers(), chunks, "test", SAMPLING, truth_of(chunks), progress=False,
        attended_index=frames,
    )  # fmt: skip
    windows = FeatureWindows(chunks, "test", SAMPLING, Numbers.input_names, frames)
    expected = {}
    for clip in (0, 3, 4):
        weights = {}
        for window in np.flatnonzero(windows.window_clips == clip):
            numbers = windows.attended_numbers(window)
            scores = np.exp(-np.abs(numbers - 50.0) / 9.0)
            for number, weight in zip(numbers, scores / scores.sum(), strict=True):
                weights.setdefault(int(number), []).append(weight)
        shown = sorted(weights)
        expected[clip] = loops_score(shown, [np.mean(weights[n]) for n in shown], (40, 70))
    found = results["highlighting"]
    for name in MEASURES:
        mean = np.mean([each[name] for each in expected.values()])
        assert found[name] == pytest.approx(mean, rel=1e-4)
    assert found["videos"] == 3
    assert found["left_out"] == {"no interval": 1, "all or none of the frames inside": 1}
    assert found["per_class"][LABEL_NAMES[0]]["videos"] == 2
    assert found["average_precision"] > found["base_rate"] + 0.2
    assert results["localisation"] is None
    assert results["stamp"]["attended"]["attended"]["backbone"] == "none"
    assert results["stamp"]["seed"] == 0 and results["stamp"]["sampling"]["eval_windows"] == 3


def test_steps_windows_and_videos_are_counted_apart(indices):
    chunks, frames = indices
    results = evaluate(Numbers(), chunks, "test", SAMPLING, progress=False, attended_index=frames)
    assert results["video_accuracy"] == pytest.approx(4 / 5)
    assert results["window_accuracy"] == pytest.approx(12 / 15)
    # Three of four steps, but in clip 3 the first one alone... which comes out as class 2.
    assert results["step_accuracy"] == pytest.approx(12 * 3 / 4 / 15)
    assert results["highlighting"] is None and results["left_out"] == []
    assert results["per_class"] == {"left": 0.5, "right": 1.0, "still": 1.0}


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_the_batch_size_changes_nothing(indices, batch_size):
    chunks, frames = indices
    sampling = dataclasses.replace(SAMPLING, flips=True)
    both = [
        evaluate(
            Numbers(), chunks, "test", sampling, truth_of(chunks), batch_size=size, progress=False,
            attended_index=frames,
        )
        for size in (batch_size, 30)
    ]  # fmt: skip
    for name in ("step_accuracy", "window_accuracy", "video_accuracy", "per_class"):
        assert both[0][name] == both[1][name]
    assert both[0]["mean_average_precision"] == both[1]["mean_average_precision"]
    for name in MEASURES:
        assert both[0]["highlighting"][name] == pytest.approx(both[1]["highlighting"][name], 1e-6)
    for one, other in zip(both[0]["clips"], both[1]["clips"], strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], rel=1e-6)
    assert both[0]["stamp"]["sampling"]["windows"] == 30


def test_a_video_is_the_mean_of_its_windows_and_their_mirrored_copies(indices):
    chunks, frames = indices
    sampling = dataclasses.replace(SAMPLING, flips=True)
    windows = FeatureWindows(chunks, "test", sampling, Numbers.input_names, frames)
    expected = [[] for _ in windows.clips]
    for window, clip in enumerate(windows.window_clips):
        steps = []
        for place, step in enumerate(windows.frame_numbers(window)):
            label = (clip % 3 + (clip == 3) + (place == 0)) % 3
            # What is added to all logits alike changes nothing.
            steps.append(np.exp(4.0 * (np.arange(3) == label) + step / 100))
        expected[clip].append(np.mean([each / each.sum() for each in steps], axis=0))
    results = evaluate(Numbers(), chunks, "test", sampling, progress=False, attended_index=frames)
    for video, blocks in zip(results["clips"], expected, strict=True):
        assert len(blocks) == 6
        np.testing.assert_allclose(video["probabilities"], np.mean(blocks, axis=0), rtol=1e-5)


LABELS = [(0,), (0, 1), (), (1, 2), (0, 1, 2)]


@pytest.mark.parametrize("interpolated", [False, True])
def test_several_labels_are_measured_by_average_precision(tmp_path, interpolated):
    index = make_numbered_features(tmp_path, LENGTHS, labels=LABELS)
    model = Vectors(multi_label=True)
    results = evaluate(
        model, index, "test", WindowSampling(160), progress=False, interpolated=interpolated
    )
    clip = np.arange(5.0)
    scores = [clip, 2.5 - clip, np.sin(7.0 * clip)]
    expected = {
        name: average_precision([c in each for each in LABELS], score, interpolated)
        for c, (name, score) in enumerate(zip(LABEL_NAMES, scores, strict=True))
    }
    assert results["per_class_average_precision"] == pytest.approx(expected)
    assert results["mean_average_precision"] == pytest.approx(np.mean(list(expected.values())))
    assert results["interpolated"] == interpolated
    for name in ("step_accuracy", "window_accuracy", "video_accuracy", "per_class"):
        assert results[name] is None
    assert [video["label"] for video in results["clips"]] == [
        [LABEL_NAMES[c] for c in each] for each in LABELS
    ]
    assert "average precision" in results["stamp"]["metric"]
    with pytest.raises(ValueError, match="rule='majority'"):
        evaluate(model, index, "test", WindowSampling(160), rule="majority")


def test_classes_without_positives_are_named(tmp_path):
    index = make_numbered_features(tmp_path, LENGTHS, labels=[(0,), ()])
    results = evaluate(Vectors(multi_label=True), index, "test", WindowSampling(20), progress=False)
    assert results["classes_without_positives"] == ["right", "still"]
    assert results["per_class_average_precision"]["right"] is None
    assert results["mean_average_precision"] == results["per_class_average_precision"]["left"]
    none = make_numbered_features(tmp_path / "none", LENGTHS, labels=[()])
    results = evaluate(Vectors(multi_label=True), none, "test", WindowSampling(20), progress=False)
    assert results["mean_average_precision"] is None


def test_short_videos_are_reported(indices):
    chunks, _ = indices
    results = evaluate(
        Vectors(), chunks, "test", WindowSampling(4, min_video_frames=140), progress=False
    )
    assert results["left_out"] == ["test_1", "test_3"]
    assert results["stamp"]["seen"] == {"test": 3}
    assert results["stamp"]["left_out"] == {"test": 2}


def test_another_shape_is_refused_by_the_input_and_its_folder(indices, tmp_path):
    chunks, _ = indices
    other = make_numbered_features(tmp_path, LENGTHS, 25.0, shape=(2, 2, 3))
    model = Numbers()
    model({"inputs": np.zeros((1, 4, 3)), "attended": np.zeros((1, 8, 5))})
    with pytest.raises(ValueError, match=r"reads attended of shape \(5,\) .*are \(3,\)"):
        evaluate(model, chunks, "test", SAMPLING, attended_index=other)


class Marked(StepClassifier):
    """Attends to the region that the features mark."""

    def __init__(self, **kwargs):
        super().__init__(3, **kwargs)

    def build(self, features_shape, mask_shape=None, attention_override_shape=None):
        pass

    def call(self, features, mask=None, training=None, attention_override=None):
        marked = features[..., 3]
        return self.answer(features[..., 0, 0, :3], mask, marked)


def test_maps_of_mirrored_frames_are_mirrored_back(tmp_path):
    index = make_features(tmp_path)
    entries, truth = [], {}
    for clip in index.entries:
        features = index.read(clip)
        index.store.write(clip.key + "m", features[:, :, ::-1])
        entries.append(dataclasses.replace(clip, flipped_key=clip.key + "m"))
        row, column = np.argwhere(features[0, ..., 3])[0].tolist()
        box = [10 * column, 10 * row, 10 * column + 10, 10 * row + 10]
        figures = [{"role": "actor", "boxes": [box] * clip.num_frames}]
        truth[clip.clip_id] = {"frame_size": (20, 30), "figures": figures}
    index = dataclasses.replace(index, entries=tuple(entries))
    sampling = WindowSampling(4, flips=True)
    results = evaluate(Marked(), index, "test", sampling, truth, batch_size=8, progress=False)
    assert results["localisation"]["mass"] == pytest.approx(1.0)
    assert results["localisation"]["pointing"] == 1.0


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

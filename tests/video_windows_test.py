"""A video file gives the windows that its extracted features give, whatever the protocol."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from glimpse.models.step_classifier import StepClassifier
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.pipelines.video_error import VideoError
from glimpse.pipelines.video_windows import VideoWindows, read_frames
from tests.numbered_videos import frame_number, write_video
from tests.video_backbones import CHUNK, Chunks, Corners

LENGTHS = (70, 9, 45, 6, 24)


@pytest.fixture(scope="module")
def backbones():
    corners, chunks = Corners(name="corners"), Chunks(name="chunks")
    corners(np.zeros((1, 48, 64, 3), "uint8"))
    chunks(np.zeros((1, CHUNK, 48, 64, 3), "uint8"))
    return {"corners": corners, "chunks": chunks}


@pytest.fixture(scope="module")
def indices(backbones, tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    clips = []
    for number, length in enumerate(LENGTHS):
        path = write_video(folder / f"{number}.mp4", num_frames=length, first=40 * number, rate=25)
        clips.append(Clip(str(number), str(path), number % 3, "test"))
    clips = ClipSet("set", ("a", "b", "c"), tuple(clips))
    return {
        name: extract_features(
            clips, backbone, folder / name, "float32", progress=False, flips=True
        )
        for name, backbone in backbones.items()
    }


SAMPLINGS = [
    WindowSampling(8, attended_frames=5),
    WindowSampling(3, 12.5, block_stride=3, attended_place="last", flips=True),
    WindowSampling(5, step_stride=2, eval_windows=3, attended_frames=12),
    WindowSampling(4, sampling_rule="random_windows", eval_windows=4, flips=True, pooling="max"),
    WindowSampling(6, sampling_rule="random_frames", attended_place="middle"),
    WindowSampling(6, sampling_rule="random_frames", eval_windows=3, pooling="flatten"),
]
SOURCES = [
    (("features",), "corners", None),
    (("inputs", "attended"), "corners", None),
    (("inputs", "attended"), "chunks", "corners"),
    (("inputs", "attended"), "corners", "chunks"),
    (("features", "inputs"), "corners", None),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=range(len(SAMPLINGS)))
@pytest.mark.parametrize(("names", "first", "second"), SOURCES, ids=range(len(SOURCES)))
def test_files_and_features_give_the_same_windows(
    backbones, indices, sampling, names, first, second
):
    if first == "chunks":  # which follow each other at no such rate
        sampling = dataclasses.replace(sampling, frames_per_second=None)
    function = BackboneFunction(backbones[first], batch_size=8)
    functions = dict.fromkeys(names, function)
    if second:
        functions["attended"] = BackboneFunction(backbones[second], batch_size=8)
    stored = FeatureWindows(indices[first], "test", sampling, names, indices.get(second))
    expected = [x for x, _ in stored.in_order(1).as_numpy_iterator()]
    expected = [x if isinstance(x, dict) else {names[0]: x} for x in expected]
    numbers = iter(range(stored.num_windows))
    for number, clip in enumerate(stored.clips):
        windows = VideoWindows(clip.path, sampling, functions)
        for window in windows:
            place = next(numbers)
            assert stored.window_clips[place] == number
            assert set(window.inputs) == set(names)
            for name, found in window.inputs.items():
                np.testing.assert_allclose(found, expected[place][name][0], rtol=1e-5, atol=1e-6)
            if "attended" in names and second != "chunks" and first != "chunks":
                numbers_of = stored.attended_numbers(place).tolist()
                assert window.frames["attended"].tolist() == numbers_of
        assert (windows.num_frames, windows.frames_per_second) == (LENGTHS[number], 25)
    assert next(numbers, None) is None


def test_what_is_held_does_not_grow_with_the_video(backbones, tmp_path, monkeypatch):
    from glimpse.pipelines.feature_stream import FeatureStream

    held = []
    real = FeatureStream.take

    def counting(self, numbers, pooling):
        held.append(len(self._held))
        return real(self, numbers, pooling)

    monkeypatch.setattr(FeatureStream, "take", counting)
    path = write_video(tmp_path / "long.avi", "MJPG", num_frames=250)
    function = BackboneFunction(backbones["corners"], batch_size=8)
    windows = list(VideoWindows(path, WindowSampling(5), {"features": function}))
    assert len(windows) == 246 and max(held) <= 5 + 16 + 8
    held.clear()
    few = WindowSampling(5, sampling_rule="random_windows", eval_windows=3)
    assert len(list(VideoWindows(path, few, {"features": function}))) == 3
    assert max(held) <= 15


class Weighing(StepClassifier):
    """Attends to the attended frames by their greenness, and answers from the inputs."""

    input_names = ("inputs", "attended")

    def build(self, inputs_shape, mask_shape=None, attention_override_shape=None):
        pass

    def call(self, inputs, mask=None, training=None, attention_override=None):
        values = inputs["attended"]
        weights = ops.softmax(20.0 * ops.sum(values[..., 1::3], axis=-1))
        weights = ops.repeat(weights[:, None], inputs["inputs"].shape[1], axis=1)
        return self.answer(5.0 * inputs["inputs"][..., :3], None, weights)


@pytest.mark.parametrize("rule", ["mean", "majority"])
def test_predictions_are_those_of_the_evaluation(backbones, indices, rule):
    sampling = WindowSampling(
        3, sampling_rule="random_windows", eval_windows=5, flips=True, attended_frames=4
    )
    model = Weighing(3)
    answerer = VideoAnswerer(
        model, backbones["chunks"], sampling, rule, attended_backbone=backbones["corners"]
    )
    results = evaluate(
        model, indices["chunks"], "test", sampling, rule=rule, progress=False,
        attended_index=indices["corners"],
    )  # fmt: skip
    for clip, video in zip(indices["chunks"].entries, results["clips"], strict=True):
        answer = answerer.answer(clip.path)
        np.testing.assert_allclose(answer.probabilities, video["probabilities"], rtol=1e-4)
        assert answer.windows == (10 if clip.num_frames > 3 else 2)


@pytest.mark.parametrize(("start", "first"), [(0.0, 0), (0.64, 16)])
def test_highlights_show_the_frames_and_their_weights(backbones, indices, start, first):
    clip = indices["chunks"].entries[0]
    sampling = WindowSampling(6, sampling_rule="random_windows", flips=True, attended_frames=4)
    answerer = VideoAnswerer(
        Weighing(3, label_names=["a", "b", "c"]), backbones["chunks"], sampling,
        attended_backbone=backbones["corners"],
    )  # fmt: skip
    shown = answerer.highlights(clip.path, {"action_interval": [10, 20]}, "b", start)
    expected = [first, first + 6, first + 12, first + 18]
    assert shown.frame_indices.tolist() == expected
    assert [frame_number(frame) for frame in shown.frames] == expected
    values = np.asarray(backbones["corners"](shown.frames)).mean(axis=(1, 2))[:, 1]
    weights = np.exp(20.0 * values) / np.exp(20.0 * values).sum()
    np.testing.assert_allclose(shown.weights, weights, rtol=1e-4)
    assert shown.step_weights.shape == (6, 4)
    assert shown.interval == (10, 20) and shown.is_inside.tolist() == [
        10 <= frame < 20 for frame in expected
    ]
    assert shown.video_name == "0.mp4" and shown.true_label == "b"
    idle = answerer.highlights(clip.path, {"action_interval": [0, 0]}, start=start)
    assert idle.interval is None and idle.is_inside is None


def test_chunks_are_shown_by_their_middle_frames(backbones, indices):
    clip = indices["chunks"].entries[0]
    answerer = VideoAnswerer(
        Weighing(3), backbones["corners"], WindowSampling(12, attended_frames=3),
        attended_backbone=backbones["chunks"],
    )  # fmt: skip
    assert answerer.highlights(clip.path).frame_indices.tolist() == [2, 6, 10]


def test_what_cannot_be_highlighted_or_looked_at_is_named(backbones, indices, tmp_path):
    path = indices["chunks"].entries[0].path
    answerer = VideoAnswerer(Weighing(3), backbones["corners"], WindowSampling(4))
    with pytest.raises(ValueError, match="no gaze to show: it reads inputs, attended.*highlight"):
        answerer.gaze(path)
    with pytest.raises(ValueError, match=r"--start=2.7.*0.16 s.*2.80 s"):
        answerer.highlights(path, start=2.7)
    whole = WindowSampling(4, sampling_rule="random_frames")
    with pytest.raises(ValueError, match="frames from all of the video"):
        VideoAnswerer(Weighing(3), backbones["corners"], whole).highlights(path, start=1.0)
    plain = StepClassifier(3)
    with pytest.raises(ValueError, match="`attended_backbone` must be None"):
        VideoAnswerer(plain, backbones["corners"], whole, attended_backbone=backbones["chunks"])
    with pytest.raises(ValueError, match="`attended_backbone` lacks attended"):
        VideoAnswerer(Weighing(3), backbones["corners"], whole, attended_backbone={})
    short = write_video(tmp_path / "short.avi", "MJPG", num_frames=3)
    answerer = VideoAnswerer(Weighing(3), backbones["chunks"], WindowSampling(4))
    with pytest.raises(VideoError, match=r"short.avi: not enough frames: it has 3, .* reads 4"):
        answerer.answer(short)


def test_frames_by_number(tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", num_frames=12)
    assert [frame_number(frame) for frame in read_frames(path, [3, 3, 0, 11])] == [3, 3, 0, 11]
    with pytest.raises(VideoError, match="has no frame 12"):
        read_frames(path, [1, 12])


def test_graphs_are_made_once_for_all_videos(backbones, indices):
    function = BackboneFunction(backbones["corners"], batch_size=8)
    assert isinstance(function(np.zeros((2, 48, 64, 3), np.uint8)), tf.Tensor)
    for clip in indices["corners"].entries[:2]:
        list(VideoWindows(clip.path, WindowSampling(4), {"features": function}))
    assert len(function._graphs) == 1


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Models of every family, from video files and from extracted features: the same answers."""

import keras
import numpy as np
import pytest

from glimpse.models import EnsembleClassifier, create_model
from glimpse.models.pixels_backbone import PixelsBackbone
from glimpse.pipelines.clips import Clip, ClipSet
from glimpse.pipelines.evaluation import evaluate
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_windows import FeatureWindows, WindowSampling
from glimpse.pipelines.video_answer import VideoAnswerer
from tests.numbered_videos import frame_number, write_video
from tests.video_backbones import Chunks, Corners

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def backbones():
    made = {"corners": Corners(name="corners"), "chunks": Chunks(name="chunks")}
    made["corners"](np.zeros((1, 48, 64, 3), "uint8"))
    made["chunks"](np.zeros((1, 4, 48, 64, 3), "uint8"))
    return made


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    paths = [
        write_video(folder / f"{number}.mp4", num_frames=length, first=60 * number)
        for number, length in enumerate((30, 50))
    ]
    clips = [Clip(path.name, str(path), n, "test") for n, path in enumerate(paths)]
    return ClipSet("set", tuple(NAMES), tuple(clips))


@pytest.fixture(scope="module")
def indices(backbones, clips, tmp_path_factory):
    return {
        name: extract_features(
            clips, backbone, tmp_path_factory.mktemp(name), "float32", progress=False
        )
        for name, backbone in backbones.items()
    }


MEMBERS = (
    ("lstm_small", {"units": 4}),
    ("temporal_attention_small", {"units": 4}),
    ("temporal_attention_small", {"units": 4, "fusion": "last_step"}),
)


def make(name):
    keras.utils.set_random_seed(1)
    small = {"filters": 3, "hidden_units": 4}
    if name == "ensemble":
        members = [create_model(n, 3, label_names=NAMES, **options) for n, options in MEMBERS]
        return EnsembleClassifier(members, member_inputs=[None, None, {"attended": "others"}])
    options = {
        "lstm": {"units": 4},
        "temporal_attention": {"units": 4},
        "last step": {"units": 4, "fusion": "last_step"},
        "conv_attention": small,
        "in time": {**small, "join": "time"},
    }[name]
    variant = {"last step": "temporal_attention", "in time": "hierarchical_conv_attention"}
    return create_model(variant.get(name, name) + "_small", 3, label_names=NAMES, **options)


@pytest.mark.parametrize(
    "name",
    ["lstm", "temporal_attention", "last step", "conv_attention", "in time", "ensemble"],
)
def test_files_and_features_give_the_same_answers(backbones, clips, indices, name):
    model = make(name)
    reads_maps = "features" in model.input_names
    source = "corners" if reads_maps else "chunks"
    sampling = WindowSampling(
        4, sampling_rule="random_windows", eval_windows=2, pooling="flatten", attended_frames=6
    )
    attended = {"attended": "corners", "others": "chunks"}
    attended = {n: attended[n] for n in model.input_names if n in attended}
    truth = {clip.clip_id: {"action_interval": [5, 25]} for clip in clips.clips}
    results = evaluate(
        model, indices[source], "test", sampling, truth, progress=False,
        attended_index={name: indices[each] for name, each in attended.items()} or None,
    )  # fmt: skip
    answerer = VideoAnswerer(
        model, backbones[source], sampling,
        attended_backbone={name: backbones[each] for name, each in attended.items()} or None,
    )  # fmt: skip
    for clip, video in zip(clips.clips, results["clips"], strict=True):
        answer = answerer.answer(clip.path)
        np.testing.assert_allclose(answer.probabilities, video["probabilities"], rtol=1e-4)
        assert answer.probabilities.sum() == pytest.approx(1, rel=1e-5)
    assert 0 <= results["step_accuracy"] <= 1
    path = clips.clips[1].path
    if name in ("temporal_attention", "last step"):
        assert results["highlighting"]["videos"] == 2
        shown = answerer.highlights(path, truth[clips.clips[1].clip_id], "b", start=0.32)
        assert shown.frame_indices.tolist() == [8 + 16 * j // 6 for j in range(6)]
        assert [frame_number(frame) - 60 for frame in shown.frames] == shown.frame_indices.tolist()
        assert shown.step_weights.shape == ((4 if name == "temporal_attention" else 1), 6)
    elif "conv" in name or name == "in time":
        gaze = answerer.gaze(path, start=0.4, true_label="b")
        assert gaze.frame_indices.tolist() == [10, 11, 12, 13]
        assert gaze.attention.shape == (4, 2, 2) and gaze.step_probabilities.shape == (4, 3)
    else:
        # Nothing here is for `glimpse highlight` either.
        with pytest.raises(ValueError, match=r"\. Use a soft_attention or conv_attention model\.$"):
            answerer.gaze(path)
        with pytest.raises(ValueError, match="no frames to highlight"):
            answerer.highlights(path)


def test_frames_reach_a_model_as_they_are(clips, tmp_path):
    """Pixels are stored in float16, which holds 0 to 255 exactly."""
    backbone = PixelsBackbone(48, 64)
    backbone(np.zeros((1, 48, 64, 3), "uint8"))
    index = extract_features(clips, backbone, tmp_path, progress=False)
    assert index.dtype == "float16" and index.feature_shape == (48, 64, 3)
    windows = FeatureWindows(index, "test", WindowSampling(16), ("frames",))
    frames, _ = next(windows.in_order(3).as_numpy_iterator())
    assert frames.shape == (3, 16, 48, 64, 3) and frames.dtype == np.float32
    np.testing.assert_array_equal(frames, frames.round())
    numbers = [[frame_number(frame) for frame in window] for window in frames]
    assert numbers == [list(range(start, start + 16)) for start in range(3)]


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

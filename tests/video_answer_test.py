"""Answers for whole video files against the definition: every block, then their mean."""

import keras
import numpy as np
import pytest
from keras import ops

import glimpse
from glimpse.models import VideoClassifier
from glimpse.pipelines import VideoError, VideoReader, sample_blocks
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.video_answer import VideoAnswerer
from tests.numbered_videos import frame_number, write_video

NAMES = ["a", "b", "c"]


class TinyBackbone(keras.Model):
    """Mean colour of 2 x 2 cells."""

    def call(self, frames, training=None):
        frames = ops.cast(frames, "float32") / 255.0
        return ops.image.resize(frames, (2, 2), antialias=True)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    made = glimpse.create_model(
        "soft_attention_small",
        3,
        units=8,
        label_names=NAMES,
        sampling={"num_frames": 4, "frames_per_second": 12.5},
    )
    made.build((None, 4, 2, 2, 3))
    return made


def by_definition(model, path, num_frames=4, stride=2, block_stride=1):
    """The probabilities of all blocks, all frames being in memory at once."""
    with VideoReader(path) as reader:
        frames = np.stack(list(reader))
    features = np.asarray(TinyBackbone()(frames))
    blocks = sample_blocks(len(frames), num_frames, stride, block_stride)
    return blocks, np.asarray(model(features[blocks])["probabilities"])


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
@pytest.mark.parametrize("block_stride", [1, 3, 11])
def test_answer_is_the_mean_over_all_blocks(model, tmp_path, num_frames, batch_size, block_stride):
    path = write_video(tmp_path / "clip.avi", "FFV1", num_frames)
    sampling = WindowSampling(4, 12.5, block_stride)
    answerer = VideoAnswerer(model, TinyBackbone(), sampling, batch_size=batch_size)
    answer = answerer.answer(path)
    _, expected = by_definition(model, path, block_stride=block_stride)
    assert (answer.num_frames, answer.windows) == (num_frames, len(expected))
    np.testing.assert_allclose(answer.probabilities, expected.mean(axis=0), rtol=1e-4)
    assert answer.frames_per_second == 25
    assert answer.top(2)[0] == (NAMES[expected.mean(0).argmax()], answer.probabilities.max())


def test_majority_counts_blocks(model, tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", 30)
    answer = VideoAnswerer(model, TinyBackbone(), rule="majority").answer(path)
    _, expected = by_definition(model, path)
    votes = np.bincount(expected.argmax(axis=1), minlength=3) / len(expected)
    np.testing.assert_allclose(answer.probabilities, votes)


@pytest.mark.parametrize(("num_frames", "start"), [(40, 0.0), (40, 0.48), (8, 0.0), (5, 0.0)])
def test_gaze_shows_the_frames_that_the_model_saw(model, tmp_path, num_frames, start):
    path = write_video(tmp_path / "clip.avi", "FFV1", num_frames)
    gaze = VideoAnswerer(model, TinyBackbone()).gaze(path, start=start)
    blocks, expected = by_definition(model, path)
    block = int(np.flatnonzero(blocks[:, 0] == round(25 * start))[0])
    assert gaze.frame_indices.tolist() == blocks[block].tolist()
    assert [frame_number(frame) for frame in gaze.frames] == blocks[block].tolist()
    np.testing.assert_allclose(gaze.probabilities, expected[block], rtol=1e-4)
    np.testing.assert_allclose(gaze.attention.sum((1, 2)), 1, rtol=1e-5)


def test_gaze_past_the_end_is_refused_with_the_lengths(model, tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", 30)
    with pytest.raises(ValueError, match=r"--start=1.*0.32 s.*1.20 s"):
        VideoAnswerer(model, TinyBackbone()).gaze(path, start=1.0)


def test_a_model_with_its_backbone_answers_alike(model, tmp_path):
    path = write_video(tmp_path / "clip.avi", "FFV1", 20)
    whole = VideoAnswerer(VideoClassifier(TinyBackbone(), model)).answer(path)
    parts = VideoAnswerer(model, TinyBackbone()).answer(path)
    np.testing.assert_array_equal(whole.probabilities, parts.probabilities)


def test_what_is_missing_or_too_much_is_named(model, tmp_path):
    with pytest.raises(ValueError, match="`backbone` is needed"):
        VideoAnswerer(model)
    with pytest.raises(ValueError, match="`backbone` must be None"):
        VideoAnswerer(VideoClassifier(TinyBackbone(), model), TinyBackbone())
    plain = glimpse.create_model("softmax_regression", 3)
    plain.build((None, 4, 2, 2, 3))
    with pytest.raises(ValueError, match="`sampling` is needed"):
        VideoAnswerer(plain, TinyBackbone())
    path = write_video(tmp_path / "clip.avi", "FFV1", 9)
    with pytest.raises(ValueError, match="no gaze"):
        VideoAnswerer(plain, TinyBackbone(), WindowSampling(4)).gaze(path)
    slow = write_video(tmp_path / "slow.avi", "FFV1", 9, rate=5.0)
    strides = WindowSampling(4, 12.5, rate_rule="stride")
    with pytest.raises(VideoError, match="slow.avi.*12.5.*only 5"):
        VideoAnswerer(model, TinyBackbone(), strides).answer(slow)
    with pytest.raises(VideoError, match="none.mp4"):
        VideoAnswerer(model, TinyBackbone()).answer(tmp_path / "none.mp4")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_numbers_are_traced_to_backbone_or_model(model, tmp_path, value):
    class Broken(TinyBackbone):
        def call(self, frames, training=None):
            return super().call(frames) + value

    path = write_video(tmp_path / "clip.avi", "FFV1", 9)
    with pytest.raises(ValueError, match="clip.avi: the backbone broken.* gives features that are"):
        VideoAnswerer(model, Broken()).answer(path)
    other = glimpse.create_model("softmax_regression", 3, sampling=model.sampling)
    other.build((None, 4, 2, 2, 3))
    other.weights[0].assign(np.full(other.weights[0].shape, value))
    with pytest.raises(ValueError, match="clip.avi: the model answers NaN, though the features"):
        VideoAnswerer(other, TinyBackbone()).answer(path)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

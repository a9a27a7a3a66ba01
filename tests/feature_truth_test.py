"""Boxes are taken from the data set that the features were extracted from, and from no other."""

import dataclasses
import shutil

import pytest
from keras import ops

from glimpse.feature_truth import read_feature_truth
from glimpse.models import create_model
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.tiny_actions import TinyActionsConfig, render_tiny_actions
from tests.run_command import run_command


class MeanColour:
    """Frames to three numbers."""

    fingerprint = "mean colour"

    def __call__(self, frames):
        return ops.mean(ops.cast(frames, "float32"), axis=(1, 2))


def render(folder, **changes):
    small = {"num_frames": 2, "size": 80, "train_clips": 1, "val_clips": 1, "test_clips": 2}
    config = TinyActionsConfig(**{**small, **changes})
    render_tiny_actions(folder, config, workers=1, progress=False)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A data set and the index of its features."""
    folder = tmp_path_factory.mktemp("truth")
    clips = read_clips(render(folder / "set"))
    return folder / "set", extract_features(clips, MeanColour(), folder / "f", progress=False)


def test_the_truth_of_the_features_own_videos_is_read(made, tmp_path):
    data, index = made
    truth = read_feature_truth(data, index, "test")
    assert list(truth) == [clip.clip_id for clip in index.clips("test")]
    assert truth == {clip.clip_id: clip.truth for clip in read_clips(data).in_split("test")}
    assert read_feature_truth(None, index, "test") is None
    # Wherever the videos lie.
    shutil.copytree(data, tmp_path / "moved")
    assert read_feature_truth(tmp_path / "moved", index, "test") == truth


def test_videos_of_the_same_names_and_labels_are_told_apart(made, tmp_path):
    _, index = made
    other = render(tmp_path / "other", seed=1)
    # Ids, labels and splits are those of the first seed.
    assert read_clips(other).split_hash == index.split_hash
    with pytest.raises(ValueError, match="--data=.*not the data set of --features=.*test_00000"):
        read_feature_truth(other, index, "test")


def test_other_clips_and_unknown_boxes_are_named(made, tmp_path):
    data, index = made
    more = render(tmp_path / "more", test_clips=3)
    with pytest.raises(ValueError, match="--data=.*--features=.*its clips, labels or splits"):
        read_feature_truth(more, index, "test")
    shutil.copytree(data, tmp_path / "untold")
    shutil.rmtree(tmp_path / "untold" / "truth")
    with pytest.raises(ValueError, match="knows no boxes"):
        read_feature_truth(tmp_path / "untold", index, "test")
    fewer = dataclasses.replace(index, entries=index.entries[:-1])
    assert len(read_feature_truth(data, fewer, "test")) == 1


def test_the_command_refuses_in_one_line(made, tmp_path, capsys):
    _, index = made
    other = render(tmp_path / "other", seed=1)
    model = create_model("softmax_regression", 8, sampling={"num_frames": 2})
    model.build((None, 2, 1, 1, 3))
    model.save(tmp_path / "model.keras")
    arguments = (f"--model={tmp_path}/model.keras", f"--features={index.folder}")
    assert run_command("evaluate", *arguments, f"--data={other}") == 1
    lines = capsys.readouterr().err.splitlines()
    (line,) = [line for line in lines if line.startswith("glimpse evaluate")]
    assert f"--data={other}: is not the data set of --features={index.folder}" in line


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

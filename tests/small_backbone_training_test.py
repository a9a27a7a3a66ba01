"""The proxy task: targets say what the frames show, and training writes a backbone and its card."""

import json

import keras
import numpy as np
import pytest

from glimpse.models.small_backbone import SmallBackbone
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.proxy_frames import (
    CELL_TYPES,
    COLOUR,
    FIRST_JOINT,
    FRAMES_PER_CLIP,
    HAT,
    TARGET_SIZE,
    TYPE,
    cell_targets,
    figure_pose,
    render_proxy_frames,
)
from glimpse.pipelines.small_backbone_training import (
    proxy_loss,
    train_small_backbone,
    write_backbone_card,
)
from glimpse.pipelines.stick_figure import place_joints, pose
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig
from glimpse.pipelines.tiny_actions_scene import COLOURS, sample_scene


def test_cells_tell_what_stands_in_them():
    config = TinyActionsConfig(num_frames=4)
    scene = sample_scene(np.random.default_rng(3), config, "wave")
    targets = cell_targets(scene, 2, config.size)
    assert targets.shape == (7, 7, TARGET_SIZE)
    for figure in scene.figures:
        x0, y0, x1, y1 = figure.boxes[2]
        row, column = int((y0 + y1) / 2 // 16), int((x0 + x1) / 2 // 16)
        cell = targets[row, column]
        assert cell[TYPE] == CELL_TYPES.index("figure")
        assert cell[HAT] == figure.hat
        assert cell[COLOUR] == tuple(COLOURS).index(figure.colour)
        expected = figure_pose(figure.joints[2], figure.height)
        np.testing.assert_allclose(cell[FIRST_JOINT:], expected, atol=1e-6)
    background = targets[targets[..., TYPE] == 0]
    assert len(background) > 10
    assert (background[:, HAT:FIRST_JOINT] == -1).all()
    objects = targets[targets[..., TYPE] >= 2]
    assert len(objects) >= 1 and (objects[:, HAT] == -1).all()


def test_a_pose_target_does_not_depend_on_place_or_size_and_is_ordered_in_the_picture():
    unit = pose("kick", 0.5)
    one = figure_pose(place_joints(unit, (30, 60), 28.0), 28.0)
    two = figure_pose(place_joints(unit, (80, 100), 34.0), 34.0)
    np.testing.assert_allclose(one, two, atol=1e-9)
    joints = one.reshape(-1, 2)
    for first in (1, 3, 5):
        assert joints[first, 0] <= joints[first + 1, 0]


def test_frames_follow_from_the_seed_and_ranges_are_disjoint():
    frames, targets = render_proxy_frames(2, seed=5, workers=1, progress=False)
    assert frames.shape == (2 * FRAMES_PER_CLIP, 112, 112, 3) and frames.dtype == np.uint8
    again, again_targets = render_proxy_frames(1, 5, first_clip=1, workers=1, progress=False)
    np.testing.assert_array_equal(frames[FRAMES_PER_CLIP:], again)
    np.testing.assert_array_equal(targets[FRAMES_PER_CLIP:], again_targets)
    assert not np.array_equal(frames[:FRAMES_PER_CLIP], again)
    with pytest.raises(ValueError, match="num_clips"):
        render_proxy_frames(0)


def test_cells_that_are_left_out_do_not_change_the_loss():
    rng = np.random.default_rng(0)
    targets = np.full((2, 7, 7, TARGET_SIZE), -1, np.float32)
    targets[0, 0, 0] = 0.5
    targets[0, 0, 0, : COLOUR + 1] = (1, 0, 3)
    outputs = rng.normal(size=(2, 7, 7, 4 + 2 + 6 + 14)).astype("float32")
    loss = float(proxy_loss(targets, outputs))
    outputs[1] += 3
    assert float(proxy_loss(targets, outputs)) == pytest.approx(loss, rel=1e-5)
    outputs[0, 0, 0, 1] += 3
    assert float(proxy_loss(targets, outputs)) < loss


@pytest.mark.slow
def test_training_writes_a_backbone_without_optimizer_and_a_card(tmp_path):
    output = tmp_path / "small.keras"
    results = train_small_backbone(
        output,
        seed=1,
        num_clips=4,
        num_val_clips=2,
        epochs=1,
        batch_size=8,
        workers=1,
        progress=False,
    )
    backbone = keras.saving.load_model(output)
    assert type(backbone) is SmallBackbone and not backbone.compiled
    assert set(results["validation"]) == {
        "type_accuracy",
        "hat_accuracy",
        "colour_accuracy",
        "wrist_error_in_heights",
    }
    assert all(np.isfinite(value) for value in results["validation"].values())
    write_backbone_card(tmp_path / "small.json", output, results)
    card = json.loads((tmp_path / "small.json").read_text())
    assert card["sha256"] == file_sha256(output)
    assert "--seed=1 --num_clips=4" in card["command"]
    assert {path.name for path in tmp_path.iterdir()} == {"small.keras", "small.json"}


def test_bad_arguments_are_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.keras"):
        train_small_backbone(tmp_path / "small.h5")
    with pytest.raises(FileNotFoundError, match="gone"):
        train_small_backbone(tmp_path / "gone" / "small.keras")
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        train_small_backbone(tmp_path / "small.keras", epochs=0)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

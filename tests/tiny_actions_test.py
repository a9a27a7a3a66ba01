"""Rendering of tiny_actions: what is written is what the truth says."""

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest

from glimpse.pipelines import stick_figure, tiny_actions
from glimpse.pipelines.tiny_actions import CODECS, TinyActionsConfig, render_tiny_actions
from glimpse.pipelines.tiny_actions_captions import reference_captions
from glimpse.pipelines.tiny_actions_drawing import draw_scene
from glimpse.pipelines.tiny_actions_scene import COLOURS, sample_scene

_CLIPS = {"train_clips": 40, "val_clips": 8, "test_clips": 8}


def _config(**changes):
    return TinyActionsConfig(**{**_CLIPS, **changes})


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _truth(folder, split):
    lines = (folder / "truth" / f"{split}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def _decode(path):
    reader = cv2.VideoCapture(str(path))
    assert reader.isOpened()
    frames = []
    while True:
        read, frame = reader.read()
        if not read:
            return frames
        frames.append(frame)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny") / "set"
    summary = render_tiny_actions(folder, _config(), workers=1, progress=False)
    return folder, summary


@pytest.fixture(scope="module")
def scenes():
    config = _config()
    return config, [
        sample_scene(np.random.default_rng(index), config, config.classes[index % 8])
        for index in range(48)
    ]


@pytest.mark.slow
def test_same_seed_gives_same_bytes_with_any_number_of_workers(rendered, tmp_path):
    again = tmp_path / "again"
    render_tiny_actions(again, _config(), workers=2, progress=False)
    assert _files(again) == _files(rendered[0])


def test_same_seed_gives_same_bytes(rendered, tmp_path):
    again = tmp_path / "again"
    render_tiny_actions(again, _config(), workers=1, progress=False)
    assert _files(again) == _files(rendered[0])


def test_other_seed_gives_other_clips(rendered, tmp_path):
    other = tmp_path / "other"
    config = _config(seed=1, train_clips=1, val_clips=1, test_clips=1)
    render_tiny_actions(other, config, workers=1, progress=False)
    name = "videos/train/train_00000.mp4"
    assert (other / name).read_bytes() != (rendered[0] / name).read_bytes()


def test_a_clip_does_not_depend_on_the_size_of_its_split(rendered, tmp_path):
    small = tmp_path / "small"
    config = _config(train_clips=2, val_clips=1, test_clips=1)
    render_tiny_actions(small, config, workers=1, progress=False)
    for name in ("videos/train/train_00001.mp4", "videos/test/test_00000.mp4"):
        assert (small / name).read_bytes() == (rendered[0] / name).read_bytes()


def test_layout_and_description(rendered):
    folder, summary = rendered
    assert summary == json.loads((folder / "dataset.json").read_text())
    assert summary["name"] == "tiny_actions"
    assert summary["classes"] == list(stick_figure.ACTIONS)
    assert summary["counts"] == {"train": 40, "val": 8, "test": 8}
    assert TinyActionsConfig(**summary["config"]) == _config()
    top = {path.name for path in folder.iterdir()}
    assert top == {"dataset.json", "videos", "splits", "truth"}
    for split in ("train", "val", "test"):
        with open(folder / "splits" / f"{split}.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        truths = _truth(folder, split)
        assert [(row["path"], row["label"]) for row in rows] == [
            (truth["path"], truth["label"]) for truth in truths
        ]
        found = {path.name for path in (folder / "videos" / split).iterdir()}
        assert found == {row["path"].split("/")[-1] for row in rows}


def test_labels_are_balanced_and_not_told_by_codec(rendered):
    truths = _truth(rendered[0], "train")
    labels = [truth["label"] for truth in truths]
    assert {labels.count(action) for action in stick_figure.ACTIONS} == {5}
    for extension in (".mp4", ".avi"):
        of_codec = {truth["label"] for truth in truths if truth["path"].endswith(extension)}
        assert of_codec == set(stick_figure.ACTIONS)


def test_every_codec_decodes_to_all_frames(rendered):
    folder, summary = rendered
    used = set()
    for index in range(0, 40, 8):
        fourcc, extension = CODECS[index // 8 % len(CODECS)]
        path = folder / f"videos/train/train_{index:05d}{extension}"
        frames = _decode(path)
        assert len(frames) == summary["config"]["num_frames"]
        assert frames[0].shape == (112, 112, 3)
        used.add(fourcc)
    assert used == {"mp4v", "MJPG", "XVID"}


def test_the_actor_alone_wears_a_hat_and_the_others_do_other_actions(rendered):
    for truth in _truth(rendered[0], "train"):
        actor, *others = truth["figures"]
        assert actor["role"] == "actor" and actor["hat"]
        assert actor["action"] == truth["label"]
        assert truth["action_interval"] == [0, 32]
        assert len(others) == 2
        assert all(other["role"] == "distractor" and not other["hat"] for other in others)
        assert len({figure["action"] for figure in truth["figures"]}) == 3


def test_truth_boxes_are_where_the_figures_are_in_the_frames(scenes):
    config, sampled = scenes
    background = np.zeros((config.size, config.size, 3), np.uint8)
    corners = np.zeros((config.num_frames, 2), int)
    for scene in sampled[:8]:
        with_figures = list(draw_scene(scene, background, corners, config.size))
        bare = dataclasses.replace(scene, figures=[])
        without_figures = list(draw_scene(bare, background, corners, config.size))
        for frame in range(config.num_frames):
            changed = np.abs(with_figures[frame].astype(int) - without_figures[frame]).max(axis=-1)
            for figure in scene.figures:
                box = figure.boxes[frame]
                assert box.min() >= 0 and box.max() <= config.size
                x0, y0 = np.floor(box[:2]).astype(int)
                x1, y1 = np.ceil(box[2:]).astype(int)
                assert (changed[y0:y1, x0:x1] > 64).sum() > 60
                changed[y0:y1, x0:x1] = 0
            assert changed.max() <= 64


def test_no_boxes_overlap(rendered):
    for truth in _truth(rendered[0], "train"):
        tracks = [np.array(figure["boxes"]) for figure in truth["figures"]]
        tracks += [np.tile(thing["box"], (32, 1)) for thing in truth["objects"]]
        for index, first in enumerate(tracks):
            for second in tracks[:index]:
                apart = (
                    (first[:, 2] < second[:, 0])
                    | (second[:, 2] < first[:, 0])
                    | (first[:, 3] < second[:, 1])
                    | (second[:, 3] < first[:, 1])
                )
                assert apart.all()


def _pixel_distance(first, second):
    """Least distance between any two pixels of two boxes, by brute force over their outlines."""

    def outline(box):
        xs, ys = np.linspace(box[0], box[2], 30), np.linspace(box[1], box[3], 30)
        edges = [(x, y) for x in xs for y in box[1::2]] + [(x, y) for x in box[::2] for y in ys]
        return np.array(edges)

    difference = outline(first)[:, None] - outline(second)[None]
    return np.sqrt((difference**2).sum(-1)).min()


def test_captions_mention_the_near_object_and_no_other(rendered):
    near_seen = alone_seen = 0
    for truth in _truth(rendered[0], "train") + _truth(rendered[0], "test"):
        actor = truth["figures"][0]
        assert len(set(truth["captions"])) >= 3
        near = []
        for thing in truth["objects"]:
            middle = _pixel_distance(actor["boxes"][16], thing["box"])
            start, end = (_pixel_distance(actor["boxes"][t], thing["box"]) for t in (0, 31))
            if thing["near"]:
                near.append(thing)
                assert (start + middle + end) / 3 < 20
            else:
                assert min(start, middle, end) > 13
        assert len(near) <= 1
        expected = f"{near[0]['colour']} {near[0]['kind']}" if near else None
        for caption in truth["captions"]:
            assert f"a {actor['colour']} figure" in caption
            mentioned = [kind for kind in ("box", "ball") if kind in caption.split()]
            if expected:
                assert expected in caption and len(mentioned) == 1
            else:
                assert not mentioned
        near_seen += bool(near)
        alone_seen += not near
    assert near_seen and alone_seen


def test_captions_have_words_for_every_action_and_colour():
    verbs = set()
    for action in (*stick_figure.ACTIONS, stick_figure.IDLE):
        captions = reference_captions("red", action, [("blue", "ball")])
        assert "next to a blue ball" in captions[0]
        verbs.add(captions[0])
    assert len(verbs) == 9
    assert all(colour[0] not in "aeiou" for colour in COLOURS)
    with pytest.raises(ValueError, match="at most one"):
        reference_captions("red", "wave", [("blue", "ball"), ("red", "box")])
    with pytest.raises(ValueError, match="'swim'"):
        reference_captions("red", "swim")


def test_centre_placement_keeps_the_actor_near_the_centre():
    config = _config(placement="centre")
    for index in range(16):
        scene = sample_scene(np.random.default_rng(index), config, config.classes[index % 8])
        boxes = scene.figures[0].boxes
        middle = (boxes[:, :2] + boxes[:, 2:]).mean(axis=0) / 2
        assert np.abs(middle - 56).max() < 9.1


def test_temporal_clips_are_idle_outside_the_interval():
    config = TinyActionsConfig.for_temporal(drift=0.0)
    for index, label in enumerate(config.classes):
        scene = sample_scene(np.random.default_rng(index), config, label)
        actor = scene.figures[0]
        first, end = scene.action_interval
        phases = actor.phase + np.arange(config.num_frames) / actor.period
        ground = actor.joints[:, [8, 10]].mean(axis=(0, 1))
        idle = np.array([stick_figure.pose("idle", phase) for phase in phases])
        spans = np.ptp(actor.joints[:, :, 0], axis=1) / actor.height
        idle_spans = np.ptp(idle[:, :, 0], axis=1)
        at_rest = np.isclose(spans, idle_spans)
        assert at_rest[:first].all() and at_rest[end:].all()
        assert ground[1] > 0
        if label == stick_figure.IDLE:
            assert (first, end) == (0, 0)
        else:
            assert 16 <= end - first <= 24
            assert not at_rest[first:end].all()
        assert [figure.action for figure in scene.figures[1:]] == ["idle"]


def test_an_interrupted_render_goes_on(rendered, tmp_path, monkeypatch):
    folder = tmp_path / "set"
    written = []

    def write_five(path, *arguments):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(path)
        write_clip(path, *arguments)

    write_clip = tiny_actions.write_clip
    monkeypatch.setattr(tiny_actions, "write_clip", write_five)
    with pytest.raises(KeyboardInterrupt):
        render_tiny_actions(folder, _config(), workers=1, progress=False)
    assert len(list(folder.glob("videos/*/*"))) == 5
    assert not (folder / "dataset.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in written}

    monkeypatch.setattr(tiny_actions, "write_clip", write_clip)
    render_tiny_actions(folder, _config(), workers=1, progress=False)
    assert {path: path.stat().st_mtime_ns for path in written} == kept
    assert _files(folder) == _files(rendered[0])


def test_a_finished_set_is_left_alone_and_a_lost_clip_is_made_anew(rendered, monkeypatch):
    folder, summary = rendered
    before = _files(folder)
    lost = folder / "videos/val/val_00003.mp4"
    lost.unlink()
    assert render_tiny_actions(folder, _config(), workers=1, progress=False) == summary
    assert _files(folder) == before
    monkeypatch.setattr(tiny_actions, "write_clip", None)
    assert render_tiny_actions(folder, _config(), workers=1, progress=False) == summary


def test_another_config_or_a_foreign_folder_is_refused(rendered, tmp_path):
    with pytest.raises(ValueError, match=r"'seed': 0.*'seed': 7") as error:
        render_tiny_actions(rendered[0], _config(seed=7), progress=False)
    assert str(rendered[0]) in str(error.value)
    (tmp_path / "letter.txt").write_text("keep me")
    with pytest.raises(ValueError, match="not empty"):
        render_tiny_actions(tmp_path, _config(), progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_failed_write_leaves_nothing_under_the_final_name(tmp_path, monkeypatch):
    frames = [np.zeros((112, 112, 3), np.uint8)] * 4
    with pytest.raises(OSError, match="opened no ZZZZ writer"):
        tiny_actions.write_clip(tmp_path / "a.avi", frames, 15, "ZZZZ")
    monkeypatch.setattr(tiny_actions, "_count_frames", lambda path: 3)
    with pytest.raises(OSError, match="3 of 4 frames"):
        tiny_actions.write_clip(tmp_path / "b.mp4", frames, 15, "mp4v")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"placement": "left"}, "placement"),
        ({"num_distractors": 4}, "num_distractors"),
        ({"max_height": 20}, "max_height"),
        ({"size": 111}, "size"),
        ({"val_clips": 0}, "val_clips"),
        ({"temporal": True, "max_action_frames": 33}, "max_action_frames"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes, name):
    with pytest.raises(ValueError, match=f"^{name} must be"):
        _config(**changes)


def test_too_many_figures_for_the_frame_are_refused():
    config = _config(num_distractors=3, size=64, min_height=30, max_height=32, num_objects=3)
    with pytest.raises(RuntimeError, match="smaller or fewer"):
        sample_scene(np.random.default_rng(0), config, "wave")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

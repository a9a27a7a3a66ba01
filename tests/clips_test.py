import collections
import json
import os
import pathlib
import shutil

import pytest

from glimpse.pipelines.clips import SPLITS, read_clips
from glimpse.pipelines.datasets import READERS, find_reader
from tests.dataset_trees import make_class_folders
from tests.numbered_videos import write_video


def make(folder, paths):
    for path in paths:
        file = pathlib.Path(folder) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode())
    return folder


def class_folders(folder, counts):
    for name, count in counts.items():
        make(folder, [f"{name}/{n:02d}.avi" for n in range(count)])
    return folder


def described(folder, truth=True):
    rows = {
        "train": [("videos/a.mp4", "walk"), ("videos/b.mp4", "run")],
        "val": [("videos/c.mp4", "run")],
        "test": [("videos/d.mp4", "walk")],
    }
    make(folder, [path for split in rows.values() for path, _ in split])
    (folder / "splits").mkdir()
    (folder / "truth").mkdir()
    (folder / "dataset.json").write_text(json.dumps({"name": "ours", "classes": ["run", "walk"]}))
    for split, entries in rows.items():
        lines = ["path,label"] + [",".join(entry) for entry in entries]
        (folder / "splits" / f"{split}.csv").write_text("\n".join(lines) + "\n")
        if truth:
            lines = [
                {
                    "clip_id": f"{split}_{n}",
                    "path": path,
                    "label": label,
                    "figures": [{"hat": True}],
                }
                for n, (path, label) in enumerate(entries)
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "truth" / f"{split}.jsonl").write_text(text)
    return folder


def test_described_folder(tmp_path):
    clip_set = read_clips(described(tmp_path))
    assert (clip_set.name, clip_set.label_names) == ("ours", ("run", "walk"))
    found = [(c.clip_id, c.label, c.split, os.path.basename(c.path)) for c in clip_set.clips]
    assert found == [
        ("train_0", 1, "train", "a.mp4"),
        ("train_1", 0, "train", "b.mp4"),
        ("val_0", 0, "val", "c.mp4"),
        ("test_0", 1, "test", "d.mp4"),
    ]
    assert all(os.path.isabs(c.path) and os.path.isfile(c.path) for c in clip_set.clips)
    assert clip_set.clips[0].truth["figures"] == [{"hat": True}]
    assert [c.clip_id for c in clip_set.in_split("val")] == ["val_0"]


def test_described_folder_without_truth(tmp_path):
    clips = read_clips(described(tmp_path, truth=False)).clips
    assert [c.clip_id for c in clips][0] == "videos/a"
    assert all(c.truth is None for c in clips)


def test_rendered_tiny_actions(tmp_path):
    rendering = pytest.importorskip("glimpse.pipelines.tiny_actions")
    config = rendering.TinyActionsConfig(train_clips=8, val_clips=2, test_clips=3, num_frames=4)
    rendering.render_tiny_actions(tmp_path, config, workers=1, progress=False)
    clip_set = read_clips(tmp_path)
    assert collections.Counter(c.split for c in clip_set.clips) == {"train": 8, "val": 2, "test": 3}
    assert clip_set.label_names == tuple(config.classes)
    for clip in clip_set.clips:
        assert clip.truth["label"] == clip_set.label_names[clip.label]
        assert len(clip.truth["figures"][0]["boxes"]) == 4


@pytest.mark.parametrize(
    ("breakage", "message"),
    [
        (lambda f: (f / "videos/a.mp4").unlink(), r"train\.csv line 2: 'videos/a\.mp4' is missing"),
        (lambda f: (f / "dataset.json").write_text("[1"), "is not a JSON object"),
        (lambda f: (f / "dataset.json").write_text("{}"), "has no list `classes`"),
        (lambda f: (f / "splits/val.csv").write_text("file,class\n"), "columns path,label"),
        (
            lambda f: (f / "splits/val.csv").write_text("path,label\nvideos/c.mp4,jump\n"),
            "unknown class 'jump'; the classes are run, walk",
        ),
        (lambda f: (f / "truth/test.jsonl").write_text('{"path": 1\n'), r"test\.jsonl line 1"),
        (
            lambda f: (f / "truth/val.jsonl").write_text(
                '{"clip_id": "x", "path": "videos/c.mp4"}\n{"clip_id": "y", "path": "none.mp4"}\n'
            ),
            "describes 1 clips that the split does not list, such as 'none.mp4'",
        ),
        (
            lambda f: (f / "splits/val.csv").write_bytes(b"path,label\nvideos/\xe9.mp4,run\n"),
            r"val\.csv line 2: is not UTF-8",
        ),
        (
            lambda f: (f / "splits/val.csv").write_text('"path"x,label\n'),
            r"val\.csv line 1: ',' expected",
        ),
        (
            lambda f: (f / "truth/val.jsonl").write_bytes(b'{"clip_id": "\xe9"}'),
            r"val\.jsonl line 1: is not UTF-8",
        ),
        (lambda f: shutil.rmtree(f / "splits"), "lists no clips"),
        (lambda f: (f / "dataset.json").rename(f / "unfinished.json"), "not rendered to its end"),
    ],
)
def test_damaged_described_folder(tmp_path, breakage, message):
    breakage(described(tmp_path))
    with pytest.raises(ValueError, match=message):
        read_clips(tmp_path)


def test_class_folders_are_split_within_each_class(tmp_path):
    clip_set = read_clips(class_folders(tmp_path, {"run": 20, "walk": 10, "hop": 3}))
    assert clip_set.label_names == ("hop", "run", "walk")
    counts = collections.Counter((c.split, clip_set.label_names[c.label]) for c in clip_set.clips)
    assert counts == {
        ("train", "run"): 14, ("val", "run"): 2, ("test", "run"): 4,
        ("train", "walk"): 7, ("val", "walk"): 1, ("test", "walk"): 2,
        ("train", "hop"): 1, ("val", "hop"): 1, ("test", "hop"): 1,
    }  # fmt: skip
    assert len({c.path for c in clip_set.clips}) == 33
    assert all(f"/{clip_set.label_names[c.label]}/" in c.path for c in clip_set.clips)


def test_split_depends_on_the_seed_alone(tmp_path):
    first = read_clips(class_folders(tmp_path / "a", {"run": 20, "walk": 20}))
    assert read_clips(tmp_path / "a") == first
    assert read_clips(tmp_path / "a", seed=1).split_hash != first.split_hash
    moved = shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert read_clips(moved).split_hash == first.split_hash
    class_folders(tmp_path / "b", {"hop": 5})
    for clip in read_clips(moved).clips:
        if not clip.clip_id.startswith("hop"):
            assert clip.split == {c.clip_id: c.split for c in first.clips}[clip.clip_id]


def test_fractions(tmp_path):
    class_folders(tmp_path, {"run": 10})
    counts = collections.Counter(
        c.split for c in read_clips(tmp_path, fractions=(0.5, 0, 0.5)).clips
    )
    assert counts == {"train": 5, "test": 5}
    for wrong in [(0.5, 0.5), (0.5, 0.6, 0.1), (1.2, -0.1, -0.1), (0, 0.5, 0.5)]:
        with pytest.raises(ValueError, match="fractions must be three shares"):
            read_clips(tmp_path, fractions=wrong)


def test_given_splits_are_kept(tmp_path):
    make(tmp_path, ["train/a/1.mp4", "train/b/2.mkv", "val/b/3.mp4", "test/a/4.MOV"])
    clip_set = read_clips(tmp_path)
    assert [(c.clip_id, c.split) for c in clip_set.clips] == [
        ("train/a/1.mp4", "train"), ("train/b/2.mkv", "train"),
        ("val/b/3.mp4", "val"), ("test/a/4.MOV", "test"),
    ]  # fmt: skip
    make(tmp_path, ["test/c/5.mp4"])
    with pytest.raises(ValueError, match="class 'c' has no clip in train"):
        read_clips(tmp_path)


def test_a_class_may_be_called_train(tmp_path):
    class_folders(tmp_path, {"train": 5, "bus": 5})
    assert read_clips(tmp_path).label_names == ("bus", "train")


def test_unknown_files_are_counted(tmp_path, caplog):
    class_folders(tmp_path, {"run": 5})
    make(tmp_path, ["readme.txt", "run/notes.md", "run/deep/thumb.jpg"])
    clip_set = read_clips(tmp_path)
    assert clip_set.unknown_files == ("readme.txt", "run/deep/thumb.jpg", "run/notes.md")
    assert len(clip_set.clips) == 5


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        read_clips(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no clips"):
        read_clips(tmp_path)
    class_folders(tmp_path, {"run": 5, "walk": 2})
    with pytest.raises(ValueError, match="class 'walk' has 2 clips but 3 splits"):
        read_clips(tmp_path)
    with pytest.raises(ValueError, match="split must be one of"):
        read_clips(class_folders(tmp_path, {"walk": 5})).in_split("training")


@pytest.mark.parametrize("link", [shutil.copyfile, os.link, os.symlink])
def test_one_video_in_two_splits_is_refused(tmp_path, link):
    make(tmp_path, ["train/a/1.mp4", "train/a/2.mp4", "test/a/3.mp4"])
    assert len(read_clips(tmp_path).clips) == 3
    link(tmp_path / "train/a/2.mp4", tmp_path / "test/a/other.mp4")
    with pytest.raises(ValueError, match=r"2\.mp4' is in train and .*other\.mp4', the same video"):
        read_clips(tmp_path)


def test_names_that_are_not_utf8(tmp_path):
    class_folders(tmp_path, {"run": 5})
    os.rename(tmp_path / "run/00.avi", os.path.join(os.fsencode(tmp_path), b"run/caf\xe9.avi"))
    clip_set = read_clips(tmp_path)
    assert len(clip_set.clips) == 5 and len(clip_set.split_hash) == 64


def test_split_hash_says_who_is_where(tmp_path):
    make(tmp_path, ["train/a/1.mp4", "train/b/2.mp4", "val/a/3.mp4"])
    before = read_clips(tmp_path).split_hash
    (tmp_path / "val/a/3.mp4").write_bytes(b"other pixels")
    assert read_clips(tmp_path).split_hash == before
    (tmp_path / "test/a").mkdir(parents=True)
    (tmp_path / "val/a/3.mp4").rename(tmp_path / "test/a/3.mp4")
    assert read_clips(tmp_path).split_hash != before
    assert [split for split in SPLITS if read_clips(tmp_path).in_split(split)] == ["train", "test"]


@pytest.mark.parametrize("names", [["train", "validation", "test"], ["Train", "Test"]])
def test_folders_named_almost_like_splits_are_not_taken_for_classes(tmp_path, names):
    for name in names:
        write_video(_made(tmp_path / name / "wave") / "a.avi", "MJPG", 2)
    with pytest.raises(ValueError, match="named like splits"):
        read_clips(tmp_path)


def test_hidden_folders_are_no_classes_and_empty_ones_are_named(tmp_path):
    for number in range(6):
        for label in ("wave", "jump"):
            path = _made(tmp_path / label) / f"{number}.avi"
            write_video(path, "MJPG", 2, first=10 * number + 5 * (label == "jump"))
    _made(tmp_path / ".git")
    assert read_clips(tmp_path).label_names == ("jump", "wave")
    _made(tmp_path / "annotations")
    with pytest.raises(ValueError, match="annotations: holds no video"):
        read_clips(tmp_path)


@pytest.mark.parametrize("pattern", ["(?P<group>person[0-9]+)_", "table"])
def test_groups_stay_in_one_split(tmp_path, pattern):
    make_class_folders(tmp_path / "set", groups=6, num_frames=2)
    if pattern == "table":
        lines = [
            f"{label}/person{person}_{clip}.avi,person{person}"
            for label in ("hop", "run")
            for person in range(6)
            for clip in range(2)
        ]
        pattern = str(tmp_path / "groups.csv")
        pathlib.Path(pattern).write_text("\n".join(["path,group", *lines]))
    clip_set = read_clips(tmp_path / "set", groups=pattern, fractions=(0.5, 0.2, 0.3))
    splits = collections.defaultdict(set)
    for clip in clip_set.clips:
        assert clip.group == clip.clip_id[4 : len("hop/personN")]
        splits[clip.group].add(clip.split)
    assert len(splits) == 6 and all(len(found) == 1 for found in splits.values())
    assert clip_set.expected == {"train": 12, "val": 4, "test": 8}
    assert clip_set.split_name == "50/20/30 % by group, seed 0"


def test_given_splits_that_share_a_group(tmp_path):
    make(tmp_path, ["train/a/anna_1.mp4", "train/a/berta_1.mp4", "test/a/anna_2.mp4"])
    assert read_clips(tmp_path).split_name == "given by folders"
    with pytest.raises(ValueError, match="clips of the group 'anna' stand in train"):
        read_clips(tmp_path, groups="(?P<group>[a-z]+)_")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("(", "is no regular expression"),
        ("person", r"must name a part of the path \(\?P<group>"),
        ("(?P<group>xyz)", "finds no group in 'run/00.avi'"),
        ("(?P<group>x*)", "finds no group in 'run/00.avi'"),
        ("none.csv", "groups=none.csv: no such file"),
        ("file,group\nrun/00.avi,1", "must name the columns path,group"),
        ("path,group\nrun/00.avi,", "line 2: must have a path"),
        ("path,group\nrun/00.avi,1\nrun/00.avi,2", "line 3: must have a path that no other"),
        ('"path"x,group\nrun/00.avi,1', r"groups\.csv line 1: ',' expected after"),
        ("path,group\nrun/00.avi,\udce9", r"groups\.csv line 2: is not UTF-8"),
        ("path,group\nrun/01.avi,1", "has no line for the video 'run/00.avi'"),
    ],
)
def test_groups_that_are_wrong(tmp_path, groups, message):
    class_folders(tmp_path / "set", {"run": 5})
    if "\n" in groups:
        (tmp_path / "groups.csv").write_bytes(groups.encode(errors="surrogateescape"))
        groups = str(tmp_path / "groups.csv")
    with pytest.raises(ValueError, match=message):
        read_clips(tmp_path / "set", groups=groups)


def test_names_and_options_of_data_sets(tmp_path):
    class_folders(tmp_path, {"run": 5})
    assert read_clips(tmp_path, "folder") == read_clips(tmp_path)
    with pytest.raises(ValueError, match="dataset='ucf12': no such data set; did you mean ucf11"):
        read_clips(tmp_path, "ucf12")
    with pytest.raises(
        ValueError, match="dataset='zz': no such data set; one of activitynet, captions_csv, csv"
    ):
        read_clips(tmp_path, "zz")
    with pytest.raises(ValueError, match="fold: the data set folder has no such option; it takes"):
        read_clips(tmp_path, fold=3)
    with pytest.raises(ValueError, match="dataset.json: is missing"):
        read_clips(tmp_path, "tiny_actions")


@pytest.mark.parametrize("dataset", READERS)
def test_every_data_set_has_its_reader(dataset):
    assert find_reader(dataset).__doc__


def test_official_data_sets_are_not_taken_for_class_folders(tmp_path):
    class_folders(tmp_path, {"basketball": 5, "volleyball_spiking": 5})
    with pytest.raises(ValueError, match="looks like ucf11; give dataset='ucf11'"):
        read_clips(tmp_path)
    assert read_clips(tmp_path, "folder").label_names == ("basketball", "volleyball_spiking")


def _made(folder):
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_a_set_without_clips_is_refused_with_the_reason(tmp_path):
    entry = {"subset": "testing", "annotations": []}
    release = {"database": {"a": entry, "b": entry}, "taxonomy": [
        {"nodeName": "Root", "nodeId": 0, "parentId": None},
        {"nodeName": "Waving", "nodeId": 1, "parentId": 0},
    ]}  # fmt: skip
    (tmp_path / "activity_net.v1-3.min.json").write_text(json.dumps(release))
    with pytest.raises(ValueError, match="has no clip to read; left out: 2 videos of the subset"):
        read_clips(tmp_path, "activitynet")
    # What is listed and gone is there to be told, not refused.
    entry = {"subset": "training", "annotations": [{"segment": [0, 1], "label": "Waving"}]}
    release["database"] = {"a": entry}
    (tmp_path / "activity_net.v1-3.min.json").write_text(json.dumps(release))
    clip_set = read_clips(tmp_path, "activitynet", val_fraction=0)
    assert not clip_set.clips and len(clip_set.missing) == 1


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

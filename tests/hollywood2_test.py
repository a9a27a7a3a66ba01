import collections
import logging
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets.hollywood2 import LABEL_NAMES
from tests.dataset_trees import hollywood2_labels, make_hollywood2


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_hollywood2(tmp_path_factory.mktemp("hollywood2"), num_frames=2)


def test_labels_of_clips(tree):
    clip_set = read_clips(tree, "hollywood2", val_fraction=0)
    assert (clip_set.protocol, clip_set.split_name) == (
        "hollywood2",
        "train/test (lists 24 of 823 train clips and 12 of 884 test clips), no val",
    )
    assert clip_set.label_names == LABEL_NAMES
    assert clip_set.expected == {"train": 24, "test": 12} and not clip_set.missing
    labels = {clip.clip_id: clip.label for clip in clip_set.clips}
    assert labels["actioncliptrain00001"] == (0, 5) == hollywood2_labels(1)
    assert labels["actioncliptrain00014"] == (1,) and labels["actioncliptest00012"] == (11,)
    assert all(clip.path == str(tree / f"AVIClips/{clip.clip_id}.avi") for clip in clip_set.clips)
    # The noisy clips are not read, shot bounds and lists are no strays.
    assert clip_set.left_out == {"in neither train nor test": 2}
    assert clip_set.unknown_files == ()


def test_noisy_set_in_place_of_the_clean_one(tree):
    clip_set = read_clips(tree.parent, "hollywood2", autotrain=True, val_fraction=0)
    assert [clip.clip_id for clip in clip_set.in_split("train")] == [
        "actionclipautoautotrain00001",
        "actionclipautoautotrain00002",
    ]
    assert clip_set.split_name == (
        "autotrain/test (lists 2 of 810 autotrain clips and 12 of 884 test clips), no val"
    )
    assert clip_set.left_out == {"in neither autotrain nor test": 24}


def test_val_comes_out_of_train(tmp_path):
    tree = make_hollywood2(tmp_path, train=96, num_frames=2, quirks=False)
    clip_set = read_clips(tree, "hollywood2", val_fraction=0.25)
    assert clip_set.split_name.endswith("test clips), val 25 % of train by clip, seed 0")
    assert len(clip_set.in_split("test")) == 12 and len(clip_set.in_split("val")) == 24
    assert all("train" in clip.clip_id for clip in clip_set.in_split("val"))
    counts = collections.Counter(n for c in clip_set.in_split("val") for n in c.label)
    assert set(counts) == set(range(12)) and max(counts.values()) <= 3
    other = read_clips(tree, "hollywood2", val_fraction=0.25, seed=1)
    assert other.split_hash != clip_set.split_hash


def test_missing_clips(tree, tmp_path):
    other = shutil.copytree(tree, tmp_path / "set")
    (other / "AVIClips/actioncliptest00003.avi").unlink()
    clip_set = read_clips(other, "hollywood2")
    assert [(c["clip_id"], c["split"]) for c in clip_set.missing] == [
        ("actioncliptest00003", "test")
    ]
    assert clip_set.expected["test"] == 12


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        ("Kiss_test", "actioncliptest00001 0", "line 1: must be a clip .* got 'actioncliptest0"),
        ("Kiss_test", "actioncliptest00001", "line 1: must be a clip"),
        ("Kiss_test", "a 1\na -1", "line 2: must be a clip that no other line has"),
        ("Kiss_test", "a 1", "Kiss_test.txt: lists other clips than .* such as a;"),
        ("actions_test", "a 1", "actions_test.txt: lists other clips"),
    ],
)
def test_lists_that_are_wrong(tree, tmp_path, file, line, message):
    other = shutil.copytree(tree, tmp_path / "set")
    (other / f"ClipSets/{file}.txt").write_text(line)
    with pytest.raises(ValueError, match=message):
        read_clips(other, "hollywood2")


def test_what_must_be_there(tree, tmp_path):
    other = shutil.copytree(tree, tmp_path / "set")
    (other / "ClipSets/Eat_train.txt").unlink()
    with pytest.raises(ValueError, match="Eat_train.txt: is missing"):
        read_clips(other, "hollywood2")
    shutil.rmtree(other / "ClipSets")
    with pytest.raises(ValueError, match="has no ClipSets"):
        read_clips(other, "hollywood2")


def lists(folder, **counts):
    (folder / "ClipSets").mkdir(exist_ok=True)
    (folder / "AVIClips").mkdir(exist_ok=True)
    for name, count in counts.items():
        for label, label_name in enumerate(LABEL_NAMES):
            lines = [f"{name}{n}  {1 if n % 12 == label else -1}\n" for n in range(count)]
            (folder / f"ClipSets/{label_name}_{name}.txt").write_text("".join(lines))
    return folder


def test_lists_that_are_cut_off_are_said(tmp_path, caplog):
    folder = lists(tmp_path, train=823, test=884, autotrain=810)
    for autotrain, name in ((False, "train"), (True, "autotrain")):
        whole = read_clips(folder, "hollywood2", autotrain=autotrain, val_fraction=0)
        assert whole.split_name == f"{name}/test, no val" and not caplog.records
    lists(folder, train=300)
    with caplog.at_level(logging.WARNING):
        cut = read_clips(folder, "hollywood2", val_fraction=0)
    assert cut.split_name == "train/test (lists 300 of 823 train clips), no val"
    assert "lists 300 of 823 train clips." in caplog.text
    lists(folder, train=0)
    with pytest.raises(ValueError, match="AnswerPhone_train.txt: lists no clips"):
        read_clips(folder, "hollywood2")


def test_a_list_that_is_not_utf8(tmp_path):
    folder = lists(tmp_path, train=823, test=884)
    (folder / "ClipSets/Eat_test.txt").write_bytes(b"test0  1\ncaf\xe9  1\n")
    with pytest.raises(ValueError, match="Eat_test.txt line 2: is not UTF-8"):
        read_clips(folder, "hollywood2")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

import collections
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
    assert (clip_set.protocol, clip_set.split_name) == ("hollywood2", "train/test, no val")
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
    assert clip_set.split_name == "autotrain/test, no val"
    assert clip_set.left_out == {"in neither autotrain nor test": 24}


def test_val_comes_out_of_train(tmp_path):
    tree = make_hollywood2(tmp_path, train=96, num_frames=2, quirks=False)
    clip_set = read_clips(tree, "hollywood2", val_fraction=0.25)
    assert clip_set.split_name == "train/test, val 25 % of train by clip, seed 0"
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


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

import json
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.saved_split import save_split
from tests.dataset_trees import make_class_folders, make_ucf11


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_class_folders(tmp_path_factory.mktemp("set"), groups=6, num_frames=2)


@pytest.fixture
def split_file(tree, tmp_path):
    path = tmp_path / "split.json"
    read_clips(tree, seed=3, split_file=path)
    return path


def test_a_split_is_kept(tree, split_file):
    first = read_clips(tree, seed=3)
    assert read_clips(tree).split_hash != first.split_hash
    kept = read_clips(tree, split_file=split_file)
    assert kept == first and kept.split_name == "70/10/20 % by clip, seed 3"
    # The options that it was made with agree with it; others do not.
    assert read_clips(tree, seed=3, split_file=split_file) == first
    with pytest.raises(ValueError, match="holds the split .*seed 3', but seed ask for .*seed 4'"):
        read_clips(tree, seed=4, split_file=split_file)


def test_the_same_split_elsewhere_with_fewer_clips(tree, split_file, tmp_path):
    other = shutil.copytree(tree, tmp_path / "elsewhere")
    first = read_clips(tree, split_file=split_file)
    gone = first.in_split("test")[0].clip_id
    (other / gone).unlink()
    there = read_clips(other, split_file=split_file)
    assert [(m["clip_id"], m["split"]) for m in there.missing] == [(gone, "test")]
    assert there.expected == first.expected
    splits = {c.clip_id: c.split for c in first.clips if c.clip_id != gone}
    assert {c.clip_id: c.split for c in there.clips} == splits


def test_a_clip_that_the_file_does_not_list(tree, split_file, tmp_path):
    other = shutil.copytree(tree, tmp_path / "elsewhere")
    (other / "run/new.avi").write_bytes(b"new")
    with pytest.raises(ValueError, match="does not list 1 of 25 clips, such as 'run/new.avi'"):
        read_clips(other, split_file=split_file)


def test_a_file_that_was_changed(tree, split_file):
    content = json.loads(split_file.read_text())
    content["splits"]["train"].append(content["splits"]["test"].pop())
    split_file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="was changed after it was written"):
        read_clips(tree, split_file=split_file)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"format": "other"}'])
def test_files_that_are_no_split(tree, tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(ValueError, match="is no split that glimpse wrote"):
        read_clips(tree, split_file=tmp_path / "split.json")


def test_missing_clips_are_listed_too(tmp_path):
    root = make_ucf11(tmp_path / "set", num_frames=2)
    path = tmp_path / "split.json"
    whole = read_clips(root, "ucf11", seed=2, split_file=path)
    shutil.rmtree(root / "swing/v_swing_02")
    rest = read_clips(root, "ucf11", split_file=path)
    assert rest.split_name == whole.split_name and rest.expected == whole.expected
    assert sorted(m["clip_id"] for m in rest.missing) == ["v_swing_02_01", "v_swing_02_02"]
    again = tmp_path / "again.json"
    save_split(rest, again)
    first, second = (json.loads(file.read_text())["splits"] for file in (path, again))
    assert {s: sorted(ids) for s, ids in first.items()} == {
        s: sorted(ids) for s, ids in second.items()
    }
    with pytest.raises(ValueError, match="is of the data set ucf11"):
        read_clips(root, "folder", split_file=path)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

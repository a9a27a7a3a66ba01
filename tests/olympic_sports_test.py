import collections
import logging
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets.olympic_sports import LABEL_NAMES
from glimpse.pipelines.video_source import open_video
from tests.numbered_videos import frame_number
from tests.sports_trees import make_olympic_sports


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_olympic_sports(tmp_path_factory.mktemp("olympic"))


@pytest.fixture
def copy(tree, tmp_path):
    return shutil.copytree(tree, tmp_path / "set/olympic_sports")


def test_classes_splits_and_names(tree):
    clip_set = read_clips(tree, "olympic_sports", val_fraction=0)
    assert (clip_set.name, clip_set.protocol) == ("Olympic Sports", "olympic_sports")
    assert clip_set.label_names == LABEL_NAMES and len(LABEL_NAMES) == 16
    assert clip_set.expected == {"train": 16 * 3, "test": 16 * 2 + 1}
    assert clip_set.split_name == "official, no val"
    known = {clip.clip_id: clip for clip in clip_set.clips}
    clip = known["basketball_layup/-9t7_hXcl000_00000_00169"]
    assert clip.path == str(tree / "basketball_layup/-9t7_hXcl000_00000_00169.seq")
    assert (clip.split, clip.label) == ("train", 0)
    for label in range(16):
        assert sum(clip.label == label for clip in clip_set.in_split("train")) == 3


def test_every_clip_can_be_read_frame_by_frame(tree):
    for number, clip in enumerate(sorted(read_clips(tree, "olympic_sports").clips, key=serial)):
        with open_video(clip.path) as reader:
            found = [frame_number(frame) for frame in reader]
        assert found == [n % 256 for n in range(number, number + 6)] and not reader.warnings


def serial(clip):
    return int(clip.clip_id.partition("hXcl")[2][:3])


def test_listed_but_missing_not_listed_and_strays(tree, copy, caplog):
    (copy / "vault/readme.txt").write_text("stray")
    clip_set = read_clips(copy, "olympic_sports")
    assert clip_set.missing == (
        {
            "clip_id": "vault/gone_gone_1_00001_00099",
            "path": str(copy / "vault/gone_gone_1_00001_00099.seq"),
            "split": "test",
            "label": 15,
            "reason": "no such file",
        },
    )
    assert clip_set.left_out == {"in no split file": 1}
    assert clip_set.unknown_files == ("vault/readme.txt",)
    assert any("lists 48 training and 33 test" in record.getMessage() for record in caplog.records)
    assert caplog.records[0].levelno == logging.WARNING


def test_a_missing_file_leaves_the_split_of_the_others(tree, copy):
    before = read_clips(tree, "olympic_sports", val_fraction=0.3)
    next((copy / "snatch").glob("*.seq")).unlink()
    after = read_clips(copy, "olympic_sports", val_fraction=0.3)
    assert len(after.missing) == 2 and after.expected == before.expected
    split_of = {clip.clip_id: clip.split for clip in before.clips}
    assert all(clip.split == split_of[clip.clip_id] for clip in after.clips)


def test_both_spellings_are_one_data_set(tree, tmp_path):
    other = make_olympic_sports(tmp_path, spelling="underscores")
    assert (tree / "train_test_split/test/platform 10m.txt").exists()
    assert (other / "train_test_split/test/diving_platform_10m.txt").exists()
    one, two = read_clips(tree, "olympic_sports"), read_clips(other, "olympic_sports")
    assert one.split_hash == two.split_hash


@pytest.mark.parametrize(
    "name", ["diving platform 10m", "platform_10m", "diving_platfrom_10m", "diving platfrom 10m"]
)
def test_other_spellings_of_diving(tree, copy, name):
    splits = copy / "train_test_split"
    for split in ("train", "test"):
        (splits / split / "platform 10m.txt").rename(splits / split / f"{name}.txt")
    (copy / "diving_platform_10m").rename(copy / "diving_platfrom_10m")
    clip_set = read_clips(copy, "olympic_sports")
    assert clip_set.split_hash == read_clips(tree, "olympic_sports").split_hash
    assert clip_set.unknown_files == () and len(clip_set.missing) == 1


def test_a_class_listed_twice(tree, copy):
    splits = copy / "train_test_split/train"
    shutil.copy(splits / "long jump.txt", splits / "long_jump.txt")
    read_clips(copy, "olympic_sports")
    (splits / "long_jump.txt").write_text("another_1_2\n")
    with pytest.raises(ValueError, match=r"long jump\.txt and .*long_jump\.txt list other clips"):
        read_clips(copy, "olympic_sports")


def test_a_line_that_comes_again_is_counted(tree, copy):
    path = copy / "train_test_split/train/vault.txt"
    path.write_text(path.read_text() + path.read_text().split()[0] + "  \r\n")
    clip_set = read_clips(copy, "olympic_sports")
    assert clip_set.left_out["lines that list a clip again"] == 1
    assert clip_set.split_hash == read_clips(tree, "olympic_sports").split_hash


def test_a_clip_in_both_splits_is_refused(copy):
    splits = copy / "train_test_split"
    shutil.copy(splits / "train/vault.txt", splits / "test/vault.txt")
    with pytest.raises(ValueError, match="the clip 'vault/.* stand in "):
        read_clips(copy, "olympic_sports")


def test_val_keeps_the_clips_of_a_video_together(copy):
    stems = [f"a_b{n}_{start:05d}_{start + 9:05d}" for n in range(10) for start in (1, 30)]
    (copy / "train_test_split/train/bowling.txt").write_text("\n".join(stems))
    source = next((copy / "bowling").glob("*.seq")).read_bytes()
    for number, stem in enumerate(stems):
        (copy / f"bowling/{stem}.seq").write_bytes(source + bytes(number + 1))
    clip_set = read_clips(copy, "olympic_sports", val_fraction=0.3, compare_files=False)
    splits = collections.defaultdict(set)
    for clip in clip_set.clips:
        if clip.clip_id.startswith("bowling/a_b"):
            splits[clip.clip_id[:13]].add(clip.split)
    assert len(splits) == 10 and all(len(found) == 1 for found in splits.values())
    assert set().union(*splits.values()) == {"train", "val"}
    assert "val 30 % of train by YouTube video, seed 0" in clip_set.split_name


def test_the_split_files_may_be_beside_the_clips(tree, copy):
    (copy / "train_test_split").rename(copy.parent / "train_test_split")
    expected = read_clips(tree, "olympic_sports").split_hash
    for folder in (copy, copy.parent):
        assert read_clips(folder, "olympic_sports").split_hash == expected


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("train_test_split", "has no train_test_split"),
        ("train_test_split/test/snatch.txt", "has no file of the class snatch, such as 'snatch.t"),
        ("train_test_split/train/springboard 3m.txt", "such as 'diving springboard 3m.txt'"),
    ],
)
def test_what_is_missing_of_the_split_is_refused(copy, gone, message):
    path = copy / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ValueError, match=message):
        read_clips(copy, "olympic_sports")


def test_a_folder_without_classes(copy, tmp_path):
    shutil.copytree(copy / "train_test_split", tmp_path / "other/train_test_split")
    with pytest.raises(ValueError, match="has no folder of a class such as basketball_layup"):
        read_clips(tmp_path / "other", "olympic_sports")


def test_a_file_in_the_place_of_a_class(tree, tmp_path):
    root = shutil.copytree(tree, tmp_path / "set")
    videos = root / "olympic_sports" if (root / "olympic_sports").is_dir() else root
    shutil.rmtree(videos / "vault")
    (videos / "vault").write_bytes(b"packed")
    with pytest.raises(ValueError, match="vault: must be the folder of that class's clips"):
        read_clips(root, "olympic_sports")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

import collections
import logging
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets.ucf11 import PREFIXES
from glimpse.pipelines.group_split import nearest_groups
from tests.dataset_trees import make_ucf11


def splits_of_groups(clip_set):
    found = collections.defaultdict(set)
    for clip in clip_set.clips:
        found[clip.group].add(clip.split)
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_ucf11(tmp_path_factory.mktemp("ucf11"))


def made_names(folder, counts):
    """Empty files of the names of UCF-11, `counts[class]` of them in 25 groups."""
    for label_name, count in counts.items():
        prefix = PREFIXES[label_name]
        for number in range(count):
            group, clip = number % 25 + 1, number // 25 + 1
            place = folder / label_name / f"v_{prefix}_{group:02d}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"v_{prefix}_{group:02d}_{clip:02d}.mpg").touch()
    return folder


# Clips per class as the literature has them; their sum is 1,600.
COUNTS = dict(zip(PREFIXES, (141, 145, 156, 142, 198, 156, 137, 167, 119, 116, 123), strict=True))


def test_clips_classes_and_groups(tree):
    clip_set = read_clips(tree, "ucf11")
    assert (clip_set.name, clip_set.protocol) == ("UCF-11", "ucf11")
    assert clip_set.label_names == tuple(PREFIXES) and len(PREFIXES) == 11
    assert len(clip_set.clips) == 11 * 3 * 2 + 1
    known = {clip.clip_id: clip for clip in clip_set.clips}
    dog = known["v_walk_dog_03_02"]
    assert clip_set.label_names[dog.label] == "walking" and dog.group == "v_walk_dog_03"
    assert dog.path == str(tree / "walking/v_walk_dog_03/v_walk_dog_03_02.mpg")
    assert "v_shooting_24_01" in known  # whether it can be decoded is not the reader's to say
    assert clip_set.unknown_files == () and clip_set.missing == ()


def test_groups_stay_whole_and_every_class_is_in_train_and_test(tree):
    clip_set = read_clips(tree, "ucf11", val_fraction=0.3)
    assert all(len(splits) == 1 for splits in splits_of_groups(clip_set).values())
    for split in ("train", "test"):
        assert {clip.label for clip in clip_set.in_split(split)} == set(range(11))
    assert clip_set.in_split("val")
    assert "val 30 % of train by group, seed 0" in clip_set.split_name


def test_the_division_is_seeded_and_nearest_to_975_of_625(tmp_path):
    folder = made_names(tmp_path, COUNTS)
    first = read_clips(folder, "ucf11", val_fraction=0)
    assert first.expected == {"train": 975, "test": 625}
    assert "(975/625 clips), no val" in first.split_name
    assert read_clips(folder, "ucf11", val_fraction=0).split_hash == first.split_hash
    other = read_clips(folder, "ucf11", val_fraction=0, seed=1)
    assert other.split_hash != first.split_hash and other.expected == first.expected
    carved = read_clips(folder, "ucf11")
    assert carved.in_split("test") == first.in_split("test")
    assert abs(carved.expected["val"] - 0.15 * 975) < 6
    assert all(len(splits) == 1 for splits in splits_of_groups(carved).values())


def test_the_shares_hold_over_all_classes(tmp_path):
    # 15.6 of 40 clips in each class: 16 everywhere would be 176 of 440.
    folder = made_names(tmp_path, dict.fromkeys(PREFIXES, 40))
    assert read_clips(folder, "ucf11", val_fraction=0).expected == {"train": 268, "test": 172}


def test_leave_one_group_out(tmp_path, caplog):
    folder = made_names(tmp_path, COUNTS)
    tested = []
    for fold in range(1, 26):
        clips = read_clips(folder, "ucf11", split="leave_one_group_out", fold=fold, val_fraction=0)
        assert {clip.group[-2:] for clip in clips.in_split("test")} == {f"{fold:02d}"}
        tested += [clip.clip_id for clip in clips.in_split("test")]
    assert len(tested) == len(set(tested)) == 1600
    assert "leave_one_group_out, fold 25" in clips.split_name
    assert not caplog.records


def test_1168_clips(tmp_path):
    clip_set = read_clips(made_names(tmp_path, COUNTS), "ucf11", first_four=True)
    # This tree has 4 full rounds of its 25 groups in each class but basketball's like.
    counts = collections.Counter(clip.label for clip in clip_set.clips)
    assert sum(counts.values()) == 1168 == 145 + 123 + 9 * 100
    assert clip_set.left_out == {"beyond the first four of a group": 1600 - 1168}
    assert clip_set.split_name.startswith("1168 clips, ")


def test_the_old_archive_has_the_same_clips(tree, tmp_path):
    old = make_ucf11(tmp_path, archive="action_youtube_naudio")
    one, other = read_clips(tree, "ucf11"), read_clips(old, "ucf11")
    assert one.split_hash == other.split_hash
    assert all(clip.path.endswith(".avi") for clip in other.clips)


def test_the_folder_around_it_will_do(tree):
    assert read_clips(tree.parent, "ucf11") == read_clips(tree, "ucf11")


def test_two_archives_are_one_too_many(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "UCF11_updated_mpg")
    shutil.copytree(tree, tmp_path / "action_youtube_naudio")
    with pytest.raises(ValueError, match="each hold basketball; name one"):
        read_clips(tmp_path, "ucf11")


def test_annotations_beside_clips_second_files_and_strays(tree, tmp_path, caplog):
    root = shutil.copytree(tree, tmp_path / "set")
    place = root / "biking/v_biking_01"
    (place / "v_biking_01_01.xgtf").write_text("<viper/>")
    (place / "v_biking_01_01.avi").write_bytes(b"the clip again")
    (place / "notes.mpg").write_bytes(b"not named as a clip")
    (root / "biking/Annotation/v_biking_01_02.mpg").write_bytes(b"no clip, for it is not one")
    (root / "biking/Annotation/list.txt").write_text("not looked at")
    (root / "readme.txt").write_text("stray")
    clip_set = read_clips(root, "ucf11")
    assert clip_set.unknown_files == ("biking/v_biking_01/notes.mpg", "readme.txt")
    assert clip_set.left_out == {"a second file of a clip": 1}
    taken = {clip.clip_id: clip.path for clip in clip_set.clips}
    assert taken["v_biking_01_01"].endswith("v_biking_01_01.mpg")
    assert clip_set.split_hash == read_clips(tree, "ucf11").split_hash
    assert any("67 of UCF-11's 1600" in record.getMessage() for record in caplog.records)
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("diving", "dive", "has no folder diving"),
        ("swing/v_swing_01/v_swing_01_01.mpg", "swing/v_swing_02/v_swing_01_09.mpg", "of another"),
        ("swing/v_swing_01/v_swing_01_01.mpg", "swing/v_golf_01_01.mpg", "are named v_swing_"),
    ],
)
def test_what_stands_in_the_wrong_place_is_refused(tree, tmp_path, old, new, message):
    root = shutil.copytree(tree, tmp_path / "set")
    (root / old).rename(root / new)
    with pytest.raises(ValueError, match=message):
        read_clips(root, "ucf11")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "random"}, "split must be groups or leave_one_group_out"),
        ({"fold": 2}, "groups has none"),
        ({"split": "leave_one_group_out"}, "needs a fold from 1 to 25"),
        ({"split": "leave_one_group_out", "fold": "3"}, "fold must be a whole number.* got '3'"),
        ({"split": "leave_one_group_out", "fold": 26}, "fold=26: the groups are 01, 02, 03, 24"),
        ({"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\)"),
        ({"split_number": 2}, "split_number: the data set ucf11 has no such option; it takes spl"),
    ],
)
def test_options_that_are_none(tree, options, message):
    with pytest.raises(ValueError, match=message):
        read_clips(tree, "ucf11", **options)


def test_nearest_groups():
    groups = [[1] * 4, [2] * 7, [3] * 5]
    assert nearest_groups(groups, 9) == ([[1] * 4, [3] * 5], [[2] * 7])
    assert nearest_groups(groups, 0) == ([], groups)
    assert nearest_groups(groups, 13)[0] == groups[1:]
    assert nearest_groups(groups, 99) == (groups, [])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

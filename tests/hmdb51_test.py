import collections
import logging
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets.hmdb51 import LABEL_NAMES
from tests.dataset_trees import HMDB51_NAMES, make_hmdb51


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_hmdb51(tmp_path_factory.mktemp("hmdb51"), num_frames=2)


def split_ids(clip_set):
    return {clip.clip_id: clip.split for clip in clip_set.clips}


def test_the_files_say_who_is_in_train_and_test(tree):
    clip_set = read_clips(tree, "hmdb51", val_fraction=0)
    assert (clip_set.protocol, clip_set.split_name) == (
        "hmdb51",
        "split 1 (103/51 clips, 51 classes without 70/30), no val",
    )
    assert clip_set.label_names == LABEL_NAMES and len(LABEL_NAMES) == 51
    assert LABEL_NAMES == tuple(sorted(LABEL_NAMES))
    # Of four clips, number 1 is in test and number 2 is not used.
    assert clip_set.expected == {"train": 51 * 2 + 1, "test": 51}
    assert all(c.path.endswith("_1.avi") for c in clip_set.in_split("test"))
    assert clip_set.left_out == {"not used by split 1 (id 0)": 51, "in no split file": 1}
    assert clip_set.unknown_files == ("wave/Thumbs.db",)
    for clip in clip_set.clips:
        assert clip.clip_id.startswith(f"{clip_set.label_names[clip.label]}/")


def test_listed_but_missing(tree):
    (missing,) = read_clips(tree, "hmdb51", val_fraction=0).missing
    assert missing == {
        "clip_id": "wave/gone_wave_u_nm_np1_fr_goo_0",
        "path": str(tree / "hmdb51_org/wave/gone_wave_u_nm_np1_fr_goo_0.avi"),
        "split": "train",
        "label": 50,
        "reason": "no such file",
    }


def test_names_with_signs_of_their_own(tree):
    splits = split_ids(read_clips(tree, "hmdb51", val_fraction=0))
    assert set("#(!&;)") <= set("".join(HMDB51_NAMES.values()))
    for label_name, name in HMDB51_NAMES.items():
        assert splits[f"{label_name}/{name}"] == "train"


def test_three_splits_are_three(tree):
    tested = [
        {c.clip_id for c in read_clips(tree, "hmdb51", split_number=n).in_split("test")}
        for n in (1, 2, 3)
    ]
    assert all(len(ids) == 51 for ids in tested) and len(set.union(*tested)) == 3 * 51
    assert read_clips(tree, "hmdb51", split_number=3).split_name.startswith("split 3 (")
    with pytest.raises(ValueError, match="split_number must be 1, 2 or 3, got 4"):
        read_clips(tree, "hmdb51", split_number=4)


def test_val_is_of_train_and_keeps_source_videos_whole(tmp_path):
    tree = make_hmdb51(tmp_path, clips=3, quirks=False, num_frames=2)
    # Eight more clips of waving, in pairs of one film.
    names = [f"film{n // 2}_wave_u_nm_np1_fr_goo_{n % 2}" for n in range(20, 28)]
    for name in names:
        (tree / f"hmdb51_org/wave/{name}.avi").write_bytes(name.encode())
    table = tree / "testTrainMulti_7030_splits/wave_test_split1.txt"
    table.write_text(table.read_text() + "".join(f"{name}.avi 1\n" for name in names))
    without = split_ids(read_clips(tree, "hmdb51", val_fraction=0))
    carved = split_ids(read_clips(tree, "hmdb51", val_fraction=0.3))
    assert {i for i, s in carved.items() if s == "test"} == {
        i for i, s in without.items() if s == "test"
    }
    val = [i for i, s in carved.items() if s == "val"]
    assert val and {without[clip_id] for clip_id in val} == {"train"}
    films = collections.defaultdict(set)
    for name in names:
        films[name[:6]].add(carved[f"wave/{name}"])
    assert sorted(map(sorted, films.values())) != [["train"]] * 4
    assert all(len(splits) == 1 for splits in films.values())
    assert read_clips(tree, "hmdb51", val_fraction=0.3, seed=1).split_hash != (
        read_clips(tree, "hmdb51", val_fraction=0.3).split_hash
    )


def test_a_missing_file_leaves_the_split_of_the_others_as_it_was(tree, tmp_path):
    other = shutil.copytree(tree, tmp_path / "set")
    whole = read_clips(tree, "hmdb51", val_fraction=0.3)
    gone = whole.in_split("train")[0].clip_id
    (other / f"hmdb51_org/{gone}.avi").unlink()
    rest = read_clips(other, "hmdb51", val_fraction=0.3)
    assert len(rest.missing) == 2 and rest.expected == whole.expected
    assert split_ids(rest) == {i: s for i, s in split_ids(whole).items() if i != gone}


def test_where_the_folders_may_be(tree, tmp_path):
    expected = split_ids(read_clips(tree, "hmdb51"))
    assert split_ids(read_clips(tree / "hmdb51_org", "hmdb51")) == expected
    together = shutil.copytree(tree / "hmdb51_org", tmp_path / "set")
    shutil.copytree(tree / "testTrainMulti_7030_splits", together / "testTrainMulti_7030_splits")
    assert split_ids(read_clips(together, "hmdb51")) == expected
    with pytest.raises(ValueError, match="unpack these into hmdb51_org"):
        read_clips(_without_videos(tree, tmp_path), "hmdb51")
    with pytest.raises(ValueError, match="has no testTrainMulti_7030_splits"):
        read_clips(shutil.copytree(tree / "hmdb51_org", tmp_path / "a/b"), "hmdb51")


def _without_videos(tree, tmp_path):
    folder = tmp_path / "packed"
    shutil.copytree(tree / "testTrainMulti_7030_splits", folder / "testTrainMulti_7030_splits")
    (folder / "hmdb51_org").mkdir()
    (folder / "hmdb51_org/brush_hair.rar").write_bytes(b"packed")
    return folder


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.avi 3", "line 1: must be the name of a clip .* and 0, 1 or 2; got 'a.avi 3'"),
        ("a.avi", "line 1: must be"),
        ("a.avi 1\na.avi 2", "line 2: must be the name of a clip that no other line has"),
    ],
)
def test_lines_that_are_none(tree, tmp_path, line, message):
    other = shutil.copytree(tree, tmp_path / "set")
    (other / "testTrainMulti_7030_splits/wave_test_split1.txt").write_text(line)
    with pytest.raises(ValueError, match=message):
        read_clips(other, "hmdb51")
    (other / "testTrainMulti_7030_splits/wave_test_split1.txt").unlink()
    with pytest.raises(ValueError, match="wave_test_split1.txt: is missing; unpack all 153"):
        read_clips(other, "hmdb51")


def full_lists(folder):
    """The 153 split files with 70 and 30 clips of each class, without any video but one."""
    splits = folder / "testTrainMulti_7030_splits"
    splits.mkdir(parents=True)
    for label_name in LABEL_NAMES:
        rows = [f"{n}.avi {1 if n < 70 else 2 if n < 100 else 0} " for n in range(103)]
        for number in (1, 2, 3):
            (splits / f"{label_name}_test_split{number}.txt").write_text("\r\n".join(rows))
    (folder / "hmdb51_org/wave").mkdir(parents=True)
    (folder / "hmdb51_org/wave/0.avi").write_bytes(b"wave")
    return folder


def test_lists_that_are_cut_off_are_said(tmp_path, caplog):
    folder = full_lists(tmp_path)
    whole = read_clips(folder, "hmdb51", val_fraction=0)
    assert whole.split_name == "split 1, no val" and not caplog.records
    assert whole.expected == {"train": 3570, "test": 1530}
    table = folder / "testTrainMulti_7030_splits/run_test_split1.txt"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:72]))
    with caplog.at_level(logging.WARNING):
        cut = read_clips(folder, "hmdb51", val_fraction=0)
    assert cut.split_name == "split 1 (3570/1502 clips, 1 classes without 70/30), no val"
    assert "1 of 51 classes have other numbers" in caplog.text
    assert "run has 70 and 2." in caplog.text
    # The other splits' lists are whole.
    assert read_clips(folder, "hmdb51", split_number=2, val_fraction=0).split_name == (
        "split 2, no val"
    )
    for kept, split in ((lines[:70], "test"), (lines[70:], "train"), ([], "train")):
        table.write_text("\n".join(kept))
        with pytest.raises(ValueError, match=f"run_test_split1.txt: lists no {split} clip"):
            read_clips(folder, "hmdb51")


def test_a_file_in_the_place_of_a_class(tmp_path):
    folder = full_lists(tmp_path)
    (folder / "hmdb51_org/walk").write_bytes(b"packed")
    with pytest.raises(ValueError, match="hmdb51_org/walk: must be the folder of that class"):
        read_clips(folder, "hmdb51")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

import collections
import logging
import shutil

import pytest

from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets.ucf_sports import FOLDERS, LABEL_NAMES
from glimpse.pipelines.video_source import open_video
from tests.numbered_videos import frame_number
from tests.sports_trees import make_ucf_sports

COUNTS = dict(zip(LABEL_NAMES, (14, 18, 20, 6, 12, 13, 12, 20, 13, 22), strict=True))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_ucf_sports(tmp_path_factory.mktemp("ucf_sports"), num_frames=3)


@pytest.fixture
def copy(tree, tmp_path):
    """The "ucf action" folder of a tree that may be changed."""
    return shutil.copytree(tree, tmp_path / "set") / "ucf action"


@pytest.fixture(scope="module")
def known(tree):
    return {clip.clip_id: clip for clip in read_clips(tree, "ucf_sports").clips}


def members(clip_set, split):
    return {clip.clip_id for clip in clip_set.in_split(split)}


def frames(clip):
    with open_video(clip.path) as reader:
        return [frame_number(frame) for frame in reader]


def test_all_150_sequences_of_10_classes(tree, caplog):
    clip_set = read_clips(tree, "ucf_sports")
    assert (clip_set.name, clip_set.protocol) == ("UCF Sports", "ucf_sports")
    assert len({clip.clip_id for clip in clip_set.clips}) == 150
    counts = collections.Counter(clip_set.label_names[clip.label] for clip in clip_set.clips)
    assert counts == COUNTS and sum(COUNTS.values()) == 150
    assert not clip_set.missing and not clip_set.unknown_files and not caplog.records


def test_folders_merge_into_classes_under_names_of_their_own(known):
    for directory in ("Golf-Swing-Back", "Golf-Swing-Front", "Golf-Swing-Side"):
        assert LABEL_NAMES[known[f"{directory}/001"].label] == "Golf Swing"
    for directory, label_name in (("Run-Side", "Running"), ("Swing-SideAngle", "Swing-Side")):
        assert LABEL_NAMES[known[f"{directory}/001"].label] == label_name


def test_pictures_come_before_an_avi_that_may_be_shorter(tree, known):
    both = known["Diving-Side/006"]
    assert both.path == str(tree / "ucf action/Diving-Side/006")
    (avi,) = (tree / "ucf action/Diving-Side/006").glob("*.avi")
    with open_video(avi) as reader:
        assert len(list(reader)) == 2
    assert frames(both) == [5, 6, 7]


def test_sequences_without_avi_without_pictures_and_with_jpeg(tree, known):
    for number in range(8, 15):
        assert frames(known[f"Diving-Side/{number:03d}"])[:3] == [number - 1, number, number + 1]
    for number in range(1, 6):
        assert known[f"Golf-Swing-Back/{number:03d}"].path.endswith(".avi")
    parentheses = known["Golf-Swing-Front/002"]
    assert parentheses.path.endswith("Golf-Swing-Front/002/7608-9_70(2)98.avi")
    assert frames(parentheses) == [20, 21, 22]
    inner = known["Run-Side/001"]
    assert inner.path == str(tree / "ucf action/Run-Side/001/jpeg")
    assert frames(inner) == [70, 71, 72, 73]
    assert inner.truth["figures"]


def test_numbers_that_grow_a_digit_behind_the_recordings_leave_no_gap(known):
    with open_video(known["Diving-Side/001"].path) as reader:
        assert [frame_number(frame) for frame in reader] == [0, 1, 2, 3]
        assert reader.warnings == [] and reader.names[-1].endswith("_70101.jpg")


def test_boxes_of_one_actor_and_of_two(known):
    one, two = known["Diving-Side/001"].truth, known["Walk-Front/001"].truth
    assert one["frame_size"] == [48, 64] and one["directory"] == "Diving-Side"
    assert one["figures"] == [
        {"role": "actor", "boxes": [[5 + n, 10, 17 + n, 34] for n in range(4)]}
    ]
    assert [figure["boxes"][0][0] for figure in two["figures"]] == [5, 30]
    boxes, others = actor_boxes(two, [0, 2])
    assert boxes.tolist() == [[5, 10, 17, 34], [7, 10, 19, 34]] and others.shape == (2, 0, 4)


def test_sequences_without_boxes(tree, known, copy):
    for name in ("Lifting/001", "Golf-Swing-Back/001"):
        assert "figures" not in known[name].truth
    box = next((copy / "Lifting/002/gt").iterdir())
    box.unlink()
    next((copy / "Walk-Front/001/gt2").iterdir()).unlink()
    clip_set = read_clips(copy, "ucf_sports")
    assert clip_set.left_out == {
        "boxes: sequences whose gt/ lacks those of some picture": 1,
        "boxes: sequences whose gt2/ lacks those of some picture": 1,
    }
    changed = {clip.clip_id: clip.truth for clip in clip_set.clips}
    assert "figures" not in changed["Lifting/002"]
    assert len(changed["Walk-Front/001"]["figures"]) == 1
    box.write_text("5\tten\t12\t24\tLifting\n")
    with pytest.raises(ValueError, match=r"must begin with a box's x, y, width and height, got"):
        read_clips(copy, "ucf_sports")


def test_damaged_pictures_are_for_the_check_to_name(copy):
    for picture in (copy / "Lifting/002").glob("*.jpg"):
        picture.write_bytes(b"damaged")
    clip_set = read_clips(copy, "ucf_sports", compare_files=False)
    (clip,) = (clip for clip in clip_set.clips if clip.clip_id == "Lifting/002")
    assert "figures" not in clip.truth and len(clip_set.clips) == 150


def test_the_seeded_three_quarters_of_each_class(tree):
    clip_set = read_clips(tree, "ucf_sports", val_fraction=0)
    assert clip_set.expected["train"] in (112, 113) and sum(clip_set.expected.values()) == 150
    tested = collections.Counter(LABEL_NAMES[c.label] for c in clip_set.in_split("test"))
    for label_name, count in COUNTS.items():
        assert abs(tested[label_name] - count / 4) < 1
    assert tested["Lifting"] in (1, 2)
    assert read_clips(tree, "ucf_sports", val_fraction=0).split_hash == clip_set.split_hash
    other = read_clips(tree, "ucf_sports", val_fraction=0, seed=1)
    assert other.split_hash != clip_set.split_hash
    assert "75/25 of each class, seed 0 (11" in clip_set.split_name
    assert clip_set.split_name.endswith("no val")


def test_val_is_a_part_of_train(tree):
    whole = read_clips(tree, "ucf_sports", val_fraction=0)
    carved = read_clips(tree, "ucf_sports", val_fraction=0.2)
    assert members(carved, "test") == members(whole, "test")
    assert members(carved, "train") | members(carved, "val") == members(whole, "train")
    assert abs(len(members(carved, "val")) - 0.2 * len(members(whole, "train"))) <= 1
    assert "val 20 % of train by sequence" in carved.split_name


def test_recordings_stay_whole_where_that_is_asked_for(tree):
    clip_set = read_clips(tree, "ucf_sports", split="sources", val_fraction=0.2)
    places = [f"{d}/{n:03d}" for d, (_, count) in FOLDERS.items() for n in range(1, count + 1)]
    split_of = {clip.clip_id: clip.split for clip in clip_set.clips}
    # In the tree, every two sequences in a row are of one recording, but for one of another name.
    recordings = collections.defaultdict(set)
    for number, place in enumerate(places):
        name = "7608-9" if place == "Golf-Swing-Front/002" else number // 2
        recordings[name].add(split_of[place])
    assert len(recordings) == 76 and all(len(splits) == 1 for splits in recordings.values())
    assert set(split_of.values()) == {"train", "val", "test"}
    assert abs(len(members(clip_set, "test")) - 150 / 4) < 3
    assert "by recording, seed 0" in clip_set.split_name
    random = read_clips(tree, "ucf_sports", val_fraction=0)
    parted = {clip.clip_id: clip.split for clip in random.clips}
    assert any(parted[a] != parted[b] for a, b in zip(places[::2], places[1::2], strict=True))


def test_the_split_of_lan(tree):
    clip_set = read_clips(tree, "ucf_sports", split="lan", val_fraction=0)
    assert clip_set.expected == {"train": 103, "test": 47}
    tested = members(clip_set, "test")
    first = {"Diving-Side": 4, "Golf-Swing-Back": 5, "Golf-Swing-Front": 1, "Kicking-Front": 6,
             "Lifting": 2, "Riding-Horse": 4, "Run-Side": 4, "SkateBoarding-Front": 4,
             "Swing-Bench": 6, "Swing-SideAngle": 4, "Walk-Front": 7}  # fmt: skip
    assert tested == {f"{d}/{n:03d}" for d, count in first.items() for n in range(1, count + 1)}
    assert clip_set.split_name == "Lan et al. (103/47 clips), no val"


def test_the_split_of_lan_is_that_of_the_others_where_sequences_are_gone(tree, copy):
    whole = read_clips(tree, "ucf_sports", split="lan", val_fraction=0)
    gone = {"Diving-Side/002": "test", "Kicking-Side/001": "train"}
    for clip_id in gone:
        shutil.rmtree(copy / clip_id)
    clip_set = read_clips(copy, "ucf_sports", split="lan", val_fraction=0)
    assert {m["clip_id"]: m["split"] for m in clip_set.missing} == gone
    assert clip_set.expected == whole.expected and clip_set.split_name == whole.split_name
    for split in ("train", "test"):
        assert members(clip_set, split) == members(whole, split) - gone.keys()


def test_leave_one_out(tree):
    for fold, clip_id in ((1, "Diving-Side/001"), (20, "Golf-Swing-Front/001"),
                          (150, "Walk-Front/022")):  # fmt: skip
        clip_set = read_clips(tree, "ucf_sports", split="leave_one_out", fold=fold, val_fraction=0)
        assert members(clip_set, "test") == {clip_id} and len(clip_set.clips) == 150
        assert f"leave one out, fold {fold} " in clip_set.split_name


@pytest.mark.parametrize("split", ["random", "leave_one_out"])
def test_what_is_missing_is_told_and_moves_nothing(tree, copy, split, caplog):
    options = {"split": split, "fold": 3 if split == "leave_one_out" else None}
    before = read_clips(tree, "ucf_sports", **options)
    shutil.rmtree(copy / "Diving-Side/003")
    for file in (copy / "Kicking-Side/004").glob("*.*"):
        file.unlink()
    shutil.copy(
        next((copy / "Run-Side/002").glob("*.avi")), copy / "Golf-Swing-Back/001/second.avi"
    )
    after = read_clips(copy, "ucf_sports", compare_files=False, **options)
    reasons = {entry["clip_id"]: entry["reason"] for entry in after.missing}
    assert reasons == {
        "Diving-Side/003": "no such folder",
        "Kicking-Side/004": "holds no picture and 0 AVI files",
        "Golf-Swing-Back/001": "holds no picture and 2 AVI files",
    }
    assert after.expected == before.expected
    split_of = {clip.clip_id: clip.split for clip in before.clips}
    for clip in after.clips:
        assert clip.split == split_of[clip.clip_id]
    assert all(entry["split"] == split_of[entry["clip_id"]] for entry in after.missing)
    assert any("lacks 3 of UCF Sports' 150" in record.getMessage() for record in caplog.records)
    assert caplog.records[0].levelno == logging.WARNING


def test_the_folders_around_and_the_folder_itself(tree):
    whole = read_clips(tree, "ucf_sports")
    for folder in (tree.parent, tree / "ucf action"):
        assert read_clips(folder, "ucf_sports") == whole


def test_strays_and_further_folders(copy):
    (copy / "Lifting/readme.txt").write_text("stray")
    (copy / "Swing").mkdir()
    shutil.copytree(copy / "Lifting/001", copy / "Lifting/007")
    clip_set = read_clips(copy, "ucf_sports")
    assert clip_set.unknown_files == ("Lifting/readme.txt", "Swing/")
    assert clip_set.left_out == {"folders beyond the 150 sequences": 1}
    assert len(clip_set.clips) == 150


def test_a_folder_of_the_13_that_is_missing(copy):
    shutil.rmtree(copy / "Swing-Bench")
    with pytest.raises(ValueError, match="has no folder Swing-Bench; unpack all"):
        read_clips(copy, "ucf_sports")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "official"}, "split must be one of random, sources, lan, leave_one_out"),
        ({"fold": 2}, "leave_one_out needs a fold from 1 to 150, and the others have none"),
        ({"split": "leave_one_out"}, "needs a fold from 1 to 150"),
        ({"split": "leave_one_out", "fold": 0}, "fold must be from 1 to 150, got 0"),
        ({"split": "leave_one_out", "fold": 151}, "fold must be from 1 to 150, got 151"),
        ({"split": "leave_one_out", "fold": "3"}, "fold must be from 1 to 150, got '3'"),
        ({"val_fraction": 1.0}, r"val_fraction must be in \[0, 1\)"),
    ],
)
def test_options_that_are_none(tree, options, message):
    with pytest.raises(ValueError, match=message):
        read_clips(tree, "ucf_sports", **options)


def test_a_folder_of_it_is_known_without_its_name(tree):
    with pytest.raises(ValueError, match="looks like ucf_sports"):
        read_clips(tree)


def test_a_small_tree(tmp_path):
    clip_set = read_clips(make_ucf_sports(tmp_path, sequences=2), "ucf_sports", val_fraction=0)
    assert len(clip_set.clips) == 26 and len(clip_set.missing) == 124


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

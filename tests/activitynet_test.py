import json
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.segment import Segment
from tests.dataset_trees import ACTIVITYNET_CLASSES, make_activitynet


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_activitynet(tmp_path_factory.mktemp("activitynet"))


def by_id(clip_set):
    return {clip.clip_id: clip for clip in clip_set.clips}


def changed(tree, tmp_path, change):
    """A copy of the tree whose JSON is changed by a function."""
    root = shutil.copytree(tree.parent, tmp_path / "set")
    path = root / "activity_net.v1-3.min.json"
    release = json.loads(path.read_text())
    release = change(release) or release
    path.write_text(json.dumps(release))
    return root / "videos"


def test_classes_are_the_leaves_spelt_as_there(tree):
    clip_set = read_clips(tree, "activitynet")
    assert clip_set.label_names == ACTIVITYNET_CLASSES == tuple(sorted(ACTIVITYNET_CLASSES))
    assert clip_set.protocol == "activitynet"
    assert clip_set.split_name.startswith("release 1.3, trimmed, training/validation, val ")


def test_a_clip_for_each_segment(tree):
    clip_set = read_clips(tree, "activitynet", val_fraction=0)
    clips = by_id(clip_set)
    # 4 x 4 training videos, two of the first and one of the second with signs in their ids.
    assert len(clip_set.in_split("train")) == 16 + 2 + 2
    assert len(clip_set.in_split("test")) == 8 + 1
    dash = clips["-abcDEF-123_2"]
    assert dash.label == 1 and dash.segment == Segment(0.0, 0.32)
    assert (dash.video_id, dash.group) == ("-abcDEF-123", "-abcDEF-123")
    assert dash.path == str(tree / "v_-abcDEF-123.mp4")
    inside = clips["_bcDEF-1234_1"]
    assert inside.segment == Segment(0.04, 0.2)
    assert inside.path == str(tree / "deeper/_bcDEF-1234.mkv")
    # An id that begins with "v_", in a file v_v_...
    assert clips["v_cdefghijk_0"].path == str(tree / "v_v_cdefghijk.mp4")
    # The end beyond the video is left as it is.
    assert clips["train0000_0_0"].segment == Segment(0.01, 0.82)


def test_what_is_left_out_is_counted(tree):
    clip_set = read_clips(tree, "activitynet")
    assert clip_set.left_out == {
        "segments shorter than 0.1 s": 2,
        "segments that begin at the video's end or after": 1,
        "videos of the subset testing, whose labels are withheld": 1,
        "videos without annotations": 1,
        "videos that the JSON does not list": 1,
    }
    assert clip_set.unknown_files == ("v_cdefghijk.mp4.part",)
    longer = read_clips(tree, "activitynet", min_seconds=0.2)
    assert longer.left_out["segments shorter than 0.2 s"] == 3 + 16 // 2 + 8 // 2


def test_videos_that_are_gone(tree):
    missing = read_clips(tree, "activitynet", val_fraction=0).missing
    assert [(m["clip_id"], m["split"], m["path"]) for m in missing] == [
        ("gone_gone_1_0", "train", str(tree / "v_gone_gone_1.mp4")),
        ("gone_gone_2_0", "test", str(tree / "v_gone_gone_2.mp4")),
    ]


def test_val_is_of_training_by_whole_videos(tree):
    clip_set = read_clips(tree, "activitynet", val_fraction=0.3)
    videos = {s: {c.video_id for c in clip_set.in_split(s)} for s in ("train", "val", "test")}
    assert not videos["train"] & videos["val"] and videos["val"]
    assert all(not video.startswith("valid") for video in videos["val"])
    counted = read_clips(tree, "activitynet", val_count=6)
    assert counted.expected["val"] == 6
    assert "val 6 of 21 training clips by video, seed 0" in counted.split_name
    with pytest.raises(ValueError, match=r"val_count must be in \[0, 21\), got 21"):
        read_clips(tree, "activitynet", val_count=21)


def test_whole_videos_with_all_their_labels(tree):
    clip_set = read_clips(tree, "activitynet", untrimmed=True, val_fraction=0)
    clips = by_id(clip_set)
    assert clips["-abcDEF-123"].label == (0, 1) and clips["_bcDEF-1234"].label == (0,)
    assert all(clip.segment is None for clip in clip_set.clips)
    assert len(clip_set.clips) == 16 + 2 + 8 + 1 and len(clip_set.missing) == 2
    assert "untrimmed" in clip_set.split_name


def test_without_taxonomy_the_labels_that_occur(tree, tmp_path):
    videos = changed(tree, tmp_path, lambda r: {k: v for k, v in r.items() if k != "taxonomy"})
    assert read_clips(videos, "activitynet").label_names == ACTIVITYNET_CLASSES
    with pytest.raises(ValueError, match="'Drinking beer' of the video .* is no leaf of the taxo"):
        read_clips(changed(tree, tmp_path / "b", _without_beer), "activitynet")


def _without_beer(release):
    release["taxonomy"] = [n for n in release["taxonomy"] if n["nodeName"] != "Drinking beer"]


def test_blocked_videos(tree, tmp_path):
    for text in ('["-abcDEF-123", "_bcDEF-1234"]', "-abcDEF-123\n_bcDEF-1234\n"):
        (tmp_path / "blocked").write_text(text)
        clip_set = read_clips(tree, "activitynet", blocked=str(tmp_path / "blocked"))
        assert clip_set.left_out["videos on the blocked list"] == 2
        assert "-abcDEF-123_0" not in by_id(clip_set)
    with pytest.raises(ValueError, match="blocked=none: no such file"):
        read_clips(tree, "activitynet", blocked="none")


def test_the_json_by_name_beside_or_around_the_videos(tree, tmp_path):
    expected = by_id(read_clips(tree, "activitynet"))
    root = shutil.copytree(tree.parent, tmp_path / "set")
    assert list(by_id(read_clips(root, "activitynet"))) == list(expected)
    path = shutil.move(root / "activity_net.v1-3.min.json", tmp_path / "release.json")
    with pytest.raises(ValueError, match="has no file activity_net"):
        read_clips(root / "videos", "activitynet")
    given = read_clips(root / "videos", "activitynet", annotations=str(path))
    assert list(by_id(given)) == list(expected)
    for name in ("activity_net.v1-2.min.json", "activity_net.v1-3.min.json"):
        shutil.copy(path, root / name)
    with pytest.raises(ValueError, match="has 2 files activity_net"):
        read_clips(root, "activitynet")


def test_a_second_file_of_a_video(tree, tmp_path):
    videos = changed(tree, tmp_path, lambda release: None)
    shutil.copy(videos / "v_train0000_0.mp4", videos / "v_train0000_0.webm")
    assert read_clips(videos, "activitynet").left_out["second files of a video"] == 1


def test_a_bare_id_that_begins_like_a_prefix(tree, tmp_path):
    videos = changed(tree, tmp_path, lambda release: None)
    (videos / "v_v_cdefghijk.mp4").rename(videos / "v_cdefghijk.mp4")
    clip = by_id(read_clips(videos, "activitynet"))["v_cdefghijk_0"]
    assert clip.path == str(videos / "v_cdefghijk.mp4")


def break_entry(**changes):
    def change(release):
        release["database"]["-abcDEF-123"] |= changes

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: [1], "has no object `database`"),
        (break_entry(subset="train"), "'-abcDEF-123' is in the unknown subset 'train'"),
        (break_entry(annotations=[{"segment": [1], "label": "a"}]), "is not described"),
        (break_entry(annotations=[{"segment": [-1, 2], "label": "a"}]), "is not described"),
        (break_entry(annotations=[{"segment": ["0", "2"], "label": "a"}]), "is not described"),
        (break_entry(annotations=[{"segment": [0, 2]}]), "is not described"),
        (break_entry(annotations=None), "is not described"),
        (break_entry(duration=None), "the video .* is not described"),
        (break_entry(duration="12"), "the video .* is not described"),
        (break_entry(duration=float("nan")), "has the duration nan"),
        (lambda r: r["taxonomy"][0].pop("parentId"), "`taxonomy` must be a list .*parentId"),
        (lambda r: r["taxonomy"][-1].update(nodeName=3), "`taxonomy` must be a list"),
        (lambda r: r | {"taxonomy": {"a": 1}}, "`taxonomy` must be a list"),
        (lambda r: r | {"taxonomy": ["a"]}, "`taxonomy` must be a list"),
        (lambda r: r | {"taxonomy": 3}, "`taxonomy` must be a list"),
        (lambda r: r["database"].clear(), "`database` describes no video"),
    ],
)
def test_what_is_no_release(tree, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read_clips(changed(tree, tmp_path, change), "activitynet")


def test_a_json_that_is_cut(tree, tmp_path):
    path = tmp_path / "cut.json"
    path.write_text((tree.parent / "activity_net.v1-3.min.json").read_text()[:-9])
    with pytest.raises(ValueError, match="is not JSON"):
        read_clips(tree, "activitynet", annotations=str(path))


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

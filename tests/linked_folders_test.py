import logging
import os
import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.linked_folders import walk_with_links
from glimpse.pipelines.plain_folder import read_plain_folder
from tests.dataset_trees import make_activitynet, make_class_folders, make_ucf11


def make(folder, paths):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())
    return folder


def walked(folder):
    return sorted(
        os.path.relpath(os.path.join(parent, name), folder)
        for parent, _, files in walk_with_links(folder)
        for name in files
    )


def test_links_are_followed_and_each_folder_is_read_once(tmp_path, caplog):
    folder = make(tmp_path / "set", ["a/1", "b/2"])
    other = make(tmp_path / "other", ["deep/3", "4"])
    (folder / "a/x").symlink_to(other)
    (folder / "y").symlink_to(other / "deep")
    (folder / "z").symlink_to(folder / "b")
    with caplog.at_level(logging.WARNING):
        # The link y is beside a, so it comes before what a leads to.
        assert walked(folder) == ["a/1", "a/x/4", "b/2", "y/3"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        repr(str(folder / "z")),
        repr(str(folder / "a/x/deep")),
    ]


@pytest.mark.parametrize("target", [".", "a", "a/b", "..", "/"])
def test_links_to_where_they_are_in_end(tmp_path, target, caplog):
    folder = make(tmp_path / "set", ["a/b/1", "a/2"])
    make(tmp_path, ["beside/3"])
    (folder / "a/b/loop").symlink_to(os.path.normpath(folder / target))
    (folder / "a/itself").symlink_to("itself")
    with caplog.at_level(logging.WARNING):
        assert walked(folder) == ["a/2", "a/b/1", "a/itself"]
        # Nor is what lies beside the folder that is walked read through them.
        assert walked(folder / "a") == ["2", "b/1", "itself"]
    assert "a/b/loop': leads to" in caplog.text


def test_a_loop_behind_a_link(tmp_path):
    folder = make(tmp_path / "set", ["1"])
    other = make(tmp_path / "store/videos", ["2"])
    make(tmp_path / "store", ["3"])
    (folder / "x").symlink_to(other)
    (other / "up").symlink_to(tmp_path / "store")
    assert walked(folder) == ["1", "x/2"]


def test_folders_that_are_taken_out_are_not_gone_into(tmp_path):
    folder = make(tmp_path, ["a/1", "b/2"])
    seen = []
    for parent, folders, _ in walk_with_links(folder):
        seen.append(parent)
        if "a" in folders:
            folders.remove("a")
    assert seen == [str(folder), str(folder / "b")]


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    folder, scandir = make(tmp_path, ["a/1"]), os.scandir

    def refuse(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="/a: cannot be listed .Permission denied."):
        walked(folder)


def test_class_folders_behind_links(tmp_path):
    folder = make_class_folders(tmp_path / "set", num_frames=2)
    store = make(tmp_path / "store", ["part/x1.avi", "part/x2.avi"])
    (folder / "hop/more").symlink_to(store)
    make(tmp_path / "walks", [f"{n}.avi" for n in range(3)])
    (folder / "walk").symlink_to(tmp_path / "walks")
    clip_set = read_clips(folder)
    assert clip_set.label_names == ("hop", "run", "walk")
    ids = {clip.clip_id for clip in clip_set.clips}
    assert {"hop/more/part/x1.avi", "hop/more/part/x2.avi", "walk/0.avi"} <= ids
    assert len(ids) == 20 + 2 + 3
    # A class that a loop is in has no clips of the others.
    (folder / "run/loop").symlink_to(folder)
    (folder / "turn").symlink_to("turn")
    again = read_clips(folder)
    assert {clip.clip_id for clip in again.clips} == ids
    assert again.unknown_files == ("turn",)
    assert len(read_plain_folder(folder).clips) == len(ids)


def test_official_data_sets_behind_links(tmp_path):
    videos = make_activitynet(tmp_path / "an")
    whole = read_clips(videos, "activitynet")
    shutil.move(videos, tmp_path / "store")
    videos.mkdir()
    (videos / "linked").symlink_to(tmp_path / "store")
    linked = read_clips(videos, "activitynet")
    assert linked.split_hash == whole.split_hash and len(linked.missing) == len(whole.missing)
    videos = make_ucf11(tmp_path / "ucf11", num_frames=2)
    group = videos / "walking/v_walk_dog_02"
    whole = read_clips(videos, "ucf11")
    shutil.move(group, tmp_path / "v_walk_dog_02")
    group.symlink_to(tmp_path / "v_walk_dog_02")
    assert read_clips(videos, "ucf11").split_hash == whole.split_hash


def test_a_link_in_the_place_of_the_videos_of_activitynet(tmp_path):
    videos = make_activitynet(tmp_path / "an")
    whole = read_clips(tmp_path / "an", "activitynet")
    shutil.move(videos, tmp_path / "store")
    videos.symlink_to(tmp_path / "store")
    linked = read_clips(tmp_path / "an", "activitynet")
    assert linked.split_hash == whole.split_hash and linked.clips


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

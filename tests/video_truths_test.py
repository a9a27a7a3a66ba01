"""What a data set in --data knows of a video file: its truth and its labels' names."""

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.video_arguments import read_truths
from tests.dataset_trees import make_activitynet, make_csv, make_hollywood2, make_msvd


def test_labels_of_one_clip_and_of_several(tmp_path):
    films = make_hollywood2(tmp_path / "a", num_frames=2)
    clips = [films / f"AVIClips/actioncliptrain0000{n}.avi" for n in (1, 2)]
    assert read_truths(films, clips) == [(None, "AnswerPhone, HandShake"), (None, "DriveCar")]
    # Two segments of a video, each with a label of its own.
    videos = make_activitynet(tmp_path / "b")
    root = videos.parent
    (truth, label), *_ = read_truths(root, [videos / "v_-abcDEF-123.mp4"])
    assert (truth, label) == (None, "Drinking beer, Mooping floor")


def test_truth_of_a_clip_without_labels(tmp_path):
    root = make_msvd(tmp_path, num_frames=2)
    clip = read_clips(root, "msvd").clips[0]
    assert read_truths(root, [clip.path]) == [(clip.truth, None)]


def test_files_of_no_clip(tmp_path):
    lines = ["a.avi,run,train", "c.avi,walk,train", "b.avi,walk,test"]
    table = make_csv(tmp_path, "path,label,split", lines)
    assert read_truths(table, [tmp_path / "b.avi"]) == [(None, "walk")]
    assert read_truths(None, ["x", "y"]) == [(None, None)] * 2
    with pytest.raises(ValueError, match=r"--data=.*d.avi is not one of its clips"):
        read_truths(table, [tmp_path / "d.avi"])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

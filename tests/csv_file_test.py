import collections
import os

import pytest

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.segment import Segment
from tests.dataset_trees import make_csv


def test_given_splits_parts_and_groups(tmp_path):
    table = make_csv(
        tmp_path,
        "path,label,start,end,split,group",
        [
            "a b.avi,walk,0,0.1,train,anna",
            "a b.avi,run,0.1,,train,anna",
            "deep/'c'.avi,run,,,test,berta",
            "-d.avi,walk,0.04,0.2,val,clara",
            "gone.avi,walk,,,test,dora",
        ],
    )
    clip_set = read_clips(table)
    assert (clip_set.name, clip_set.protocol) == ("clips", None)
    assert clip_set.label_names == ("run", "walk")
    found = [(c.clip_id, c.label, c.split, c.segment, c.group, c.video_id) for c in clip_set.clips]
    assert found == [
        ("a b.avi 0 to 0.1 seconds", 1, "train", Segment(0.0, 0.1), "anna", "a b.avi"),
        ("a b.avi 0.1 to the end seconds", 0, "train", Segment(0.1), "anna", "a b.avi"),
        ("-d.avi 0.04 to 0.2 seconds", 1, "val", Segment(0.04, 0.2), "clara", "-d.avi"),
        ("deep/'c'.avi", 0, "test", None, "berta", "deep/'c'.avi"),
    ]
    assert all(os.path.isfile(clip.path) for clip in clip_set.clips)
    assert [(m["clip_id"], m["split"]) for m in clip_set.missing] == [("gone.avi", "test")]
    assert clip_set.split_name == "given by the column split"
    assert read_clips(tmp_path, "csv") == clip_set


def test_frames(tmp_path):
    table = make_csv(
        tmp_path,
        "path,label,start_frame,end_frame,split",
        ["a.avi,x,2,5,train", "a.avi,y,5,,train"],
    )
    segments = [clip.segment for clip in read_clips(table).clips]
    assert segments == [Segment(2, 5, "frames"), Segment(5, None, "frames")]


def test_several_labels(tmp_path):
    lines = ["a.avi,run; wave,train", "b.avi,wave,train", "c.avi,hop,train"]
    clip_set = read_clips(make_csv(tmp_path, "path,label,split", lines))
    assert clip_set.label_names == ("hop", "run", "wave")
    assert [clip.label for clip in clip_set.clips] == [(1, 2), (2,), (0,)]


def test_without_a_split_groups_and_videos_stay_whole(tmp_path):
    lines = [
        f"{label}{n}.avi,{label},0.{part},0.{part + 1},person{n // 2}"
        for label in ("run", "walk")
        for n in range(20)
        for part in range(2)
    ]
    table = make_csv(tmp_path, "path,label,start,end,group", lines)
    clip_set = read_clips(table)
    groups = collections.defaultdict(set)
    for clip in clip_set.clips:
        groups[clip.group].add(clip.split)
    assert len(groups) == 10 and all(len(splits) == 1 for splits in groups.values())
    assert clip_set.expected == {"train": 56, "val": 8, "test": 16}
    assert clip_set.split_name == "70/10/20 % by group, seed 0"
    other = read_clips(table, seed=1, fractions=(0.5, 0, 0.5))
    assert other.split_name == "50/0/50 % by group, seed 1" and other.expected["test"] == 40
    # Without the column, the parts of a video are the group.
    plain = [line.rpartition(",")[0] for line in lines]
    table.write_text("\n".join(["path,label,start,end", *plain]))
    videos = collections.defaultdict(set)
    for clip in read_clips(table).clips:
        videos[clip.video_id].add(clip.split)
    assert len(videos) == 40 and all(len(splits) == 1 for splits in videos.values())


def test_a_file_that_spreadsheets_write(tmp_path):
    table = make_csv(tmp_path, "path,label,split", ["é.avi,x,train", "b.avi,x,test"])
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n"))
    assert [clip.clip_id for clip in read_clips(table).clips] == ["é.avi", "b.avi"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\na.avi,x", "must name the columns path,label and any of start.*'path,class'"),
        ("path,label,gruop\na.avi,x,1", "got 'path,label,gruop'"),
        ("path,label,label\na.avi,x,y", "each once"),
        ("path,label,start,end_frame\na.avi,x,1,2", "in seconds or in frames, not both"),
        ("path,label", "lists no clips"),
        ("path,label\na.avi", "line 2: must have 2 fields"),
        ("path,label\na.avi,x,y", "line 2: must have 2 fields"),
        ("path,label\n,x", "line 2: has no path"),
        ("path,label\na.avi,", "line 2: the label must be the name of a class, got ''"),
        ("path,label\na.avi,x;;y", "line 2: the label must be"),
        ("path,label,split\na.avi,x,training", "line 2: split must be one of .* got 'training'"),
        ("path,label,group\na.avi,x,", "line 2: has no group"),
        ("path,label,start,end\na.avi,x,2,1", "line 2: start,end='2,1': end must be above start"),
        ("path,label,start,end\na.avi,x,zero,1", "line 2: start,end='zero,1': could not convert"),
        ("path,label,start,end\na.avi,x,nan,1", "line 2: start,end='nan,1': start must be"),
        ("path,label,start_frame,end_frame\na.avi,x,1.5,3", "line 2: start_frame,end_frame='1.5"),
        ('"path"x,label\na.avi,x', r"clips\.csv line 1: ',' expected after"),
        ('path,label\n"a.avi"x,y', r"clips\.csv line 2: ',' expected after"),
        ('path,label\na.avi,"x', r"clips\.csv line 2: unexpected end"),
        (
            "path,label,split\na.avi,x,train\nb.avi,y,test",
            r"clips\.csv: the class 'y' has no clip in train",
        ),
        (
            "path,label,split\na.avi,x;z,train\nb.avi,x;y,val",
            r"clips\.csv: the class 'y' has no clip in train",
        ),
        ("path,label\na.avi,x\na.avi,x", "line 3: lists 'a.avi' a second time"),
        ("path,label,split\na.avi,x,train\n./a.avi,x,test", "line 3: lists 'a.avi' a second time"),
        (
            "path,label,start,end,split\na.avi,x,0,1,train\na.avi,x,1,2,test",
            "parts of the video 'a.avi' stand in train .* and in test",
        ),
        (
            "path,label,split,group\na.avi,x,train,1\nb.avi,x,test,1",
            "clips of the group '1' stand in train .'a.avi'. and in test .'b.avi'.",
        ),
    ],
)
def test_lines_that_are_wrong(tmp_path, text, message):
    table = make_csv(tmp_path, "path,label", ["a.avi,x", "b.avi,x"])
    table.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_clips(table)
    assert len(str(caught.value).splitlines()) == 1


def test_which_file(tmp_path):
    with pytest.raises(ValueError, match="has 0 CSV files"):
        read_clips(tmp_path, "csv")
    with pytest.raises(ValueError, match="no such folder"):
        read_clips(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("path,label\na.avi,x\ncafé.avi,x\n".encode("latin-1"), 3),
        ("path,label\na.avi,x\n".encode("utf-16"), 1),
    ],
)
def test_a_file_that_is_not_utf8(tmp_path, content, line):
    table = make_csv(tmp_path, "path,label", ["a.avi,x"])
    table.write_bytes(content)
    with pytest.raises(ValueError, match=rf"clips\.csv line {line}: is not UTF-8; save"):
        read_clips(table)


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

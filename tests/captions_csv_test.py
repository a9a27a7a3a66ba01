"""A CSV file of captions: what is read, what is counted, what is refused by file and line."""

import re

import pytest
import tensorflow as tf

from glimpse.pipelines.caption_tokens import tokenize_caption
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FeatureIndex
from tests.dataset_trees import make_csv
from tests.run_command import run_command

HEADER = "path,caption,split"


def write(folder, text, encoding="utf-8"):
    """A file of captions with the videos a.avi and b.avi beside it."""
    table = make_csv(folder, HEADER, ["a.avi,x,train", "b.avi,x,test"], num_frames=2)
    table.write_bytes(text.encode(encoding))
    return table


def read(table, **options):
    return read_clips(table, "captions_csv", **options)


def test_the_lines_of_a_path_are_one_clip(tmp_path):
    table = write(
        tmp_path,
        "path,caption,split,group\n"
        'a.avi,"A man, ""the cook"",\nslices bread.",train,anna\n'
        "b.avi, a dog runs ,test,berta\n"
        "a.avi,a man slices,train,anna\n"
        "gone.avi,nobody,test,clara\n",
    )
    found = read(table)
    assert [(c.clip_id, c.label, c.split, c.group, c.video_id) for c in found.clips] == [
        ("a.avi", (), "train", "anna", "a.avi"),
        ("b.avi", (), "test", "berta", "b.avi"),
    ]
    assert found.clips[0].truth["captions"] == [
        'A man, "the cook",\nslices bread.', "a man slices",
    ]  # fmt: skip
    assert found.clips[1].truth["captions"] == ["a dog runs"]
    assert (found.name, found.label_names, found.left_out) == ("clips", (), {})
    assert [(m["clip_id"], m["split"]) for m in found.missing] == [("gone.avi", "test")]
    assert found.split_name == "given by the column split"
    assert read_clips(tmp_path, "captions_csv") == found


def test_what_is_empty_is_counted(tmp_path):
    table = write(tmp_path, f"{HEADER}\n\na.avi,,train\n,,\na.avi,a dog,train\nb.avi, ,test\n\n")
    found = read(table)
    assert [clip.clip_id for clip in found.clips] == ["a.avi"]
    assert found.left_out == {
        "empty rows": 3, "captions: empty": 2, "clips without a caption": 1,
    }  # fmt: skip


def test_a_byte_order_mark_and_other_scripts_are_read(tmp_path):
    lines = ["a.avi,Собака бежит!,train", "a.avi,L'été à Paris 🎉,train", "b.avi,狗 跑,test"]
    text = "".join(f"{line}\r\n" for line in [HEADER, *lines])
    found = read(write(tmp_path, text, "utf-8-sig"))
    words = [tokenize_caption(each) for each in found.clips[0].truth["captions"]]
    assert words[0] == ["собака", "бежит"] and words[1][-2:] == ["paris", "🎉"]
    assert tokenize_caption(found.clips[1].truth["captions"][0]) == ["狗", "跑"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,text\na.avi,x\n", "must name the columns path,caption"),
        ("path,caption,label\na.avi,x,y\n", "got 'path,caption,label'"),
        ("path,caption,caption\na.avi,x,y\n", "each once"),
        ("", "must name the columns path,caption"),
        (f"{HEADER}\na.avi,a man, running,train\n", "line 2: must have 3 fields; a caption with"),
        (f"{HEADER}\na.avi,a man,train\nb.avi\n", "line 3: must have 3 fields"),
        (f'{HEADER}\na.avi,"a man" runs,train\n', "line 2: ',' expected after '\"'"),
        (
            f'{HEADER}\na.avi,x,train\nb.avi,"a man,test\na.avi,y,train\n',
            r"line 4: unexpected end of data \(in the row that begins after line 2\)",
        ),
        (f"{HEADER}\na.avi,x,exam\n", "line 2: split must be one of .*'exam'"),
        (f"{HEADER}\n,a man,train\n", "line 2: has no path"),
        (f"{HEADER}\na.avi,x,train\na.avi,y,test\n", "line 3: split is 'test', in an earlier"),
        ("path,caption,group\na.avi,x,\n", "line 2: has no group"),
        (f"{HEADER}\na.avi, ,train\n", "has no caption of any clip"),
    ],
)
def test_what_is_wrong_is_refused_by_its_line(tmp_path, text, words):
    table = write(tmp_path, text)
    with pytest.raises(ValueError, match=words) as caught:
        read(table)
    assert str(table) in str(caught.value)


def test_text_that_is_not_utf8_is_refused_by_its_line(tmp_path):
    table = write(tmp_path, f"{HEADER}\na.avi,x,train\na.avi,été,train\n", "latin-1")
    with pytest.raises(ValueError, match=re.escape(f"{table} line 3: is not UTF-8")):
        read(table)


def test_without_a_split_groups_stay_whole(tmp_path):
    lines = [f"{n}.avi,a dog,person{n // 3}" for n in range(30)]
    table = make_csv(tmp_path, "path,caption,group", lines, num_frames=2)
    found = read(table, fractions=(0.6, 0.2, 0.2), seed=1)
    assert found.expected == {"train": 18, "val": 6, "test": 6}
    splits = {}
    for clip in found.clips:
        assert splits.setdefault(clip.group, clip.split) == clip.split
    assert found.split_name == "60/20/20 % by group, seed 1"
    assert read(table, fractions=(0.6, 0.2, 0.2), seed=2) != found


class MeanColour:
    """A backbone that gives each frame's mean colour, as a map of one region."""

    fingerprint = "mean colour"

    def __call__(self, frames):
        return tf.reduce_mean(tf.cast(frames, "float32"), axis=(1, 2), keepdims=True)


def test_captions_travel_with_the_features(tmp_path):
    table = write(tmp_path, f"{HEADER}\na.avi,a dog,train\na.avi,été,train\nb.avi,a cat,test\n")
    made = extract_features(read(table), MeanColour(), tmp_path / "features", progress=False)
    table.unlink()
    for index in (made, FeatureIndex.load(tmp_path / "features")):
        assert [clip.captions for clip in index.entries] == [("a dog", "été"), ("a cat",)]


def test_the_reader_of_labels_says_who_reads_captions(tmp_path):
    table = write(tmp_path, f"{HEADER}\na.avi,a dog,train\n")
    with pytest.raises(ValueError, match="dataset='captions_csv'"):
        read_clips(table)


def test_the_command_line_says_it_in_one_line(tmp_path, capsys):
    table = write(tmp_path, f'{HEADER}\na.avi,"a man,train\n')
    out = tmp_path / "features"
    arguments = ["extract", f"--data={table}", "--dataset=captions_csv", f"--output={out}"]
    assert run_command(*arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and f"{table} line 2: unexpected end of data" in error


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

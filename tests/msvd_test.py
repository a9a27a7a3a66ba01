import shutil

import pytest

from glimpse.pipelines.clips import read_clips
from tests.dataset_trees import MSVD_NAMES, make_msvd

CSV = "MSR Video Description Corpus.csv"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_msvd(tmp_path_factory.mktemp("msvd"), num_frames=2)


def test_the_split_is_by_number(tree):
    clip_set = read_clips(tree, "msvd")
    assert (clip_set.protocol, clip_set.label_names) == ("msvd", ())
    ids = {s: [c.clip_id for c in clip_set.in_split(s)] for s in ("train", "val", "test")}
    assert ids == {
        "train": ["vid1", "vid2", "vid1200"],
        "val": ["vid1201", "vid1300"],
        "test": ["vid1301", "vid1970"],
    }
    for clip in clip_set.clips:
        name = MSVD_NAMES[int(clip.clip_id[3:])]
        assert clip.path == str(tree / f"YouTubeClips/{name}.avi") and clip.label == ()
    assert clip_set.split_name.startswith("1200/100/670 by number, English captions, clean and")


def test_one_video_is_in_train_and_val_of_the_split_that_everybody_uses(tree):
    truth = {clip.clip_id: clip.truth for clip in read_clips(tree, "msvd").clips}
    assert truth["vid1200"]["youtube_id"] == truth["vid1201"]["youtube_id"] == "bQJQGoJF7_k"


def test_ids_with_signs_of_their_own(tree):
    truth = {clip.clip_id: clip.truth for clip in read_clips(tree, "msvd").clips}
    assert (truth["vid2"]["youtube_id"], truth["vid2"]["start"], truth["vid2"]["end"]) == (
        "0lh_UWF9ZP4", 178, 182,
    )  # fmt: skip
    assert truth["vid1"]["youtube_id"] == "-4wsuPCjDBc"


def test_captions(tree):
    clip_set = read_clips(tree, "msvd")
    assert clip_set.clips[0].truth["captions"] == (
        "a man is slicing bread 1",
        'A man, "the cook",\nis slicing.',
        "someone cuts bread",
    )
    assert clip_set.left_out == {
        "captions: not in English": 7,
        "captions: empty": 1,
        "captions: empty rows": 1,
        "captions: of segments that are no clip": 1,
        "clips that the mapping does not have": 1,
    }
    clean = read_clips(tree, "msvd", sources=("clean",))
    assert len(clean.clips[0].truth["captions"]) == 2
    assert clean.left_out["captions: not clean"] == 7
    german = read_clips(tree, "msvd", language="German")
    assert german.clips[0].truth["captions"] == ("ein Mann schneidet Brot",)
    with pytest.raises(ValueError, match="sources must be some of"):
        read_clips(tree, "msvd", sources=("noisy",))


def test_clips_without_a_caption_or_a_file(tree, tmp_path):
    root = shutil.copytree(tree, tmp_path / "set")
    (root / f"YouTubeClips/{MSVD_NAMES[1]}.avi").unlink()
    (root / "YouTubeClips/readme.txt").write_text("stray")
    text = (root / CSV).read_text()
    (root / "video_corpus.csv").write_text(text.replace("eyhzdC936uk,15,27", "eyhzdC936uk,1,2"))
    (root / CSV).unlink()
    clip_set = read_clips(root, "msvd")
    assert [(m["clip_id"], m["split"]) for m in clip_set.missing] == [("vid1", "train")]
    assert clip_set.left_out["clips without a caption in English"] == 1
    assert "vid1301" not in {clip.clip_id for clip in clip_set.clips}
    assert clip_set.unknown_files == ("YouTubeClips/readme.txt",)


def test_a_mapping_that_is_short_is_logged(tree, caplog):
    read_clips(tree, "msvd")
    assert "maps 7 of MSVD's 1970 clips" in caplog.text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abc_1_2", "line 1: must be `<id>_<start>_<end> vid<number>`"),
        ("abc_1 vid3", "line 1: must be"),
        ("abc_1_2 vid0", "line 1: must be"),
        ("abc_1_2 vid1971", "line 1: must be"),
        ("abc_1_2 vid3\nabc_2_3 vid3", "line 2: must be .* that no other line has"),
        ("abc_1_2 vid3\nabc_1_2 vid4", "line 2: must be"),
        ("", "maps no clips"),
    ],
)
def test_mappings_that_are_wrong(tree, tmp_path, line, message):
    (tmp_path / "mapping").write_text(line)
    with pytest.raises(ValueError, match=message):
        read_clips(tree, "msvd", mapping=str(tmp_path / "mapping"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("VideoID,Start\n", "line 1: the first line must be VideoID,Start,End"),
        ("{header}\na,1,2,3\n", "line 2: has 4 fields, not 8"),
        ('{header}\na,1,2,3,clean,5,English,"cut', "line 2: unexpected end of data"),
    ],
)
def test_captions_that_are_wrong(tree, tmp_path, text, message):
    header = (tree / CSV).read_text().splitlines()[0]
    (tmp_path / "captions.csv").write_text(text.format(header=header))
    with pytest.raises(ValueError, match=message):
        read_clips(tree, "msvd", captions=str(tmp_path / "captions.csv"))


def test_what_must_be_there(tree, tmp_path):
    root = shutil.copytree(tree, tmp_path / "set")
    shutil.rmtree(root / "YouTubeClips")
    with pytest.raises(ValueError, match="YouTubeClips: is missing"):
        read_clips(root, "msvd")
    (root / CSV).unlink()
    with pytest.raises(ValueError, match="Corpus.csv: is missing"):
        read_clips(root, "msvd")
    (root / "youtube_mapping.txt").unlink()
    with pytest.raises(ValueError, match="youtube_mapping.txt: is missing"):
        read_clips(root, "msvd")


def test_texts_that_are_not_utf8(tmp_path):
    root = make_msvd(tmp_path, num_frames=2)
    captions, mapping = root / "MSR Video Description Corpus.csv", root / "youtube_mapping.txt"
    whole = captions.read_bytes()
    captions.write_bytes(whole + b"a,1,2,3,clean,3,English,caf\xe9\r\n")
    line = whole.count(b"\n") + 1
    with pytest.raises(ValueError, match=f"Corpus.csv line {line}: is not UTF-8"):
        read_clips(root, "msvd")
    captions.write_bytes(whole)
    mapping.write_bytes(b"\xe9_1_2 vid1")
    with pytest.raises(ValueError, match="mapping.txt line 1: is not UTF-8"):
        read_clips(root, "msvd")


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

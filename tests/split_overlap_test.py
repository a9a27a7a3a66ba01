import dataclasses

import pytest

from glimpse.pipelines.clips import Clip
from glimpse.pipelines.feature_index import IndexedClip
from glimpse.pipelines.split_overlap import refuse_overlap
from glimpse.pipelines.training import train
from glimpse.pipelines.training_config import TrainingConfig
from tests.synthetic_features import make_features


def indexed(clip_id, split, key, **known):
    return IndexedClip(clip_id, f"/{clip_id}", 0, split, key, 10, 25.0, **known)


@pytest.mark.parametrize("other", ["train", "val"])
@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"group": "g"}, "clips of the group 'g' stand in"),
        ({"video_id": "v"}, "parts of the video 'v' stand in"),
    ],
)
def test_groups_and_videos_in_two_splits(other, known, message):
    one, two = indexed("a", other, "1", **known), indexed("b", "test", "2", **known)
    refuse_overlap([one, dataclasses.replace(two, split=other)])
    refuse_overlap([one, indexed("b", "test", "2")])
    with pytest.raises(ValueError, match=message):
        refuse_overlap([one, two])


def test_one_clip_and_one_video_under_two_names():
    with pytest.raises(ValueError, match=r"the clip 'a' stand in train \('a'\) and in test"):
        refuse_overlap([indexed("a", "train", "1"), indexed("a", "test", "2")])
    with pytest.raises(ValueError, match="the features '1' stand in train"):
        refuse_overlap([indexed("a", "train", "1"), indexed("b", "test", "1")])


def test_val_that_is_test():
    clips = [indexed("t", "train", "0")]
    clips += [indexed(name, split, name) for split in ("val", "test") for name in "abc"]
    with pytest.raises(ValueError, match="val is test: the same 3 clips"):
        refuse_overlap(clips)


@pytest.mark.parametrize(
    ("known", "message"),
    [({"group": "g"}, "clips of the group 'g'"), ({"video_id": "v"}, "parts of the video 'v'")],
)
def test_training_refuses_features_that_overlap(tmp_path, known, message):
    index = make_features(tmp_path / "features", counts=(4, 2, 2))
    trained, *_, tested = index.entries
    assert (trained.split, tested.split) == ("train", "test")
    entries = [
        dataclasses.replace(c, **known) if c in (trained, tested) else c for c in index.entries
    ]
    dataclasses.replace(index, entries=tuple(entries)).save()
    with pytest.raises(ValueError, match=message):
        train(index.folder, tmp_path / "run", TrainingConfig(num_frames=4), progress=False)
    assert not (tmp_path / "run").exists()


def test_the_same_bytes(tmp_path):
    def clip(name, content, split):
        (tmp_path / name).write_bytes(content)
        return Clip(name, str(tmp_path / name), 0, split)

    one, two = clip("a.avi", b"same", "train"), clip("b.avi", b"same", "val")
    with pytest.raises(ValueError, match=r"a.avi' is in train and .*b.avi', the same vid"):
        refuse_overlap([one, two])
    refuse_overlap([one, clip("b.avi", b"else", "val")])
    refuse_overlap([one, dataclasses.replace(two, split="train")])


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

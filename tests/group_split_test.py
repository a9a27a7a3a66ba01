import collections

import pytest

from glimpse.pipelines.clips import Clip
from glimpse.pipelines.group_split import carve_validation, divide_by_group


def clips_of(groups):
    """A clip for each (group, label)."""
    return [
        Clip(f"{n}", f"/{n}", label, "train", group=group)
        for n, (group, label) in enumerate(groups)
    ]


def splits_of_groups(clips):
    found = collections.defaultdict(set)
    for clip in clips:
        found[clip.group].add(clip.split)
    return found


def test_groups_of_one_class_meet_the_shares():
    groups = [(f"g{n}", 0) for n in range(10) for _ in range(1 + n % 4)]
    clips = divide_by_group(clips_of(groups), ("a",), (0.5, 0.2, 0.3), 0)
    assert all(len(splits) == 1 for splits in splits_of_groups(clips).values())
    counts = collections.Counter(clip.split for clip in clips)
    total = len(groups)
    assert abs(counts["test"] - 0.3 * total) <= 1 and abs(counts["val"] - 0.2 * total) <= 1


def test_groups_of_several_classes_are_divided_together():
    # A person shows every action, one of them twice.
    groups = [(f"p{n}", label) for n in range(12) for label in (0, 1, 1, 2)]
    clips = divide_by_group(clips_of(groups), ("a", "b", "c"), (0.5, 0.25, 0.25), 0)
    assert all(len(splits) == 1 for splits in splits_of_groups(clips).values())
    counts = collections.Counter(clip.split for clip in clips)
    assert counts == {"train": 24, "val": 12, "test": 12}
    other = divide_by_group(clips_of(groups), ("a", "b", "c"), (0.5, 0.25, 0.25), 1)
    assert splits_of_groups(other) != splits_of_groups(clips)


def test_large_groups_of_several_classes_leave_room_for_small_ones():
    # Whichever comes first: a share of 20 % has no room for a group of half the clips.
    groups = [("big", n % 2) for n in range(20)]
    groups += [(f"small{n}", n % 2) for n in range(18)] + [("both", 0), ("both", 1)]
    for seed in range(5):
        clips = divide_by_group(clips_of(groups), ("a", "b"), (0.8, 0.0, 0.2), seed)
        assert splits_of_groups(clips)["big"] == {"train"}
        assert collections.Counter(clip.split for clip in clips) == {"train": 32, "test": 8}


def test_no_split_takes_the_last_group_of_another():
    clips = clips_of([(f"g{n}", 0) for n in range(3) for _ in range(5)])
    divided = divide_by_group(clips, ("a",), (0.1, 0.6, 0.3), 0)
    assert collections.Counter(c.split for c in divided) == {"train": 5, "val": 5, "test": 5}


def test_a_class_of_too_few_groups_is_refused():
    groups = [("g0", 0)] * 5 + [("g1", 0)] * 5 + [("h0", 1), ("h1", 1), ("h2", 1)]
    with pytest.raises(ValueError, match="class 'a' has 2 groups but 3 splits need one each"):
        divide_by_group(clips_of(groups), ("a", "b"), (0.6, 0.2, 0.2), 0)
    linked = [("g0", 0), ("g0", 1), ("g1", 1), ("g2", 1), ("g3", 1)]
    with pytest.raises(ValueError, match="got no clip of the class 'a', whose groups are too few"):
        divide_by_group(clips_of(linked), ("a", "b"), (0.6, 0.2, 0.2), 0)


def test_val_leaves_test_and_the_last_group_of_a_class():
    clips = clips_of([("g0", 0), ("g0", 0), ("h0", 1), ("h1", 1), ("h2", 1), ("h3", 1)])
    clips += [Clip("t", "/t", 0, "test")]
    carved = carve_validation(clips, ("a", "b"), 0.5, 0)
    assert [clip.clip_id for clip in carved if clip.split == "test"] == ["t"]
    assert {clip.group for clip in carved if clip.split == "val"} < {"h0", "h1", "h2", "h3"}
    assert sum(clip.split == "val" for clip in carved) == 3
    assert carve_validation(clips, ("a", "b"), 0, 0) == tuple(clips)


def test_what_classes_miss_is_made_up_for():
    # No class alone can give 15 % of its 3 groups.
    clips = clips_of([(f"{label}/{n}", label) for label in range(20) for n in range(3)])
    carved = carve_validation(clips, tuple(map(str, range(20))), 0.15, 0)
    assert sum(clip.split == "val" for clip in carved) == 9


def test_clips_without_labels_are_spread_too():
    clips = [Clip(str(n), f"/{n}", () if n % 2 else (0,), "train") for n in range(40)]
    carved = carve_validation(clips, ("a",), 0.25, 0)
    assert collections.Counter(c.label for c in carved if c.split == "val") == {(): 5, (0,): 5}


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

"""Divides clips into splits at random by a seed, keeping each group whole and the classes even."""

import collections
import dataclasses
import random

from glimpse.pipelines.clips import SPLITS


def divide_by_group(
    clips, label_names, fractions, seed, every_class=True, even_out=False, group_of=None
):
    """Divides clips into train, val and test.

    Clips of one group (or video) stay together. Where every group is of one class, each class is
    divided by itself, as near to the shares as its groups allow; a new class then leaves the split
    of the others as it was. Classes that share groups are divided together.

    Args:
        clips: `Clip`s.
        label_names: Class names in label order.
        fractions: Shares of train, val and test, which sum to 1; train's is above 0.
        seed: Seed of the division.
        every_class: Whether each split with a share must get a clip of each class; else train alone
            must.
        even_out: Whether what one class misses its shares by is made up for by the next, so that
            the shares of all clips are met as nearly as can be.
        group_of: Function of a clip, its group or None; default: `group`, else `video_id`.

    Returns:
        The clips with their new splits, a tuple in the order of the splits.

    Raises:
        ValueError: If the fractions are no such shares, or a class has too few groups.
    """
    _check_fractions(fractions)
    group_of = group_of or (lambda clip: clip.group or clip.video_id)
    groups = collections.defaultdict(list)
    for number, clip in enumerate(clips):
        group = group_of(clip)
        groups[("alone", number) if group is None else ("group", group)].append(number)
    split_of, owed = {}, dict.fromkeys(SPLITS[1:] if even_out else (), 0.0)
    for labels, members in _linked(clips, list(groups.values())):
        names = [label_names[label] if label >= 0 else "" for label in labels]
        shuffled = random.Random(f"{seed}/{'/'.join(names)}").sample(members, len(members))
        if len(labels) > 1:
            divided = _divide_together(clips, shuffled, fractions)
            if every_class:
                _require_every_class(clips, divided, labels, label_names)
        else:
            divided = _divide_class(shuffled, "".join(names), fractions, every_class, owed)
        total = sum(map(len, members))
        for split, share in zip(owed, fractions[1:], strict=False):
            owed[split] += total * share - sum(map(len, divided.get(split, ())))
        for split, chosen in divided.items():
            split_of |= dict.fromkeys((number for group in chosen for number in group), split)
    moved = [dataclasses.replace(clip, split=split_of[n]) for n, clip in enumerate(clips)]
    return tuple(sorted(moved, key=lambda clip: SPLITS.index(clip.split)))


def carve_validation(clips, label_names, fraction, seed, group_of=None):
    """Moves a part of train to val, and leaves test alone.

    Args:
        clips: `Clip`s without any in val.
        label_names: Class names in label order.
        fraction: Share of train's clips, in [0, 1); 0 moves none.
        seed: Seed of the choice.
        group_of: As in `divide_by_group`.

    Returns:
        The clips, a tuple in the order of the splits.

    Raises:
        ValueError: If the fraction is out of range.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"val_fraction must be in [0, 1), got {fraction!r}.")
    train = [clip for clip in clips if clip.split == "train"]
    rest = [clip for clip in clips if clip.split != "train"]
    shares = (1 - fraction, fraction, 0)
    divided = divide_by_group(train, label_names, shares, seed, False, True, group_of)
    return tuple(sorted((*divided, *rest), key=lambda clip: SPLITS.index(clip.split)))


def describe_validation(fraction, seed, unit):
    """Words for `carve_validation`: what part of train became val, kept whole by which unit."""
    return f"val {100 * fraction:g} % of train by {unit}, seed {seed}" if fraction else "no val"


def nearest_groups(groups, target):
    """Splits groups in two, the first part with as near to `target` clips as whole groups give.

    Args:
        groups: Lists of clips; earlier ones are taken first where there is a choice.
        target: Clips in the first part.

    Returns:
        (taken, left), two lists of groups.
    """
    reachable = [1]  # bit n of entry g: n clips can be had from the first g groups
    for group in groups:
        reachable.append(reachable[-1] | reachable[-1] << len(group))
    sums = [n for n in range(reachable[-1].bit_length()) if reachable[-1] >> n & 1]
    wanted = min(sums, key=lambda n: abs(n - target))
    taken, left = [], []
    for number in reversed(range(len(groups))):
        needed = not reachable[number] >> wanted & 1
        (taken if needed else left).append(groups[number])
        wanted -= len(groups[number]) if needed else 0
    return taken[::-1], left[::-1]


def _check_fractions(fractions):
    wrong = len(fractions) != 3 or abs(sum(fractions) - 1) > 1e-6 or min(fractions) < 0
    if wrong or not fractions[0]:
        raise ValueError(
            "fractions must be three shares (train, val, test) of at least 0 that sum to 1, "
            f"train above 0; got {fractions!r}."
        )


def _labels(clip):
    """Its labels; -1 alone for a clip without any, so that these are spread as a class is."""
    return (clip.label or (-1,)) if isinstance(clip.label, tuple) else (clip.label,)


def _linked(clips, groups):
    """Yields (labels, groups): classes that share no group with those of any other part."""
    part_of = {}
    for group in groups:
        labels = {label for number in group for label in _labels(clips[number])}
        joined = set().union(*(part_of.get(label, {label}) for label in labels))
        part_of |= dict.fromkeys(joined, joined)
    members = collections.defaultdict(list)
    for group in groups:
        labels = _labels(clips[group[0]])
        members[tuple(sorted(part_of[labels[0]]))].append(group)
    return members.items()


def _divide_class(groups, label_name, fractions, every_class, owed):
    needed = sum(fraction > 0 for fraction in fractions)
    if every_class and len(groups) < needed:
        grouped = sum(map(len, groups)) > len(groups)
        raise ValueError(
            f"The class {label_name!r} has {len(groups)} {'groups' if grouped else 'clips'} but "
            f"{needed} splits need one each; add clips, or divide them yourself: "
            "FOLDER/{train,val,test}/CLASS/VIDEO."
        )
    total = sum(map(len, groups))
    if not owed:
        counts = [max(1, round(total * share)) if share else 0 for share in fractions[1:]]
        while sum(counts) >= total:
            counts[counts.index(max(counts))] -= 1
    else:
        pairs = zip(SPLITS[1:], fractions[1:], strict=True)
        counts = [max(0, total * share + owed[split]) if share else 0 for split, share in pairs]
    divided = {}
    for number, (split, count) in enumerate(zip(SPLITS[1:], counts, strict=True)):
        if not fractions[1 + number]:
            continue
        # The last groups are for the splits that come after, so that none stays empty.
        kept = 1 + sum(bool(later) for later in fractions[2 + number :])
        taken, left = nearest_groups(groups[:-kept], count)
        if not taken and every_class:
            taken, left = left[:1], left[1:]
        divided[split], groups = taken, left + groups[-kept:]
    return {"train": groups} | divided


def _divide_together(clips, groups, fractions):
    counts = collections.Counter(label for g in groups for n in g for label in _labels(clips[n]))
    have = {split: collections.Counter() for split in SPLITS}
    shares = {split: share for split, share in zip(SPLITS, fractions, strict=True) if share}
    divided = {split: [] for split in shares}
    # The largest go first: what comes last can still even out.
    for group in sorted(groups, key=len, reverse=True):
        adds = collections.Counter(label for n in group for label in _labels(clips[n]))

        def worsens(split, adds=adds):
            return sum(
                n
                * (2 * (have[split][label] - shares[split] * counts[label]) + n)
                / counts[label] ** 2
                for label, n in adds.items()
            )

        best = min(shares, key=worsens)
        divided[best].append(group)
        have[best] += adds
    return divided


def _require_every_class(clips, divided, labels, label_names):
    for split, groups in divided.items():
        present = {label for group in groups for n in group for label in _labels(clips[n])}
        for label in labels:
            if label >= 0 and label not in present:
                raise ValueError(
                    f"{split} got no clip of the class {label_names[label]!r}, whose groups are "
                    "too few to divide; add clips, take another seed or fractions, or divide them "
                    "yourself: FOLDER/{train,val,test}/CLASS/VIDEO."
                )

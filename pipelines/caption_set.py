"""The captions of the clips of a feature index: as words, with what was left out counted."""

import dataclasses

from absl import logging

from glimpse.pipelines.caption_tokens import tokenize_caption


@dataclasses.dataclass(frozen=True)
class CaptionSet:
    """The clips of one split that have captions, and these captions as lists of words.

    Args:
        clips: Tuple of `IndexedClip`s, in the index's order.
        captions: For each clip the captions to train on, a tuple of tuples of words.
        references: For each clip all captions that are not empty, which answers are compared with.
        counts: {"clips": taken; "clips_without_captions": left out, since none of their captions
            can be taken; "short_clips": left out for their length; "captions": taken; "words": of
            these; "empty_captions": without a word; "long_captions": left out as too long}.
    """

    clips: tuple
    captions: tuple
    references: tuple
    counts: dict


def read_captions(index, split, max_words=None, min_video_frames=None):
    """Returns the `CaptionSet` of a split.

    A caption that is too long is left out, as in the code that Yao et al. released, and not cut:
    a sentence that stops in its middle would be learnt as one.

    Args:
        index: A `FeatureIndex` of a data set with captions.
        split: `"train"`, `"val"` or `"test"`.
        max_words: Longest caption to take, its end token counted; None takes all.
        min_video_frames: Shorter clips are left out; None leaves out none.

    Raises:
        ValueError: If the split has no clip, or none with a caption to take.
    """
    found = index.clips(split)
    if not found:
        raise ValueError(f"The features in {index.folder} have no clip of split {split!r}.")
    long_enough = [clip for clip in found if clip.video_frames >= (min_video_frames or 0)]
    counts = dict.fromkeys(
        ("clips", "clips_without_captions", "short_clips", "captions", "words", "empty_captions",
         "long_captions"),
        0,
    )  # fmt: skip
    counts["short_clips"] = len(found) - len(long_enough)
    clips, captions, references = [], [], []
    for clip in long_enough:
        tokens = [tuple(tokenize_caption(text)) for text in clip.captions]
        whole = tuple(words for words in tokens if words)
        taken = tuple(w for w in whole if max_words is None or len(w) < max_words)
        counts["empty_captions"] += len(tokens) - len(whole)
        counts["long_captions"] += len(whole) - len(taken)
        if not taken:
            counts["clips_without_captions"] += 1
            continue
        clips.append(clip)
        captions.append(taken)
        references.append(whole)
        counts["captions"] += len(taken)
        counts["words"] += sum(map(len, taken))
    counts["clips"] = len(clips)
    if not clips:
        raise ValueError(
            f"The features in {index.folder} have {len(found)} clips of split {split!r} and no "
            f"caption to take ({_in_words(counts, max_words)}): extract them again from a data set "
            "with captions, or change what is left out."
        )
    if counts["captions"] < sum(len(clip.captions) for clip in found):
        logging.warning("split %s: %s.", split, _in_words(counts, max_words))
    return CaptionSet(tuple(clips), tuple(captions), tuple(references), counts)


def _in_words(counts, max_words):
    words = [f"{counts['captions']} captions of {counts['clips']} clips"]
    for name, what in (
        ("empty_captions", "captions without a word left out"),
        ("long_captions", f"captions of {max_words} words or more left out"),
        ("clips_without_captions", "clips left out that have no other"),
        ("short_clips", "clips left out as too short"),
    ):
        if counts[name]:
            words.append(f"{counts[name]} {what}")
    return ", ".join(words)

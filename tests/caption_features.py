"""A folder of made features with captions that can be learnt, without any video."""

import dataclasses

from glimpse.pipelines.feature_index import FeatureIndex
from tests.synthetic_features import make_features

COLOURS = ("red", "green", "blue")


def captions_of(clip, number):
    """Three captions in different words of one meaning; they tell the clip's label."""
    colour = COLOURS[clip.label]
    return (
        f"A {colour} dog.",
        f"the dog is {colour}",
        f"there it is, a {colour} dog that runs {'and runs ' * (number % 3)}away",
    )


def make_caption_features(folder, change=None, **options):
    """Writes the features of `make_features` with captions; returns the `FeatureIndex`.

    Args:
        folder: Where to write.
        change: Function (clip, number, captions) -> captions, to put others in their place.
        **options: Of `make_features`.
    """
    index = make_features(folder, **options)
    entries = []
    for number, clip in enumerate(index.entries):
        captions = captions_of(clip, number)
        if change:
            captions = change(clip, number, captions)
        entries.append(dataclasses.replace(clip, captions=tuple(captions)))
    dataclasses.replace(index, entries=tuple(entries)).save()
    return FeatureIndex.load(folder)

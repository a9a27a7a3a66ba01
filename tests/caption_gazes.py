"""Caption gazes made up from a seed, for tests of what is drawn of them."""

import numpy as np

from glimpse.pipelines.caption_gaze import CaptionGaze


def make_caption_gaze(frames=6, size=(28, 28), words=("a", "dog", "runs"), black=0, **changes):
    """A `CaptionGaze` of random maps on 3 x 5 places; the last `black` frames are black ones."""
    generator = np.random.default_rng(7)
    attention = generator.random((len(words), frames, 3, 5)) ** 6
    pictures = generator.integers(0, 256, (frames, *size, 3), dtype=np.uint8)
    numbers = np.arange(frames) * 3
    boxes = np.tile([4.0, 3.0, 12.0, 15.0], (frames, 1))
    if black:
        pictures[-black:], numbers[-black:], boxes[-black:] = 0, -1, 0
    fields = {
        "frames": pictures,
        "frame_indices": numbers,
        "frames_per_second": 15.0,
        "words": words,
        "attention": attention / attention.sum(axis=(1, 2, 3), keepdims=True),
        "gate": np.linspace(1.0, 0.04, len(words)),
        "score": -1.25,
        "boxes": boxes,
        "model_name": "captioner",
    }
    return CaptionGaze(**(fields | changes))

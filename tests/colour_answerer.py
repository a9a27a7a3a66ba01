"""A small model on the colours of a frame's cells, untrained, and windows for it."""

import keras
import numpy as np
from keras import ops

import glimpse
from glimpse.pipelines.video_answer import ClipWindow, VideoAnswerer

NAMES = ["bow", "squat", "wave"]
GRID = (2, 3)


class ColourBackbone(keras.Model):
    """Mean colour of 2 x 3 cells."""

    def call(self, frames, training=None):
        frames = ops.cast(frames, "float32") / 255.0
        return ops.image.resize(frames, GRID, antialias=True)


def make_answerer(seed=0, num_frames=4, rate=None, attention="content", **options):
    """A `VideoAnswerer` whose model has random weights."""
    keras.utils.set_random_seed(seed)
    model = glimpse.create_model(
        "soft_attention_small",
        len(NAMES),
        units=8,
        attention=attention,
        attention_units=4,
        **options,
        label_names=NAMES,
        sampling={"num_frames": num_frames, "frames_per_second": rate},
    )
    model.build((None, num_frames, *GRID, 3))
    return VideoAnswerer(model, ColourBackbone())


def make_window(seed=0, num_frames=4, scale=4.0, size=(24, 36)):
    """A `ClipWindow` with random frames and features, the regions of which differ much."""
    generator = np.random.default_rng(seed)
    return ClipWindow(
        "clip.mp4",
        generator.integers(0, 256, (num_frames, *size, 3), dtype=np.uint8),
        2 * np.arange(num_frames),
        10.0,
        scale * generator.normal(size=(num_frames, *GRID, 3)).astype("float32"),
    )


def make_truth(boxes, size=(24, 36)):
    """The truth of a clip with an actor alone, whose boxes are those of every video frame."""
    return {"frame_size": list(size), "figures": [{"role": "actor", "boxes": boxes}]}

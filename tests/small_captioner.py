"""A captioner, clips and captions small enough for tests on every backend."""

import keras
import numpy as np
from keras import ops

from glimpse.models import CaptionVocabulary, VideoCaptioner

CAPTIONS = (
    ("a", "red", "dog", "runs"),
    ("a", "blue", "cat"),
    ("a", "cat"),
    ("a", "red", "cat", "sits"),
)
VOCABULARY = CaptionVocabulary.from_captions(CAPTIONS)
BATCH, FRAMES, HEIGHT, WIDTH, FEATURES = 4, 3, 2, 2, 5
WORDS = 5


def numpy(value):
    return ops.convert_to_numpy(value)


def make_captioner(seed=1, **options):
    """A built captioner whose weights are far enough from 0 to tell its parts apart."""
    keras.utils.set_random_seed(seed)
    sizes = {"units": 7, "embedding_dim": 6, "max_words": 8, "beam_width": 3, "dropout": 0.0}
    model = VideoCaptioner(VOCABULARY, **{**sizes, **options})
    model.build((None, FRAMES, HEIGHT, WIDTH, FEATURES))
    rng = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        weight.assign(numpy(weight) + rng.normal(0, 0.3, weight.shape))
    return model


def clips(seed=0, batch=BATCH, frames=FRAMES):
    shape = (batch, frames, HEIGHT, WIDTH, FEATURES)
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def token_ids(words=WORDS, captions=CAPTIONS):
    """What each step reads and what it is to say, `(captions, words)` each, padded by 0."""
    inputs = np.zeros((len(captions), words), "int32")
    targets = np.zeros((len(captions), words), "int32")
    for row, caption in enumerate(captions):
        ids = VOCABULARY.encode(caption)
        inputs[row, : len(ids) + 1] = [VOCABULARY.start_token_id, *ids]
        targets[row, : len(ids) + 1] = [*ids, VOCABULARY.end_token_id]
    return inputs, targets


# Tracing and compiling a training step takes longer than a few steps of these sizes do; on JAX
# nothing is fast without.
IS_JAX = keras.config.backend() == "jax"
AT_ONCE = {"run_eagerly": not IS_JAX, "jit_compile": IS_JAX}

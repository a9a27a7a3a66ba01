"""A decoder small enough for every caption of it to be listed, with a caption decoder's methods."""

import numpy as np
from keras import ops


class WordTableDecoder:
    """A recurrent net with random tables; what it will say depends on every word before.

    Args:
        vocabulary_size: Number of tokens.
        num_features: Size of a region's features.
        seed: Seed of the tables.
        logits: Added to every step's logits, `(vocabulary_size,)`: 0, or what a test wants likely.
        scale: Size of the tables' numbers: 0 makes all tokens but for `logits` equally likely.
    """

    def __init__(self, vocabulary_size, num_features, seed=0, logits=0.0, scale=1.5, units=5):
        draw = np.random.default_rng(seed).normal
        self._embedding = scale * draw(size=(vocabulary_size, units)).astype("float32")
        self._recurrent_kernel = draw(size=(units, units)).astype("float32")
        self._kernel = draw(size=(num_features, units)).astype("float32")
        self._query_kernel = draw(size=(units, num_features)).astype("float32")
        self._output_kernel = scale * draw(size=(units, vocabulary_size)).astype("float32")
        self._logits = np.broadcast_to(np.float32(logits), (vocabulary_size,))
        self.projections = 0

    def initial_state(self, features, features_mask=None):
        mean = ops.mean(features, axis=1)
        if features_mask is not None:
            real = ops.expand_dims(ops.cast(features_mask, "float32"), 2)
            mean = ops.sum(features * real, axis=1) / ops.sum(real, axis=1)
        h = ops.tanh(ops.matmul(mean, self._kernel))
        return [h, ops.zeros_like(h[:, :1])]

    def project(self, features):
        self.projections += 1
        return 2.0 * features

    def step(self, token_ids, states, features, features_mask=None, projected=None, training=None):
        h, count = states
        scores = ops.matmul(h, self._query_kernel)  # (batch[, beams], features)
        if len(h.shape) == 3:
            scores = ops.einsum("bkf,brf->bkr", scores, projected)
        else:
            scores = ops.einsum("bf,brf->br", scores, projected)
        if features_mask is not None:
            mask = features_mask if len(h.shape) == 2 else ops.expand_dims(features_mask, 1)
            scores = ops.where(mask, scores, -1e9)
        weights = ops.softmax(scores)
        contexts = "bkr,brf->bkf" if len(h.shape) == 3 else "br,brf->bf"
        context = ops.matmul(ops.einsum(contexts, weights, features), self._kernel)
        word = ops.take(self._embedding, token_ids, axis=0)
        h = ops.tanh(ops.matmul(h, self._recurrent_kernel) + word + context + 0.1 * count)
        logits = ops.matmul(h, self._output_kernel) + ops.convert_to_tensor(self._logits)
        return logits, [h, count + 1], weights, ops.sigmoid(h[..., 0])

"""The features of a video's steps as its frames come in, held until they are forgotten."""

import numpy as np

from glimpse.pipelines.vector_pooling import pool_to_vectors


class FeatureStream:
    """Runs frames through a backbone, a batch at a time, and holds the features by step.

    Args:
        function: A `BackboneFunction`.
        poolings: The forms in which features are held: None for as they are, or those of
            `pool_to_vectors`.
        mirrored: Whether the frames are mirrored left to right first.
        wanted: Numbers of the steps whose features are needed; None: all.
    """

    def __init__(self, function, poolings, mirrored=False, wanted=None):
        self._function = function
        self._poolings = tuple(poolings)
        self._mirrored = mirrored
        self._wanted = wanted
        self._rest = None
        self._waiting = []
        self._next = 0
        self._held = {}

    def add(self, frames):
        """Takes the next frames, uint8 `(frames, height, width, 3)`."""
        if self._mirrored:
            frames = frames[:, :, ::-1]
        if self._rest is not None:
            frames = np.concatenate([self._rest, frames])
        inputs, self._rest = self._function.chunks(frames)
        for each in inputs:
            if self._wanted is None or self._next in self._wanted:
                self._waiting.append((self._next, each))
            self._next += 1
            if len(self._waiting) == self._function.batch_size:
                self.flush()

    def flush(self):
        """Runs what waits for a batch to fill."""
        if not self._waiting:
            return
        numbers, inputs = zip(*self._waiting, strict=True)
        features = self._function(np.stack(inputs))
        for pooling in self._poolings:
            pooled = features if pooling is None else pool_to_vectors(features, pooling)
            for number, each in zip(numbers, pooled.numpy(), strict=True):
                self._held[number, pooling] = each
        self._waiting = []

    def holds(self, numbers):
        """Whether the features of all of these steps are there."""
        return all((int(number), self._poolings[0]) in self._held for number in numbers)

    def take(self, numbers, pooling):
        """Returns the features of these steps, `(steps, ...)`."""
        return np.stack([self._held[int(number), pooling] for number in numbers])

    def forget(self, first):
        """Drops the steps before number `first`."""
        for key in [key for key in self._held if key[0] < first]:
            del self._held[key]

"""The features of a video's steps as its frames come in, held until they are forgotten."""

import numpy as np

from glimpse.pipelines.vector_pooling import pool_to_vectors
from glimpse.pipelines.window_sampling import BLACK_STEP


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
        self._frame_shape = None

    def add(self, frames):
        """Takes the next frames, uint8 `(frames, height, width, 3)`."""
        if self._mirrored:
            frames = frames[:, :, ::-1]
        self._frame_shape = frames.shape[1:]
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
        self._run(*zip(*self._waiting, strict=True))
        self._waiting = []

    def _run(self, numbers, inputs):
        features = self._function(np.stack(inputs))
        for pooling in self._poolings:
            pooled = features if pooling is None else pool_to_vectors(features, pooling)
            for number, each in zip(numbers, pooled.numpy(), strict=True):
                self._held[number, pooling] = each

    def holds(self, numbers):
        """Whether the features of all of these steps are there; those of black frames can be."""
        return all(
            number == BLACK_STEP or (int(number), self._poolings[0]) in self._held
            for number in numbers
        )

    def take(self, numbers, pooling):
        """Returns the features of these steps, `(steps, ...)`; of a black frame for -1."""
        if BLACK_STEP in numbers and (BLACK_STEP, pooling) not in self._held:
            black = np.zeros((self._function.frames_per_input, *self._frame_shape), np.uint8)
            self._run([BLACK_STEP], self._function.chunks(black)[0])
        return np.stack([self._held[int(number), pooling] for number in numbers])

    def forget(self, first):
        """Drops the steps before number `first`."""
        for key in [key for key in self._held if BLACK_STEP < key[0] < first]:
            del self._held[key]

"""How the released code of Sharma et al., 2015, draws its weights."""

import keras
from keras import ops

_GATES = 4


@keras.saving.register_keras_serializable(package="glimpse")
class SquareOrthogonal(keras.initializers.Initializer):
    """Draws square kernels orthogonal, and all others from a normal distribution.

    A kernel `(n, 4 n)` is taken for the four gates of an LSTM, side by side, and each of them is
    orthogonal. `keras.initializers.Orthogonal` makes its n rows orthogonal over all 4 n columns
    instead, so that each gate's values are half as large.

    As in kracwarlock/action-recognition-visual-attention and kelvinxu/arctic-captions, for the
    weights of the gates, the initial states, the classes and the attention, except that the
    attention's `value_kernel` is normal whatever its shape.

    Args:
        stddev: Standard deviation of the normal distribution, with mean 0.
        seed: Integer that makes every call give the same numbers, or None.

    Raises:
        ValueError: If `stddev` is not above 0.
    """

    def __init__(self, stddev=0.01, seed=None):
        if not stddev > 0:
            raise ValueError(f"`stddev` must be above 0; received {stddev!r}.")
        self.stddev = stddev
        self.seed = seed

    def __call__(self, shape, dtype=None):
        if len(shape) != 2 or shape[1] not in (shape[0], _GATES * shape[0]):
            normal = keras.initializers.RandomNormal(stddev=self.stddev, seed=self.seed)
            return normal(shape, dtype=dtype)
        squares = []
        for number in range(shape[1] // shape[0]):
            seed = None if self.seed is None else self.seed + number
            square = keras.initializers.Orthogonal(seed=seed)
            squares.append(square((shape[0], shape[0]), dtype=dtype))
        return ops.concatenate(squares, axis=1)

    def get_config(self):
        return {"stddev": self.stddev, "seed": self.seed}

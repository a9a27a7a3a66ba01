"""From feature maps to the vectors that a model without spatial attention reads."""

import math

import tensorflow as tf

POOLINGS = ("average", "max", "flatten")


def pool_to_vectors(features, pooling):
    """Returns one vector a frame; vectors stay as they are.

    Args:
        features: `(frames, height, width, features)` or `(frames, features)`, a tensor.
        pooling: `"average"` or `"max"` over the regions, or `"flatten"`, row-major.

    Returns:
        `(frames, vector)`.

    Raises:
        ValueError: If `pooling` is another.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}.")
    if features.shape.rank == 2:
        return features
    if pooling == "flatten":
        return tf.reshape(features, (-1, math.prod(features.shape[1:])))
    axes = list(range(1, features.shape.rank - 1))
    return (tf.reduce_mean if pooling == "average" else tf.reduce_max)(features, axis=axes)


def vector_shape(feature_shape, pooling):
    """Returns the shape `(vector,)` of a frame after `pool_to_vectors`."""
    return (math.prod(feature_shape) if pooling == "flatten" else feature_shape[-1],)

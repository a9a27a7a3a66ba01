"""A softmax over real places alone."""

import keras
from keras import ops


def masked_softmax(scores, mask=None):
    """`exp(score[i]) / sum_j exp(score[j])` over the last axis, j over real places alone.

    Args:
        scores: `(..., places)`, float.
        mask: Bool, broadcastable to the scores, True where the place is real; None: everywhere.

    Returns:
        Of the shape of `scores`; 0 where the mask is False, so a row without a real place is 0.
    """
    if mask is not None:
        # The lowest finite numbers, so that no real score stands below them.
        is_half = keras.backend.standardize_dtype(scores.dtype) == "float16"
        lowest = -65504.0 if is_half else -3.38e38
        scores = ops.where(mask, scores, ops.full_like(scores, lowest))
    # Not `ops.softmax`, which warns where there is one place.
    peak = ops.stop_gradient(ops.max(scores, axis=-1, keepdims=True))
    shares = ops.exp(scores - peak)
    if mask is not None:
        shares = ops.where(mask, shares, ops.zeros_like(shares))
    # The sum is at least 1, the share of the peak, unless no place is real.
    return shares / ops.maximum(ops.sum(shares, axis=-1, keepdims=True), 1)

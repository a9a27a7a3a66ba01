"""The softmax that every attention map goes through."""

from keras import ops


def masked_softmax(scores, mask=None, axis=-1):
    """Softmax over the places where `mask` is True; every other place gets exactly 0.

        weight[i] = exp(score[i]) / sum_j exp(score[j])     over j with mask[j]

    Args:
        scores: Float tensor of any shape.
        mask: Bool, of a shape that broadcasts to `scores`; True = real. None: all real.
        axis: The axis to normalise over, or a tuple of axes.

    Returns:
        Weights of the shape of `scores`. They sum to 1 over `axis`, or to 0 where nothing
        is real. Masked scores get gradient 0, whatever they hold.
    """
    if mask is None:
        return ops.softmax(scores, axis=axis)
    mask = ops.broadcast_to(ops.cast(mask, "bool"), ops.shape(scores))
    # Zero first, so that neither a NaN nor an infinity in the padding meets the arithmetic.
    scores = ops.where(mask, scores, ops.zeros_like(scores))
    lowest = ops.full_like(scores, float("-inf"))
    peak = ops.max(ops.where(mask, scores, lowest), axis=axis, keepdims=True)
    peak = ops.where(ops.any(mask, axis=axis, keepdims=True), peak, ops.zeros_like(peak))
    shifted = ops.where(mask, scores - ops.stop_gradient(peak), ops.zeros_like(scores))
    exponentials = ops.where(mask, ops.exp(shifted), ops.zeros_like(scores))
    total = ops.sum(exponentials, axis=axis, keepdims=True)
    return exponentials / ops.where(total > 0, total, ops.ones_like(total))

"""The doubly stochastic attention penalty."""

from keras import ops

from glimpse.layers.shape_checks import check_fits


def attention_penalty(attention_weights, coefficient, reduction="sum", mask=None, region_mask=None):
    """Penalises maps that never look at a region: over a clip, each should add up to 1.

        penalty = coefficient * sum_i (1 - sum_t l[t, i])^2     mean over the batch

    Sharma et al. 2015, Eq. 7 (second term); Sharma 2016, Eq. 2.7 and 3.6. t runs over steps,
    i over regions; `attention_weights` is l, `coefficient` is lambda.

    Args:
        attention_weights: `(batch, steps, regions)` or `(batch, steps, height, width)`.
        coefficient: lambda, at least 0.
        reduction: "sum" over regions as in the papers, or "mean", which divides by the number
            of regions as the released code does.
        mask: `(batch, steps)`, bool; True where the step is real. Other steps count as 0.
        region_mask: Bool, `(batch, regions)` or `(batch, height, width)` as the maps are; True
            where the region is real. Other regions add nothing, and "mean" does not count them.

    Returns:
        A scalar.

    Raises:
        ValueError: If `coefficient` is negative, `reduction` is neither, or a shape does not fit.
    """
    if coefficient < 0:
        raise ValueError(f"`coefficient` must be at least 0; received {coefficient}.")
    if reduction not in ("sum", "mean"):
        raise ValueError(f'`reduction` must be "sum" or "mean"; received {reduction!r}.')
    attention_weights = ops.convert_to_tensor(attention_weights)
    rank = len(attention_weights.shape)
    if rank not in (3, 4):
        raise ValueError(
            "`attention_weights` must be (batch, steps, regions) or (batch, steps, height, "
            f"width); received shape {tuple(attention_weights.shape)}."
        )
    if mask is not None:
        mask = ops.cast(mask, "bool")
        if len(mask.shape) != 2:
            raise ValueError(f"`mask` must be (batch, steps); received shape {tuple(mask.shape)}.")
        mask = ops.reshape(mask, (*ops.shape(mask), *[1] * (rank - 2)))
        attention_weights = ops.where(mask, attention_weights, ops.zeros_like(attention_weights))
    squares = ops.square(1 - ops.sum(attention_weights, axis=1))
    real = ops.ones_like(squares)
    if region_mask is not None:
        check_fits("region_mask", region_mask.shape, "one map", squares.shape)
        region_mask = ops.cast(region_mask, "bool")
        real = ops.where(region_mask, real, ops.zeros_like(real))
        squares = ops.where(region_mask, squares, ops.zeros_like(squares))
    regions = tuple(range(1, rank - 1))
    penalties = ops.sum(squares, axis=regions)
    if reduction == "mean":
        penalties = penalties / ops.maximum(ops.sum(real, axis=regions), 1)
    return coefficient * ops.mean(penalties)

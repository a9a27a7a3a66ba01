"""Attention maps that the caller sets by hand: a manual glimpse."""

import math

import keras
from keras import ops


def apply_attention_override(attention_weights, attention_override, mask=None, axis=-1):
    """Puts the caller's attention map in the place of the model's own.

    A row is one map: everything along `axis`. A row of NaN keeps the model's own weights; any
    other row is used exactly as given, is not normalised, and is differentiable.

    A row in which only some values are NaN is refused with a ValueError wherever values can be
    read (eagerly, and for constants in a graph). Inside a TensorFlow graph on a CPU it stops the
    run with an error that names this check. XLA, `jax.jit` and GPU graphs cannot raise from
    within; there NaN comes out, and no number is put in its place.

    Args:
        attention_weights: The model's own map, float.
        attention_override: A map of the same shape, or None for the model's own everywhere.
        mask: Bool, broadcastable to the map; where it is False the weights stay 0.
        axis: The axis or tuple of axes that hold one map.

    Returns:
        The map to attend with, of the shape of `attention_weights`.

    Raises:
        ValueError: If the shape differs from the map's, or a row has only some NaN.
    """
    if attention_override is None:
        return attention_weights
    own, given = split_attention_override(
        attention_override, attention_weights.shape, attention_weights.dtype, axis
    )
    attention_weights = ops.where(own, attention_weights, given)
    if mask is None:
        return attention_weights
    return ops.where(mask, attention_weights, ops.zeros_like(attention_weights))


def split_attention_override(attention_override, shape, dtype, axis=-1):
    """Splits an override into which rows are the model's own and what the others hold.

    Returns:
        own: Bool, 1 along `axis`; True where the row is all NaN.
        given: The override in `dtype`, with 0 in the rows that are the model's own.

    Raises:
        ValueError: As `apply_attention_override`.
    """
    attention_override = ops.cast(attention_override, dtype)
    check_override_shape(attention_override.shape, shape)
    absent = ops.isnan(attention_override)
    own = ops.all(absent, axis=axis, keepdims=True)
    attention_override = _refuse_partial_rows(attention_override, absent, own, axis)
    return own, ops.where(own, ops.zeros_like(attention_override), attention_override)


def check_override_shape(override_shape, map_shape):
    """Raises ValueError unless an override has the shape of the map, unknown axes aside."""
    fits = len(override_shape) == len(map_shape) and all(
        None in (given, expected) or given == expected
        for given, expected in zip(override_shape, map_shape, strict=True)
    )
    if not fits:
        raise ValueError(
            "`attention_override` must have the shape of the attention map, "
            f"{tuple(map_shape)}; received shape {tuple(override_shape)}. "
            "Give NaN in every place of a row to keep the model's own map there."
        )


def _refuse_partial_rows(attention_override, absent, own, axis):
    partial = ops.logical_and(ops.any(absent, axis=axis, keepdims=True), ops.logical_not(own))
    found = read_values(partial)
    if found is not None:
        if found.any():
            raise ValueError(
                f"`attention_override` has {int(found.sum())} of {math.prod(found.shape)} rows "
                "in which only some values are NaN. Give a whole map, or NaN in every place of "
                "the row to keep the model's own."
            )
        return attention_override
    # No value to read while a graph is traced. An index out of range is the one check in
    # keras.ops that fails at run time (TensorFlow, CPU); the scope's name is in its message.
    with keras.name_scope("attention_override_row_has_only_some_NaN"):
        one = ops.ones((1,), dtype=attention_override.dtype)
        return attention_override * ops.take(one, ops.cast(ops.any(partial), "int32"), axis=0)


def read_values(tensor):
    """The tensor as a NumPy array, or None where it has no value yet (it is being traced)."""
    if keras.backend.is_keras_tensor(tensor):
        return None
    try:
        return ops.convert_to_numpy(tensor)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return None

"""Checks of the shapes that a call receives, with errors that name the argument."""

from keras import ops


def check_shape(name, shape, axes, **sizes):
    """Raises ValueError unless a shape has the named axes, and those of known size that size.

    Keras asks for shapes when it builds a layer alone: what a later call gets, each call checks.

    Args:
        name: The argument.
        shape: Its shape; axes of unknown size (None) fit any.
        axes: What its axes are, such as `"(batch, frames, features)"`.
        **sizes: Axis to expected size; None fits any. No axis but the first may be empty.
    """
    names = axes.strip("()").split(", ")
    shape = tuple(shape)
    if not fits(shape, [sizes.get(axis) for axis in names]) or 0 in shape[1:]:
        expected = ", ".join(
            axis if sizes.get(axis) is None else str(sizes[axis]) for axis in names
        )
        hint = "; all but the first must hold something" if 0 in shape[1:] else ""
        raise ValueError(f"`{name}` must be ({expected}){hint}, received shape {shape}.")


def check_states(name, states, state_names, axes, **sizes):
    """Raises ValueError unless states are a list of those named, each of the shape described."""
    what = f"{len(states)} values" if isinstance(states, (list, tuple)) else repr(states)
    if not isinstance(states, (list, tuple)) or len(states) != len(state_names):
        raise ValueError(
            f"`{name}` must be a list of {len(state_names)} states, "
            f"[{', '.join(state_names)}]; received {what}."
        )
    for state_name, state in zip(state_names, states, strict=True):
        check_shape(f"{name}`'s `{state_name}", state.shape, axes, **sizes)


def check_rank(name, shape, axes):
    """Raises ValueError unless a shape has as many axes as named and its last is known."""
    is_shape = isinstance(shape, (list, tuple))
    if not is_shape or len(shape) != axes.count(",") + 1 or shape[-1] is None:
        raise ValueError(f"`{name}` must be {axes} with the last axis known; got shape {shape}.")


def check_mask(name, mask, whose, shape):
    """Returns a mask as bool; raises ValueError unless it has the shape, unknown axes aside."""
    mask = ops.cast(mask, "bool")
    check_fits(name, mask.shape, f"{whose} (batch, frames)", shape)
    return mask


def check_fits(name, shape, what, expected):
    """Raises ValueError unless two shapes are equal, unknown axes aside."""
    if not fits(shape, expected):
        raise ValueError(
            f"`{name}` must have the shape of {what}, {tuple(expected)}; "
            f"received shape {tuple(shape)}."
        )


def fits(shape, expected):
    """Whether a shape is as expected, axes of unknown size aside."""
    return len(shape) == len(expected) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, expected, strict=True)
    )

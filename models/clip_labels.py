"""The labels of clips as losses and metrics take them: one a clip, or several."""

from keras import ops

from glimpse.layers.attention_override import read_values


def are_many_hot(labels, num_classes):
    """Whether labels are `(batch, classes)` of 0 and 1, not one class's number a clip."""
    return len(labels.shape) == 2 and labels.shape[1] == num_classes


def one_hot_labels(labels, num_classes):
    """Returns labels as `(batch, classes)`, float32.

    Where a value cannot be refused since a graph hides it, a number that is no class gives NaN,
    and so does the loss: as zeros it would go unseen.

    Args:
        labels: Classes' numbers, `(batch,)` or `(batch, 1)`, or `(batch, classes)` of 0 and 1.
        num_classes: Number of classes.
    """
    if are_many_hot(labels, num_classes):
        return ops.cast(labels, "float32")
    numbers = ops.cast(ops.reshape(labels, (-1, 1)), "int32")
    known = ops.logical_and(numbers >= 0, numbers < num_classes)
    one_hot = ops.cast(ops.equal(numbers, ops.arange(num_classes, dtype="int32")), "float32")
    return ops.where(known, one_hot, float("nan"))


def check_labels(labels, num_classes, multi_label):
    """Raises a ValueError that says what is wrong with labels; those of a graph by their shape.

    Args:
        labels: An array or a tensor, as a model's `fit` gets it.
        num_classes: Number of classes.
        multi_label: Whether a clip may have several.
    """
    shape = tuple(labels.shape)
    many_hot = are_many_hot(labels, num_classes)
    if multi_label and not many_hot:
        raise ValueError(
            f"Labels must be (batch, {num_classes}) of 0 and 1, for `multi_label` is True and "
            f"`num_classes` is {num_classes}; received shape {shape}."
        )
    if not many_hot and not (len(shape) == 1 or (len(shape) == 2 and shape[1] in (1, None))):
        raise ValueError(
            f"Labels must be (batch,), numbers below {num_classes}, or (batch, {num_classes}) of 0 "
            f"and 1; received shape {shape}."
        )
    values = read_values(labels)
    if values is None:
        return
    most = 1 if many_hot else num_classes - 1
    wrong = ~((values >= 0) & (values <= most))
    if not many_hot:
        wrong |= values % 1 != 0
    if wrong.any():
        what = "in [0, 1]" if many_hot else f"whole numbers from 0 to {most}"
        raise ValueError(
            f"Labels must be {what}, for `num_classes` is {num_classes}; received "
            f"{values[wrong].flat[0]}."
        )

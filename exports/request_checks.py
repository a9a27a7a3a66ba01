"""Checks of a request inside the SavedModel: refusals that say what was wrong and what to send.

Only stock TensorFlow operations that TensorFlow 2.15 knows too, none with a state. Every refusal
is an InvalidArgumentError.
"""

import tensorflow as tf


def checked_input(tensor, signature, declared, sizes):
    """Returns an input unchanged, refusing a wrong shape and empty axes.

    Args:
        tensor: What the request holds.
        signature: The signature's name, for the words of the refusal.
        declared: The input's `Tensor`.
        sizes: Sizes of the axes that the export fixes.
    """
    shape = declared.shape(sizes)
    wanted = ", ".join(str(size or axis) for size, axis in zip(shape, declared.axes, strict=True))
    # A loader may pass any shape on; an input of unknown shape keeps the check in the graph.
    tensor = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
    # The name is part of the error's text, and the only words that this operation can carry.
    words = f"{signature}_takes_{declared.name}_of_shape_{wanted}"
    tensor = tf.ensure_shape(tensor, shape, name=words.replace(", ", "_"))
    checks = [
        tf.debugging.Assert(
            tf.shape(tensor)[axis] > 0,
            [
                f"{signature}: `{declared.name}` has no {name}: shape",
                tf.shape(tensor),
                f"Send ({wanted}), each at least 1.",
            ],
            summarize=8,
        )
        for axis, name in enumerate(declared.axes)
        if shape[axis] is None
    ]
    with tf.control_dependencies(checks):
        return tf.identity(tensor)


def checked_together(tensors, signature, declared, sizes):
    """Returns the inputs of one request unchanged, refusing axes of one name and two sizes.

    Args:
        tensors: The inputs, as `checked_input` returned them.
        signature: The signature's name.
        declared: Their `Tensor`s.
        sizes: Sizes of the axes that the export fixes.
    """
    checks, first = [], {}
    for tensor, one in zip(tensors, declared, strict=True):
        for place, axis in enumerate(one.axes):
            if axis in sizes or isinstance(axis, int):
                continue
            name, size = first.setdefault(axis, (one.name, tf.shape(tensor)[place]))
            if name == one.name:
                continue
            words = f"{signature}: `{one.name}` differs from `{name}` in the size of {axis}; shape"
            checks.append(
                tf.debugging.Assert(
                    tf.equal(tf.shape(tensor)[place], size),
                    [words, tf.shape(tensor), "against", size],
                    summarize=8,
                )
            )
    with tf.control_dependencies(checks):
        return [tf.identity(tensor) for tensor in tensors]

"""The loop over the steps of a clip, by what each backend of Keras does best."""

import keras
from keras import ops, tree


def iterate_steps(step, start, count, reverse=False, differentiable=False, sequences=None):
    """Calls `current = step(previous, t)` for every step t, beginning with `start`.

    Args:
        step: A function of a structure of tensors and of t (an integer, or a tensor in a graph);
            returns a structure of the same shapes. With `sequences` it gets theirs at t as well.
        start: What the first step finds as `previous`.
        count: The number of steps, an integer or, in a graph, a tensor.
        reverse: Whether t runs from `count - 1` to 0.
        differentiable: Whether the backend will differentiate through the loop. TensorFlow then
            repeats a known number of steps in the graph, since XLA cannot differentiate its scan;
            a graph that leaves the number open trains without `jit_compile`.
        sequences: A structure of tensors `(batch, steps, ...)`, or None. A slice that `step` took
            of a tensor itself would have a gradient as large as the tensor, at every step.

    Returns:
        The last `current`, and all of them stacked along a new first axis, in order of t.
    """
    backend = keras.config.backend()
    sequences = () if sequences is None else (sequences,)
    unrolled = differentiable and backend == "tensorflow" and isinstance(count, int)
    if unrolled or backend == "torch":
        # PyTorch has no loop of its own, and indices that are tensors would make a GPU wait.
        read = tree.map_structure(lambda values: ops.unstack(values, count, axis=1), sequences)
        steps, current = [], start
        for t in reversed(range(count)) if reverse else range(count):
            now = tree.map_structure_up_to(sequences, lambda values, t=t: values[t], read)
            current = step(current, t, *now)
            steps.append(current)
        ordered = reversed(steps) if reverse else steps
        return current, tree.map_structure(lambda *values: ops.stack(values), *ordered)

    sequences = tree.map_structure(_put_steps_first, sequences)

    def body(previous, xs):
        if not isinstance(count, int):  # Keras's scan on TensorFlow then takes one sequence alone
            xs = (xs, *tree.map_structure(lambda values: values[xs], sequences))
        current = step(previous, *xs)
        return current, current

    xs = ops.arange(count)
    return ops.scan(
        body, start, (xs, *sequences) if isinstance(count, int) else xs, reverse=reverse
    )


def _put_steps_first(values):
    if keras.backend.standardize_dtype(values.dtype) == "bool":
        # TensorFlow's oneDNN logs an error where a transposed tensor is not float. Not a cast,
        # which the graph optimizer would move behind the transposition.
        return _put_steps_first(ops.where(values, 1.0, 0.0)) > 0
    return ops.transpose(values, (1, 0, *range(2, len(values.shape))))

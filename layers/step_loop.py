"""The loop over the steps of a clip, by what each backend of Keras does best."""

import keras
from keras import ops, tree


def iterate_steps(step, start, count, reverse=False, differentiable=False):
    """Calls `current = step(previous, t)` for every step t, beginning with `start`.

    Args:
        step: A function of a structure of tensors and of t (an integer, or a tensor in a graph);
            returns a structure of the same shapes.
        start: What the first step finds as `previous`.
        count: The number of steps, an integer or, in a graph, a tensor.
        reverse: Whether t runs from `count - 1` to 0.
        differentiable: Whether the backend will differentiate through the loop. TensorFlow then
            repeats a known number of steps in the graph, since XLA cannot differentiate its scan;
            a graph that leaves the number open trains without `jit_compile`.

    Returns:
        The last `current`, and all of them stacked along a new first axis, in order of t.
    """
    backend = keras.config.backend()
    unrolled = differentiable and backend == "tensorflow" and isinstance(count, int)
    if unrolled or backend == "torch":
        # PyTorch has no loop of its own, and indices that are tensors would make a GPU wait.
        steps, current = [], start
        for t in reversed(range(count)) if reverse else range(count):
            current = step(current, t)
            steps.append(current)
        ordered = reversed(steps) if reverse else steps
        return current, tree.map_structure(lambda *values: ops.stack(values), *ordered)

    def body(previous, t):
        current = step(previous, t)
        return current, current

    return ops.scan(body, start, xs=ops.arange(count), reverse=reverse)

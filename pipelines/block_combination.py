"""From the answers for a video's blocks of frames to one answer for the video."""

import numpy as np


def combine_blocks(probabilities, rule="mean"):
    """Combines the class probabilities of a video's blocks into the video's.

        mean:      p[c] = (1 / blocks) sum_b p[b, c]           (Sharma et al. 2015, section 4.2)
        majority:  p[c] = share of blocks whose largest is c   (their released code)

    The video's label is the argmax; ties go to the smallest label.

    Args:
        probabilities: `(blocks, classes)`, at least one block.
        rule: `"mean"` or `"majority"`.

    Returns:
        float64 `(classes,)`.

    Raises:
        ValueError: If the shape or the rule is another.

    >>> combine_blocks([[0.6, 0.4], [0.1, 0.9], [0.55, 0.45]], "majority").round(2).tolist()
    [0.67, 0.33]
    """
    probabilities = np.asarray(probabilities, "float64")
    if probabilities.ndim != 2 or not len(probabilities):
        raise ValueError(
            "`probabilities` must be (blocks, classes) with at least one block, got shape "
            f"{probabilities.shape}."
        )
    if rule == "mean":
        return probabilities.mean(axis=0)
    if rule == "majority":
        classes = probabilities.shape[1]
        votes = np.bincount(probabilities.argmax(axis=1), minlength=classes)
        return votes / len(probabilities)
    raise ValueError(f"`rule` must be 'mean' or 'majority', got {rule!r}.")

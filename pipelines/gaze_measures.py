"""How wide a gaze is and how much it moves: numbers for what pictures of gazes show."""

import numpy as np


def attention_entropy(attention):
    """How evenly each map is spread, from 0 (one cell) to 1 (uniform).

        H[t] = -sum_i l[t, i] log l[t, i] / log(regions)

    Args:
        attention: `(frames, height, width)`, each map summing to 1, or 0 where masked.

    Returns:
        `(frames,)`, float64; NaN where the frame is masked, 1 where a map has one cell.
    """
    maps = _flat(attention)
    masked = maps.sum(axis=1) == 0
    # 0 log 0 is 0.
    logs = np.log(maps, out=np.zeros_like(maps), where=maps > 0)
    most = np.log(maps.shape[1])
    entropy = -np.sum(maps * logs, axis=1) / most if most else np.ones(len(maps))
    # Not below 0 by a rounding error, and no "-0.0" for a single cell.
    return np.where(masked, np.nan, np.maximum(entropy, 0.0))


def attention_movement(attention):
    """How much of the attention lies elsewhere than in the frame before, from 0 to 1.

        m[t] = (1 / 2) sum_i |l[t, i] - l[t - 1, i]|

    Args:
        attention: `(frames, height, width)`, each map summing to 1, or 0 where masked.

    Returns:
        `(frames - 1,)`, float64; NaN beside a masked frame.
    """
    maps = _flat(attention)
    masked = maps.sum(axis=1) == 0
    moved = np.abs(np.diff(maps, axis=0)).sum(axis=1) / 2
    return np.where(masked[1:] | masked[:-1], np.nan, moved)


def measure_gaze(gaze):
    """Returns a gaze's means over the frames that are not masked.

    Args:
        gaze: A `Gaze` with at least one frame that is not masked.

    Returns:
        A dict: `entropy`, `movement` (0 for a single frame) and, where boxes are known, `mass`
        on the actor and `uniform`, what a uniform map puts there.
    """
    if not gaze.is_real.any():
        raise ValueError(f"attention of {gaze.video_name!r} is masked in every frame.")
    moved = attention_movement(gaze.attention)
    moved = moved[np.isfinite(moved)]
    measures = {
        "entropy": float(np.nanmean(attention_entropy(gaze.attention))),
        "movement": float(moved.mean()) if moved.size else 0.0,
    }
    found = gaze.localisation()
    if found is not None:
        measures |= {"mass": found["mass"], "uniform": found["uniform"]}
    return measures


def describe_measures(measures):
    """Returns the measures of `measure_gaze` as one line for a picture."""
    line = (
        f"entropy {measures['entropy']:.2f} (uniform 1), moved {measures['movement']:.0%} a frame"
    )
    if "mass" in measures:
        line += f", on the actor {measures['mass']:.1%} (uniform {measures['uniform']:.1%})"
    return line


def _flat(attention):
    attention = np.asarray(attention, np.float64)
    if attention.ndim != 3 or not attention.size:
        raise ValueError(
            f"attention must have the shape (frames, height, width), got {attention.shape}."
        )
    return attention.reshape(len(attention), -1)

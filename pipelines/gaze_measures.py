"""How wide a gaze is and how much it moves: numbers for what pictures of gazes show."""

import numpy as np

from glimpse.pipelines.gaze import covered_shares


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


def word_masses(attention, boxes, frame_size):
    """The share of each word's attention that lies inside the boxes of all frames.

        mass[k] = sum_(t, i) l[k, t, i] * area(cell i inside box t) / area(cell i)

    Args:
        attention: `(words, frames, height, width)`, each word's weights summing to 1 over all of
            its places, or to 0 where it reads no features.
        boxes: `(frames, 4)`, pixels; empty in a frame that shows nothing.
        frame_size: Height and width of the frame, in pixels.

    Returns:
        `(words,)`, float64, NaN where a word reads no features; and the share that weights equal
        everywhere put there.
    """
    attention, boxes = np.asarray(attention, np.float64), np.asarray(boxes, np.float64)
    if attention.ndim != 4 or boxes.shape != (attention.shape[1], 4):
        raise ValueError(
            "attention must have the shape (words, frames, height, width) and boxes (frames, 4), "
            f"got {attention.shape} and {boxes.shape}."
        )
    rows, columns = covered_shares(boxes, frame_size, attention.shape[2:])
    masses = np.einsum("kthw,th,tw->k", attention, rows, columns)
    uniform = float((rows.mean(axis=1) * columns.mean(axis=1)).mean())
    return np.where(attention.sum(axis=(1, 2, 3)) > 0, masses, np.nan), uniform


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

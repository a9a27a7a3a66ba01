"""Lays an attention map over its frame, on a scale that can be compared between frames.

A weight is shown as a multiple of the uniform weight 1 / (height * width): 1 means that the
model looked there no more than anywhere else. `scale` is the multiple shown at full strength.
It belongs to a clip (or to all the models of one picture), never to a single frame: a scale of
its own for each frame would make a flat map look as sharp as a peaked one.
"""

import matplotlib
import numpy as np

STYLES = ("heat", "dim")
# Heat covers what it shows; dim does not.
_OPACITY = {"heat": 0.6, "dim": 1.0}
# A clip whose maps are nearly flat would otherwise be stretched until noise looked like a choice.
MINIMUM_SCALE = 4.0
DIM_FLOOR = 0.2
_COLOUR_TABLE = matplotlib.colormaps["inferno"](np.linspace(0, 1, 256))[:, :3] * 255.0


def relative_attention(attention):
    """Attention weights as multiples of the uniform weight.

    Args:
        attention: `(..., height, width)`, each map summing to 1, or 0 where masked.
    """
    attention = np.asarray(attention, np.float64)
    return attention * (attention.shape[-2] * attention.shape[-1])


def attention_scale(*attentions):
    """One scale for maps that are shown together.

    For each model, the median over frames that are not masked of the map's largest multiple of
    uniform; of these the largest, and at least 4. So the most peaked model reaches full strength
    in half of its frames, and one extreme frame does not darken all others.

    Args:
        *attentions: Arrays `(frames, height, width)`, one for each model; grids may differ.
    """
    if not attentions:
        raise ValueError("attention_scale needs at least one array of maps, got none.")
    peaks = [relative_attention(maps).max(axis=(1, 2)) for maps in attentions]
    medians = [float(np.median(peak[peak > 0])) for peak in peaks if np.any(peak > 0)]
    return max([MINIMUM_SCALE, *medians])


def upsample_attention(attention_map, frame_size):
    """Enlarges a map to a frame, smoothly, as multiples of the uniform weight.

    Between the centres of two cells a and b, at a share t of the way, along each axis:

        a + (b - a) * (3 t^2 - 2 t^3)

    (cubic Hermite with flat tangents). It keeps each cell's own weight at its centre, where a
    Gaussian would lower peaks, and lies between its cells, where bicubic interpolation
    overshoots and draws dark rings.

    Args:
        attention_map: `(height, width)`, summing to 1, or 0 where masked.
        frame_size: Height and width of the result, in pixels.
    """
    attention_map = np.asarray(attention_map)
    if attention_map.ndim != 2 or not attention_map.size:
        raise ValueError(
            f"attention_map must have the shape (height, width), got {attention_map.shape}."
        )
    if not np.all(np.isfinite(attention_map)) or attention_map.min() < 0:
        raise ValueError("attention_map must be finite and not negative.")
    rows, columns = (
        _interpolation(cells, int(size))
        for cells, size in zip(attention_map.shape, frame_size, strict=True)
    )
    return rows @ relative_attention(attention_map) @ columns.T


def overlay(frame, attention_map, scale, style="heat", opacity=None):
    """Shows on a frame where the model looked.

    With v = min(1, multiple of uniform / scale) at each pixel:

        heat: frame + (inferno(v) - frame) * opacity * (0.6 + 0.4 * sqrt(v))
        dim:  frame * (1 - opacity * (1 - light)), light = 0.2 + 0.8 * v^(1 / 2.2)

    In `dim`, as in the papers' pictures, brightness is focus: pixel values are gamma-coded, so
    the light that is left grows in proportion to the weight. In both, a place without weight
    is darkened and stays visible.

    Args:
        frame: `(frame_height, frame_width, 3)`, uint8 RGB.
        attention_map: `(height, width)`, summing to 1, or 0 where masked.
        scale: Multiple of the uniform weight that is shown at full strength, above 0:
            `attention_scale` of the clip.
        style: "heat" or "dim".
        opacity: From 0 (the frame as it is) to 1; default: 0.6 for heat, 1 for dim.

    Returns:
        uint8 RGB of the frame's shape.

    Raises:
        ValueError: If an argument is malformed.
    """
    frame = np.asarray(frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
        raise ValueError(
            "frame must be uint8 RGB of shape (frame_height, frame_width, 3), "
            f"got {frame.dtype} of shape {frame.shape}."
        )
    opacity = check_drawing(scale, style, opacity)
    return _blend(frame, upsample_attention(attention_map, frame.shape[:2]) / scale, style, opacity)


def legend_image(height, width, style="heat", opacity=None, grey=150):
    """A colour bar, 0 on the left and `scale` on the right, over a plain grey frame.

    Args:
        height: Pixels.
        width: Pixels.
        style: As in `overlay`.
        opacity: As in `overlay`.
        grey: The frame's pixel value.
    """
    opacity = check_drawing(1.0, style, opacity)
    frame = np.full((height, width, 3), grey, np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 1, width, dtype=np.float32), (height, width))
    return _blend(frame, ramp, style, opacity)


def colour_table():
    """The 256 colours of the heat style, from weight 0 to `scale`, `(256, 3)`, uint8 RGB."""
    return np.rint(_COLOUR_TABLE).astype(np.uint8)


def check_drawing(scale, style, opacity):
    """Refuses a bad scale, style or opacity; returns the opacity, the style's own for None."""
    if not (np.isfinite(scale) and scale > 0):
        raise ValueError(f"scale must be above 0, got {scale}: pass attention_scale(attention).")
    if style not in STYLES:
        raise ValueError(f"style must be one of {STYLES}, got {style!r}.")
    if opacity is None:
        return _OPACITY[style]
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"opacity must be from 0 to 1, got {opacity}.")
    return opacity


def _interpolation(cells, size):
    """The share of each cell in each of `size` pixels along one axis, `(size, cells)`."""
    place = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    left = np.minimum(place.astype(int), max(cells - 2, 0))
    share = place - left
    share = share * share * (3.0 - 2.0 * share)
    weights = np.zeros((size, cells))
    weights[np.arange(size), left] = 1.0 - share
    weights[np.arange(size), np.minimum(left + 1, cells - 1)] += share
    return weights


def _blend(frame, strength, style, opacity):
    strength = np.clip(strength, 0.0, 1.0)[..., None]
    frame = frame.astype(np.float32)
    if style == "heat":
        # Colours are interpolated: a table look-up would draw steps into a smooth map.
        place = strength[..., 0] * 255.0
        colours = np.stack(
            [np.interp(place, np.arange(256), _COLOUR_TABLE[:, i]) for i in range(3)], axis=-1
        )
        blended = frame + (colours - frame) * (opacity * (0.6 + 0.4 * np.sqrt(strength)))
    else:
        light = DIM_FLOOR + (1.0 - DIM_FLOOR) * strength ** (1.0 / 2.2)
        blended = frame * (1.0 - opacity * (1.0 - light))
    return np.rint(np.clip(blended, 0.0, 255.0)).astype(np.uint8)

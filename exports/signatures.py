"""The signatures of an exported classifier: names, dtypes and axes, in one place.

The exporter builds them, the parity gate and the tests hold them, and the documentation quotes
them. Axes have names; a size that an export does not fix stays dynamic.
"""

import dataclasses

SERVING_DEFAULT = "serving_default"
DEFAULT_TOP_K = 5

# Limits on what one request may ask to be decoded, told before anything is decoded.
MAX_FRAME_PIXELS = 4096 * 4096
MAX_REQUEST_PIXELS = 2**28


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One input or output of a signature.

    Args:
        name: Its key in requests and answers.
        dtype: A TensorFlow dtype's name.
        axes: The axes' names; an axis of a fixed size in every model is that integer.
    """

    name: str
    dtype: str
    axes: tuple

    def shape(self, sizes):
        """Returns the shape, None for every axis that `sizes` (axis name -> size) leaves out."""
        return tuple(axis if isinstance(axis, int) else sizes.get(axis) for axis in self.axes)

    def __str__(self):
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.axes))})"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A named function of a SavedModel: one input, several outputs."""

    name: str
    input: Tensor
    outputs: tuple


LABELS = Tensor("labels", "string", ("batch", "top_k"))
SCORES = Tensor("scores", "float32", ("batch", "top_k"))
PROBABILITIES = Tensor("probabilities", "float32", ("batch", "classes"))
ATTENTION = Tensor("attention", "float32", ("batch", "frames", "map_height", "map_width"))

JPEG_BYTES = Tensor("jpeg_bytes", "string", ("batch", "frames"))
FRAMES = Tensor("frames", "uint8", ("batch", "frames", "height", "width", 3))
FEATURES = Tensor("features", "float32", ("batch", "frames", "map_height", "map_width", "features"))

CLASSIFY_JPEGS = "classify_jpegs"
CLASSIFY_FRAMES = "classify_frames"
CLASSIFY_FEATURES = "classify_features"


def classifier_signatures(takes_frames, attends):
    """Returns a classifier's signatures, the serving default first.

    Args:
        takes_frames: Whether the model has a backbone. Without one it answers on features alone.
        attends: Whether the model has a gaze. Without one there is no output `attention`.
    """
    outputs = (LABELS, SCORES, PROBABILITIES) + ((ATTENTION,) if attends else ())
    features = Signature(CLASSIFY_FEATURES, FEATURES, outputs)
    if not takes_frames:
        return (features,)
    return (
        Signature(CLASSIFY_JPEGS, JPEG_BYTES, outputs),
        Signature(CLASSIFY_FRAMES, FRAMES, outputs),
        features,
    )

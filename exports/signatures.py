"""The signatures of exported models: names, dtypes and axes, in one place.

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
    """A named function of a SavedModel: its inputs and its outputs, tuples of `Tensor`."""

    name: str
    inputs: tuple
    outputs: tuple


JPEG_BYTES = Tensor("jpeg_bytes", "string", ("batch", "frames"))
FRAMES = Tensor("frames", "uint8", ("batch", "frames", "height", "width", 3))
FEATURES = Tensor("features", "float32", ("batch", "frames", "map_height", "map_width", "features"))

LABELS = Tensor("labels", "string", ("batch", "top_k"))
SCORES = Tensor("scores", "float32", ("batch", "top_k"))
PROBABILITIES = Tensor("probabilities", "float32", ("batch", "classes"))
ATTENTION = Tensor("attention", "float32", ("batch", "frames", "map_height", "map_width"))

CLASSIFY_JPEGS = "classify_jpegs"
CLASSIFY_FRAMES = "classify_frames"
CLASSIFY_FEATURES = "classify_features"

_MAPS = ("frames", "map_height", "map_width")
CAPTIONS = Tensor("captions", "string", ("batch", "beams"))
CAPTION_SCORES = Tensor("scores", "float32", ("batch", "beams"))
CAPTION_TOKEN_IDS = Tensor("token_ids", "int32", ("batch", "beams", "words"))
CAPTION_ATTENTION = Tensor("attention", "float32", ("batch", "beams", "words", *_MAPS))
CAPTION_GATE = Tensor("gate", "float32", ("batch", "beams", "words"))

CAPTION_JPEGS = "caption_jpegs"
CAPTION_FRAMES = "caption_frames"
CAPTION_FEATURES = "caption_features"

REGIONS = Tensor("regions", "float32", ("batch", "regions", "region_features"))
PROJECTED = Tensor("projected_regions", "float32", ("batch", "regions", "attention_units"))
# The name and size of each of the decoder's states, by the decoder's own name for it.
STATES = {
    "h": ("hidden_state", "units"),
    "c": ("cell_state", "units"),
    "is_first_step": ("is_first_step", 1),
}
# The beams of a search outside of the SavedModel, as many as it likes.
STEP_TOKEN_IDS = Tensor("token_ids", "int32", ("batch", "hypotheses"))
LOGITS = Tensor("logits", "float32", ("batch", "hypotheses", "vocabulary"))
STEP_ATTENTION = Tensor("attention", "float32", ("batch", "hypotheses", *_MAPS))
STEP_GATE = Tensor("gate", "float32", ("batch", "hypotheses"))

DECODE_START = "decode_start"
DECODE_STEP = "decode_step"


def classifier_signatures(takes_frames, attends):
    """Returns a classifier's signatures, the serving default first.

    Args:
        takes_frames: Whether the model has a backbone. Without one it answers on features alone.
        attends: Whether the model has a gaze. Without one there is no output `attention`.
    """
    outputs = (LABELS, SCORES, PROBABILITIES) + ((ATTENTION,) if attends else ())
    features = Signature(CLASSIFY_FEATURES, (FEATURES,), outputs)
    if not takes_frames:
        return (features,)
    return (
        Signature(CLASSIFY_JPEGS, (JPEG_BYTES,), outputs),
        Signature(CLASSIFY_FRAMES, (FRAMES,), outputs),
        features,
    )


def captioner_signatures(takes_frames, projects, state_names):
    """Returns a captioner's signatures, the serving default first.

    The first three search the captions themselves. `decode_start` and `decode_step` are for a
    search outside: the first reads a clip once; the second says what each word's probability is
    after `token_ids`, and takes what the first returned under the same names. Only the states have
    an axis of beams there; `regions` are the clip's, once for all beams.

    Args:
        takes_frames: Whether the model has a backbone. Without one it answers on features alone.
        projects: Whether there is something that no word changes beside the regions themselves.
        state_names: The decoder's names of its states, keys of `STATES`.
    """
    outputs = (CAPTIONS, CAPTION_SCORES, CAPTION_TOKEN_IDS, CAPTION_ATTENTION, CAPTION_GATE)
    clip = (REGIONS, PROJECTED) if projects else (REGIONS,)
    named = [STATES[name] for name in state_names]
    first = tuple(Tensor(name, "float32", ("batch", size)) for name, size in named)
    states = tuple(Tensor(name, "float32", ("batch", "hypotheses", size)) for name, size in named)
    declared = (
        Signature(CAPTION_FEATURES, (FEATURES,), outputs),
        Signature(DECODE_START, (FEATURES,), (*clip, *first)),
        Signature(
            DECODE_STEP,
            (STEP_TOKEN_IDS, *clip, *states),
            (LOGITS, STEP_ATTENTION, STEP_GATE, *states),
        ),
    )
    if not takes_frames:
        return declared
    return (
        Signature(CAPTION_JPEGS, (JPEG_BYTES,), outputs),
        Signature(CAPTION_FRAMES, (FRAMES,), outputs),
        *declared,
    )

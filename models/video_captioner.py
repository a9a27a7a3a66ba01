"""The captioner of Sharma's thesis: from feature maps to a sentence, word by word.

Sharma, "Action Recognition and Video Description using Visual Attention", 2016, chapter 3.
"""

import keras
from keras import ops

from glimpse.layers.attention_override import check_override_shape
from glimpse.layers.clip_encoder import ClipEncoder
from glimpse.layers.gated_caption_decoder import GatedCaptionDecoder
from glimpse.layers.shape_checks import check_shape
from glimpse.models.beam_search import beam_search, check_search
from glimpse.models.caption_training import CaptionTraining, check_token_ids
from glimpse.models.caption_vocabulary import CaptionVocabulary

# Section 3.2.2's sizes, and its two baselines (section 3.2.1).
_BASE = {"units": 4096, "embedding_dim": 512}
# Ours, in the content form, for the `small` backbone.
_SMALL = {
    "units": 128,
    "embedding_dim": 64,
    "attention": "content",
    "attention_units": 32,
    "deep_output": "reference",
    "gate_units": 2,
    "initial_gate_bias": 4.0,
    "dropout": 0.1,
    "encoder": {"filters": 64, "depth": 3},
}
VARIANTS = {
    "captioner_small": _SMALL,
    "captioner_small_average": {**_SMALL, "context": "average"},
    "captioner_small_first_step": {**_SMALL, "context": "first_step"},
    "captioner_base": _BASE,
    "captioner_base_average": {**_BASE, "context": "average"},
    "captioner_base_first_step": {**_BASE, "context": "first_step"},
    # The released family of code (yaoli/arctic-capgen-vid), on 1,024 features a region.
    "captioner_reference": {
        "units": 3518,
        "embedding_dim": 468,
        "attention": "content",
        "attention_units": 1024,
        "deep_output": "reference",
        "initial_state_units": 0,
        "beam_width": 5,
    },
}

_AXES = "(batch, frames, height, width, features)"


@keras.saving.register_keras_serializable(package="glimpse")
class VideoCaptioner(CaptionTraining):
    """Describes a clip from feature maps, gazing at regions of all its frames for each word.

    Per word t: attention weights l[t] over the N K^2 regions of all frames (Eq. 3.2), gated by
    beta[t] (Eq. 3.3 and 3.5), an LSTM layer (Eq. 3.1) that starts from the mean feature (Eq. 2.6)
    and a deep output layer (Eq. 3.4); see `GatedCaptionDecoder`. `CaptionTraining` says how it is
    trained, `beam_search` how its captions are found; `caption` writes them.

    Args:
        vocabulary: The tokens, `<pad>`, `<start>`, `<end>` and `<unk>` first; see
            `CaptionVocabulary`, which it may be as well. Saved with the model.
        units: Size of the LSTM layer; the paper's 4096.
        embedding_dim: Size of a word's embedding; the paper's 512.
        attention: `"state"` (Eq. 3.2) or `"content"`, which also reads the features it weighs.
        context: `"attention"`, the paper's STA-soft, or its baselines `"average"`
            (STA-avg-pool) and `"first_step"` (STA-first-time-step).
        dropout: Rate in [0, 1), at all non-recurrent connections.
        max_words: Length at which captions are cut, the end token counted.
        beam_width: Captions that the search keeps; the paper's 4.
        length_penalty: Of the search; see `beam_search`.
        attention_units: Size of the content form's hidden layer; default `units`.
        deep_output: `"paper"` (Eq. 3.4) or `"reference"`, with biases and tanh.
        gate_units, initial_gate_bias: Of Eq. 3.5's perceptron; see `GatedCaptionDecoder`.
        initial_state_units: Size of Eq. 2.6's hidden layer; default `units`; 0 leaves it out.
        encoder: Arguments of a `ClipEncoder` between the features and the decoder, such as
            `{"filters": 64}`; None: the decoder reads the features themselves, as in the paper.
        sampling: How the training clips were sampled; see `StepClassifier`. The paper's N evenly
            spaced frames of the first 240, with black frames after the end of a shorter video,
            are no matter of `features_mask`: the model sees the black frames.

    Call arguments:
        features: `(batch, frames, height, width, features)`, or a dict of all tensors by name.
        token_ids: `(batch, words)`, integers: the tokens before each word, `<start>` first.
        mask: `(batch, words)`, True where the word is real.
        features_mask: `(batch, frames)`, True where the frame is real.
        attention_override: `(batch, words, frames, height, width)`, maps to use in place of the
            model's own; a map of NaN keeps the model's.

    Returns:
        A dict of `logits (batch, words, vocabulary)`, of the word after each token,
        `attention_weights (batch, words, frames, height, width)`, `gate (batch, words)` and, if
        given, `features_mask`.

    Raises:
        ValueError: If an argument is out of its range, a shape does not fit, or an id is none of
            the vocabulary's (where values can be read: eagerly).

    Differs from the paper: with an `encoder`, as `GatedCaptionDecoder` says, and in the variants
    `..._small` and `..._reference`.
    """

    input_names = ("features", "token_ids")

    def __init__(
        self,
        vocabulary,
        units=4096,
        embedding_dim=512,
        attention="state",
        context="attention",
        dropout=0.5,
        max_words=30,
        beam_width=4,
        length_penalty=0.0,
        attention_units=None,
        deep_output="paper",
        initial_state_units=None,
        gate_units=None,
        initial_gate_bias=None,
        encoder=None,
        sampling=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_search(beam_width, max_words, 0, length_penalty)
        if encoder is not None and not (isinstance(encoder, dict) and "filters" in encoder):
            raise ValueError(
                "`encoder` must be None or a dict of a ClipEncoder's arguments, `filters` among "
                f"them; got {encoder!r}."
            )
        self.vocabulary = CaptionVocabulary(vocabulary)
        self.units = units
        self.embedding_dim = embedding_dim
        self.attention = attention
        self.context = context
        self.dropout = dropout
        self.max_words = max_words
        self.beam_width = beam_width
        self.length_penalty = length_penalty
        self.attention_units = attention_units
        self.deep_output = deep_output
        self.initial_state_units = initial_state_units
        self.gate_units = gate_units
        self.initial_gate_bias = initial_gate_bias
        self.encoder = None if encoder is None else dict(encoder)
        self.sampling = None if sampling is None else dict(sampling)
        self.decoder = GatedCaptionDecoder(
            len(self.vocabulary),
            units,
            embedding_dim,
            attention=attention,
            context=context,
            dropout=dropout,
            attention_units=attention_units,
            deep_output=deep_output,
            initial_state_units=initial_state_units,
            gate_units=gate_units,
            initial_gate_bias=initial_gate_bias,
            dtype=self.dtype_policy,
            name="decoder",
        )
        self.clip_encoder = None
        if encoder is not None:
            options = {"dtype": self.dtype_policy, "name": "clip_encoder"}
            self.clip_encoder = ClipEncoder(**self.encoder, **options)
        self._map_shape = None

    def build(
        self,
        features_shape,
        token_ids_shape=None,
        mask_shape=None,
        features_mask_shape=None,
        attention_override_shape=None,
    ):
        if isinstance(features_shape, dict):
            features_shape = features_shape["features"]
        check_shape("features", features_shape, _AXES)
        frames, height, width, features = features_shape[1:]
        if height is None or width is None or features is None:
            raise ValueError(
                "`features` must have a known height, width and number of features, got shape "
                f"{tuple(features_shape)}."
            )
        # Only Eq. 3.2 has weights for each region of each frame.
        by_place = self.attention == "state" and self.context != "average"
        if by_place and frames is None:
            raise ValueError(
                "`features` must have a known number of frames, for attention='state' has weights "
                f"for each region of each; got shape {tuple(features_shape)}."
            )
        self._map_shape = (frames if by_place else None, height, width, features)
        regions = None if frames is None else frames * height * width
        if self.clip_encoder is not None:
            self.clip_encoder.build(features_shape)
            features = self.clip_encoder.filters
        self.decoder.build((None, regions, features), (None, None))

    def call(
        self,
        features,
        token_ids=None,
        mask=None,
        features_mask=None,
        training=None,
        attention_override=None,
    ):
        if isinstance(features, dict):
            return self.call(training=training, **self.read_inputs(features, mask))
        check_token_ids("token_ids", token_ids, len(self.vocabulary), self.max_words)
        regions = self.encode(features, features_mask, training)
        batch, frames, height, width = ops.shape(features)[:4]
        words = ops.shape(token_ids)[1]
        if attention_override is not None:
            expected = (features.shape[0], token_ids.shape[1], *features.shape[1:4])
            check_override_shape(attention_override.shape, expected)
            attention_override = ops.reshape(
                attention_override, (batch, words, frames * height * width)
            )
        outputs = self.decoder(
            regions,
            token_ids,
            mask=mask,
            features_mask=_mask_of_regions(features, features_mask),
            training=training,
            attention_override=attention_override,
        )
        maps = (batch, words, frames, height, width)
        outputs = {**outputs, "attention_weights": ops.reshape(outputs["attention_weights"], maps)}
        return outputs if features_mask is None else {**outputs, "features_mask": features_mask}

    def encode(self, features, features_mask=None, training=None):
        """Returns what the decoder reads, `(batch, frames * height * width, features)`.

        Args:
            features: `(batch, frames, height, width, features)`.
            features_mask: `(batch, frames)`, True where the frame is real.
            training: Whether it is called to train.
        """
        self.check_clips(features.shape, None if features_mask is None else features_mask.shape)
        if self.clip_encoder is not None:
            features = self.clip_encoder(features, mask=features_mask, training=training)
        batch, frames, height, width, size = ops.shape(features)
        return ops.reshape(features, (batch, frames * height * width, size))

    def check_clips(self, shape, mask_shape=None):
        """Raises ValueError unless features, and their mask if any, are of the shape it reads."""
        frames, height, width, size = self._map_shape
        sizes = {"frames": frames, "height": height, "width": width, "features": size}
        check_shape("features", shape, _AXES, **sizes)
        if mask_shape is not None:
            axes = {"batch": shape[0], "frames": shape[1]}
            check_shape("features_mask", mask_shape, "(batch, frames)", **axes)

    def search_settings(self, beam_width=None, max_words=None, length_penalty=None, min_words=None):
        """Returns what decides the search, as arguments of `beam_search`; None: the model's.

        Raises:
            ValueError: If a number is out of its range.
        """
        settings = {
            "beam_width": self.beam_width if beam_width is None else beam_width,
            "max_words": self.max_words if max_words is None else max_words,
            "length_penalty": self.length_penalty if length_penalty is None else length_penalty,
            "min_words": 0 if min_words is None else min_words,
        }
        check_search(**settings)
        return settings

    def beam_search(self, features, features_mask=None, **options):
        """Returns what `glimpse.models.beam_search` finds, with maps over frames.

        Args:
            features: `(batch, frames, height, width, features)`.
            features_mask: `(batch, frames)`, True where the frame is real.
            **options: `beam_width`, `max_words`, `length_penalty` (default: the model's) and
                `min_words`: captions of fewer words are not ended.

        Returns:
            The dict of `beam_search`, with `attention_weights (batch, beams, words, frames,
            height, width)`.
        """
        features = ops.convert_to_tensor(features, self.compute_dtype)
        if not self.built:
            self.build(features.shape)
        found = beam_search(
            self.decoder,
            self.encode(features, features_mask, training=False),
            start_token_id=self.vocabulary.start_token_id,
            end_token_id=self.vocabulary.end_token_id,
            padding_token_id=self.vocabulary.padding_token_id,
            unknown_token_id=self.vocabulary.unknown_token_id,
            features_mask=_mask_of_regions(features, features_mask),
            **self.search_settings(**options),
        )
        maps = found["attention_weights"]
        shape = (*ops.shape(maps)[:3], *ops.shape(features)[1:4])
        return {**found, "attention_weights": ops.reshape(maps, shape)}

    def get_config(self):
        return {
            **super().get_config(),
            "vocabulary": list(self.vocabulary),
            "units": self.units,
            "embedding_dim": self.embedding_dim,
            "attention": self.attention,
            "context": self.context,
            "dropout": self.dropout,
            "max_words": self.max_words,
            "beam_width": self.beam_width,
            "length_penalty": self.length_penalty,
            "attention_units": self.attention_units,
            "deep_output": self.deep_output,
            "initial_state_units": self.initial_state_units,
            "gate_units": self.gate_units,
            "initial_gate_bias": self.initial_gate_bias,
            "encoder": self.encoder,
            "sampling": self.sampling,
        }


def _mask_of_regions(features, features_mask):
    """The mask of frames `(batch, frames)` for all their regions, or None."""
    if features_mask is None:
        return None
    _, _, height, width, _ = ops.shape(features)
    return ops.repeat(ops.cast(features_mask, "bool"), height * width, axis=1)

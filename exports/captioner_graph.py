"""What runs inside the SavedModel of a captioner: checks of the request, the search, sentences.

Only stock TensorFlow operations that TensorFlow 2.15 knows too, none with a state.
"""

import tensorflow as tf

from glimpse.exports import signatures
from glimpse.exports.jpeg_decoding import decode_jpegs
from glimpse.exports.request_checks import checked_input, checked_together


class CaptionerGraph:
    """The functions behind a captioner's signatures.

    Args:
        captioner: A built `VideoCaptioner`.
        describer: The `VideoDescriber` around it, or None.
        declared: The `Signature`s.
        sizes: Sizes of the axes that the export fixes.
        search: Arguments of `beam_search`: `beam_width`, `max_words`, `length_penalty`.
    """

    def __init__(self, captioner, describer, declared, sizes, search):
        self._captioner = captioner
        self._describer = describer
        self._declared = {signature.name: signature for signature in declared}
        self._sizes = sizes
        self._search = search

    def caption_jpegs(self, jpeg_bytes):
        [jpeg_bytes] = self._checked(signatures.CAPTION_JPEGS, jpeg_bytes)
        frames = decode_jpegs(jpeg_bytes, signatures.CAPTION_JPEGS, signatures.CAPTION_FRAMES)
        return self._answer(
            signatures.CAPTION_JPEGS, self._describer.beam_search(frames, **self._search)
        )

    def caption_frames(self, frames):
        [frames] = self._checked(signatures.CAPTION_FRAMES, frames)
        return self._answer(
            signatures.CAPTION_FRAMES, self._describer.beam_search(frames, **self._search)
        )

    def caption_features(self, features):
        [features] = self._checked(signatures.CAPTION_FEATURES, features)
        return self._answer(
            signatures.CAPTION_FEATURES, self._captioner.beam_search(features, **self._search)
        )

    def decode_start(self, features):
        [features] = self._checked(signatures.DECODE_START, features)
        return self._declared_outputs(
            signatures.DECODE_START, start_decoding(self._captioner, features)
        )

    def decode_step(self, token_ids, regions, *others):
        inputs = self._checked(signatures.DECODE_STEP, token_ids, regions, *others)
        names = [tensor.name for tensor in self._declared[signatures.DECODE_STEP].inputs]
        inputs = dict(zip(names, inputs, strict=True))
        inputs["token_ids"] = _checked_ids(inputs["token_ids"], self._sizes["vocabulary"])
        return self._declared_outputs(
            signatures.DECODE_STEP, step_decoding(self._captioner, inputs, self._sizes)
        )

    def _answer(self, signature, found):
        return self._declared_outputs(signature, read_search(found, self._captioner.vocabulary))

    def _checked(self, signature, *tensors):
        declared = self._declared[signature].inputs
        tensors = [
            checked_input(tensor, signature, one, self._sizes)
            for tensor, one in zip(tensors, declared, strict=True)
        ]
        return checked_together(tensors, signature, declared, self._sizes)

    def _declared_outputs(self, signature, answer):
        return {
            output.name: tf.ensure_shape(
                tf.cast(answer[output.name], output.dtype), output.shape(self._sizes)
            )
            for output in self._declared[signature].outputs
        }


def read_search(found, vocabulary):
    """Returns what the caption signatures answer, of what `beam_search` found."""
    return {
        "captions": join_words(found["token_ids"], vocabulary),
        "scores": found["scores"],
        "token_ids": found["token_ids"],
        "attention": found["attention_weights"],
        "gate": found["gate"],
    }


def join_words(token_ids, vocabulary):
    """Returns captions `(batch, beams)`, string, of the ids that a search found.

    As `CaptionVocabulary.sentence` writes them: after the end there is padding alone.
    """
    no_words = (
        vocabulary.padding_token_id,
        vocabulary.start_token_id,
        vocabulary.end_token_id,
    )
    pieces = ["" if i in no_words else f" {token}" for i, token in enumerate(vocabulary)]
    # No token holds white space, so that the first word's alone is stripped.
    return tf.strings.strip(tf.strings.reduce_join(tf.gather(pieces, token_ids), axis=-1))


def start_decoding(captioner, features):
    """Returns what `decode_start` answers, by name: what no word changes, and the first states."""
    decoder = captioner.decoder
    regions = captioner.encode(features, training=False)
    answer = {signatures.REGIONS.name: regions}
    projected = decoder.project(regions)
    if projected is not None:
        answer[signatures.PROJECTED.name] = projected
    return answer | _named_states(decoder, decoder.initial_state(regions))


def step_decoding(captioner, inputs, sizes):
    """Returns what `decode_step` answers, by name.

    Args:
        captioner: A built `VideoCaptioner`.
        inputs: The step's inputs by name.
        sizes: Sizes of the axes `map_height` and `map_width`.
    """
    decoder = captioner.decoder
    projected = inputs.get(signatures.PROJECTED.name)
    if projected is not None:
        # What the decoder makes of the regions is in its own precision; it takes it as it is.
        projected = tf.cast(projected, decoder.compute_dtype)
    logits, states, attention_weights, gate = decoder.step(
        inputs["token_ids"],
        [inputs[signatures.STATES[name][0]] for name in decoder.state_names],
        inputs[signatures.REGIONS.name],
        projected=projected,
        training=False,
    )
    batch, beams, regions = tf.unstack(tf.shape(attention_weights))
    height, width = sizes["map_height"], sizes["map_width"]
    maps = [batch, beams, regions // (height * width), height, width]
    return {
        "logits": logits,
        "attention": tf.reshape(attention_weights, maps),
        "gate": gate,
        **_named_states(decoder, states),
    }


def _named_states(decoder, states):
    return {
        signatures.STATES[name][0]: state
        for name, state in zip(decoder.state_names, states, strict=True)
    }


def _checked_ids(token_ids, vocabulary_size):
    known = tf.logical_and(token_ids >= 0, token_ids < vocabulary_size)
    check = tf.debugging.Assert(
        tf.reduce_all(known),
        [
            (
                f"{signatures.DECODE_STEP}: `token_ids` must be from 0 to {vocabulary_size - 1}, "
                "for so many tokens has the vocabulary; received:"
            ),
            tf.boolean_mask(token_ids, tf.logical_not(known)),
        ],
        summarize=8,
    )
    with tf.control_dependencies([check]):
        return tf.identity(token_ids)

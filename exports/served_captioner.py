"""A captioner as an export sees it: its signatures, what they answer, and how to compare it."""

import numpy as np
import tensorflow as tf

from glimpse.exports import signatures
from glimpse.exports.captioner_graph import CaptionerGraph, start_decoding, step_decoding
from glimpse.exports.model_parts import features_shape, split_model, without_optimizer
from glimpse.exports.parity import (
    ParityError,
    check_finite,
    compare_outputs,
    outputs_as_arrays,
    tolerance_of,
)
from glimpse.exports.trial_inputs import decode_clips, random_inputs
from glimpse.models.video_captioner import VideoCaptioner
from glimpse.models.video_describer import VideoDescriber

_DECODING = (signatures.DECODE_START, signatures.DECODE_STEP)
_TRIAL_BEAMS = 3
_SEED = 1


class ServedCaptioner:
    """A captioner, the backbone that it may have, and what they answer to trial inputs.

    Args:
        model: A built `VideoCaptioner`, or a `VideoDescriber`.
        backbone: For a `VideoCaptioner`: the backbone that its features came from, or None.
        beam_width, max_words, length_penalty: Of the search in the graph; None takes the model's.

    Raises:
        ValueError: If an argument is wrong or the model cannot be exported.

    `signatures`, `inputs` ({`Signature`: {input: array}}), `keras_inputs` and `keras_answer` are
    there once `answer_in_memory` was called.
    """

    def __init__(self, model, backbone=None, beam_width=None, max_words=None, length_penalty=None):
        self.on_features, self._backbone = split_model(
            model, backbone, VideoDescriber, VideoCaptioner, "captioner"
        )
        captioner = self.on_features
        self._search = captioner.search_settings(beam_width, max_words, length_penalty)
        del self._search["min_words"]  # no choice of an export
        _, frames, height, width, features = features_shape(captioner)
        self.sizes = {
            "map_height": height,
            "map_width": width,
            "features": features,
            "beams": self._search["beam_width"],
            "words": self._search["max_words"],
            "vocabulary": len(captioner.vocabulary),
            "units": captioner.decoder.units,
        }
        if captioner.decoder.scores_by == "state":
            # Eq. 3.2 has weights for each region of each frame.
            self.sizes |= {"frames": frames, "regions": frames * height * width}
        self._tolerance = tolerance_of(
            [captioner] + ([] if self._backbone is None else [self._backbone])
        )

    def answer_in_memory(self):
        """Asks the model, on the CPU as the fresh processes do: a GPU may round otherwise.

        Raises:
            ParityError: If an answer is not finite.
        """
        captioner, describer = self.on_features, self._describer(self.on_features, self._backbone)
        arrays = random_inputs(self.sizes)
        with tf.device("CPU:0"):
            start = outputs_as_arrays(start_decoding(captioner, arrays["features"]))
            projected = start.get(signatures.PROJECTED.name)
            self.sizes["region_features"] = start[signatures.REGIONS.name].shape[-1]
            if projected is not None:
                self.sizes["attention_units"] = projected.shape[-1]
            self.signatures = signatures.captioner_signatures(
                describer is not None, projected is not None, captioner.decoder.state_names
            )
            arrays |= self._step_inputs(start)
            self.inputs = {
                one: {tensor.name: arrays[tensor.name] for tensor in one.inputs}
                for one in self.signatures
            }
            self._answers = {
                one.name: self._answer(one, captioner, describer) for one in self.signatures
            }
            token_ids = np.tile(arrays["token_ids"][:, :1], (1, min(2, self.sizes["words"])))
            outermost, name = (
                (captioner, "features") if describer is None else (describer, "frames")
            )
            self.keras_inputs = {name: arrays[name], "token_ids": token_ids}
            self.keras_answer = outputs_as_arrays(outermost(**self.keras_inputs, training=False))
        check_finite("a call", self.keras_answer)

    def _step_inputs(self, start):
        """Random tokens, and states of several beams around those that a clip starts with."""
        generator = np.random.default_rng(_SEED)
        inputs = {name: array.astype("float32") for name, array in start.items()}
        batch = len(start[signatures.REGIONS.name])
        for name, _ in signatures.STATES.values():
            if name in start:
                factors = generator.uniform(0.5, 1.0, (batch, _TRIAL_BEAMS, 1))
                inputs[name] = (start[name][:, None] * factors).astype("float32")
        if "is_first_step" in start:
            inputs["is_first_step"] = np.zeros((batch, _TRIAL_BEAMS, 1), "float32")
            inputs["is_first_step"][:, 0] = 1
        ids = generator.integers(0, self.sizes["vocabulary"], (batch, _TRIAL_BEAMS))
        return {**inputs, "token_ids": ids.astype("int32")}

    def _answer(self, signature, captioner, describer):
        inputs = self.inputs[signature]
        if signature.name == signatures.DECODE_START:
            answer = outputs_as_arrays(start_decoding(captioner, inputs["features"]))
        elif signature.name == signatures.DECODE_STEP:
            answer = outputs_as_arrays(step_decoding(captioner, inputs, self.sizes))
        else:
            [clips] = inputs.values()
            if signature.name == signatures.CAPTION_JPEGS:
                clips = decode_clips(clips)
            model = captioner if signature.name == signatures.CAPTION_FEATURES else describer
            found = outputs_as_arrays(model.beam_search(clips, **self._search))
            answer = {
                "scores": found["scores"],
                "token_ids": found["token_ids"].astype("int32"),
                "attention": found["attention_weights"],
                "gate": found["gate"],
            }
            # -inf says that a beam holds no caption; NaN is what must not be.
            check_finite(signature.name, {**answer, "scores": _finite_or_nan(found["scores"])})
            return answer
        check_finite(signature.name, answer)
        return answer

    def copy(self):
        """Returns what is to be written, a copy that was never compiled: its outermost model, and
        the graph with a function for each signature."""
        captioner = without_optimizer(self.on_features)
        backbone = None if self._backbone is None else without_optimizer(self._backbone)
        describer = self._describer(captioner, backbone)
        graph = CaptionerGraph(captioner, describer, self.signatures, self.sizes, self._search)
        return describer or captioner, graph

    def compare(self, signature, received):
        """Compares a signature's answer with the model's: ids and sentences exactly.

        Args:
            signature: The `Signature`.
            received: {output: array, or None where there is none}.

        Returns:
            {"signature/output": largest absolute difference}.

        Raises:
            ParityError: If ids or sentences differ, or numbers by more than the tolerance.
        """
        expected = dict(self._answers[signature.name])
        if signature.name not in _DECODING:
            received = dict(received)
            self._compare_words(
                signature.name,
                expected.pop("token_ids"),
                received.pop("token_ids"),
                received.pop("captions"),
            )
        return compare_outputs(signature.name, expected, received, self._tolerance)

    def _compare_words(self, name, expected, token_ids, captions):
        sentence = self.on_features.vocabulary.sentence
        sentences = [[sentence(ids) for ids in clip] for clip in expected]
        said = None if captions is None else [[text.decode() for text in clip] for clip in captions]
        if said != sentences or not np.array_equal(token_ids, expected):
            raise ParityError(
                f"The SavedModel's signature {name} answers `captions` {said}; the model in memory "
                f"says {sentences}."
            )

    def facts(self):
        """Returns what `metadata.json` says of this kind of model."""
        vocabulary = self.on_features.vocabulary
        return {
            "attention": (
                "each word's map sums to 1 over all frames and positions"
                if self.on_features.context != "first_step"
                else "the first word's map sums to 1 over all frames and positions, the others to 0"
            ),
            "vocabulary_size": len(vocabulary),
            "special_token_ids": {
                "padding": vocabulary.padding_token_id,
                "start": vocabulary.start_token_id,
                "end": vocabulary.end_token_id,
                "unknown": vocabulary.unknown_token_id,
            },
            "search": self._search,
            "vocabulary": list(vocabulary),
        }

    @staticmethod
    def _describer(captioner, backbone):
        if backbone is None:
            return None
        describer = VideoDescriber(backbone, captioner)
        describer.build((None, None, None, None, 3))
        return describer


def _finite_or_nan(scores):
    return np.where(np.isneginf(scores), 0.0, scores)

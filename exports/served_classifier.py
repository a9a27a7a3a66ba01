"""A classifier as an export sees it: its signatures, what they answer, and how to compare it."""

import numpy as np
import tensorflow as tf

from glimpse.exports import signatures
from glimpse.exports.classifier_graph import ClassifierGraph
from glimpse.exports.model_parts import features_shape, split_model, without_optimizer
from glimpse.exports.parity import (
    ParityError,
    check_finite,
    compare_outputs,
    largest_difference,
    outputs_as_arrays,
    tolerance_of,
)
from glimpse.exports.trial_inputs import decode_clips, random_inputs
from glimpse.models.step_classifier import StepClassifier
from glimpse.models.video_classifier import VideoClassifier


class ServedClassifier:
    """A classifier, the backbone that it may have, and what they answer to trial inputs.

    Args:
        model: A built classifier on features, or a `VideoClassifier`.
        backbone: For a classifier on features: the backbone that its features came from, or None.
        top_k: Number of labels in an answer; None takes 5, and never more than there are classes.

    Raises:
        ValueError: If an argument is wrong or the model cannot be exported.

    `signatures`, `inputs` ({`Signature`: {input: array}}), `keras_inputs` and `keras_answer` are
    there once `answer_in_memory` was called.
    """

    def __init__(self, model, backbone=None, top_k=None):
        self.on_features, self._backbone = split_model(
            model, backbone, VideoClassifier, StepClassifier, "classifier"
        )
        if self.on_features.input_names != ("features",):
            raise ValueError(
                f"{type(self.on_features).__name__} reads "
                f"{' and '.join(self.on_features.input_names)}; the signatures are for models that "
                "read feature maps. Its .keras file serves in Python."
            )
        shape = features_shape(self.on_features)
        top_k = signatures.DEFAULT_TOP_K if top_k is None else top_k
        if not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f"`top_k` must be a positive integer, got {top_k!r}.")
        classes = self.on_features.num_classes
        self.sizes = {
            **dict(zip(("map_height", "map_width", "features"), shape[2:], strict=True)),
            "classes": classes,
            "top_k": min(top_k, classes),
        }
        self._label_names = self.on_features.label_names or [str(one) for one in range(classes)]
        parts = [self.on_features] + ([] if self._backbone is None else [self._backbone])
        self._tolerance = tolerance_of(parts)

    def answer_in_memory(self):
        """Asks the model, on the CPU as the fresh processes do: a GPU may round otherwise.

        Raises:
            ParityError: If an answer is not finite.
        """
        video_classifier = self._video_classifier(self.on_features, self._backbone)
        arrays = random_inputs(self.sizes)
        declared = signatures.classifier_signatures(video_classifier is not None, attends=True)
        self._answers = {}
        with tf.device("CPU:0"):
            for signature in declared:
                model = video_classifier
                clips = arrays[signature.inputs[0].name]
                if signature.name == signatures.CLASSIFY_FEATURES:
                    model = self.on_features
                elif signature.name == signatures.CLASSIFY_JPEGS:
                    clips = decode_clips(clips)
                answer = outputs_as_arrays(model(clips, training=False))
                check_finite(signature.name, answer)
                self._answers[signature.name] = answer
        attends = all("attention_weights" in answer for answer in self._answers.values())
        self.signatures = signatures.classifier_signatures(video_classifier is not None, attends)
        self.inputs = {
            one: {tensor.name: arrays[tensor.name] for tensor in one.inputs}
            for one in self.signatures
        }
        # The outermost model's own input; with a backbone that is frames.
        first = next(one for one in self.signatures if one.name != signatures.CLASSIFY_JPEGS)
        self.keras_inputs, self.keras_answer = self.inputs[first], self._answers[first.name]

    def copy(self):
        """Returns what is to be written, a copy that was never compiled: its outermost model, and
        the graph with a function for each signature."""
        classifier = without_optimizer(self.on_features)
        backbone = None if self._backbone is None else without_optimizer(self._backbone)
        video_classifier = self._video_classifier(classifier, backbone)
        outputs = self.signatures[0].outputs
        graph = ClassifierGraph(
            classifier, video_classifier, self._label_names, self.sizes, outputs
        )
        return video_classifier or classifier, graph

    def compare(self, signature, received):
        """Compares a signature's answer with the model's, labels by their probability.

        Args:
            signature: The `Signature`.
            received: {output: array, or None where there is none}.

        Returns:
            {"signature/output": largest absolute difference}.

        Raises:
            ParityError: If they differ by more than the tolerance.
        """
        received = dict(received)
        answer = self._answers[signature.name]
        probabilities, labels = answer["probabilities"], received.pop("labels")
        top_k = 0 if labels is None else labels.shape[1]
        expected = {
            "probabilities": probabilities,
            "scores": -np.sort(-probabilities)[:, :top_k],
            "attention": answer.get("attention_weights"),
        }
        expected = {output: expected[output] for output in received}
        differences = compare_outputs(signature.name, expected, received, self._tolerance)
        # By their probability, since classes that are as likely as each other may change places.
        classes = {label: index for index, label in enumerate(self._label_names)}
        for clip, names in enumerate(labels):
            names = [label.decode() for label in names]
            if len(set(names)) != top_k or not set(names) <= set(classes):
                raise ParityError(
                    f"The SavedModel's signature {signature.name} answers labels {names}."
                )
            named = probabilities[clip, [classes[label] for label in names]]
            difference = largest_difference(named, expected["scores"][clip])
            if not difference <= 2 * self._tolerance:
                raise ParityError(
                    f"The SavedModel's signature {signature.name} answers `labels` {names}, whose "
                    f"probabilities in the model are {named.tolist()}: off by {difference:.3g}."
                )
        return differences

    def facts(self):
        """Returns what `metadata.json` says of this kind of model."""
        return {
            "attention": (
                "each map sums to 1 over its positions"
                if signatures.ATTENTION in self.signatures[0].outputs
                else "none: this model has no gaze, so its signatures have no output `attention`"
            ),
            "label_names": self._label_names,
        }

    @staticmethod
    def _video_classifier(classifier, backbone):
        if backbone is None:
            return None
        video_classifier = VideoClassifier(backbone, classifier)
        video_classifier.build((None, None, None, None, 3))
        return video_classifier

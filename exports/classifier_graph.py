"""What runs inside the SavedModel of a classifier: checks of the request, the model, labels.

Only stock TensorFlow operations that TensorFlow 2.15 knows too, none with a state.
"""

import tensorflow as tf

from glimpse.exports import signatures
from glimpse.exports.jpeg_decoding import decode_jpegs
from glimpse.exports.request_checks import checked_input


class ClassifierGraph:
    """The functions behind a classifier's signatures.

    Args:
        classifier: A built classifier on features.
        video_classifier: The `VideoClassifier` around it, or None.
        label_names: One name a class.
        sizes: Sizes of the axes that the export fixes: `map_height`, `map_width`, `features`,
            `classes`, `top_k`.
        outputs: The `Tensor`s of an answer.
    """

    def __init__(self, classifier, video_classifier, label_names, sizes, outputs):
        self._classifier = classifier
        self._video_classifier = video_classifier
        self._label_names = list(label_names)
        self._sizes = sizes
        self._outputs = outputs

    def classify_jpegs(self, jpeg_bytes):
        jpeg_bytes = self._checked(jpeg_bytes, signatures.CLASSIFY_JPEGS, signatures.JPEG_BYTES)
        frames = decode_jpegs(jpeg_bytes, signatures.CLASSIFY_JPEGS, signatures.CLASSIFY_FRAMES)
        return self._answer(self._video_classifier(frames, training=False))

    def classify_frames(self, frames):
        frames = self._checked(frames, signatures.CLASSIFY_FRAMES, signatures.FRAMES)
        return self._answer(self._video_classifier(frames, training=False))

    def classify_features(self, features):
        features = self._checked(features, signatures.CLASSIFY_FEATURES, signatures.FEATURES)
        return self._answer(self._classifier(features, training=False))

    def _answer(self, outputs):
        probabilities = tf.cast(outputs["probabilities"], tf.float32)
        scores, classes = tf.math.top_k(probabilities, k=self._sizes["top_k"])
        answer = {
            "labels": tf.gather(tf.constant(self._label_names), classes),
            "scores": scores,
            "probabilities": probabilities,
        }
        if "attention_weights" in outputs:
            answer["attention"] = tf.cast(outputs["attention_weights"], tf.float32)
        return {
            output.name: tf.ensure_shape(answer[output.name], output.shape(self._sizes))
            for output in self._outputs
        }

    def _checked(self, tensor, signature, declared):
        return checked_input(tensor, signature, declared, self._sizes)

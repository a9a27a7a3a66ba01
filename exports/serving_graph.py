"""What runs inside the SavedModel: checks of the request, JPEG decoding, the model, labels.

Only stock TensorFlow operations that TensorFlow 2.15 knows too, none with a state. Every refusal
is an InvalidArgumentError that says what was wrong and what to send.
"""

import tensorflow as tf

from glimpse.exports import signatures

_JPEG_START = b"\xff\xd8\xff"


class ServingGraph:
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
        return self._answer(self._video_classifier(decode_jpegs(jpeg_bytes), training=False))

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
        """Returns the input unchanged, refusing a wrong shape and empty axes."""
        shape = declared.shape(self._sizes)
        wanted = ", ".join(
            str(size or axis) for size, axis in zip(shape, declared.axes, strict=True)
        )
        # A loader may pass any shape on; an input of unknown shape keeps the check in the graph.
        tensor = tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=tf.TensorShape(None))
        # The name is part of the error's text, and the only words that this operation can carry.
        words = f"{signature}_takes_{declared.name}_of_shape_{wanted}"
        tensor = tf.ensure_shape(tensor, shape, name=words.replace(", ", "_"))
        checks = [
            tf.debugging.Assert(
                tf.shape(tensor)[axis] > 0,
                [
                    f"{signature}: `{declared.name}` has no {name}: shape",
                    tf.shape(tensor),
                    f"Send ({wanted}), each at least 1.",
                ],
                summarize=8,
            )
            for axis, name in enumerate(declared.axes)
            if shape[axis] is None
        ]
        with tf.control_dependencies(checks):
            return tf.identity(tensor)


def decode_jpegs(jpeg_bytes):
    """Decodes the frames of a request, `(batch, frames)`, to uint8 RGB.

    The header of every file is read first, so that a file that claims to be huge is refused before
    memory is taken for it. The orientation that a camera writes into EXIF is not applied.

    Returns:
        `(batch, frames, height, width, 3)`.
    """
    flat = _checked_start(tf.reshape(jpeg_bytes, [-1]))
    sizes = _checked_sizes(
        tf.map_fn(
            lambda file: tf.io.extract_jpeg_shape(
                file, name="jpeg_bytes_must_hold_whole_JPEG_files_but_one_has_a_broken_header"
            )[:2],
            flat,
            fn_output_signature=tf.TensorSpec([2], tf.int32),
        )
    )
    with tf.control_dependencies([sizes]):
        flat = tf.identity(flat)
    frames = tf.map_fn(
        lambda file: tf.io.decode_jpeg(
            file,
            channels=3,
            dct_method="INTEGER_ACCURATE",
            name="jpeg_bytes_must_hold_whole_JPEG_files_but_one_is_truncated_or_broken",
        ),
        flat,
        fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
    )
    shape = tf.concat([tf.shape(jpeg_bytes), sizes[0], [3]], axis=0)
    return tf.ensure_shape(tf.reshape(frames, shape), [None, None, None, None, 3])


def _checked_start(flat):
    is_jpeg = tf.equal(_first_bytes(flat, len(_JPEG_START)), _JPEG_START)
    check = tf.debugging.Assert(
        tf.reduce_all(is_jpeg),
        [
            (
                "classify_jpegs: `jpeg_bytes` must hold one JPEG a frame (bytes FF D8 FF ...), but "
                "these frames, counted through the whole request from 0, are something else "
                "(empty, PNG, WebP, base64 text, ...):"
            ),
            tf.reshape(tf.where(tf.logical_not(is_jpeg)), [-1]),
            "Encode every frame as JPEG, or send decoded frames to classify_frames.",
        ],
        summarize=20,
    )
    with tf.control_dependencies([check]):
        return tf.identity(flat)


def _first_bytes(strings, count):
    # tf.strings.substr refuses strings that are shorter than what it is asked for.
    padded = tf.strings.join([strings, tf.constant(b"\x00" * count)])
    return tf.strings.substr(padded, 0, count)


def _checked_sizes(sizes):
    """`sizes`: (height, width) of every frame of the request."""
    # As float: the product of two 16-bit sizes and a count may not fit into int32.
    pixels = tf.reduce_prod(tf.cast(sizes, tf.float64), axis=1)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(pixels <= signatures.MAX_FRAME_PIXELS),
            [
                (
                    "classify_jpegs: a frame's header claims more than "
                    f"{signatures.MAX_FRAME_PIXELS} pixels; height and width of the largest:"
                ),
                tf.gather(sizes, tf.argmax(pixels)),
                "Send smaller frames: the model resizes them anyway.",
            ],
        ),
        tf.debugging.Assert(
            tf.reduce_sum(pixels) <= signatures.MAX_REQUEST_PIXELS,
            [
                (
                    "classify_jpegs: the frames of one request add up to more than "
                    f"{signatures.MAX_REQUEST_PIXELS} pixels:"
                ),
                tf.reduce_sum(pixels),
                "Send fewer clips at a time, or smaller frames.",
            ],
        ),
        tf.debugging.Assert(
            tf.reduce_all(tf.equal(sizes, sizes[:1])),
            [
                (
                    "classify_jpegs: all frames of one request must have one size; (height, width) "
                    "of the first frame, and of the first that differs:"
                ),
                sizes[0],
                tf.gather(
                    sizes,
                    tf.argmax(tf.cast(tf.reduce_any(sizes != sizes[:1], axis=1), tf.int32)),
                ),
                "Resize them, or send clips of different sizes as separate requests.",
            ],
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(sizes)

"""JPEG files inside the SavedModel, decoded after their headers were read.

Only stock TensorFlow operations that TensorFlow 2.15 knows too, none with a state. Every refusal
is an InvalidArgumentError that says what was wrong and what to send.
"""

import tensorflow as tf

from glimpse.exports import signatures

_JPEG_START = b"\xff\xd8\xff"


def decode_jpegs(jpeg_bytes, signature, frames_signature):
    """Decodes the frames of a request to uint8 RGB.

    The header of every file is read first, so that a file that claims to be huge is refused before
    memory is taken for it. The orientation that a camera writes into EXIF is not applied.

    Args:
        jpeg_bytes: `(batch, frames)`.
        signature: The name of the signature that they came to.
        frames_signature: The name of the one that takes decoded frames.

    Returns:
        `(batch, frames, height, width, 3)`.
    """
    flat = _checked_start(tf.reshape(jpeg_bytes, [-1]), signature, frames_signature)
    sizes = _checked_sizes(
        tf.map_fn(
            lambda file: tf.io.extract_jpeg_shape(
                file, name="jpeg_bytes_must_hold_whole_JPEG_files_but_one_has_a_broken_header"
            )[:2],
            flat,
            fn_output_signature=tf.TensorSpec([2], tf.int32),
        ),
        signature,
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


def _checked_start(flat, signature, frames_signature):
    is_jpeg = tf.equal(_first_bytes(flat, len(_JPEG_START)), _JPEG_START)
    check = tf.debugging.Assert(
        tf.reduce_all(is_jpeg),
        [
            (
                f"{signature}: `jpeg_bytes` must hold one JPEG a frame (bytes FF D8 FF ...), but "
                "these frames, counted through the whole request from 0, are something else "
                "(empty, PNG, WebP, base64 text, ...):"
            ),
            tf.reshape(tf.where(tf.logical_not(is_jpeg)), [-1]),
            f"Encode every frame as JPEG, or send decoded frames to {frames_signature}.",
        ],
        summarize=20,
    )
    with tf.control_dependencies([check]):
        return tf.identity(flat)


def _first_bytes(strings, count):
    # tf.strings.substr refuses strings that are shorter than what it is asked for.
    padded = tf.strings.join([strings, tf.constant(b"\x00" * count)])
    return tf.strings.substr(padded, 0, count)


def _checked_sizes(sizes, signature):
    """`sizes`: (height, width) of every frame of the request."""
    # As float: the product of two 16-bit sizes and a count may not fit into int32.
    pixels = tf.reduce_prod(tf.cast(sizes, tf.float64), axis=1)
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(pixels <= signatures.MAX_FRAME_PIXELS),
            [
                (
                    f"{signature}: a frame's header claims more than "
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
                    f"{signature}: the frames of one request add up to more than "
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
                    f"{signature}: all frames of one request must have one size; (height, width) "
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

"""Asks a SavedModel for answers in a process that cannot import glimpse.

A script of its own, run by its path; it needs TensorFlow and NumPy, and OpenCV for videos:

    python answer_saved_model.py SAVED_MODEL clip.mp4
    python answer_saved_model.py SAVED_MODEL clip.npz               (array `frames`, uint8 RGB)
    python answer_saved_model.py SAVED_MODEL --inputs in.npz --outputs out.npz

The first two print labels, or captions, and scores as JSON. --inputs holds arrays named
SIGNATURE/INPUT, and --outputs gets arrays named SIGNATURE/OUTPUT.
"""

import argparse
import importlib.abc
import json
import os
import sys

import numpy as np

# The signatures that take a clip's frames, and what is printed of their answers.
_CLIP_SIGNATURES = {"classify_frames": "labels", "caption_frames": "captions"}


class _GlimpseRefused(importlib.abc.MetaPathFinder):
    """Makes every import of glimpse fail, wherever it is installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "glimpse":
            raise ImportError("glimpse is shut out of this process on purpose.")


def shut_glimpse_out():
    """Makes glimpse unimportable, and proves it by trying."""
    if "glimpse" in sys.modules:
        raise SystemExit("glimpse is imported already: run this file as a script of its own.")
    sys.meta_path.insert(0, _GlimpseRefused())
    try:
        import glimpse  # noqa: F401
    except ImportError:
        return
    raise SystemExit("glimpse could be imported: this process proves nothing.")


def load(saved_model):
    """Returns a SavedModel."""
    import tensorflow as tf

    return tf.saved_model.load(saved_model)


def answer(loaded, inputs):
    """Returns {signature/output: array} for inputs {signature/input: array}."""
    import tensorflow as tf

    requests = {}
    for key, array in inputs.items():
        signature, name = key.split("/")
        requests.setdefault(signature, {})[name] = tf.constant(array)
    outputs = {}
    for signature, arguments in requests.items():
        if signature not in loaded.signatures:
            known = ", ".join(sorted(loaded.signatures))
            raise SystemExit(f"The SavedModel has no signature {signature}; it has {known}.")
        for output, value in loaded.signatures[signature](**arguments).items():
            value = value.numpy()
            outputs[f"{signature}/{output}"] = value.astype("S") if value.dtype == object else value
    return outputs


def read_clip(path, sampling):
    """Returns a clip's frames and how many of them stand in for what it is too short for.

    Args:
        path: A video file, or an .npz file with an array `frames`, uint8 RGB.
        sampling: A dict of `num_frames` and `frames_per_second`, as in the model's metadata: of a
            video so many frames are taken at this rate from its start, the last one repeated if it
            is too short. With the `sampling_rule` "first_frames" they are spread evenly over the
            first `spread_over`, and black where the video has ended; with "random_frames" over
            the whole video. None for either takes all.

    Returns:
        `(1, frames, height, width, 3)`, uint8 RGB, and the count.
    """
    if not path.endswith(".npz"):
        return _read_video(path, sampling)
    with np.load(path, allow_pickle=False) as arrays:
        if "frames" not in arrays:
            raise SystemExit(f"{path} holds {', '.join(arrays)}; it needs an array `frames`.")
        frames = arrays["frames"]
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise SystemExit(
            f"{path}: `frames` is {frames.dtype} {frames.shape}; it must be uint8 RGB, "
            "(frames, height, width, 3)."
        )
    return frames[None], 0


def _read_video(path, sampling):
    import cv2

    # Absolute, since OpenCV takes a relative name with a colon for a protocol.
    capture = cv2.VideoCapture(os.path.abspath(path))
    stride = sampling.get("step_stride") or 1
    if sampling.get("frames_per_second") is not None:
        # 29.97 stands for 30, as where the model's clips were sampled.
        ratio = capture.get(cv2.CAP_PROP_FPS) / sampling["frames_per_second"]
        stride = max(1, int(ratio * 1.002))
    if sampling.get("sampling_rule") == "random_frames":
        counted = cv2.VideoCapture(os.path.abspath(path))
        num_frames = 0
        while counted.grab():
            num_frames += 1
        sampling = {**sampling, "spread_over": -(-num_frames // stride)}
    wanted = wanted_frames(sampling)
    frames, index = [], 0
    while (wanted is None or index <= wanted[-1] * stride) and capture.grab():
        if index % stride == 0 and (wanted is None or index // stride in wanted):
            frames.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
        index += 1
    if not frames:
        raise SystemExit(f"{path}: no frame can be read; is it a video file?")
    missing = 0 if wanted is None else len(wanted) - len(frames)
    black = sampling.get("sampling_rule") == "first_frames"
    frames += [np.zeros_like(frames[0]) if black else frames[-1]] * missing
    return np.stack(frames)[None], missing


def wanted_frames(sampling):
    """Returns the places of the frames to take, counted at the sampling's rate; None takes all.

    Args:
        sampling: As for `read_clip`; `spread_over` is how many there are to spread over.
    """
    count, spread_over = sampling.get("num_frames"), sampling.get("spread_over")
    if count is None:
        return None
    rule = sampling.get("sampling_rule")
    if rule == "first_frames":
        if spread_over < count:
            raise SystemExit(
                f"--num_frames={count} is more than the {spread_over} frames that the model's "
                "clips were taken of."
            )
        return [int(part[0]) for part in np.array_split(np.arange(spread_over), count)]
    if rule == "random_frames" and spread_over >= count:
        return [(2 * k + 1) * spread_over // (2 * count) for k in range(count)]
    return list(range(count))


def read_sampling(saved_model):
    """Returns how the clips that the model was trained on were sampled, {} if it is not said."""
    path = os.path.join(saved_model, "assets.extra", "metadata.json")
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as file:
        return json.load(file).get("sampling") or {}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("saved_model", help="folder of a SavedModel, such as NAME/1")
    parser.add_argument("clip", nargs="?", help="video file, or .npz file with uint8 RGB `frames`")
    parser.add_argument("--num_frames", type=int, help="frames to take of a video")
    parser.add_argument("--frames_per_second", type=float, help="rate to take them at")
    parser.add_argument("--inputs", help=".npz file of arrays named SIGNATURE/INPUT, for no clip")
    parser.add_argument("--outputs", help=".npz file to write all outputs to")
    arguments = parser.parse_args()
    if (arguments.clip is None) == (arguments.inputs is None):
        parser.error("name one clip, or --inputs")
    if not os.path.isfile(os.path.join(arguments.saved_model, "saved_model.pb")):
        parser.error(f"{arguments.saved_model} is not the folder of a SavedModel, such as NAME/1")
    sampling = read_sampling(arguments.saved_model)
    for name in ("num_frames", "frames_per_second"):
        value = getattr(arguments, name)
        if value is not None:
            sampling[name] = value
            if not value > 0:
                parser.error(f"--{name}={value} must be above 0")
    shut_glimpse_out()
    if arguments.clip:
        print(json.dumps(_ask(arguments, sampling), ensure_ascii=False))
        return
    with np.load(arguments.inputs, allow_pickle=False) as arrays:
        inputs = dict(arrays)
    _write(arguments.outputs, answer(load(arguments.saved_model), inputs))


def _ask(arguments, sampling):
    """Answers a clip; returns what is printed."""
    frames, missing = read_clip(arguments.clip, sampling)
    loaded = load(arguments.saved_model)
    signature = next((name for name in _CLIP_SIGNATURES if name in loaded.signatures), None)
    if signature is None:
        raise SystemExit(
            f"{arguments.saved_model} has no signature {' or '.join(_CLIP_SIGNATURES)}; it was "
            "exported without a backbone and takes features, with --inputs and --outputs."
        )
    outputs = answer(loaded, {f"{signature}/frames": frames})
    _write(arguments.outputs, outputs)
    words = _CLIP_SIGNATURES[signature]
    scores = outputs[f"{signature}/scores"][0]
    # A beam without a caption has the score -inf, which JSON does not know.
    count = np.count_nonzero(np.isfinite(scores))
    return {
        "saved_model": arguments.saved_model,
        "clip": arguments.clip,
        "signature": signature,
        "frames": frames.shape[1],
        "repeated_or_black_frames": missing,
        "glimpse_importable": False,
        words: [text.decode() for text in outputs[f"{signature}/{words}"][0][:count]],
        "scores": scores[:count].tolist(),
    }


def _write(path, outputs):
    if path:
        with open(path, "wb") as file:
            np.savez(file, **outputs)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

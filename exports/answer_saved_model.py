"""Asks a SavedModel for answers in a process that cannot import glimpse.

A script of its own, run by its path; it needs TensorFlow and NumPy, and OpenCV for videos:

    python answer_saved_model.py SAVED_MODEL clip.mp4
    python answer_saved_model.py SAVED_MODEL clip.npz               (array `frames`, uint8 RGB)
    python answer_saved_model.py SAVED_MODEL --inputs in.npz --outputs out.npz

The first two print labels and scores as JSON. --inputs holds arrays named SIGNATURE/INPUT, and
--outputs gets arrays named SIGNATURE/OUTPUT.
"""

import argparse
import importlib.abc
import json
import os
import sys

import numpy as np

_CLIP_INPUT = "classify_frames/frames"


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


def answer(saved_model, inputs):
    """Returns {signature/output: array} for inputs {signature/input: array}."""
    import tensorflow as tf

    signatures = tf.saved_model.load(saved_model).signatures
    outputs = {}
    for key, array in inputs.items():
        signature, name = key.split("/")
        if signature not in signatures:
            known = ", ".join(sorted(signatures))
            raise SystemExit(f"{saved_model} has no signature {signature}; it has {known}.")
        for output, value in signatures[signature](**{name: tf.constant(array)}).items():
            value = value.numpy()
            outputs[f"{signature}/{output}"] = value.astype("S") if value.dtype == object else value
    return outputs


def read_clip(path, sampling):
    """Returns a clip as `(1, frames, height, width, 3)` RGB, from a video or an .npz file.

    Args:
        path: A video file, or an .npz file with an array `frames`, uint8 RGB.
        sampling: A dict of `num_frames` and `frames_per_second`, as in the model's metadata: of a
            video so many frames are taken at this rate from its start, the last one repeated if it
            is too short. None for either takes all.
    """
    if not path.endswith(".npz"):
        return _read_video(path, sampling.get("num_frames"), sampling.get("frames_per_second"))
    with np.load(path, allow_pickle=False) as arrays:
        if "frames" not in arrays:
            raise SystemExit(f"{path} holds {', '.join(arrays)}; it needs an array `frames`.")
        frames = arrays["frames"]
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise SystemExit(
            f"{path}: `frames` is {frames.dtype} {frames.shape}; it must be uint8 RGB, "
            "(frames, height, width, 3)."
        )
    return frames[None]


def _read_video(path, num_frames, frames_per_second):
    import cv2

    # Absolute, since OpenCV takes a relative name with a colon for a protocol.
    capture = cv2.VideoCapture(os.path.abspath(path))
    stride = 1
    if frames_per_second is not None:
        # 29.97 stands for 30, as where the model's clips were sampled.
        stride = max(1, int(capture.get(cv2.CAP_PROP_FPS) / frames_per_second * 1.002))
    frames, index = [], 0
    while (num_frames is None or len(frames) < num_frames) and capture.grab():
        if index % stride == 0:
            frames.append(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB))
        index += 1
    if not frames:
        raise SystemExit(f"{path}: no frame can be read; is it a video file?")
    frames += frames[-1:] * ((num_frames or 0) - len(frames))
    return np.stack(frames)[None]


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
        inputs = {_CLIP_INPUT: read_clip(arguments.clip, sampling)}
    else:
        with np.load(arguments.inputs, allow_pickle=False) as arrays:
            inputs = dict(arrays)
    outputs = answer(arguments.saved_model, inputs)
    if arguments.outputs:
        with open(arguments.outputs, "wb") as file:
            np.savez(file, **outputs)
    if arguments.clip:
        print(json.dumps(_as_json(arguments, inputs, outputs), ensure_ascii=False))


def _as_json(arguments, inputs, outputs):
    signature = _CLIP_INPUT.partition("/")[0]
    return {
        "saved_model": arguments.saved_model,
        "clip": arguments.clip,
        "signature": signature,
        "frames": inputs[_CLIP_INPUT].shape[1],
        "glimpse_importable": False,
        "labels": [label.decode() for label in outputs[f"{signature}/labels"][0]],
        "scores": outputs[f"{signature}/scores"][0].tolist(),
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

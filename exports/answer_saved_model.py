"""Asks a SavedModel for answers in a process that cannot import glimpse.

A script of its own, run by its path; it needs TensorFlow and NumPy, and OpenCV for --video:

    python answer_saved_model.py SAVED_MODEL --video clip.mp4
    python answer_saved_model.py SAVED_MODEL --frames clip.npz          (array `frames`, uint8 RGB)
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


def read_clip(path):
    """Returns the clips of an .npz file, `(batch, frames, height, width, 3)`."""
    with np.load(path, allow_pickle=False) as arrays:
        if "frames" not in arrays:
            raise SystemExit(f"{path} holds {', '.join(arrays)}; it needs an array `frames`.")
        frames = arrays["frames"]
    if frames.dtype != np.uint8 or frames.ndim not in (4, 5) or frames.shape[-1] != 3:
        raise SystemExit(
            f"{path}: `frames` is {frames.dtype} {frames.shape}; it must be uint8 RGB, "
            "(frames, height, width, 3) or (batch, frames, height, width, 3)."
        )
    return frames if frames.ndim == 5 else frames[None]


def read_video(path, num_frames):
    """Returns evenly spaced frames of a video file, `(1, frames, height, width, 3)` RGB."""
    import cv2

    # Headers lie about the number of frames: count by reading, then read the chosen ones.
    count = sum(1 for _ in _grabbed(cv2.VideoCapture(os.path.abspath(path))))
    if not count:
        raise SystemExit(f"{path}: no frame can be read; is it a video file?")
    wanted = set(np.linspace(0, count - 1, min(num_frames, count)).round().astype(int).tolist())
    capture = cv2.VideoCapture(os.path.abspath(path))
    frames = [capture.retrieve()[1] for index in _grabbed(capture) if index in wanted]
    return np.stack([cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in frames])[None]


def _grabbed(capture):
    index = 0
    while capture.grab():
        yield index
        index += 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("saved_model", help="folder of a SavedModel, such as NAME/1")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--inputs", help=".npz file of arrays named SIGNATURE/INPUT")
    source.add_argument("--frames", help=".npz file with an array `frames`, uint8 RGB")
    source.add_argument("--video", help="video file")
    parser.add_argument("--num_frames", type=int, default=30, help="frames to take of --video")
    parser.add_argument("--outputs", help=".npz file to write all outputs to")
    arguments = parser.parse_args()
    shut_glimpse_out()
    if arguments.num_frames < 1:
        raise SystemExit(f"--num_frames={arguments.num_frames}: at least 1 frame is needed.")
    if arguments.inputs:
        with np.load(arguments.inputs, allow_pickle=False) as arrays:
            inputs = dict(arrays)
    elif arguments.frames:
        inputs = {"classify_frames/frames": read_clip(arguments.frames)}
    else:
        inputs = {"classify_frames/frames": read_video(arguments.video, arguments.num_frames)}
    outputs = answer(arguments.saved_model, inputs)
    if arguments.outputs:
        with open(arguments.outputs, "wb") as file:
            np.savez(file, **outputs)
    if not arguments.inputs:
        print(json.dumps(_as_json(arguments.saved_model, inputs, outputs), ensure_ascii=False))


def _as_json(saved_model, inputs, outputs):
    labels, scores = (outputs[f"classify_frames/{name}"] for name in ("labels", "scores"))
    return {
        "saved_model": saved_model,
        "signature": "classify_frames",
        "frames": int(inputs["classify_frames/frames"].shape[1]),
        "glimpse_importable": False,
        "answers": [
            {"labels": [name.decode() for name in names], "scores": [float(one) for one in row]}
            for names, row in zip(labels, scores, strict=True)
        ],
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    main()

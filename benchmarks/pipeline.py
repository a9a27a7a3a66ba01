"""Measures the way from video files to training: decoding, the backbone, both together, waiting.

    python -m benchmarks.pipeline [--json]

All parts of one comparison are measured side by side in each round, and ratios are
the medians over the rounds, so that a machine that is busy with other work changes
them little.
"""

import json
import os
import statistics
import tempfile
import time

import cv2
import keras
import numpy as np
import tabulate
import tensorflow as tf
from absl import app, flags

from benchmarks.machine import describe_machine
from glimpse.models import create_backbone
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.decoded_clips import DecodedClips
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.feature_index import FEATURES_FOLDER, FeatureIndex, IndexedClip
from glimpse.pipelines.feature_store import FeatureStore
from glimpse.pipelines.feature_windows import FeatureWindows
from glimpse.pipelines.model_building import make_classifier, prepare_classifier
from glimpse.pipelines.tiny_actions import TinyActionsConfig, render_tiny_actions
from glimpse.pipelines.training_config import TrainingConfig

_JSON = flags.DEFINE_bool("json", False, "Print one JSON object in place of the table.")
_CLIPS = flags.DEFINE_integer("clips", 256, "Clips for the small backbone.", 3)
_LARGE_CLIPS = flags.DEFINE_integer("large_clips", 6, "Clips for ResNet-50.", 3)
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Rounds of each comparison.", 1)
_STEPS = flags.DEFINE_integer("steps", 40, "Training steps to watch.", 1)


def resnet50():
    """ResNet-50 with random weights and its own preprocessing, as a backbone."""
    network = keras.applications.ResNet50(weights=None, include_top=False)
    inputs = keras.Input((None, None, 3), dtype="uint8")
    pixels = keras.layers.Rescaling(1.0, offset=(-103.939, -116.779, -123.68))(inputs[..., ::-1])
    return keras.Model(inputs, network(pixels), name="resnet50")


def render(folder, num_clips, size):
    """Renders clips of 32 frames and returns them."""
    config = TinyActionsConfig(
        train_clips=num_clips - 2, val_clips=1, test_clips=1, size=size, num_frames=32
    )
    render_tiny_actions(folder, config, workers=1, progress=False)
    return read_clips(folder)


def decode_all(clip_set):
    """Decodes all clips in one thread; returns their frames."""
    with DecodedClips([clip.path for clip in clip_set.clips]) as decoded:
        return [chunk.frames for _, chunks in decoded for chunk in chunks]


def seconds(function, *arguments, **options):
    """The seconds that a call takes, and what it returns."""
    start = time.perf_counter()
    value = function(*arguments, **options)
    return time.perf_counter() - start, value


def measure_extraction(folder, clip_set, backbone, rounds):
    """Seconds of decoding alone, the backbone alone, and the extraction of both, per round."""
    function = BackboneFunction(backbone, "float16")
    frames = np.concatenate(decode_all(clip_set))
    batches = [
        frames[start : start + function.batch_size]
        for start in range(0, len(frames), function.batch_size)
    ]
    function(batches[0]).numpy()

    def run_backbone():
        for batch in batches:
            function(batch).numpy()

    found = {"decode": [], "backbone": [], "extraction": []}
    for number in range(rounds):
        found["decode"].append(seconds(decode_all, clip_set)[0])
        found["backbone"].append(seconds(run_backbone)[0])
        out = os.path.join(folder, f"{backbone.name}_{number}")
        taken, index = seconds(extract_features, clip_set, function, out, progress=False)
        assert sum(clip.num_frames for clip in index.entries) == len(frames)
        found["extraction"].append(taken)
    rows = zip(found["decode"], found["backbone"], found["extraction"], strict=True)
    rows = list(rows)
    return {
        "backbone": backbone.name,
        "frames": len(frames),
        "frame_size": list(frames.shape[1:3]),
        "decode_frames_per_second": len(frames) / statistics.median(found["decode"]),
        "backbone_frames_per_second": len(frames) / statistics.median(found["backbone"]),
        "extraction_frames_per_second": len(frames) / statistics.median(found["extraction"]),
        "extraction_over_decode_plus_backbone": statistics.median(e / (d + b) for d, b, e in rows),
        "backbone_over_extraction": statistics.median(b / e for _, b, e in rows),
        "seconds": found,
    }, index


def paper_features(folder, videos=64, frames=150):
    """Random features as GoogLeNet's of `videos` videos, 7 x 7 x 1024 float16 a frame."""
    store, rng = FeatureStore(os.path.join(folder, FEATURES_FOLDER)), np.random.default_rng(0)
    entries = []
    for number in range(videos):
        features = rng.random((frames, 7, 7, 1024), "float32").astype("float16")
        store.write(f"{number}", features)
        entries.append(
            IndexedClip(
                clip_id=f"{number}",
                path=f"{number}.mp4",
                label=number % 11,
                split="train",
                key=f"{number}",
                num_frames=frames,
                frames_per_second=25.0,
            )
        )
    return FeatureIndex(
        folder=folder,
        dataset="random",
        split_hash="",
        label_names=tuple(map(str, range(11))),
        backbone="random",
        backbone_fingerprint="",
        dtype="float16",
        feature_shape=(7, 7, 1024),
        decoder="",
        limit=None,
        expected=videos,
        failed=(),
        warnings=(),
        entries=tuple(entries),
    )


def measure_waiting(index, steps, model_name, in_memory):
    """The share of training time that is spent waiting for the next batch of windows."""
    config = TrainingConfig(
        model=model_name, batch_size=64, num_frames=30, windows_per_clip=1, epochs=1
    )
    model = make_classifier(config, index.label_names)
    windows = FeatureWindows(
        index,
        "train",
        config.window_sampling,
        model.input_names,
        **({} if in_memory else {"memory_bytes": 0}),
    )
    prepare_classifier(model, config, windows.input_shapes, steps)
    batches = iter(windows.shuffled(config.batch_size, seed=0, per_clip=config.windows_per_clip))
    for _ in range(3):
        model.train_on_batch(*next(batches))
    waited = trained = 0.0
    for _ in range(steps):
        taken, batch = seconds(next, batches)
        waited += taken
        trained += seconds(model.train_on_batch, *batch)[0]
    window_bytes = (
        config.num_frames * int(np.prod(index.feature_shape)) * np.dtype(index.dtype).itemsize
    )
    return {
        "model": config.model,
        "features": list(index.feature_shape),
        "read": "from memory" if in_memory else "by range from files",
        "batch": config.batch_size,
        "frames": config.num_frames,
        "steps": steps,
        "megabytes_per_second": config.batch_size * window_bytes * steps / (waited + trained) / 1e6,
        "wait_seconds_per_step": waited / steps,
        "train_seconds_per_step": trained / steps,
        "wait_share": waited / (waited + trained),
    }


def machine():
    """What the numbers were measured on."""
    devices = [device.name for device in tf.config.list_physical_devices()]
    return {
        **describe_machine("tensorflow", "keras"),
        "opencv": cv2.__version__,
        "devices": devices,
    }


def report(results):
    """The results as text."""
    rows = []
    for part in (results["small"], results["resnet50"]):
        height, width = part["frame_size"]
        rows.append(
            [
                f"{part['backbone']}, {part['frames']} frames {height} x {width}",
                f"{part['decode_frames_per_second']:.0f}",
                f"{part['backbone_frames_per_second']:.0f}",
                f"{part['extraction_frames_per_second']:.0f}",
                f"{part['extraction_over_decode_plus_backbone']:.3f}",
                f"{part['backbone_over_extraction']:.3f}",
            ]
        )
    headers = ["frames per second", "decode", "backbone", "both", "both / sum", "backbone / both"]
    lines = [
        ", ".join(f"{name} {value}" for name, value in results["machine"].items()),
        tabulate.tabulate(rows, headers, disable_numparse=True),
    ]
    for waiting in results["waiting"]:
        height, width, features = waiting["features"]
        lines.append(
            f"training waits for data {100 * waiting['wait_share']:.2f} % of the time "
            f"({1e3 * waiting['wait_seconds_per_step']:.2f} of "
            f"{1e3 * (waiting['wait_seconds_per_step'] + waiting['train_seconds_per_step']):.1f} "
            f"ms per step; {waiting['model']}, batch {waiting['batch']} x "
            f"{waiting['frames']} frames of {height} x {width} x {features} {waiting['read']}, "
            f"{waiting['megabytes_per_second']:.0f} MB/s)"
        )
    return "\n".join(lines)


def main(arguments):
    if len(arguments) > 1:
        raise app.UsageError(f"Unknown arguments: {' '.join(arguments[1:])}")
    results = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        clip_set = render(os.path.join(folder, "clips"), _CLIPS.value, size=112)
        results["small"], index = measure_extraction(
            folder, clip_set, create_backbone("small"), _ROUNDS.value
        )
        results["waiting"] = [
            measure_waiting(index, _STEPS.value, "soft_attention_small", in_memory)
            for in_memory in (True, False)
        ]
        paper = paper_features(os.path.join(folder, "paper"))
        results["waiting"].append(
            measure_waiting(paper, _STEPS.value, "soft_attention_base", in_memory=False)
        )
        large = render(os.path.join(folder, "large"), _LARGE_CLIPS.value, size=224)
        results["resnet50"], _ = measure_extraction(folder, large, resnet50(), _ROUNDS.value)
    print(json.dumps(results) if _JSON.value else report(results))


if __name__ == "__main__":
    app.run(main)

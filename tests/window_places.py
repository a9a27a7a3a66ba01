"""The three places where windows are made, each as lists of step numbers."""

import numpy as np
import tensorflow as tf

from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.feature_index import IndexedClip
from glimpse.pipelines.training_windows import TrainingWindows
from glimpse.pipelines.video_windows import VideoWindows
from glimpse.pipelines.window_plan import WindowPlan
from tests.numbered_videos import BITS


def make_clips(lengths, rate=30.0, times=None):
    """Clips without features, of so many steps each."""
    return [
        IndexedClip(str(n), f"/{n}.mp4", 0, "train", str(n), length, rate, frame_times=times)
        for n, length in enumerate(lengths)
    ]


def planned(sampling, length, rate=30.0, times=None):
    """The windows of evaluation of one video."""
    return WindowPlan(make_clips([length], rate, times), sampling).steps.tolist()


def trained(sampling, lengths, rate=30.0, times=None, epochs=1, seed=0):
    """(clip, steps, mirrored) of every window of some epochs of training."""
    plan = WindowPlan(make_clips(lengths, rate, times), sampling)
    windows = TrainingWindows(sampling, plan.clocks)
    drawn = tf.data.Dataset.range(epochs).flat_map(lambda epoch: windows.epoch(epoch, seed))
    found = [
        (int(window["clip"]), window["steps"].tolist(), int(window["mirrored"]))
        for window in drawn.as_numpy_iterator()
    ]
    assert len(found) == epochs * windows.number()
    return found


class FrameNumbers:
    """A backbone whose features are the number that a frame carries, and 1; zeros where black."""

    def __init__(self, frames_per_input=1):
        self.frames_per_input = frames_per_input
        self.fingerprint = f"numbers of {frames_per_input} frames"

    def __call__(self, frames):
        height, width = frames.shape[-3:-1]
        columns = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
        bits = tf.cast(
            tf.gather(frames[..., height // 3, :, 0], columns, axis=-1) > 127, tf.float32
        )
        number = tf.reduce_sum(bits * [2.0 ** (BITS - 1 - bit) for bit in range(BITS)], axis=-1)
        lit = tf.cast(
            tf.reduce_max(frames[..., height * 5 // 6, :, :], axis=(-1, -2)) > 99, "float32"
        )
        features = tf.stack([number, lit], axis=-1)
        return tf.reshape(features, (-1, 2 * self.frames_per_input))


def streamed(path, sampling, frames_per_input=1, **options):
    """(steps' numbers as the pixels show them, frame numbers) of all windows, and the reader.

    A black frame is -1. Of a chunk's frames the first one's number stands for it.
    """
    function = BackboneFunction(FrameNumbers(frames_per_input), batch_size=16)
    windows = VideoWindows(path, sampling, {"inputs": function}, **options)
    shown, numbers = [], []
    for window in windows:
        number, lit = window.inputs["inputs"].T[:2]
        shown.append(np.where(lit > 0, number, -1).astype(int).tolist())
        numbers.append(window.frames["inputs"].tolist())
    return shown, numbers, windows

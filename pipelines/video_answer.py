"""One video file in, one answer out: label, probabilities and, for models that attend, the gaze."""

import dataclasses
import itertools

import keras
import numpy as np
from absl import logging

from glimpse.models import VideoClassifier
from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.sampling import frame_stride
from glimpse.pipelines.video_reader import VideoError, VideoReader


@dataclasses.dataclass(frozen=True, eq=False)
class VideoAnswer:
    """What a model said of one video.

    Args:
        path: The video file.
        label_names: Names of the classes; their numbers where the model has none.
        probabilities: `(classes,)`.
        num_frames: Frames of the video.
        frames_per_second: Rate of the video.
        windows: Number of windows that were averaged.
    """

    path: str
    label_names: tuple
    probabilities: np.ndarray
    num_frames: int
    frames_per_second: float
    windows: int

    def top(self, k=5):
        """Returns the k likeliest classes as (name, probability), best first."""
        order = np.argsort(-self.probabilities, kind="stable")[:k]
        return [(self.label_names[i], float(self.probabilities[i])) for i in order]


@dataclasses.dataclass(frozen=True, eq=False)
class ClipWindow:
    """One window of a video, as a model sees it.

    Args:
        path: The video file.
        frames: `(frames, frame_height, frame_width, 3)`, uint8 RGB.
        frame_indices: `(frames,)`, the frames' places in the video.
        frames_per_second: Rate of the video.
        features: The backbone's features of the frames, `(frames, ...)`.
    """

    path: str
    frames: np.ndarray
    frame_indices: np.ndarray
    frames_per_second: float
    features: np.ndarray


class VideoAnswerer:
    """Answers for video files with one model.

    Args:
        model: A `VideoClassifier`, or a classifier on features with `backbone`.
        backbone: The backbone of a classifier on features.
        sampling: A `WindowSampling`; default: as the model was trained.
        rule: `"mean"` or `"majority"` over the windows of a video.
        batch_size: Frames, and windows, in a batch.

    Raises:
        ValueError: If a backbone is missing or superfluous, or the sampling is unknown.
    """

    def __init__(self, model, backbone=None, sampling=None, rule="mean", batch_size=16):
        if isinstance(model, VideoClassifier):
            if backbone is not None:
                raise ValueError("`backbone` must be None: the model has its own inside.")
            model, backbone = model.classifier, model.backbone
        if not isinstance(backbone, keras.Model):
            raise ValueError(
                "`backbone` is needed (--backbone): the model reads features, not frames. "
                "Pass the backbone that the features were extracted with."
            )
        if sampling is None:
            if not getattr(model, "sampling", None):
                raise ValueError("`sampling` is needed: the model does not say how it was trained.")
            sampling = WindowSampling(**model.sampling)
        self.classifier = model
        # One graph for all videos of a frame size, and few enough frames for large ones.
        self.backbone = BackboneFunction(backbone, batch_size=batch_size)
        self.sampling = sampling
        self.rule = rule
        self.batch_size = batch_size

    @property
    def label_names(self):
        names = getattr(self.classifier, "label_names", None)
        return tuple(names or map(str, range(self.classifier.num_classes)))

    def answer(self, path):
        """Returns the `VideoAnswer` for a file; memory does not grow with the video's length.

        Raises:
            VideoError: If the file cannot be decoded, or has too low a frame rate for the model.
        """
        with VideoReader(path) as reader:
            rate = reader.frames_per_second
            span = self.sampling.num_frames * self._stride(path, rate)
            step = self.sampling.block_stride
            held = None
            # Numbers: the first frame held, all frames so far, where the next window starts.
            first = count = start = 0
            probabilities = []
            for features in self._features(reader):
                held = features if held is None else np.concatenate([held, features])
                count += len(features)
                whole = max(0, (count - span - start) // step + 1)
                if whole:
                    starts = start - first + np.arange(whole)[:, None] * step
                    offsets = np.arange(self.sampling.num_frames) * self._stride(path, rate)
                    probabilities += self._window_probabilities(held[starts + offsets])
                    start += whole * step
                    held, first = held[start - first :], min(start, count)
            for warning in reader.warnings:
                logging.warning("%s", warning)
        if not probabilities:
            # Shorter than a window: one window, its last frame repeated.
            probabilities = self._window_probabilities(held[self.sampling.windows(count, rate)])
        combined = combine_blocks(probabilities, self.rule)
        return VideoAnswer(str(path), self.label_names, combined, count, rate, len(probabilities))

    def gaze(self, path, truth=None, true_label=None, start=0.0, model_name=None):
        """Returns what the model saw in one window of a video.

        Args:
            path: The video file.
            truth: The clip's truth, for the boxes of the figures.
            true_label: Name of the clip's class.
            start: Where the window begins, in seconds.
            model_name: Name to show; default: the model's.

        Raises:
            ValueError: If the model has no gaze or the video ends before the window does.
        """
        return self.look(self.window(path, start), truth, true_label, model_name)

    def window(self, path, start=0.0, sampling=None):
        """Reads one `ClipWindow` of a video.

        Args:
            path: The video file.
            start: Where the window begins, in seconds.
            sampling: A `WindowSampling` in place of the model's own.

        Raises:
            ValueError: If the video ends before a window does that begins later than the video.
        """
        sampling = sampling or self.sampling
        with VideoReader(path) as reader:
            rate = reader.frames_per_second
            stride = self._stride(path, rate, sampling)
            first = round(start * rate)
            end = first + stride * sampling.num_frames
            kept, count = [], 0
            for count, frame in enumerate(reader, start=1):
                if count > first and (count - 1 - first) % stride == 0:
                    kept.append(frame)
                if count == end:
                    break
        if count < end and first:
            raise ValueError(
                f"--start={start:g}: a window takes {(end - first) / rate:.2f} s and {path} ends "
                f"after {count / rate:.2f} s; start earlier."
            )
        numbers = first + sampling.windows(count - first, rate)[0]
        frames = np.stack(kept)[(numbers - first) // stride]
        features = np.concatenate(list(self._features(frames)))
        return ClipWindow(str(path), frames, numbers, rate, features)

    def look(self, window, truth=None, true_label=None, model_name=None, attention_override=None):
        """Returns what the model saw in a window.

        Args:
            window: A `ClipWindow`.
            truth: The clip's truth, for the boxes of the figures.
            true_label: Name of the clip's class.
            model_name: Name to show; default: the model's.
            attention_override: `(frames, height, width)`, maps to look with in place of the
                model's own; a map of NaN keeps the model's.

        Raises:
            ValueError: If the model has no gaze.
        """
        if attention_override is None:
            outputs = self._outputs(window.features[None])
        else:
            outputs = self.classifier(
                window.features[None],
                attention_override=np.asarray(attention_override, "float32")[None],
                training=False,
            )
        if "attention_weights" not in outputs:
            raise ValueError(
                f"{self.classifier.name} has no gaze to show: it does not attend. "
                "Explain a soft_attention model."
            )
        boxes = others = None
        if truth is not None:
            boxes, others = actor_boxes(truth, window.frame_indices)
        return Gaze(
            frames=window.frames,
            frame_indices=window.frame_indices,
            frames_per_second=window.frames_per_second,
            attention=np.asarray(outputs["attention_weights"][0], "float32"),
            step_probabilities=np.asarray(outputs["step_probabilities"][0]),
            probabilities=np.asarray(outputs["probabilities"][0]),
            label_names=self.label_names,
            true_label=true_label,
            boxes=boxes,
            distractor_boxes=others if others is not None and others.shape[1] else None,
            model_name=model_name or self.classifier.name,
            video_name=window.path.replace("\\", "/").rsplit("/", 1)[-1],
        )

    def _stride(self, path, rate, sampling=None):
        wanted = (sampling or self.sampling).frames_per_second
        try:
            return 1 if wanted is None else frame_stride(rate, wanted)
        except ValueError as error:
            raise VideoError(f"{path}: {error}") from error

    def _features(self, frames):
        """Yields the features of all frames, a batch at a time."""
        frames = iter(frames)
        while batch := list(itertools.islice(frames, self.backbone.batch_size)):
            yield self.backbone(np.stack(batch)).numpy()

    def _window_probabilities(self, windows):
        return [
            row
            for i in range(0, len(windows), self.batch_size)
            for row in np.asarray(
                self._outputs(windows[i : i + self.batch_size])["probabilities"], "float64"
            )
        ]

    def _outputs(self, features):
        return self.classifier.predict_on_batch(features)

"""One video file in, one answer out: label, probabilities and, for models that attend, the gaze."""

import dataclasses

import keras
import numpy as np

from glimpse.models import VideoClassifier
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.evaluation import actor_boxes
from glimpse.pipelines.extraction import extract_video
from glimpse.pipelines.feature_windows import WindowSampling
from glimpse.pipelines.gaze import Gaze


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


class VideoAnswerer:
    """Answers for video files with one model.

    Args:
        model: A `VideoClassifier`, or a classifier on features with `backbone`.
        backbone: The backbone of a classifier on features.
        sampling: A `WindowSampling`; default: as the model was trained.
        rule: `"mean"` or `"majority"` over the windows of a video.
        batch_size: Windows in a batch.

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
                "`backbone` is needed: the model reads features, not frames. "
                "Pass the backbone that the features were extracted with."
            )
        if sampling is None:
            if not getattr(model, "sampling", None):
                raise ValueError("`sampling` is needed: the model does not say how it was trained.")
            sampling = WindowSampling(**model.sampling)
        self.classifier = model
        # One graph for all videos.
        self.backbone = BackboneFunction(backbone)
        self.sampling = sampling
        self.rule = rule
        self.batch_size = batch_size

    @property
    def label_names(self):
        names = getattr(self.classifier, "label_names", None)
        return tuple(names or map(str, range(self.classifier.num_classes)))

    def answer(self, path):
        """Returns the `VideoAnswer` for a file.

        Raises:
            VideoError: If the file cannot be decoded.
        """
        features, rate, _ = extract_video(path, self.backbone)
        windows = self.sampling.windows(len(features), rate)
        probabilities = [
            np.asarray(self._outputs(features[windows[i : i + self.batch_size]])["probabilities"])
            for i in range(0, len(windows), self.batch_size)
        ]
        combined = combine_blocks(np.concatenate(probabilities), self.rule)
        return VideoAnswer(str(path), self.label_names, combined, len(features), rate, len(windows))

    def gaze(self, path, truth=None, true_label=None, start=0.0, model_name=None):
        """Returns what the model saw in one window of a video.

        Args:
            path: The video file.
            truth: The clip's truth, for the boxes of the figures.
            true_label: Name of the clip's class.
            start: Where the window begins, in seconds.
            model_name: Name to show; default: the model's.

        Raises:
            ValueError: If the model has no gaze or the video ends before `start`.
        """
        features, rate, frames = extract_video(path, self.backbone, keep_frames=True)
        windows = self.sampling.windows(len(features), rate)
        first = round(start * rate)
        chosen = np.flatnonzero(windows[:, 0] >= first)
        if not chosen.size:
            raise ValueError(
                f"--start={start:g}: {path} has {len(features) / rate:.2f} s, and its last window "
                f"starts at {windows[-1, 0] / rate:.2f} s."
            )
        numbers = windows[chosen[0]]
        outputs = self._outputs(features[numbers][None])
        if "attention_weights" not in outputs:
            raise ValueError(
                f"{self.classifier.name} has no gaze to show: it does not attend. "
                "Explain a soft_attention model."
            )
        boxes = others = None
        if truth is not None:
            boxes, others = actor_boxes(truth, numbers)
        return Gaze(
            frames=frames[numbers],
            frame_indices=numbers,
            frames_per_second=rate,
            attention=np.asarray(outputs["attention_weights"][0], "float32"),
            step_probabilities=np.asarray(outputs["step_probabilities"][0]),
            probabilities=np.asarray(outputs["probabilities"][0]),
            label_names=self.label_names,
            true_label=true_label,
            boxes=boxes,
            distractor_boxes=others if others is not None and others.shape[1] else None,
            model_name=model_name or self.classifier.name,
            video_name=str(path).replace("\\", "/").rsplit("/", 1)[-1],
        )

    def _outputs(self, features):
        return self.classifier.predict_on_batch(features.astype("float32"))

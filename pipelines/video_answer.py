"""One video file in, one answer out: label, probabilities and, for models that attend, the gaze."""

import dataclasses
import itertools

import keras
import numpy as np
from absl import logging

from glimpse.models import EnsembleClassifier, VideoClassifier
from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.block_combination import combine_blocks
from glimpse.pipelines.feature_windows import READS_VECTORS
from glimpse.pipelines.gaze import Gaze
from glimpse.pipelines.highlighting import mean_step_weights
from glimpse.pipelines.highlights import Highlights
from glimpse.pipelines.video_windows import VideoWindows, read_frames
from glimpse.pipelines.window_sampling import BLACK_STEP, WindowSampling


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
        frame_indices: `(frames,)`, the frames' places in the video; -1 for a black frame.
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
        attended_backbone: The backbone of the frames that a model with temporal attention attends
            to, or a dict of them by input name; default: `backbone`.

    Raises:
        ValueError: If a backbone is missing or superfluous, or the sampling is unknown.
    """

    def __init__(
        self,
        model,
        backbone=None,
        sampling=None,
        rule="mean",
        batch_size=16,
        attended_backbone=None,
    ):
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
        self._functions = self._name_functions(attended_backbone)

    def _name_functions(self, attended):
        """{input name: BackboneFunction}."""
        names = getattr(self.classifier, "input_names", ("features",))
        reads_attended = [name for name in names if name not in READS_VECTORS]
        if attended is not None and not reads_attended:
            raise ValueError(
                f"`attended_backbone` must be None: {self.classifier.name} attends to no frames "
                "besides what it reads."
            )
        if isinstance(attended, dict):
            missing = [name for name in reads_attended if name not in attended]
            if missing:
                raise ValueError(f"`attended_backbone` lacks {', '.join(missing)}.")
        else:
            attended = dict.fromkeys(reads_attended, attended)
        made = {None: self.backbone, id(self.backbone.backbone): self.backbone}
        functions = {}
        for name in names:
            other = attended.get(name)
            key = None if other is None else id(other)
            if key not in made:
                made[key] = BackboneFunction(other, batch_size=self.batch_size)
            functions[name] = made[key]
        return functions

    @property
    def label_names(self):
        names = getattr(self.classifier, "label_names", None)
        return tuple(names or map(str, range(self.classifier.num_classes)))

    def answer(self, path, segment=None):
        """Returns the `VideoAnswer` for a file, or for a `Segment` of it.

        Raises:
            VideoError: If the file cannot be decoded, or has too low a frame rate for the model.
            ValueError: If a feature or an answer is not finite.
        """
        windows = VideoWindows(path, self.sampling, self._functions, segment=segment)
        probabilities, found = [], iter(windows)
        while batch := list(itertools.islice(found, self.batch_size)):
            outputs = self._outputs(path, [window.inputs for window in batch])
            probabilities += list(np.asarray(outputs["probabilities"], "float64"))
        for warning in windows.warnings:
            logging.warning("%s", warning)
        least = self.sampling.min_video_frames or 0
        if windows.num_frames < least:
            logging.warning(
                "%s: has %d frames; the model was trained and measured on videos of at least %d.",
                path,
                windows.num_frames,
                least,
            )
        return VideoAnswer(
            str(path),
            self.label_names,
            combine_blocks(probabilities, self.rule),
            windows.num_frames,
            windows.frames_per_second,
            len(probabilities),
        )

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

    def highlights(self, path, truth=None, true_label=None, start=0.0, model_name=None):
        """Returns the `Highlights` of one window of a video: which frames the model weighed most.

        Args:
            path: The video file.
            truth: The clip's truth, for the action's interval.
            true_label: Name of the clip's class.
            start: Where the window begins, in seconds.
            model_name: Name to show; default: the model's.

        Raises:
            ValueError: If the model has no temporal attention or the video ends before the window
                does.
        """
        windows = VideoWindows(path, self.sampling, self._functions, start)
        window = next(iter(windows))
        outputs = self._outputs(path, [window.inputs])
        attended = [name for name in window.frames if name not in READS_VECTORS]
        if "attention_weights" not in outputs or len(attended) != 1:
            raise ValueError(
                f"{self.classifier.name} has no frames to highlight: it has no temporal attention "
                "of its own. Use a temporal_attention model."
            )
        numbers = window.frames[attended[0]]
        step_weights = np.asarray(outputs["attention_weights"][0], "float64")
        first, end = (truth or {}).get("action_interval") or (0, 0)
        return Highlights(
            frames=read_frames(path, numbers),
            frame_indices=numbers,
            frames_per_second=windows.frames_per_second,
            weights=mean_step_weights(step_weights),
            step_weights=step_weights,
            probabilities=np.asarray(outputs["probabilities"][0]),
            label_names=self.label_names,
            true_label=true_label,
            interval=(first, end) if end > first else None,
            model_name=model_name or self.classifier.name,
            video_name=_name(path),
        )

    def window(self, path, start=0.0, sampling=None):
        """Reads one `ClipWindow` of a video.

        Args:
            path: The video file.
            start: Where the window begins, in seconds.
            sampling: A `WindowSampling` in place of the model's own.

        Raises:
            ValueError: If the model reads no feature maps, or the video ends before a window does
                that begins later than the video.
        """
        if tuple(self._functions) != ("features",):
            raise ValueError(
                f"{self.classifier.name} has no gaze to show: it reads "
                f"{', '.join(self._functions)}, not feature maps. {self._advice()}"
            )
        windows = VideoWindows(path, sampling or self.sampling, self._functions, start)
        window = next(iter(windows))
        numbers, rate = window.frames["features"], windows.frames_per_second
        frames = read_frames(path, numbers)
        return ClipWindow(str(path), frames, numbers, rate, window.inputs["features"])

    def look(self, window, truth=None, true_label=None, model_name=None, attention_override=None):
        """Returns what the model saw in a window, but for black frames that fill it.

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
            outputs = self._outputs(window.path, [{"features": window.features}])
        else:
            outputs = self.classifier(
                window.features[None],
                attention_override=np.asarray(attention_override, "float32")[None],
                training=False,
            )
        if "attention_weights" not in outputs:
            raise ValueError(
                f"{self.classifier.name} has no gaze to show: it does not attend. {self._advice()}"
            )
        is_real = window.frame_indices != BLACK_STEP
        numbers = window.frame_indices[is_real]
        boxes = others = None
        if truth is not None and "figures" in truth:
            boxes, others = actor_boxes(truth, numbers)
        # A second layer's steps may follow those of the frames.
        step_probabilities = np.asarray(outputs["step_probabilities"][0])[: len(window.frames)]
        return Gaze(
            frames=window.frames[is_real],
            frame_indices=numbers,
            frames_per_second=window.frames_per_second,
            attention=np.asarray(outputs["attention_weights"][0], "float32")[is_real],
            step_probabilities=step_probabilities[is_real],
            probabilities=np.asarray(outputs["probabilities"][0]),
            label_names=self.label_names,
            true_label=true_label,
            boxes=boxes,
            distractor_boxes=others if others is not None and others.shape[1] else None,
            model_name=model_name or self.classifier.name,
            video_name=_name(window.path),
        )

    def _advice(self):
        """What to do with a model that has no gaze."""
        wanted = "Use a soft_attention or conv_attention model"
        attended = [name for name in self._functions if name not in READS_VECTORS]
        if len(attended) != 1 or isinstance(self.classifier, EnsembleClassifier):
            return f"{wanted}."
        return f"It attends to whole frames, which `glimpse highlight` shows. {wanted} for a gaze."

    def _outputs(self, path, windows):
        """The model's outputs for windows, dicts of inputs by name."""
        x = {name: np.stack([window[name] for window in windows]) for name in windows[0]}
        for name, each in x.items():
            if not np.isfinite(each).all():
                backbone = self._functions[name].backbone
                raise ValueError(
                    f"{path}: the backbone {getattr(backbone, 'name', backbone)} gives features "
                    "that are NaN or infinite: its weights are damaged, or its numbers too large."
                )
        outputs = self.classifier.predict_on_batch(x if len(x) > 1 else next(iter(x.values())))
        if not np.isfinite(outputs["probabilities"]).all():
            raise ValueError(
                f"{path}: the model answers NaN, though the features are finite: its weights are "
                "not, or too large; train it anew."
            )
        return outputs


def _name(path):
    return str(path).replace("\\", "/").rsplit("/", 1)[-1]

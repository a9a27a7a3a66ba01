"""One video file in, sentences out: the n best captions and, word by word, the gaze."""

import dataclasses

import keras
import numpy as np

from glimpse.models import VideoDescriber
from glimpse.pipelines.attention_measurement import actor_boxes
from glimpse.pipelines.backbone_function import BackboneFunction
from glimpse.pipelines.caption_gaze import CaptionGaze
from glimpse.pipelines.video_windows import VideoWindows, read_frames
from glimpse.pipelines.window_sampling import BLACK_STEP, WindowSampling


@dataclasses.dataclass(frozen=True, eq=False)
class VideoCaptions:
    """What a captioner said of one video.

    Args:
        path: The video file.
        captions: Tuple of `Caption`s, best first.
        frame_indices: The frames' places in the video; -1 for a black frame.
        num_frames: Frames of the video.
        frames_per_second: Rate of the video.
        notes: What a reader should know of the video: black or repeated frames, signs of damage.
    """

    path: str
    captions: tuple
    frame_indices: np.ndarray
    num_frames: int
    frames_per_second: float
    notes: tuple = ()

    @property
    def black_frames(self):
        """How many of the frames that the model read are black."""
        return int((self.frame_indices == BLACK_STEP).sum())


class VideoCaptionAnswerer:
    """Describes video files with one captioner.

    Args:
        model: A `VideoDescriber`, or a captioner on features with `backbone`.
        backbone: The backbone of a captioner on features.
        sampling: A `WindowSampling` that gives one window a video; default: as the model was
            trained.
        batch_size: Frames in a batch of the backbone.
        **options: `beam_width`, `max_words`, `length_penalty` and `min_words` of the search, in
            place of the model's own.

    Raises:
        ValueError: If a backbone is missing or superfluous, the sampling is unknown, or a number
            of the search is out of its range.
    """

    def __init__(self, model, backbone=None, sampling=None, batch_size=16, **options):
        if isinstance(model, VideoDescriber):
            if backbone is not None:
                raise ValueError("`backbone` must be None: the model has its own inside.")
            model, backbone = model.captioner, model.backbone
        if not isinstance(backbone, keras.Model):
            raise ValueError(
                "`backbone` is needed (--backbone): the model reads features, not frames. "
                "Pass the backbone that the features were extracted with."
            )
        if sampling is None:
            if not getattr(model, "sampling", None):
                raise ValueError("`sampling` is needed: the model does not say how it was trained.")
            sampling = WindowSampling(**model.sampling)
        self.captioner = model
        self.backbone = BackboneFunction(backbone, batch_size=batch_size)
        self.sampling = sampling
        self.search = model.search_settings(**options)

    def answer(self, path, segment=None):
        """Returns the `VideoCaptions` of a file, or of a `Segment` of it.

        Raises:
            VideoError: If the file cannot be decoded, or has too low a frame rate for the model.
            ValueError: If a feature or a score is not finite.
        """
        # One window, never a mirrored copy of it.
        windows = VideoWindows(
            path, self.sampling, {"features": self.backbone}, start=0.0, segment=segment
        )
        window = next(iter(windows))
        features, numbers = window.inputs["features"], window.frames["features"]
        if not np.isfinite(features).all():
            raise ValueError(
                f"{path}: the backbone {self.backbone.backbone.name} gives features that are NaN "
                "or infinite: its weights are damaged, or its numbers too large."
            )
        try:
            (captions,) = self.captioner.caption(features[np.newaxis], **self.search)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if not captions or not np.isfinite(captions[0].score):
            raise ValueError(f"{path}: the model gives no caption a score; train it anew.")
        return VideoCaptions(
            path=str(path),
            captions=tuple(captions),
            frame_indices=numbers,
            num_frames=windows.num_frames,
            frames_per_second=windows.frames_per_second,
            notes=self._notes(path, windows, numbers),
        )

    def gaze(self, path, truth=None, model_name=None, which=0):
        """Returns the `CaptionGaze` of a file: where the model looked for each word.

        Args:
            path: The video file.
            truth: The clip's truth, for the references and the actor's box.
            model_name: Name to show; default: the model's.
            which: The caption's place among the n best.

        Raises:
            VideoError, ValueError: As `answer`; ValueError too if the caption has no word.
        """
        return self.look(self.answer(path), truth, model_name, which)

    def look(self, answer, truth=None, model_name=None, which=0):
        """Returns the `CaptionGaze` of a `VideoCaptions`; arguments as of `gaze`."""
        caption, truth = answer.captions[which], truth or {}
        if not caption.words:
            raise ValueError(
                f"{answer.path}: the model's caption has no word, so no gaze; ask for some, by "
                "`min_words=1`."
            )
        boxes, is_real = None, answer.frame_indices != BLACK_STEP
        if "figures" in truth:
            boxes = np.zeros((len(is_real), 4))
            boxes[is_real], _ = actor_boxes(truth, answer.frame_indices[is_real])
        return CaptionGaze(
            frames=read_frames(answer.path, answer.frame_indices),
            frame_indices=answer.frame_indices,
            frames_per_second=answer.frames_per_second,
            words=caption.words,
            attention=caption.attention_weights,
            gate=caption.gate,
            score=caption.score,
            references=tuple(truth.get("captions", ())),
            boxes=boxes,
            model_name=model_name or self.captioner.name,
            video_name=answer.path.replace("\\", "/").rsplit("/", 1)[-1],
        )

    def _notes(self, path, windows, numbers):
        found = [warning.removeprefix(f"{path}: ") for warning in windows.warnings]
        repeated = int(((np.diff(numbers) == 0) & (numbers[1:] != BLACK_STEP)).sum())
        if repeated and windows.num_frames < len(numbers):
            found.append(
                f"is shorter than {len(numbers)} frames: {repeated} of them show the last one "
                "again."
            )
        least = self.sampling.min_video_frames or 0
        if windows.num_frames < least:
            found.append(
                f"has {windows.num_frames} frames; the model was trained and measured on videos of "
                f"at least {least}."
            )
        return tuple(found)

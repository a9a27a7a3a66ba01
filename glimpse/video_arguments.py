"""What commands on video files share: --model given several times, and the truth in --data."""

import collections
import os
import pathlib

from glimpse.models.caption_training import CaptionTraining
from glimpse.pipelines.caption_answer import VideoCaptionAnswerer
from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets import looks_like
from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.trained_model import load_attended_backbone, load_trained_model

DATA_HELP = "Folder of the data set that the files belong to."


def load_answerers(models, backbone=None, kinds=("classifier",), min_words=0):
    """Returns an answerer for each model that `--model` names, by a short name for each.

    That of a classifier is a `VideoAnswerer`, that of a captioner a `VideoCaptionAnswerer`.

    Args:
        models: The values of `--model`.
        backbone: That of `--backbone`, or None.
        kinds: What the models may be, as in `load_trained_model`.
        min_words: Fewest words of a captioner's sentences.

    Raises:
        ValueError: If a model is given twice or cannot be loaded.
    """
    names = [pathlib.Path(model).name.removesuffix(".keras") for model in models]
    if len(set(names)) < len(names):
        names = models
    if len(set(names)) < len(names):
        raise ValueError("--model: the same model is given twice.")
    return {
        name: _load_answerer(model, backbone, kinds, min_words)
        for name, model in zip(names, models, strict=True)
    }


def _load_answerer(model, backbone, kinds, min_words):
    loaded, needed = load_trained_model(model, backbone, kinds)
    if isinstance(loaded, CaptionTraining):
        return VideoCaptionAnswerer(loaded, needed, min_words=min_words)
    return VideoAnswerer(loaded, needed, attended_backbone=load_attended_backbone(model))


def require_videos(arguments, usage):
    """Returns the video files after the flags.

    Raises:
        ValueError: If there is none; the text shows `usage`.
    """
    if len(arguments) < 2:
        raise ValueError(f"no video file given: {usage}")
    return arguments[1:]


def read_truths(data, paths):
    """Returns (truth, true label) for each video file; (None, None) where `data` is None.

    A file with several labels, of one clip or of several, has them joined by ", "; one with none
    has None, as has the truth of a file of several clips.

    Args:
        data: Folder of the data set that all files belong to, or None.
        paths: Video files.

    Raises:
        ValueError: If a file is not one of the data set's clips.
    """
    if not data:
        return [(None, None)] * len(paths)
    clip_set = read_clips(data, looks_like(data), compare_files=False)
    known = collections.defaultdict(list)
    for clip in clip_set.clips:
        known[os.path.realpath(clip.path)].append(clip)
    found = []
    for path in paths:
        clips = known.get(os.path.realpath(path))
        if clips is None:
            raise ValueError(f"--data={data}: {path} is not one of its clips.")
        labels = [c.label if isinstance(c.label, tuple) else (c.label,) for c in clips]
        names = [
            clip_set.label_names[label] for label in sorted({n for each in labels for n in each})
        ]
        truth = clips[0].truth if len(clips) == 1 else None
        found.append((truth, ", ".join(names) or None))
    return found

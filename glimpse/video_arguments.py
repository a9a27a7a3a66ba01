"""What commands on video files share: --model given several times, and the truth in --data."""

import os
import pathlib

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.trained_model import load_attended_backbone, load_trained_model

DATA_HELP = "Folder of the data set that the files belong to."


def load_answerers(models, backbone=None):
    """Returns a `VideoAnswerer` for each model that `--model` names, by a short name for each.

    Raises:
        ValueError: If a model is given twice or cannot be loaded.
    """
    names = [pathlib.Path(model).name.removesuffix(".keras") for model in models]
    if len(set(names)) < len(names):
        names = models
    if len(set(names)) < len(names):
        raise ValueError("--model: the same model is given twice.")
    return {
        name: VideoAnswerer(
            *load_trained_model(model, backbone),
            attended_backbone=load_attended_backbone(model),
        )
        for name, model in zip(names, models, strict=True)
    }


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

    Args:
        data: Folder of the data set that all files belong to, or None.
        paths: Video files.

    Raises:
        ValueError: If a file is not one of the data set's clips.
    """
    if not data:
        return [(None, None)] * len(paths)
    clips = read_clips(data)
    known = {os.path.realpath(clip.path): clip for clip in clips.clips}
    found = []
    for path in paths:
        clip = known.get(os.path.realpath(path))
        if clip is None:
            raise ValueError(f"--data={data}: {path} is not one of its clips.")
        found.append((clip.truth, clips.label_names[clip.label]))
    return found

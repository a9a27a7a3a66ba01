"""Compares where and when a model looked with what is known of the clips."""

import numpy as np

from glimpse.pipelines.gaze import attention_mass, pointing_hits, uniform_mass
from glimpse.pipelines.highlighting import (
    FrameWeights,
    mean_step_weights,
    score_highlights,
    summarise_highlights,
)
from glimpse.pipelines.window_sampling import BLACK_STEP


class AttentionMeasurement:
    """Collects a model's attention over the windows of a split.

    Args:
        windows: The `FeatureWindows`.
        truth: {clip_id: truth dict of the clip}, or None. `figures` holds the boxes of the actor
            and the others, `frame_size` their frame's height and width, and `action_interval`
            the action's first frame and the one after its last.
    """

    def __init__(self, windows, truth):
        self._windows = windows
        self._truth = truth
        self._located = []
        self._weights = {}

    def add(self, first, outputs):
        """Takes the outputs for the windows from number `first` on."""
        if self._truth is None or "attention_weights" not in outputs:
            return
        maps = np.asarray(outputs["attention_weights"], "float32")
        for number, attention in enumerate(maps, start=first):
            clip = self._windows.window_clips[number]
            truth = self._truth[self._windows.clips[clip].clip_id]
            if attention.ndim == 2:
                (name,) = self._windows.attended_names
                index = self._windows.attended_indices[name]
                steps = self._windows.attended_numbers(number, name)
                frames = self._video_frames(index, steps, clip)
                collected = self._weights.setdefault(clip, FrameWeights())
                collected.add(frames, mean_step_weights(attention))
            elif "figures" in truth:
                steps = self._windows.frame_numbers(number)
                is_real = steps != BLACK_STEP
                frames = self._video_frames(self._windows.index, steps[is_real], clip)
                attention = attention[is_real]
                if self._windows.window_mirrored[number]:
                    attention = attention[:, :, ::-1]
                self._located.append(_locate(attention, truth, frames))

    @property
    def localisation(self):
        """Means over the video's frames in all windows, or None: how much lay on the actor."""
        if not self._located:
            return None
        names = ("mass", "uniform", "distractor_mass", "distractor_uniform", "pointing")
        means = dict(zip(names, np.mean(self._located, axis=0).tolist(), strict=True))
        return {**means, "mass_over_uniform": means["mass"] / means["uniform"]}

    @property
    def highlighting(self):
        """`summarise_highlights` of the videos whose action's interval is known, or None."""
        videos, names = [], self._windows.index.label_names
        for number, collected in sorted(self._weights.items()):
            clip = self._windows.clips[number]
            first, end = self._truth[clip.clip_id].get("action_interval") or (0, 0)
            result = "no interval"
            if end > first:
                result = score_highlights(*collected.means(), (first, end))
                result = result or "all or none of the frames inside"
            videos.append((" and ".join(names[label] for label in clip.labels), result))
        return summarise_highlights(videos)

    def _video_frames(self, index, steps, clip):
        """The video's frame that stands for each step: the middle one of a chunk."""
        chunk, count = index.frames_per_input, self._windows.clips[clip].video_frames
        return np.minimum(steps * chunk + chunk // 2, count - 1)


def actor_boxes(truth, frame_numbers):
    """Returns the actor's boxes `(frames, 4)` and the others' `(frames, others, 4)`, in pixels."""
    figures = {True: [], False: []}
    for figure in truth["figures"]:
        figures[figure["role"] == "actor"].append(np.array(figure["boxes"])[frame_numbers])
    others = np.stack(figures[False], 1) if figures[False] else np.zeros((len(frame_numbers), 0, 4))
    return figures[True][0], others


def _locate(attention, truth, frame_numbers):
    actor, others = actor_boxes(truth, frame_numbers)
    size = truth["frame_size"]
    return (
        attention_mass(attention, actor, size).mean(),
        uniform_mass(actor, size).mean(),
        attention_mass(attention, others, size).sum(axis=1).mean(),
        uniform_mass(others, size).sum(axis=1).mean(),
        pointing_hits(attention, actor, size).mean(),
    )

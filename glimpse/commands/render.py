"""Render tiny_actions: short video clips in which a figure with a hat does one of eight actions.

Other figures, without a hat, do other actions at the same time, so a model has to look at the
right one. Every clip comes with its label, the boxes of all figures in every frame, the interval
of the action and reference captions. The same seed gives the same clips. A render that was
interrupted goes on when the command is given again.

Example: glimpse render --output=tiny --placement=random --seed=0
"""

import dataclasses

from absl import flags

from glimpse.pipelines.tiny_actions import render_tiny_actions
from glimpse.pipelines.tiny_actions_config import TinyActionsConfig

_DEFAULT = TinyActionsConfig()
_DEFAULT_TEMPORAL = TinyActionsConfig.for_temporal()


def _described(name, text):
    usual, temporal = getattr(_DEFAULT, name), getattr(_DEFAULT_TEMPORAL, name)
    with_temporal = "" if usual == temporal else f"; with --temporal: {temporal}"
    return f"{text} (default: {usual}{with_temporal})"


_OUTPUT = flags.DEFINE_string("output", None, "Folder to write (required).", required=True)
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Processes that render; default: one a processor.", lower_bound=1
)
_KNOBS = {
    "seed": (flags.DEFINE_integer, "Seed of everything in the set."),
    "placement": (
        flags.DEFINE_string,
        "Where the actor stands: random, or centre as in filmed sport.",
    ),
    "num_distractors": (flags.DEFINE_integer, "Figures without a hat, 0 to 3."),
    "distractor_action": (flags.DEFINE_string, "What they do: other actions, or idle."),
    "min_height": (flags.DEFINE_float, "Least height of a figure, in pixels."),
    "max_height": (flags.DEFINE_float, "Greatest height of a figure, in pixels."),
    "drift": (flags.DEFINE_float, "Greatest speed of a figure, in pixels per frame."),
    "pan": (flags.DEFINE_float, "Greatest speed of the background, in pixels per frame."),
    "num_objects": (flags.DEFINE_integer, "Boxes and balls in a scene, 0 to 3."),
    "near_object_probability": (flags.DEFINE_float, "Chance that one stands beside the actor."),
    "num_frames": (flags.DEFINE_integer, "Frames in a clip."),
    "frames_per_second": (flags.DEFINE_integer, "Rate of the video files."),
    "min_action_frames": (flags.DEFINE_integer, "Least length of the action, with --temporal."),
    "max_action_frames": (flags.DEFINE_integer, "Greatest length of the action, likewise."),
    "size": (flags.DEFINE_integer, "Height and width of a frame, in pixels."),
    "train_clips": (flags.DEFINE_integer, "Clips to train on."),
    "val_clips": (flags.DEFINE_integer, "Clips to validate on."),
    "test_clips": (flags.DEFINE_integer, "Clips to test on."),
}
_TEMPORAL = flags.DEFINE_bool(
    "temporal",
    False,
    "Longer clips, for temporal attention: the action fills a part, before and after it and in a "
    "class of its own the actor idles. Changes the defaults to those of that set.",
)
_FLAGS = {
    name: define(name, None, _described(name, text)) for name, (define, text) in _KNOBS.items()
}


def main(argv):
    """Renders the set that the flags describe and prints what was written."""
    values = {name: flag.value for name, flag in _FLAGS.items() if flag.value is not None}
    start = _DEFAULT_TEMPORAL if _TEMPORAL.value else _DEFAULT
    try:
        config = dataclasses.replace(start, **values)
    except ValueError as error:
        raise ValueError(f"--{error}") from error
    summary = render_tiny_actions(_OUTPUT.value, config, workers=_WORKERS.value)
    counts = ", ".join(f"{count} {split}" for split, count in summary["counts"].items())
    print(f"{_OUTPUT.value}: {counts} clips of {len(summary['classes'])} classes.")

"""Classify video files and print one line, or one JSON object, per file.

Every window of the video is classified, and the answers are averaged. A file that cannot be
decoded is reported and the others are answered all the same; the exit status is then 1.

Example: glimpse predict --model=runs/soft clip.mp4 other.avi
"""

import json
import sys

from absl import flags

from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.pipelines.video_error import VideoError
from glimpse.trained_model import (
    ATTENDED_BACKBONE_HELP,
    BACKBONE_HELP,
    MODEL_HELP,
    load_attended_backbone,
    load_trained_model,
)

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_ATTENDED_BACKBONE = flags.DEFINE_string("attended_backbone", None, ATTENDED_BACKBONE_HELP)
_TOP = flags.DEFINE_integer("top", 3, "Classes to print.", lower_bound=1)
_RULE = flags.DEFINE_enum("rule", "mean", ["mean", "majority"], "How windows become one answer.")
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object per file.")


def main(argv):
    """Classifies the files named after the flags."""
    if len(argv) < 2:
        raise ValueError("no video file given: glimpse predict --model=... clip.mp4 [more ...]")
    answerer = VideoAnswerer(
        *load_trained_model(_MODEL.value, _BACKBONE.value),
        rule=_RULE.value,
        attended_backbone=load_attended_backbone(_MODEL.value, _ATTENDED_BACKBONE.value),
    )
    failed = 0
    for path in argv[1:]:
        try:
            answer = answerer.answer(path)
        except (VideoError, OSError) as error:
            failed += 1
            print(f"glimpse predict: {error}", file=sys.stderr)
            continue
        top = answer.top(_TOP.value)
        if _JSON.value:
            row = {
                "path": path,
                "top": [{"label": name, "probability": value} for name, value in top],
                "frames": answer.num_frames,
                "windows": answer.windows,
            }
            print(json.dumps(row), flush=True)
        else:
            shown = ", ".join(f"{name} {value:.3f}" for name, value in top)
            print(f"{path}: {shown}", flush=True)
    if failed:
        print(f"glimpse predict: {failed} of {len(argv) - 1} files failed.", file=sys.stderr)
    return 1 if failed else 0

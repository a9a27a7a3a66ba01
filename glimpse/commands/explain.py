"""Draw where a model looked in video files: film strip, overlay video and an HTML page.

For each file the first window from --start on is shown. Several models, for comparison, are
given by repeating --model. Where the video belongs to a data set that knows the boxes of its
figures (--data), the actor's box is drawn and the attention's mass in it printed.

Example: glimpse explain --model=runs/soft --output=pictures clip.mp4
"""

import os
import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.explanation import explain
from glimpse.pipelines.video_answer import VideoAnswerer
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP, load_trained_model

_MODEL = flags.DEFINE_multi_string(
    "model", None, MODEL_HELP + " May be repeated. (required)", required=True
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, "Folder of the data set that the files belong to.")
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the film strip.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the papers' brightness."
)


def main(argv):
    """Explains the files named after the flags."""
    if len(argv) < 2:
        raise ValueError("no video file given: glimpse explain --model=... --output=... clip.mp4")
    names = [pathlib.Path(model).name.removesuffix(".keras") for model in _MODEL.value]
    if len(set(names)) < len(names):
        names = _MODEL.value
    if len(set(names)) < len(names):
        raise ValueError("--model: the same model is given twice.")
    answerers = {
        name: VideoAnswerer(*load_trained_model(model, _BACKBONE.value))
        for name, model in zip(names, _MODEL.value, strict=True)
    }
    known, label_names = {}, ()
    if _DATA.value:
        clips = read_clips(_DATA.value)
        known = {os.path.realpath(clip.path): clip for clip in clips.clips}
        label_names = clips.label_names
    gazes = []
    for path in argv[1:]:
        clip = known.get(os.path.realpath(path))
        if _DATA.value and clip is None:
            raise ValueError(f"--data={_DATA.value}: {path} is not one of its clips.")
        gazes += [
            answerer.gaze(
                path,
                truth=clip and clip.truth,
                true_label=clip and label_names[clip.label],
                start=_START.value,
                model_name=name,
            )
            for name, answerer in answerers.items()
        ]
    written = explain(gazes, _OUTPUT.value, argv[1:], columns=_COLUMNS.value, style=_STYLE.value)
    rows = []
    for gaze in gazes:
        row = {"video": gaze.video_name, "model": gaze.model_name, "says": gaze.predicted_label}
        rows.append({**row, "truth": gaze.true_label or "?", **(gaze.localisation() or {})})
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for path in written:
        print(path)

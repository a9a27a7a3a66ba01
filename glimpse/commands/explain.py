"""Draw where a model looked in video files: film strip, overlay video and an HTML page.

For each file the first window from --start on is shown. Several models, for comparison, are
given by repeating --model. Where the video belongs to a data set that knows the boxes of its
figures (--data), the actor's box is drawn and the attention's mass in it printed.

Example: glimpse explain --model=runs/soft --output=pictures clip.mp4
"""

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.explanation import explain
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_multi_string(
    "model", None, MODEL_HELP + " May be repeated. (required)", required=True
)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the film strip.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the papers' brightness."
)


def main(argv):
    """Explains the files named after the flags."""
    paths = require_videos(argv, "glimpse explain --model=... --output=... clip.mp4")
    answerers = load_answerers(_MODEL.value, _BACKBONE.value)
    gazes = [
        answerer.gaze(path, truth, label, _START.value, model_name=name)
        for path, (truth, label) in zip(paths, read_truths(_DATA.value, paths), strict=True)
        for name, answerer in answerers.items()
    ]
    written = explain(gazes, _OUTPUT.value, paths, columns=_COLUMNS.value, style=_STYLE.value)
    rows = []
    for gaze in gazes:
        row = {"video": gaze.video_name, "model": gaze.model_name, "says": gaze.predicted_label}
        rows.append({**row, "truth": gaze.true_label or "?", **(gaze.localisation() or {})})
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for path in written:
        print(path)

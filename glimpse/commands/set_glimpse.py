"""Make a model look where you say, and see what it then answers.

Sharma et al. 2015, Fig. 5: another glimpse can give another answer. --look names a place: `centre`,
`actor` (the box that --data knows), `cell:ROW,COLUMN` of the attention's grid or
`box:X0,Y0,X1,Y1` in the frame's pixels; `STEPS@PLACE`, such as 0-7@centre, looks there in these
steps of the window only. --look may be repeated; in steps that none names the model looks where it
likes.

Example: glimpse set-glimpse --model=soft_attention_small.tiny_actions --look=cell:3,3
         --output=pictures clip.mp4
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.manual_glimpse import compare_answers, draw_manual_glimpse, look_manually
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_LOOK = flags.DEFINE_multi_string(
    "look", ["centre"], "Where to look: [STEPS@] then centre, actor, cell:R,C or box:X0,Y0,X1,Y1."
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the picture.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the paper's brightness."
)


def main(argv):
    """Draws one picture for each of the files named after the flags."""
    paths = require_videos(argv, "glimpse set-glimpse --model=A --look=centre --output=B clip.mp4")
    truths = read_truths(_DATA.value, paths)
    answerer = next(iter(load_answerers([_MODEL.value], _BACKBONE.value).values()))
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for path, (truth, label) in zip(paths, truths, strict=True):
        window = answerer.window(path, _START.value)
        try:
            own, manual = look_manually(answerer, window, _LOOK.value, truth, label)
        except ValueError as error:
            raise ValueError(f"--look: {error}") from error
        picture = folder / f"{pathlib.Path(path).stem}_glimpse.png"
        draw_manual_glimpse(own, manual, picture, _COLUMNS.value, _STYLE.value)
        rows = compare_answers(own, manual)
        print(f"{own.video_name}, true label: {own.true_label or '?'}")
        print(tabulate(rows, headers=("label", "own gaze", "manual"), floatfmt=".3f"))
        print(picture)

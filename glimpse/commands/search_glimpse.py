"""Search the glimpse with which a model would answer right, changing only where it looks.

Sharma et al. 2015, Fig. 9: on one clip that the model gets wrong, only the weights of the location
softmax are optimised (in a copy; everything else stays), from random ones, until the wanted label
is the likeliest. With --variables=maps the maps themselves are optimised, as a softmax of free
logits for each frame, which also works for models whose weights do not part where from what.

A glimpse that is found shows that looking elsewhere is enough for the answer. It does not show
that the model would look there by itself, nor that the place means what it means to a reader: the
picture says how much of it lies on the actor. Where none is found, that is said.

Example: glimpse search-glimpse --model=soft_attention_small.tiny_actions --label=wave
         --output=pictures clip.mp4
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.glimpse_search import STARTS, VARIABLES, search_glimpse
from glimpse.pipelines.glimpse_search_picture import draw_glimpse_search
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_LABEL = flags.DEFINE_string(
    "label", None, "Label to search for; default: the true one, which --data knows."
)
_VARIABLES = flags.DEFINE_enum("variables", "weights", VARIABLES, "What is optimised.")
_BEGIN = flags.DEFINE_enum(
    "begin", "random", STARTS, "Begin at random values, as the paper, or at the model's own."
)
_STEPS = flags.DEFINE_integer("max_steps", 300, "Most steps.", lower_bound=1)
_RATE = flags.DEFINE_float(
    "learning_rate", None, "Adam's; default: 0.01 for weights, 0.1 for maps.", lower_bound=0.0
)
_LEAST = flags.DEFINE_float(
    "least_probability", 0.0, "The label must also be as probable as this.", lower_bound=0.0
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the random values.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in the picture.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the paper's brightness."
)


def main(argv):
    """Draws one picture for each of the files named after the flags."""
    paths = require_videos(argv, "glimpse search-glimpse --model=A --label=B --output=C clip.mp4")
    if not (_LABEL.value or _DATA.value):
        raise ValueError("--label: which label is wanted? Give it, or --data that knows the truth.")
    truths = read_truths(_DATA.value, paths)
    answerer = next(iter(load_answerers([_MODEL.value], _BACKBONE.value).values()))
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    rows, pictures = [], []
    for path, (truth, label) in zip(paths, truths, strict=True):
        search = search_glimpse(
            answerer,
            answerer.window(path, _START.value),
            wanted_label=_LABEL.value,
            variables=_VARIABLES.value,
            start=_BEGIN.value,
            max_steps=_STEPS.value,
            learning_rate=_RATE.value,
            least_probability=_LEAST.value,
            seed=_SEED.value,
            truth=truth,
            true_label=label,
        )
        pictures.append(folder / f"{pathlib.Path(path).stem}_search.png")
        draw_glimpse_search(search, pictures[-1], _COLUMNS.value, _STYLE.value)
        rows.append(_row(search))
    print(tabulate(rows, headers="keys", floatfmt=".3f"))
    for picture in pictures:
        print(picture)


def _row(search):
    row = {
        "video": search.own.video_name,
        "wanted": search.wanted_label,
        "model says": search.own.predicted_label,
        "reached": "yes" if search.reached else "no",
        "steps": search.steps,
    }
    for name, gaze in zip(("own", "start", "end"), search.gazes, strict=True):
        row[f"p {name}"] = search.probability(gaze)
    if search.own.boxes is not None:
        for name, gaze in zip(("own", "start", "end"), search.gazes, strict=True):
            row[f"actor {name}"] = gaze.localisation()["mass"]
    return row

"""Compare where a model looks in one clip at several frame rates.

Sharma et al. 2015, Fig. 7: 6 against 30 frames per second. The windows begin together and last
equally long, so the model sees the same scene at each rate; with --num_frames they hold equally
many frames instead, as in the paper, and a slow one sees further. A model answers best at the rate
that it was trained at: what is shown is what another rate does to it.

Example: glimpse compare-rates --model=soft_attention_small.tiny_actions --rates=3.75,7.5,15
         --output=pictures clip.mp4
"""

import pathlib

from absl import flags
from tabulate import tabulate

from glimpse.pipelines.sampling_rate_effect import draw_rate_effect, look_at_rates, rate_table
from glimpse.trained_model import BACKBONE_HELP, MODEL_HELP
from glimpse.video_arguments import DATA_HELP, load_answerers, read_truths, require_videos

_MODEL = flags.DEFINE_string("model", None, MODEL_HELP + " (required)", required=True)
_BACKBONE = flags.DEFINE_string("backbone", None, BACKBONE_HELP)
_RATES = flags.DEFINE_list("rates", ["6", "30"], "Frames per second, two or more.")
_SECONDS = flags.DEFINE_float(
    "seconds", None, "How long the windows last; default: as long as the model's own.",
    lower_bound=0.0,
)  # fmt: skip
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", None, "Frames in every window, in place of --seconds.", lower_bound=1
)
_OUTPUT = flags.DEFINE_string("output", None, "Folder for the pictures (required).", required=True)
_DATA = flags.DEFINE_string("data", None, DATA_HELP)
_START = flags.DEFINE_float("start", 0.0, "Second of the video to begin at.", lower_bound=0.0)
_COLUMNS = flags.DEFINE_integer("columns", 8, "Frames in a row.", lower_bound=1)
_STYLE = flags.DEFINE_enum(
    "style", "heat", ["heat", "dim"], "Colours over the frame, or the paper's brightness."
)


def main(argv):
    """Draws one picture for each of the files named after the flags."""
    paths = require_videos(argv, "glimpse compare-rates --model=A --output=B clip.mp4")
    try:
        rates = [float(rate) for rate in _RATES.value]
    except ValueError as error:
        raise ValueError(f"--rates={','.join(_RATES.value)}: {error}.") from error
    truths = read_truths(_DATA.value, paths)
    answerer = next(iter(load_answerers([_MODEL.value], _BACKBONE.value).values()))
    folder = pathlib.Path(_OUTPUT.value)
    folder.mkdir(parents=True, exist_ok=True)
    for path, (truth, label) in zip(paths, truths, strict=True):
        gazes = look_at_rates(
            answerer, path, rates, _START.value, _SECONDS.value, _NUM_FRAMES.value, truth, label
        )
        picture = folder / f"{pathlib.Path(path).stem}_rates.png"
        draw_rate_effect(gazes, picture, _COLUMNS.value, _STYLE.value)
        print(tabulate(rate_table(gazes), headers="keys", floatfmt=".3f", missingval="-"))
        print(picture)

"""Run every frame of a data set through a backbone, once, and keep the features on disk.

A data set is a folder that `glimpse render` wrote, or your own: FOLDER/CLASS/VIDEO, which is split
at random with a seed, or FOLDER/{train,val,test}/CLASS/VIDEO. Features that are there already are
used again, so an interrupted extraction goes on when the command is given again.

A backbone that reads 16 frames at a time, such as c3d, gives one vector for each 16 frames.

Example: glimpse extract --data=tiny --output=tiny_features
Example: glimpse extract --data=tiny --output=tiny_small --backbone=small --flips
"""

import pathlib

from absl import flags

from glimpse.dataset_flags import DatasetFlags
from glimpse.pipelines.extraction import extract_features
from glimpse.trained_model import load_backbone, read_backbone_options

_DATA = DatasetFlags(__name__)
_OUTPUT = flags.DEFINE_string("output", None, "Folder of the features (required).", required=True)
_BACKBONE = flags.DEFINE_string("backbone", "small", "Name of a backbone, or a .keras file.")
_OPTIONS = flags.DEFINE_string(
    "backbone_options",
    "{}",
    """JSON of the backbone's own options, such as '{"output": "fc6"}'.""",
)
_FLIPS = flags.DEFINE_bool(
    "flips", False, "Extract the frames mirrored left to right as well, for training with --flips."
)
_DTYPE = flags.DEFINE_enum("dtype", "float16", ["float16", "float32"], "Type of the features.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Frames in a batch.", lower_bound=1)
_LIMIT = flags.DEFINE_integer("limit", None, "Clips per split; default: all.", lower_bound=1)
_ON_ERROR = flags.DEFINE_enum(
    "on_error",
    "fail",
    ["fail", "report"],
    "What to do at the end if videos could not be decoded: fail, or report them and go on without.",
)


def main(argv):
    """Extracts the features and prints the counts."""
    clips = _DATA.read()
    options = read_backbone_options(_OPTIONS.value)
    index = extract_features(
        clips,
        load_backbone(_BACKBONE.value, options),
        _OUTPUT.value,
        dtype=_DTYPE.value,
        batch_size=_BATCH_SIZE.value,
        limit=_LIMIT.value,
        on_error=_ON_ERROR.value,
        backbone_name=_backbone_name(),
        backbone_options=options,
        flips=_FLIPS.value,
    )
    frames = sum(clip.video_frames for clip in index.entries)
    print(
        f"{_OUTPUT.value}: {index.seen} of {index.expected} clips, {frames} frames, "
        f"{len(index.failed)} failed, features {tuple(index.feature_shape)} {index.dtype}."
    )
    if index.dropped_frames:
        print(
            f"  {index.dropped_frames} frames at the ends of videos did not fill a chunk of "
            f"{index.frames_per_input} and were dropped."
        )
    for failure in index.failed:
        print(f"  left out {failure['path']}: {failure['reason']}")


def _backbone_name():
    """The name that later commands find the backbone by: a file's from wherever they run."""
    name = _BACKBONE.value
    return str(pathlib.Path(name).resolve()) if name.endswith(".keras") else name

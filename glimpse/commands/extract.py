"""Run every frame of a data set through a backbone, once, and keep the features on disk.

A data set is one by name (--dataset), a folder that `glimpse render` wrote, a CSV file, or your own
folder: FOLDER/CLASS/VIDEO, which is split at random with a seed, or FOLDER/{train,val,test}/CLASS/
VIDEO. Features that are there already are used again, so an interrupted extraction goes on when the
command is given again.

A backbone that reads 16 frames at a time, such as c3d, gives one vector for each 16 frames.

With --runner=beam the work is an Apache Beam job, on as many machines as its runner has; Beam's
own flags stand at the end, after `--`. docs/extraction.md has them for Flink, Spark and Dataflow.

Example: glimpse extract --data=tiny --output=tiny_features
Example: glimpse extract --data=tiny --output=tiny_small --backbone=small --flips
Example: glimpse extract --data=tiny --output=tiny_beam --runner=beam -- --direct_num_workers=2
"""

import collections
import functools
import pathlib

from absl import flags

from glimpse.dataset_flags import DatasetFlags
from glimpse.models.weights_card import file_sha256
from glimpse.pipelines.extraction import extract_features
from glimpse.pipelines.manifest import read_manifest, usable_clips
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
_MANIFEST = flags.DEFINE_string(
    "manifest", None, "File of `glimpse check-data`: clips that it found unusable are left out."
)
_ALLOW_MISSING = flags.DEFINE_integer(
    "allow_missing",
    0,
    "Clips that the splits list and that may be missing, unusable by --manifest, or unreadable.",
    lower_bound=0,
)
_CACHE = flags.DEFINE_string(
    "cache", None, "Folder of the features, which several --output may share; default: in --output."
)
_RUNNER = flags.DEFINE_enum(
    "runner",
    "local",
    ["local", "beam"],
    "Where to extract: in this process, or as an Apache Beam job with the flags after `--`.",
)


def main(argv):
    """Extracts the features and prints the counts."""
    options = read_backbone_options(_OPTIONS.value)
    load = functools.partial(load_backbone, _backbone_name(), options)
    runner = _read_runner(load, argv[1:])
    # The manifest tells which files are the same.
    clips = _DATA.read(compare_files=_MANIFEST.value is None)
    manifest_sha256 = checked = None
    if _MANIFEST.value is not None:
        manifest = read_manifest(_MANIFEST.value)
        clips = usable_clips(clips, manifest, _ALLOW_MISSING.value)
        checked = manifest.hashes(clips.clips)
        manifest_sha256 = file_sha256(_MANIFEST.value)
    index = extract_features(
        clips,
        load(),
        _OUTPUT.value,
        dtype=_DTYPE.value,
        batch_size=_BATCH_SIZE.value,
        limit=_LIMIT.value,
        on_error=_ON_ERROR.value,
        backbone_name=_backbone_name(),
        backbone_options=options,
        flips=_FLIPS.value,
        cache=_CACHE.value,
        allow_missing=_ALLOW_MISSING.value,
        manifest_sha256=manifest_sha256,
        checked=checked,
        runner=runner,
    )
    _print_counts(index)


def _print_counts(index):
    frames = sum(clip.video_frames for clip in index.entries)
    asked = sum(index.expected_in.values()) if index.limit is None else index.expected
    print(
        f"{_OUTPUT.value}: {index.seen} of {asked} clips, {frames} frames, "
        f"{len(index.failed)} failed, features {tuple(index.feature_shape)} {index.dtype}."
    )
    seen, missing = index.seen_in, collections.Counter(clip["split"] for clip in index.missing)
    for split, expected in index.expected_in.items():
        print(f"  {split}: {expected} expected, {seen[split]} seen, {missing[split]} missing")
    if index.dropped_frames:
        print(
            f"  {index.dropped_frames} frames at the ends of clips did not fill a chunk of "
            f"{index.frames_per_input} and were dropped."
        )
    for reason, count in index.left_out.items():
        print(f"  left out {count}: {reason}")
    for failure in index.failed:
        print(f"  left out {failure['path']}: {failure['reason']}")


def _read_runner(load, beam_flags):
    """What --runner names, with what stands after `--`; None: this process."""
    if beam_flags and not beam_flags[0].startswith("--"):
        raise ValueError(f"{beam_flags[0]!r} is not a flag; flags are written --name=value.")
    if _RUNNER.value == "local":
        if beam_flags:
            raise ValueError(
                f"{beam_flags[0]} stands after `--`, for Apache Beam: give --runner=beam too."
            )
        return None
    try:
        from glimpse.pipelines.beam_extraction import BeamExtraction
    except ImportError as error:
        raise ValueError(
            f"--runner=beam: Apache Beam is not installed ({error}); `pip install 'glimpse[beam]'`."
        ) from error
    return BeamExtraction(load, _OUTPUT.value, beam_flags)


def _backbone_name():
    """The name that later commands find the backbone by: a file's from wherever they run."""
    name = _BACKBONE.value
    return str(pathlib.Path(name).resolve()) if name.endswith(".keras") else name

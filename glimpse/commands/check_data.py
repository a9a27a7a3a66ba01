"""Decode every file of a data set once and write down what was found: the manifest.

The files are decoded in several processes; one that ends its decoder or keeps it from going on is
written down like any other. An interrupted check goes on when the command is given again. The
status is not 0 if a clip that the split expects cannot be used, unless --allow_missing covers it.

Example: glimpse check-data --data=UCF11_updated_mpg --dataset=ucf11 --output=manifest.jsonl
Example: glimpse check-data --data=videos --plain --output=manifest.jsonl
"""

import collections
import os

import tabulate
from absl import flags

from glimpse.dataset_flags import DatasetFlags
from glimpse.pipelines.data_check import check_data
from glimpse.pipelines.manifest import STATUSES
from glimpse.pipelines.plain_folder import read_plain_folder

_DATASET = DatasetFlags(__name__)
_OF_DATASETS = {flag.name for flag in flags.FLAGS.get_flags_for_module(__name__)} - {"data"}
_OUTPUT = flags.DEFINE_string("output", None, "The manifest to write (required).", required=True)
_PLAIN = flags.DEFINE_bool(
    "plain", False, "Check every video under --data, whatever its layout: no classes, no splits."
)
_ALLOW_MISSING = flags.DEFINE_integer(
    "allow_missing", 0, "How many clips may be unusable.", lower_bound=0
)
_MIN_FRAMES = flags.DEFINE_integer(
    "min_frames", 1, "Clips with fewer frames are short, such as 16 for c3d.", lower_bound=1
)
_ALLOW_DAMAGED = flags.DEFINE_bool(
    "allow_damaged", False, "Use files of which frames are missing, such as those cut off."
)
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Processes to decode in; default: the number of CPU cores.", lower_bound=1
)
_TIMEOUT = flags.DEFINE_float(
    "timeout",
    60.0,
    "Seconds after which a file that gives no further frame is given up.",
    lower_bound=0.1,
)
_SHOWN = 10


def main(argv):
    """Checks the files, prints what was found, and returns 1 if too many clips are unusable."""
    if _PLAIN.value:
        for name in sorted(_OF_DATASETS):
            if flags.FLAGS[name].present:
                raise ValueError(f"--{name}: --plain reads no data set; leave one of them out.")
        clip_set = read_plain_folder(_DATASET.data)
    else:
        # Files that two splits have in common are for the manifest to name, not to end the check.
        clip_set = _DATASET.read(compare_files=False)
    manifest = check_data(
        clip_set,
        _OUTPUT.value,
        workers=_WORKERS.value,
        min_frames=_MIN_FRAMES.value,
        timeout=_TIMEOUT.value,
        folder=os.path.dirname(_DATASET.data) if os.path.isfile(_DATASET.data) else _DATASET.data,
        allow_damaged=_ALLOW_DAMAGED.value,
    )
    unusable = manifest.unusable()
    _print_table(manifest, unusable)
    _print_files(unusable)
    for reason, count in manifest.header["left_out"].items():
        print(f"  left out by the reader: {count}, {reason}")
    if manifest.header["unlisted"]:
        print(f"  not checked: {manifest.header['unlisted']} files that the data set does not list")
    if len(unusable) > _ALLOW_MISSING.value:
        print(
            f"{len(unusable)} clips cannot be used; repair them, or give "
            f"--allow_missing={len(unusable)} to go on without them."
        )
        return 1
    return 0


def _print_table(manifest, unusable):
    counts = collections.Counter(
        (split, record["status"]) for record in manifest.records for split in record["splits"]
    )
    lost = collections.Counter(entry["split"] for entry in unusable)
    splits = list(dict.fromkeys(split for split, _ in counts))
    rows = []
    for split in splits:
        row = [counts[split, status] for status in STATUSES]
        rows.append([split, *row, sum(row), sum(row) - lost[split]])
    if len(rows) > 1:
        _, *columns = zip(*rows, strict=True)
        rows.append(["total", *map(sum, columns)])
    print(f"{_OUTPUT.value}: {manifest.header['dataset']}, {len(manifest.records)} records")
    print(tabulate.tabulate(rows, ["clips", *STATUSES, "expected", "usable"]))


def _print_files(unusable):
    for entry in unusable[:_SHOWN]:
        print(f"  {entry['status']} {ascii(entry['path'] or entry['clip_id'])}: {entry['reason']}")
    if len(unusable) > _SHOWN:
        print(f"  and {len(unusable) - _SHOWN} more, all in {_OUTPUT.value}")

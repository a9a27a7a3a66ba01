"""Readers of data sets: each tells the clips, their labels and their splits."""

import difflib
import importlib
import inspect
import os

# Name of the data set: (module beside this file, function).
READERS = {
    "activitynet": ("activitynet", "read_activitynet"),
    "captions_csv": ("captions_csv", "read_captions_csv"),
    "csv": ("csv_file", "read_csv_file"),
    "folder": ("class_folders", "read_class_folders"),
    "hmdb51": ("hmdb51", "read_hmdb51"),
    "hollywood2": ("hollywood2", "read_hollywood2"),
    "msvd": ("msvd", "read_msvd"),
    "olympic_sports": ("olympic_sports", "read_olympic_sports"),
    "tiny_actions": ("described_folder", "read_described_folder"),
    "ucf11": ("ucf11", "read_ucf11"),
    "ucf_sports": ("ucf_sports", "read_ucf_sports"),
}
# Entries that tell a data set's folder, any one line of which is enough.
_MARKS = {
    "activitynet": [("activity_net.v1-1.min.json",), ("activity_net.v1-2.min.json",),
                    ("activity_net.v1-3.min.json",)],
    "hmdb51": [("brush_hair", "flic_flac"), ("hmdb51_org",)],
    "hollywood2": [("AVIClips", "ClipSets"), ("Hollywood2",)],
    "msvd": [("YouTubeClips",)],
    "olympic_sports": [("clean_and_jerk", "discus_throw"), ("olympic_sports",)],
    "ucf11": [
        ("basketball", "volleyball_spiking"), ("UCF11_updated_mpg",), ("action_youtube_naudio",),
    ],
    "ucf_sports": [("Diving-Side", "Walk-Front"), ("ucf action",), ("ucf_sports_actions",)],
}  # fmt: skip


def looks_like(folder):
    """Name of the official data set that a folder is laid out as, or None."""
    for dataset, marks in _MARKS.items():
        for entries in marks:
            if all(os.path.exists(os.path.join(folder, entry)) for entry in entries):
                return dataset
    return None


def find_reader(dataset, options=()):
    """Returns the function that reads a data set, once it is sure to take the options.

    Args:
        dataset: A name in `READERS`.
        options: Names of the options that it is to be called with.

    Raises:
        ValueError: If there is no such data set, or it takes no such option.
    """
    if dataset not in READERS:
        near = difflib.get_close_matches(str(dataset), READERS, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(READERS)}."
        raise ValueError(f"dataset={dataset!r}: no such data set; {hint}")
    module, function = READERS[dataset]
    reader = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    _, *taken = inspect.signature(reader).parameters
    for option in options:
        if option not in taken:
            takes = f"it takes {', '.join(taken)}" if taken else "it takes none"
            raise ValueError(f"{option}: the data set {dataset} has no such option; {takes}.")
    return reader

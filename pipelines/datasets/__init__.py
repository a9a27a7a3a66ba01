"""Readers of data sets: each tells the clips, their labels and their splits."""

import difflib
import importlib
import inspect

# Name of the data set: (module beside this file, function).
READERS = {
    "activitynet": ("activitynet", "read_activitynet"),
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

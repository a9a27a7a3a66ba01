"""The flags that say which data set is where and how it is split, for every command that reads one.

`--data` and `--dataset` say what to read; the others are options of the data set's reader, named as
in Python but for the two that other flags of a command could be taken for.
"""

import json

from absl import flags

from glimpse.pipelines.clips import read_clips
from glimpse.pipelines.datasets import READERS

# Flag: (option of the reader, how to define it, help).
_OPTIONS = {
    "annotations": ("annotations", flags.DEFINE_string, "JSON file of activitynet."),
    "split_number": ("split_number", flags.DEFINE_integer, "Which of hmdb51's splits: 1, 2 or 3."),
    "split_rule": (
        "split",
        flags.DEFINE_string,
        "How a data set without an official split is divided, such as groups or "
        "leave_one_group_out.",
    ),
    "fold": ("fold", flags.DEFINE_integer, "Which part --split_rule=leave_one_group_out tests on."),
    "split_seed": ("seed", flags.DEFINE_integer, "Seed of what is divided at random."),
    "val_fraction": (
        "val_fraction",
        flags.DEFINE_float,
        "Share of an official training set that becomes the validation set; 0: none.",
    ),
    "split_file": (
        "split_file",
        flags.DEFINE_string,
        "JSON file that keeps the split: written if it is not there, else read in place of "
        "dividing anew.",
    ),
}


class DatasetFlags:
    """Defines the flags of a data set and reads it.

    Args:
        module_name: The module whose help shows them.
        required: Whether `--data` must be given.
        flag_values: Where to define them; default: absl's own.
    """

    def __init__(self, module_name=None, required=True, flag_values=flags.FLAGS):
        place = {"flag_values": flag_values, "module_name": module_name}
        self._data = flags.DEFINE_string(
            "data",
            None,
            "Folder of the data set, or a CSV file" + (" (required)." if required else "."),
            required=required,
            **place,
        )
        self._dataset = flags.DEFINE_string(
            "dataset",
            None,
            f"What --data is: {', '.join(READERS)}. Default: csv, tiny_actions or folder, by what "
            "is there.",
            **place,
        )
        self._options = {
            option: (name, define(name, None, text, **place))
            for name, (option, define, text) in _OPTIONS.items()
        }
        self._json = flags.DEFINE_string(
            "dataset_options",
            "{}",
            """JSON of other options of the data set's reader, such as '{"untrimmed": true}'.""",
            **place,
        )

    @property
    def data(self):
        """The value of --data."""
        return self._data.value

    def read(self, default=None, compare_files=True):
        """Returns the `ClipSet` that the flags describe, or None without `--data`.

        Args:
            default: Name of the data set where `--dataset` is not given; None: by what is there.
            compare_files: As in `read_clips`.

        Raises:
            ValueError: If it cannot be read so, or an option is none of the data set's.
        """
        if self._data.value is None:
            return None
        given = {
            option: holder.value
            for option, (_, holder) in self._options.items()
            if holder.value is not None
        }
        others = self._read_json()
        for option in given:
            if option in others:
                name = self._options[option][0]
                raise ValueError(f"--dataset_options: sets {option}, as --{name} does; leave one.")
        return read_clips(
            self._data.value,
            self._dataset.value or default,
            compare_files=compare_files,
            **given,
            **others,
        )

    def _read_json(self):
        text = f"--dataset_options={self._json.value}"
        try:
            options = json.loads(self._json.value)
        except json.JSONDecodeError as error:
            raise ValueError(f"{text}: not JSON ({error}).") from error
        if not isinstance(options, dict):
            raise ValueError(f"{text}: must be a JSON object.")
        return options

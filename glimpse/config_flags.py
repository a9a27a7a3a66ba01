"""Flags for the fields of a frozen record of choices, and files of such flags."""

import json

from absl import flags


class ConfigFlags:
    """Defines a flag for each choice of a config and reads a config from their values.

    `model_options` is a flag that holds JSON.

    Args:
        config_class: A dataclass with defaults, such as `TrainingConfig`.
        knobs: {field: (how to define its flag, help)} of the others.
        flag_values: Where to define them; default: absl's own.
        module_name: The module whose help shows them.
    """

    def __init__(self, config_class, knobs, flag_values=flags.FLAGS, module_name=None):
        place = {"flag_values": flag_values, "module_name": module_name}
        default = config_class()
        self._config_class = config_class
        self._holders = {
            name: define(name, getattr(default, name), text, **place)
            for name, (define, text) in knobs.items()
        }
        self._options = flags.DEFINE_string(
            "model_options",
            "{}",
            "JSON of constructor arguments in place of the variant's, such as "
            '{"attention": "state"}.',
            **place,
        )

    def read(self):
        """Returns the config that the flags describe.

        Raises:
            ValueError: If a value is out of range.
        """
        try:
            options = json.loads(self._options.value)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"--model_options={self._options.value}: not JSON ({error})."
            ) from error
        if not isinstance(options, dict):
            raise ValueError(f"--model_options={self._options.value}: must be a JSON object.")
        values = {name: holder.value for name, holder in self._holders.items()}
        return self._config_class(model_options=options, **values)


def read_flag_file(make_flags, path, **changes):
    """Returns the config of a flag file, with some flags changed.

    Args:
        make_flags: Function of `flags.FlagValues` that returns the `ConfigFlags` defined there.
        path: The flag file, one `--flag=value` a line.
        **changes: Flags by name with values in place of the file's.

    Raises:
        ValueError: If the file names an unknown flag or a value is out of range.
    """
    values = flags.FlagValues()
    config_flags = make_flags(values)
    arguments = [f"--{name}={value}" for name, value in changes.items()]
    try:
        values(["recipe", f"--flagfile={path}", *arguments])
    except flags.Error as error:
        raise ValueError(f"{path}: {error}") from error
    return config_flags.read()

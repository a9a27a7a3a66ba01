"""Runs commands of `glimpse` in this process: importing TensorFlow once is enough."""

import sys

from absl import flags

import glimpse_command


def run_command(*arguments):
    """Runs one command line, such as `"explain", "--output=x", "clip.mp4"`; returns its status."""
    module = "glimpse.commands." + arguments[0].replace("-", "_")
    # Commands define flags of one name, and absl allows each name once in a process.
    forget_commands()
    sys.modules.pop(module, None)
    try:
        return glimpse_command.execute(["glimpse", *map(str, arguments)])
    finally:
        forget_commands()
        flags.FLAGS.unparse_flags()


def forget_commands():
    """Removes the flags of all commands that were imported in this process."""
    for module in list(flags.FLAGS.flags_by_module_dict()):
        if module.startswith("glimpse.commands."):
            for flag in list(flags.FLAGS.get_flags_for_module(module)):
                delattr(flags.FLAGS, flag.name)
            sys.modules.pop(module, None)

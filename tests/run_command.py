"""Runs commands of `glimpse` in this process: importing TensorFlow once is enough."""

import sys

from absl import flags

import glimpse_command


def run_command(*arguments):
    """Runs one command line, such as `"explain", "--output=x", "clip.mp4"`; returns its status."""
    module = "glimpse.commands." + arguments[0].replace("-", "_")
    # Commands define flags of one name, and absl allows each name once in a process.
    sys.modules.pop(module, None)
    try:
        return glimpse_command.execute(["glimpse", *map(str, arguments)])
    finally:
        for flag in flags.FLAGS.get_flags_for_module(module):
            delattr(flags.FLAGS, flag.name)
        flags.FLAGS.unparse_flags()

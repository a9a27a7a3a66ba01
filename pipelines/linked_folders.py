"""Walks a folder of a data set as `os.walk` does, through symbolic links to folders too."""

import os
import pathlib

from absl import logging


def walk_with_links(folder):
    """Yields (path, names of the folders in it, names of the files) of a folder and all below it.

    As with `os.walk`, folders that the caller takes out of the list are not gone into. No folder is
    gone into twice, nor one that the link to it is in: such links are left out with a warning.

    Args:
        folder: Path of the folder.

    Raises:
        ValueError: If a folder cannot be listed.
    """
    start = pathlib.Path(os.path.abspath(folder))
    seen = {os.path.realpath(path) for path in (start, *start.parents)}
    for parent, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        yield parent, folders, files
        inside = pathlib.Path(os.path.realpath(parent))
        entered = []
        # A folder's own place comes before a link to it.
        for name in sorted(folders, key=lambda name: (_is_link(parent, name), name)):
            target = os.path.realpath(os.path.join(parent, name))
            if target in seen or inside.is_relative_to(target):
                logging.warning(
                    "%s: leads to %s, which it is in or which is read already; left out.",
                    ascii(os.path.join(parent, name)),
                    ascii(target),
                )
                continue
            seen.add(target)
            entered.append(name)
        folders[:] = entered


def _is_link(parent, name):
    return os.path.islink(os.path.join(parent, name))


def _refuse(error):
    raise ValueError(f"{error.filename}: cannot be listed ({error.strerror}).") from error

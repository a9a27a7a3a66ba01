"""A file that appears under its own name only once it is whole."""

import contextlib
import json
import os
import pathlib


@contextlib.contextmanager
def partial_file(path):
    """Gives a temporary path beside `path` to write to, and renames it at the end.

    If the block raises, the temporary file is removed and whatever was at `path` stays.

    Args:
        path: Where the file will be; its folder must exist. The temporary name has its suffix.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist: create it first.")
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path, value):
    """Writes a value as an indented JSON file, whole or not at all."""
    with partial_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")

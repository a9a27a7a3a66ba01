"""What commands on results share: JSON files of `glimpse evaluate`, and a name for each."""

import pathlib

from glimpse.pipelines.result_file import read_results


def read_named_results(paths, names=None, read=read_results):
    """Returns {name: results} for JSON files that `glimpse evaluate --output` wrote, in order.

    Args:
        paths: The files.
        names: A name for each; default: the files' names or, where these repeat, their folders'.
        read: Function of a path that returns its results.

    Raises:
        ValueError: If a file is damaged or given twice, or the names do not fit the files.
    """
    files = [pathlib.Path(path) for path in paths]
    if names and len(names) != len(files):
        raise ValueError(f"--names holds {len(names)} for {len(files)} files; give one for each.")
    kinds = (
        names or [file.stem for file in files],
        [file.resolve().parent.name for file in files],
        [str(file) for file in files],
    )
    chosen = next((kind for kind in kinds if len(set(kind)) == len(files)), None)
    if chosen is None or (names and chosen is not names):
        raise ValueError(f"--names or files repeat: {', '.join(names or map(str, files))}.")
    return {name: read(file) for name, file in zip(chosen, files, strict=True)}

"""Reads the CSV files that list clips."""

import csv
import io

from glimpse.pipelines.utf8_file import read_utf8


def read_csv_rows(path):
    """Returns the columns of a CSV file and its rows.

    Args:
        path: A file in UTF-8 whose first line names the columns.

    Returns:
        (columns, rows): the names, a list; and a list of (place, row), where `place` says file and
        line, and the row is as of `csv.DictReader`.

    Raises:
        ValueError: If the file is not UTF-8, or its quotes are wrong.
    """
    reader = csv.DictReader(io.StringIO(read_utf8(path), newline=""), strict=True)
    try:
        columns = list(reader.fieldnames or ())
        return columns, [(f"{path} line {reader.line_num}", row) for row in reader]
    except csv.Error as error:
        raise ValueError(f"{path} line {reader.reader.line_num}: {error}.") from error

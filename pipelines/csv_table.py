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
        line, and the row is as of `csv.DictReader`, which leaves out blank lines.

    Raises:
        ValueError: If the file is not UTF-8, or its quotes are wrong.
    """
    reader = csv.DictReader(io.StringIO(read_utf8(path), newline=""), strict=True)
    rows, last = [], 0
    try:
        columns = list(reader.fieldnames or ())
        for row in reader:
            last = reader.line_num
            rows.append((f"{path} line {last}", row))
    except csv.Error as error:
        found = reader.reader.line_num
        # A quote that is not closed is only found at the end of the file.
        since = f" (in the row that begins after line {last or 1})" if found > last + 1 else ""
        raise ValueError(f"{path} line {found}: {error}{since}.") from error
    return columns, rows


def count_blank_lines(path):
    """Returns how many lines of a CSV file that `read_csv_rows` reads are blank."""
    return sum(not row for row in csv.reader(io.StringIO(read_utf8(path), newline="")))

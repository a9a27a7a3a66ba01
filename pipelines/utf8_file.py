"""Reads the text files that describe a data set."""


def read_utf8(path):
    """Returns the text of a file in UTF-8 without its byte order mark; line ends stay.

    Raises:
        ValueError: If it is not UTF-8; the text names the file and the line.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path} line {line}: is not UTF-8; save the file as UTF-8.") from error

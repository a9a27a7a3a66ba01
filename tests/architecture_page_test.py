"""The page on the architecture names files that exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def test_every_file_named_on_the_page_is_there():
    missing, found = [], 0
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        folder = None
        for name in re.findall(r"`([\w/]+\.(?:py|csv))`", line):
            # In a table, a name without a folder is in that of the name before it.
            folder = name.rpartition("/")[0] or folder
            found += 1
            if not (ROOT / (folder or "") / name.rpartition("/")[2]).is_file():
                missing.append(name)
    assert not missing and found > 40


def test_every_file_of_references_is_named_on_the_page():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    # The scores of highlighted frames belong to no layer.
    files = {path.name for path in (ROOT / "tests").glob("*references.py")}
    for name in files - {"highlighting_references.py"}:
        assert f"`tests/{name}`" in page, name


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))

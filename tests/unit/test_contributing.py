"""The table of `docs/contributing.md` that says where to make a change names files that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Where do I change ...?")[2].partition("\n## ")[0]
ROWS = [line.strip("|").split(" | ") for line in SECTION.splitlines() if line.startswith("|")][2:]
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|\.env\.example)`")
CONSTANT = re.compile(r"^`([\w/.-]+)` \((.*)\)$")


def test_every_path_that_the_table_names_exists() -> None:
    paths = PATH.findall(SECTION)
    assert len(paths) > len(ROWS)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_every_change_begins_with_one_file_that_defines_what_is_named(row: list[str]) -> None:
    begin_with = row[1].strip()
    (path,) = PATH.findall(begin_with)
    assert (ROOT / path).is_file()
    named = CONSTANT.match(begin_with)
    for name in re.findall(r"`(\w+)`", named[2]) if named else ():
        assert re.search(rf"\b{name}\b", (ROOT / path).read_text(encoding="utf-8")), name

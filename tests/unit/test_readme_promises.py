"""What the README promises is shown: each row links to a page and names tests that exist."""

import re
from pathlib import Path

from tests.unit.test_threat_model import NAMED, ROOT

README = (ROOT / "README.md").read_text("utf-8")
HEAD = "| this page says | measured or described in | checked by |"
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")


def rows() -> list[list[str]]:
    """Return the cells of the table of promises."""
    _, found, rest = README.partition(HEAD)
    assert found
    table = rest.split("\n\n", 1)[0].strip().splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def test_every_promise_links_to_a_page_and_names_a_test() -> None:
    assert len(rows()) >= 9
    for promise, pages, tests in rows():
        assert LINK.search(pages), promise
        assert NAMED.search(tests), promise


def test_every_page_and_test_that_shows_a_promise_exists() -> None:
    for promise, pages, tests in rows():
        for path, _ in LINK.findall(pages):
            assert (ROOT / path).exists(), promise  # anchors: tests/integration/test_documents.py
        for file, name in NAMED.findall(tests):
            source = Path(ROOT / file)
            assert source.exists(), promise
            assert f"\ndef {name}(" in source.read_text("utf-8"), f"{promise}: {file}::{name}"

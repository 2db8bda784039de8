"""The threat model in docs/security.md names tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
THREAT = re.compile(r"^\| [STRIDE] \|.*$", re.MULTILINE)


def test_every_test_that_the_page_names_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert named
    missing = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if not (ROOT / file).exists() or f"\ndef {name}(" not in (ROOT / file).read_text()
    ]
    assert missing == []


def test_every_threat_names_a_test() -> None:
    threats = THREAT.findall(PAGE)
    assert threats
    assert [line for line in threats if not NAMED.search(line.rpartition("| ")[2] or line)] == []


def test_every_component_is_examined() -> None:
    components = re.findall(r"^### (.*)\n\n\| \|", PAGE, re.MULTILINE)
    assert len(components) == 9

"""`make proof` in a tiny form: its parts can be run alone, and each has a place in the docs."""

import importlib.util
import re
import runpy
import sys
from pathlib import Path

import pytest

from benchmarks import proof
from benchmarks.proof import PARTS, Part

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / name for name in ("performance.md", "reliability.md")]


def test_parts_run_alone_and_print_date_machine_and_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert proof.main(["messages", "--small"]) == 0
    printed = capfd.readouterr().out
    assert re.search(r"messages: .*Python 3\.\d+\.\d+, \d{4}-\d\d-\d\d, load .* at \d\d:\d\d", printed)
    assert "python -m tests.attacks.messages --inputs 100 --only topic" in printed
    assert "1 of 1 parts succeeded; failed: none" in printed


def test_a_failed_part_is_named(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(PARTS, "absent", Part("benchmarks.no_such_module", [], []))
    assert proof.main(["absent", "--small"]) == 1
    assert "0 of 1 parts succeeded; failed: absent" in capfd.readouterr().out


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        proof.main(["everything"])
    assert "unknown part: everything; choose from faults," in capsys.readouterr().err


@pytest.mark.parametrize("name", PARTS)
def test_the_docs_have_a_place_and_the_command_of_every_part(name: str) -> None:
    part = PARTS[name]
    assert importlib.util.find_spec(part.module)
    pages = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert f"<!-- {name.replace('cold-start', 'cold start')} -->" in pages
    assert f".venv/bin/python -m {' '.join([part.module, *part.arguments])}" in pages


@pytest.mark.parametrize("name", PARTS)
def test_the_options_of_every_part_exist(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = PARTS[name]
    monkeypatch.setattr(sys, "argv", [part.module, *part.small, "--help"])
    monkeypatch.delitem(sys.modules, part.module, raising=False)  # as in a process of its own
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_module(part.module, run_name="__main__")  # a process for each would take a second
    shown = capsys.readouterr().out
    for option in (*part.small, *part.arguments):
        assert not option.startswith("--") or option in shown

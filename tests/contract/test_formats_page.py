"""`docs/formats.md` says what happens. Update it by `python -m tests.formats_page > docs/formats.md`."""

import re
from pathlib import Path

import pytest

from anc.services.sound import report_plot
from tests.formats_page import COLUMNS, ENTRY_KINDS, PAGE, entry_row, page
from tests.sound_kinds import Kind

TEXT = PAGE.read_text(encoding="utf-8")
CELLS = 2 + len(COLUMNS)
ENTRY_ROWS = [line for line in TEXT.splitlines() if line.count("|") == CELLS + 1 and " / " in line]


@pytest.fixture(autouse=True)
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what takes most of the time of a short recording."""
    monkeypatch.setattr(report_plot, "plot_report", lambda report: b"plot")


@pytest.mark.parametrize("kind", ENTRY_KINDS, ids=lambda kind: f"{kind.format}, {kind.name}")
def test_every_entry_does_what_the_page_says(kind: Kind, tmp_path: Path) -> None:
    assert entry_row(kind, tmp_path) in ENTRY_ROWS


def test_the_page_is_up_to_date() -> None:
    assert len(ENTRY_ROWS) == len(ENTRY_KINDS)
    assert page(ENTRY_ROWS) == TEXT


def test_only_the_decoder_opens_sound_files() -> None:
    root = PAGE.parents[1]
    opens = re.compile(
        r"soundfile\.(read|blocks|info|SoundFile)\(|\.open\(\s*self._source|wave\.open\(|wavfile"
    )
    found = {
        path.name
        for folder in ("layers", "functions", "local", "simulation", "tools")
        for path in (root / folder).rglob("*.py")
        if opens.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"libsndfile.py", "ffmpeg.py", "cancel.py"}  # `anc cancel` writes its result

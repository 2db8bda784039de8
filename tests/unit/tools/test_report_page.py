"""A report as one file: whatever it says, and nothing that it would have to fetch."""

import html
import re
from pathlib import Path

from tools.report.page import pictures_in, write_page


def test_a_page_shows_its_figures_and_carries_its_pictures(tmp_path: Path) -> None:
    report = {"attenuation_db": 21.8, "noise": {"engine": 3}, "nobody": None}
    write_page(tmp_path / "page.html", "A run", report, {"spectrum.png": b"\x89PNG", "speed.svg": b"<svg/>"})
    page = (tmp_path / "page.html").read_text()
    assert '<th scope="row">attenuation dB</th><td>21.8</td>' in page
    assert "nobody</th>" not in page
    assert page.count("<img ") == 2
    assert {address[:5] for address in re.findall(r'(?:src|href)="([^"]+)"', page)} == {"data:"}


def test_things_that_are_alike_become_a_table(tmp_path: Path) -> None:
    report = {
        "speed": [{"name": "ours", "us": 1.25}, {"name": "theirs", "us": 12.5, "note": "C"}],
        "delay_db": {"1 ms": {"white": 0.0, "curve": [1, 2]}},
    }
    write_page(tmp_path / "page.html", "A run", report, {})
    page = (tmp_path / "page.html").read_text()
    for cells in (["ours", "1.25", ""], ["theirs", "12.5", "C"], ["1 ms", "0"]):
        assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in page


def test_what_a_file_is_called_cannot_become_part_of_the_page(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    write_page(tmp_path / "page.html", name, {"name": name}, {})
    page = (tmp_path / "page.html").read_text()
    assert name not in page
    assert name in html.unescape(page)


def test_pictures_that_were_not_drawn_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "speed.svg").write_bytes(b"<svg/>")
    assert pictures_in(tmp_path, "speed.svg", "growth.svg") == {"speed.svg": b"<svg/>"}

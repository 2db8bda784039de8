"""HTML reports are self-contained: they embed their figures and load nothing."""

import base64
import hashlib
import html
import re
from pathlib import Path

from tools.report.page import EmbeddedPlayer, embedded_figures, write_page


def test_a_page_shows_its_scalars_and_embeds_its_figures(tmp_path: Path) -> None:
    report = {"attenuation_db": 21.8, "noise": {"engine": 3}, "absent": None}
    write_page(tmp_path / "page.html", "A run", report, {"spectrum.png": b"\x89PNG", "speed.svg": b"<svg/>"})
    page = (tmp_path / "page.html").read_text()
    assert '<th scope="row">attenuation dB</th><td>21.8</td>' in page
    assert "absent</th>" not in page
    assert page.count("<img ") == 2
    assert {address[:5] for address in re.findall(r'(?:src|href)="([^"]+)"', page)} == {"data:"}


def test_lists_of_records_become_tables(tmp_path: Path) -> None:
    report = {
        "speed": [{"name": "ours", "us": 1.25}, {"name": "theirs", "us": 12.5, "note": "C"}],
        "delay_db": {"1 ms": {"white": 0.0, "curve": [1, 2]}},
    }
    write_page(tmp_path / "page.html", "A run", report, {})
    page = (tmp_path / "page.html").read_text()
    for cells in (["ours", "1.25", ""], ["theirs", "12.5", "C"], ["1 ms", "0"]):
        assert "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" in page


def test_file_names_are_escaped(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    write_page(tmp_path / "page.html", name, {"name": name}, {})
    page = (tmp_path / "page.html").read_text()
    assert name not in page
    assert name in html.unescape(page)


def test_a_page_runs_the_script_of_its_player_and_no_other(tmp_path: Path) -> None:
    write_page(tmp_path / "plain.html", "A run", {}, {})
    assert "script" not in (tmp_path / "plain.html").read_text()
    player = EmbeddedPlayer("i { color: red }", 'play("&");', '{"seconds": 1}', "")
    write_page(tmp_path / "page.html", "A run", {}, {}, player)
    page = (tmp_path / "page.html").read_text()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)
    assert script == player.script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page


def test_missing_figures_are_skipped(tmp_path: Path) -> None:
    (tmp_path / "speed.svg").write_bytes(b"<svg/>")
    assert embedded_figures(tmp_path, "speed.svg", "growth.svg") == {"speed.svg": b"<svg/>"}

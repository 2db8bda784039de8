"""HTML reports: one self-contained file with embedded figures, which loads nothing from the network."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment

UNITS = {"db": "dB", "dbfs": "dBFS", "dba": "dB(A)", "hz": "Hz", "us": "µs"}
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}

PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'
      {%- if player %}; media-src data:; script-src '{{ script_hash }}'{% endif %}">
<title>{{ title }}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  img { max-width: 100%; margin: 1rem 0; }
  img[src^="data:image/png"] { background: white; border-radius: 6px; }
  td, th { text-align: left; padding: .2rem 1.5rem .2rem 0; font-variant-numeric: tabular-nums; }
  h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
  .wide { overflow-x: auto; }
  .wide td:first-child { min-width: 14rem; }
  pre { overflow-x: auto; font-size: .8rem; }
{% if player %}
{{ player.style | safe }}
{% endif %}
</style>
</head>
<body>
<h1>{{ title }}</h1>
<table>
{% for name, value in scalars %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% if player %}
<h2>Sound before and after</h2>
<div id="player"></div>
<p>Click, drag or use the arrow keys to move; Space plays, B switches. {{ player.note }}</p>
<script type="application/json" id="recording">{{ player.content | safe }}</script>
<script type="module">{{ player.script | safe }}</script>
{% endif %}
{% for name, address in images %}
<img alt="{{ name }}" src="{{ address }}">
{% endfor %}
{% for name, columns, rows in tables %}
<h2>{{ name }}</h2>
<div class="wide"><table>
<tr>{% for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr>
{% for row in rows %}
<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</table></div>
{% endfor %}
<details><summary>Full report (JSON)</summary><pre>{{ document }}</pre></details>
</body>
</html>
""")


class EmbeddedPlayer(NamedTuple):
    """What a page embeds.

    Attributes
    ----------
    style, script : str
        CSS, and a module that shows the player in the element `player`.
    content : str
        JSON for the element `recording`, safe in HTML.
    note : str
        What is missing and why, "" if nothing is.
    """

    style: str
    script: str
    content: str
    note: str


def write_page(
    path: Path,
    title: str,
    report: Mapping[str, Any],
    figures: Mapping[str, bytes],
    player: EmbeddedPlayer | None = None,
) -> None:
    """Write a report as one HTML file; replaces an existing file.

    Parameters
    ----------
    path : Path
    title : str
    report : mapping
        The document that `--json` prints. Its scalars become one table and each list of records another; the
        full document follows the figures.
    figures : mapping of str to bytes
        PNG or SVG images by file name.
    player : EmbeddedPlayer or None
        Of a recording; without one, the page runs no script.
    """
    scalars = [(_label(name), _format(value)) for name, value in report.items() if _is_scalar(value)]
    tables = [(_label(name), *_table(value)) for name, value in report.items() if _table(value)[1]]
    images = [
        (Path(name).stem, f"data:{MEDIA_TYPES[Path(name).suffix]};base64,{base64.b64encode(data).decode()}")
        for name, data in figures.items()
    ]
    text = PAGE.render(
        title=title,
        scalars=scalars,
        tables=tables,
        images=images,
        document=json.dumps(report, indent=1),
        player=player,
        script_hash=_script_hash(player.script) if player else "",
    )
    path.write_text(text, encoding="utf-8")


def _script_hash(script: str) -> str:
    """Return the source expression that permits this inline script only (Content Security Policy Level 3)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _table(value: Any) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of a list, or mapping by name, of records; two empty lists for other values."""
    named = isinstance(value, dict)
    records = [{"": name, **one} for name, one in value.items() if isinstance(one, dict)] if named else value
    if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
        return [], []
    columns = list(dict.fromkeys(name for one in records for name in one if _is_scalar(one[name])))
    if len(columns) < 2:
        return [], []
    if sum(name in one for one in records for name in columns) < len(records) * len(columns) / 2:
        # Few common columns: list the fields of each record in one cell.
        cells = [
            ", ".join(f"{name} {_format(one[name])}" for name in columns[1:] if name in one)
            for one in records
        ]
        return ["", ""], [[_format(one[columns[0]]), cell] for one, cell in zip(records, cells, strict=True)]
    return [_label(name) for name in columns], [
        [_format(one.get(name, "")) for name in columns] for one in records
    ]


def _is_scalar(value: Any) -> bool:
    return not isinstance(value, dict | list | type(None))


def _label(name: str) -> str:
    return " ".join(UNITS.get(word, word) for word in name.split("_"))


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def embedded_figures(folder: Path, *names: str) -> dict[str, bytes]:
    """Return the files of those names that exist in a folder."""
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}

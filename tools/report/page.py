"""A report that people keep: one HTML file with its pictures inside, which asks no network for anything."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

UNITS = {"db": "dB", "dbfs": "dBFS", "dba": "dB(A)", "hz": "Hz", "us": "µs"}  # as their words are written
KINDS = {".png": "image/png", ".svg": "image/svg+xml"}

PAGE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
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
</style>
</head>
<body>
<h1>{{ title }}</h1>
<table>
{% for name, value in figures %}
<tr><th scope="row">{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
{% for name, address in pictures %}
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
<details><summary>Everything, as JSON</summary><pre>{{ everything }}</pre></details>
</body>
</html>
""")


def write_page(path: Path, title: str, report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> None:
    """Write a report as one HTML file.

    Parameters
    ----------
    path : Path
        Where it goes; replaced when it exists.
    title : str
    report : mapping
        As `--json` prints it: its single figures become a table, each list of alike things one more, and all
        of it stands below the pictures.
    pictures : mapping of str to bytes
        By file name, whose ending says whether it is a PNG or an SVG.
    """
    figures = [(_said(name), _shown(value)) for name, value in report.items() if _single(value)]
    tables = [(_said(name), *_table(value)) for name, value in report.items() if _table(value)[1]]
    addresses = [
        (Path(name).stem, f"data:{KINDS[Path(name).suffix]};base64,{base64.b64encode(data).decode()}")
        for name, data in pictures.items()
    ]
    text = PAGE.render(
        title=title,
        figures=figures,
        tables=tables,
        pictures=addresses,
        everything=json.dumps(report, indent=1),
    )
    path.write_text(text, encoding="utf-8")


def _table(value: Any) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of things that are alike: a list of mappings, or a mapping of them by name."""
    named = isinstance(value, dict)
    things = [{"": name, **one} for name, one in value.items() if isinstance(one, dict)] if named else value
    if not isinstance(things, list) or not all(isinstance(one, dict) for one in things):
        return [], []
    columns = list(dict.fromkeys(name for one in things for name in one if _single(one[name])))
    if len(columns) < 2:
        return [], []
    if sum(name in one for one in things for name in columns) < len(things) * len(columns) / 2:
        # They have little in common: each says its own.
        own = [
            ", ".join(f"{name} {_shown(one[name])}" for name in columns[1:] if name in one) for one in things
        ]
        return ["", ""], [[_shown(one[columns[0]]), words] for one, words in zip(things, own, strict=True)]
    return [_said(name) for name in columns], [
        [_shown(one.get(name, "")) for name in columns] for one in things
    ]


def _single(value: Any) -> bool:
    return not isinstance(value, dict | list | type(None))


def _said(name: str) -> str:
    return " ".join(UNITS.get(word, word) for word in name.split("_"))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def pictures_in(folder: Path, *names: str) -> dict[str, bytes]:
    """Return the pictures of those names that are in a folder."""
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}

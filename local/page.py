"""A report that people keep: one HTML file with its pictures inside, which asks no network for anything."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

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
  img { max-width: 100%; background: white; border-radius: 6px; margin: 1rem 0; }
  td, th { text-align: left; padding: .2rem 1.5rem .2rem 0; font-variant-numeric: tabular-nums; }
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
        As `--json` prints it: its single figures become a table, and all of it stands below the pictures.
    pictures : mapping of str to bytes
        By file name, whose ending says whether it is a PNG or an SVG.
    """
    figures = [
        (name.replace("_", " "), value)
        for name, value in report.items()
        if not isinstance(value, dict | list | type(None))
    ]
    addresses = [
        (Path(name).stem, f"data:{KINDS[Path(name).suffix]};base64,{base64.b64encode(data).decode()}")
        for name, data in pictures.items()
    ]
    text = PAGE.render(
        title=title, figures=figures, pictures=addresses, everything=json.dumps(report, indent=1)
    )
    path.write_text(text, encoding="utf-8")


def pictures_in(folder: Path, *names: str) -> dict[str, bytes]:
    """Return the pictures of those names that are in a folder."""
    return {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}

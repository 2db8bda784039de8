"""Report an evaluation of false alarms: the page `docs/false-alarms.md`, its data, and tables."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.cli.terminal import table
from tools.evaluation.page import TEXT

TEMPLATE = Path(__file__).with_name("false_alarms.md")
MAX_CAUSES = 4


def causes(counts: Mapping[str, int]) -> str:
    """Return the classes that opened the headset most often, as text."""
    named = [f"{name.replace('_', ' ')} {count}" for name, count in list(counts.items())[:MAX_CAUSES]]
    rest = sum(list(counts.values())[MAX_CAUSES:])
    return ", ".join([*named, *([f"others {rest}"] if rest else [])]) or "-"


def files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the files to write to the docs folder, by name."""
    page = TEXT.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**document, describe=causes)
    return {"false-alarms.md": page, "false-alarms.json": json.dumps(document, indent=1) + "\n"}


def write(document: Mapping[str, Any], docs: Path) -> None:
    """Write the page and the report; replaces existing files."""
    docs.mkdir(parents=True, exist_ok=True)
    for name, text in files(document).items():
        (docs / name).write_text(text, encoding="utf-8")


def result_tables(document: Mapping[str, Any]) -> tuple[Table, Table]:
    """Return the openings per hour, and the tonal sounds that open the headset, as tables."""
    hours = table("Sound", "Openings/h", "Not trained on", "Open", "Most often", numbers=True)
    for name, hour in document["hours"].items():
        unseen = "-" if hour["unseen_per_hour"] is None else f"{hour['unseen_per_hour']:.1f}"
        hours.add_row(
            name, f"{hour['per_hour']:.1f}", unseen, f"{hour['open_percent']:.1f} %", causes(hour["causes"])
        )
    tonal = table("Made by formula", "Opens", "Played", numbers=True)
    for name, counts in document["tonal"].items():
        tonal.add_row(name, str(counts["fired"]), str(counts["plays"]))
    tonal.add_row("[bold]all[/]", str(document["tonal_fired"]), str(document["tonal_plays"]))
    return hours, tonal

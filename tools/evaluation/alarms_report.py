"""Report an evaluation of alarms: a JSON document, the page `docs/alarms.md`, and a table."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from anc.noise import model_file
from anc.noise.classifier import DEFAULT_MODEL
from tools.cli.terminal import table
from tools.evaluation.alarms import KINDS, Response
from tools.evaluation.mixture import BEFORE_S
from tools.evaluation.page import TEXT

TEMPLATE = Path(__file__).with_name("alarms.md")
TARGET_S, TARGET_LEVEL_DB = 1.6, 0
ALL = "all kinds"


def report(
    responses: Sequence[Response], noises: Mapping[str, str], command: str, sha256: str
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    responses : sequence of Response
    noises : mapping of str to str
        Descriptions of the noises.
    command : str
        Command line that repeats the evaluation.
    sha256 : str
        Hash of the model.
    """
    return {
        "command": command,
        "model": sha256,
        "target_s": TARGET_S,
        "target_level_db": TARGET_LEVEL_DB,
        "levels_db": sorted({one.level_db for one in responses}),
        "noises": {
            noise: {"description": description, **_in_noise([one for one in responses if one.noise == noise])}
            for noise, description in noises.items()
        },
    }


def _in_noise(responses: Sequence[Response]) -> dict[str, Any]:
    def by_level(of_kind: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
        levels = sorted({one.level_db for one in responses})
        return {
            str(level): _summary([one for one in responses if one.level_db == level and of_kind(one.kind)])
            for level in levels
        }

    kinds = {kind: by_level(kind.__eq__) for kind in KINDS if any(one.kind == kind for one in responses)}
    kinds[ALL] = by_level(lambda kind: True)
    medians = {kind: levels[str(TARGET_LEVEL_DB)]["median_s"] for kind, levels in kinds.items()}
    return {
        "trials": len(responses),
        "cancelling": sum(one.cancelling for one in responses),
        "minutes_before": round(len(responses) * BEFORE_S / 60, 1),
        "false_alarms": sum(one.false_alarm for one in responses),
        "kinds": kinds,
        "missed": [kind for kind, median_s in medians.items() if median_s is None or median_s >= TARGET_S],
    }


def _summary(responses: Sequence[Response]) -> dict[str, Any]:
    """Return the median delay, where missed alarms count as infinite, and the longest finite delay."""
    detected = [one.delay_s for one in responses if one.delay_s is not None]
    delays = [*detected, *[np.inf] * (len(responses) - len(detected))]
    median = float(np.median(delays))
    return {
        "trials": len(responses),
        "detected": len(detected),
        "median_s": round(median, 2) if np.isfinite(median) else None,
        "worst_s": round(max(detected), 2) if detected else None,
        "delays_s": [None if one.delay_s is None else round(one.delay_s, 3) for one in responses],
    }


def cell(figures: Mapping[str, Any]) -> str:
    """Return median delay, longest delay and number of detected alarms as one table cell."""
    if figures["worst_s"] is None:
        return f"- 0/{figures['trials']}"
    median = "-" if figures["median_s"] is None else f"{figures['median_s']:.2f}"
    return f"{median} ({figures['worst_s']:.2f}) {figures['detected']}/{figures['trials']}"


def write(document: Mapping[str, Any], docs: Path) -> None:
    """Write the page and the report; replaces existing files."""
    docs.mkdir(parents=True, exist_ok=True)
    for name, text in files(document).items():
        (docs / name).write_text(text, encoding="utf-8")


def files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the files to write to the docs folder, by name."""
    earlier = document["model"] != model_file.load(DEFAULT_MODEL).sha256
    page = TEXT.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **document, all=ALL, cell=cell, earlier=earlier
    )
    return {"alarms.md": page, "alarms.json": json.dumps(document) + "\n"}


def result_table(document: Mapping[str, Any]) -> Table:
    """Return the delays as a table."""
    levels = document["levels_db"]
    view = table("Delay (s)", *(f"{level} dB" for level in levels), numbers=True)
    for noise, found in document["noises"].items():
        view.add_row(f"[bold]{noise}")
        for kind, cells in found["kinds"].items():
            view.add_row(kind, *(cell(cells[str(level)]) for level in levels))
        view.add_section()
    return view

"""What an evaluation of alarms found: one document, `docs/alarms.md` out of it alone, a table for people."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from tools.cli.terminal import table
from tools.evaluation.alarms import KINDS, Opening
from tools.evaluation.page import TEXT
from training.delays import BEFORE_S

TEMPLATE = Path(__file__).with_name("alarms.md")
TARGET_S, TARGET_LEVEL_DB = 1.6, 0
ALL = "all of them"


def report(
    openings: Sequence[Opening], noises: Mapping[str, str], command: str, sha256: str
) -> dict[str, Any]:
    """Return the document.

    Parameters
    ----------
    openings : sequence of Opening
    noises : mapping of str to str
        What each noise is, in words.
    command : str
        That repeats it.
    sha256 : str
        Of the model that listened.
    """
    return {
        "command": command,
        "model": sha256,
        "target_s": TARGET_S,
        "target_level_db": TARGET_LEVEL_DB,
        "levels_db": sorted({one.level_db for one in openings}),
        "noises": {
            noise: {"about": about, **_in_noise([one for one in openings if one.noise == noise])}
            for noise, about in noises.items()
        },
    }


def _in_noise(openings: Sequence[Opening]) -> dict[str, Any]:
    def those(of_kind: Callable[[str], bool]) -> dict[str, dict[str, Any]]:
        levels = sorted({one.level_db for one in openings})
        return {
            str(level): _summary([one for one in openings if one.level_db == level and of_kind(one.kind)])
            for level in levels
        }

    kinds = {kind: those(kind.__eq__) for kind in KINDS if any(one.kind == kind for one in openings)}
    kinds[ALL] = those(lambda kind: True)
    medians = {kind: levels[str(TARGET_LEVEL_DB)]["median_s"] for kind, levels in kinds.items()}
    return {
        "trials": len(openings),
        "cancelling": sum(one.cancelling for one in openings),
        "minutes_before": round(len(openings) * BEFORE_S / 60, 1),
        "early": sum(one.early for one in openings),
        "kinds": kinds,
        "missed": [kind for kind, median_s in medians.items() if median_s is None or median_s >= TARGET_S],
    }


def _summary(openings: Sequence[Opening]) -> dict[str, Any]:
    """Return the median, in which what never opened is infinitely late, and the longest of those that did."""
    opened = [one.delay_s for one in openings if one.delay_s is not None]
    late = [*opened, *[np.inf] * (len(openings) - len(opened))]
    median = float(np.median(late))
    return {
        "trials": len(openings),
        "opened": len(opened),
        "median_s": round(median, 2) if np.isfinite(median) else None,
        "worst_s": round(max(opened), 2) if opened else None,
        "delays_s": [None if one.delay_s is None else round(one.delay_s, 3) for one in openings],
    }


def cell(figures: Mapping[str, Any]) -> str:
    """Return median, longest delay, and how many opened, in a few characters."""
    if figures["worst_s"] is None:
        return f"never, 0/{figures['trials']}"
    median = "never" if figures["median_s"] is None else f"{figures['median_s']:.2f}"
    return f"{median} ({figures['worst_s']:.2f}) {figures['opened']}/{figures['trials']}"


def write(document: Mapping[str, Any], docs: Path) -> None:
    """Write page and report; what was there is replaced."""
    docs.mkdir(parents=True, exist_ok=True)
    for name, text in files(document).items():
        (docs / name).write_text(text, encoding="utf-8")


def files(document: Mapping[str, Any]) -> dict[str, str]:
    """Return every file by its name."""
    page = TEXT.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**document, all=ALL, cell=cell)
    return {"alarms.md": page, "alarms.json": json.dumps(document) + "\n"}


def shown(document: Mapping[str, Any]) -> Table:
    """Return the medians and how many opened, for people."""
    levels = document["levels_db"]
    view = table("seconds until open", *(f"{level} dB" for level in levels), numbers=True)
    for noise, found in document["noises"].items():
        view.add_row(f"[bold]{noise}")
        for kind, cells in found["kinds"].items():
            view.add_row(kind, *(cell(cells[str(level)]) for level in levels))
        view.add_section()
    return view

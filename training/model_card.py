"""Put measured figures into the model card: `python -m training.model_card REPORTS`.

REPORTS is the folder that `anc evaluate` and `anc train` wrote to.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from training.delays import LEVELS_DB

CARD = Path(__file__).resolve().parents[1] / "docs" / "model-card.md"
Report = dict[str, Any]


def percent(share: float) -> str:
    """``0.934`` as ``93.4 %``."""
    return f"{100 * share:.1f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def accuracy(report: Report) -> str:
    """Accuracy per clip with its interval and per window, in each fold and over all."""
    low, high = report["clip_accuracy_95"]
    rows = [
        [str(f["fold"]), str(f["clips"]), percent(f["clip_accuracy"]), percent(f["window_accuracy"])]
        for f in report["folds"]
    ]
    whole = f"**{percent(report['clip_accuracy'])}** ({percent(low)} to {percent(high)})"
    rows.append(["all", str(report["clips"]), whole, f"**{percent(report['window_accuracy'])}**"])
    error = report["calibration_error"]
    after = f"Calibration error: {percent(error['window'])} in windows, {percent(error['clip'])} in clips."
    return table(["left out", "clips", "clips right", "1-s windows right"], rows) + "\n\n" + after


def recall(report: Report) -> str:
    """Of each class the share of clips that is named rightly."""
    sizes = {name: sum(row) for name, row in zip(report["classes"], report["confusion"], strict=True)}
    rows = [[name.replace("_", " "), str(sizes[name]), percent(r)] for name, r in report["recall"].items()]
    return table(["class", "clips", "right"], rows)


def alarms(report: Report) -> str:
    """What fires, rightly and falsely."""
    false = report["false_alarms"]
    text = (
        f"Of {false['negative_clips']} clips without an emergency {percent(false['clips'])} fire; of"
        f" their voted quarter-second decisions {percent(false['voted_decisions'])}, of their single windows"
        f" {percent(false['windows'])}.\n\n"
    )
    rows = [[name.replace("_", " "), f"{n} of {total}"] for name, (n, total) in report["clips_fired"].items()]
    return text + table(["class", "clips that fire"], rows)


def delays(report: Report) -> str:
    """Median delay and share heard, by kind of alarm and level."""
    rows = []
    for kind, levels in report.items():
        if kind in ("cabin noise alone", "recordings"):
            continue
        cells = [levels[str(level)] for level in LEVELS_DB]
        shown = [f"{c['median_s']} s" if c["median_s"] is not None else "never" for c in cells]
        rows.append(
            [kind.replace("_", " "), *[f"{s} ({c['heard']:.0%})" for s, c in zip(shown, cells, strict=True)]]
        )
    alone = report["cabin noise alone"]
    after = f"Cabin noise alone fired {alone['fired']} of {alone['decisions']} decisions."
    return table(["alarm", *[f"{level} dB" for level in LEVELS_DB]], rows) + "\n\n" + after


SECTIONS: dict[str, tuple[str, Callable[[Report], str]]] = {
    "esc10": ("esc10.json", accuracy),
    "esc10-classes": ("esc10.json", recall),
    "noise": ("noise.json", accuracy),
    "noise-classes": ("noise.json", recall),
    "alarm": ("alarm.json", alarms),
    "delays": ("delays.json", delays),
    "backbone": ("backbone.json", accuracy),
}


def fill(card: str, reports: Path) -> str:
    """Replace what stands between ``<!-- name -->`` and ``<!-- end -->`` by what was measured."""
    for name, (file, render) in SECTIONS.items():
        text = render(json.loads((reports / file).read_text()))
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        card, count = mark.subn(lambda m, text=text: f"{m[1]}\n{text}\n\n{m[2]}", card)  # type: ignore[misc]
        if not count:
            raise ValueError(f"{CARD.name}: no place for {name}")
    return card


if __name__ == "__main__":
    CARD.write_text(fill(CARD.read_text(encoding="utf-8"), Path(sys.argv[1])), encoding="utf-8")

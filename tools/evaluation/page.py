"""`docs/control.md` and its pictures, out of the report alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment

from tools.evaluation.control import WAYS
from tools.evaluation.level_plot import plot_levels

TEMPLATE = Path(__file__).with_name("page.md")
TEXT = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # noqa: S701  (Markdown)


def files(report: Mapping[str, Any]) -> dict[str, str]:
    """Return what is written to the folder of the docs, by path in it."""
    pictures = {
        f"figures/control-{name}.svg": plot_levels(
            {noise: _courses(group) for noise, group in family["noises"].items()},
            f"Attenuation after a change of noise: {name}",
        )
        for name, family in report["families"].items()
    }
    page = TEXT.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **report, ways=WAYS, cell=_cell, shown=_shown
    )
    return {"control.md": page, "control.json": json.dumps(report, indent=1) + "\n", **pictures}


def write(report: Mapping[str, Any], docs: Path) -> None:
    """Write page, report and pictures; what was there is replaced."""
    for name, text in files(report).items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _courses(group: Mapping[str, Any]) -> dict[str, list[float]]:
    return {way: figures["course_db"] for way, figures in group["ways"].items()}


def _cell(figures: Mapping[str, Any]) -> str:
    return f"{figures['settled_db']:.1f} ({_shown(figures['to_90_percent_s'])})"


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.2f}"

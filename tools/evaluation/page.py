"""Write `docs/control.md` and its figures from the report."""

import json
from collections.abc import Mapping
from operator import itemgetter
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from jinja2 import Environment

from anc.noise import model_file
from anc.noise.classifier import DEFAULT_MODEL
from tools.evaluation.control import METHODS
from tools.evaluation.dataset import ANATOMIES, DIFFUSE
from tools.evaluation.report import NEW_FILTER, PLATFORM, STANDARD

BELOW_DB = 1.0  # below the oracle, from which on a recording is named
BAND_FAMILIES = (ANATOMIES, DIFFUSE)  # side by side in the plot by third octave
TEMPLATE = Path(__file__).with_name("page.md")
TEXT = Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)  # noqa: S701  (Markdown)


def files(report: Mapping[str, Any], plots: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files to write to the docs folder, by path; `plots` are the figures of the report as SVG."""
    page = TEXT.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        **report,
        methods=METHODS,
        new_filter=NEW_FILTER,
        bands=bool(_bands(report)),
        earlier=report["model"] != model_file.load(DEFAULT_MODEL).sha256,
        below_oracle=_below_oracle(report),
        cell=_cell,
        number=_number,
        slug=_slug,
    )
    document = json.dumps(report, indent=1) + "\n"
    figure_files = {f"figures/{name}": svg for name, svg in plots.items()}
    return {"control.md": page.encode(), "control.json": document.encode(), **figure_files}


def figures(report: Mapping[str, Any], file_format: Literal["svg", "png"]) -> dict[str, bytes]:
    """Return a plot for each family of heads and one by third octave, by file name.

    Reports from before the plot by third octave was added have no data for it.
    """
    # matplotlib takes half a second to import
    from tools.evaluation.control_plot import plot_attenuation, plot_bands

    plots = {
        f"control-{_slug(name)}.{file_format}": plot_attenuation(
            {noise: _traces(group) for noise, group in family["noises"].items()},
            f"Attenuation after a change of noise: {name}",
            file_format,
        )
        for name, family in report["families"].items()
    }
    if bands := _bands(report):
        title = "Attenuation by third octave against the coherence limit"
        plots[f"control-bands.{file_format}"] = plot_bands(bands, title, file_format)
    return plots


def write(report: Mapping[str, Any], docs: Path, plots: Mapping[str, bytes]) -> None:
    """Write the page, the report and its figures; replaces existing files."""
    for name, content in files(report, plots).items():
        path = docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _bands(report: Mapping[str, Any]) -> dict[str, Any]:
    families = report["families"]
    return {name: families[name]["bands"] for name in BAND_FAMILIES if "bands" in families.get(name, {})}


def _below_oracle(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the platform and designs without its delay stay below the oracle.

    `designs` has the mean and median of each design in the standard trials, and the means in the other
    families; `above` has the means of the recordings of standard trials in which the platform loses most.
    """
    losses: dict[str, list[float]] = {}
    designs: dict[str, list[float]] = {}
    others: dict[str, dict[str, list[float]]] = {}
    for trial in report["every_trial"]:
        reached = {**trial["redesign_db"], "the platform": trial["settled_db"][PLATFORM]}
        below = {design: trial["best_fixed_db"] - db for design, db in reached.items()}
        standard = trial["family"] in STANDARD
        if standard:
            name = f"{trial['kind'].lower()} ({trial['noise']})"
            losses.setdefault(name, []).append(below["the platform"])
        for design, db in below.items():
            family = designs if standard else others.setdefault(trial["family"], {})
            family.setdefault(design, []).append(db)
    means = {name: fmean(values) for name, values in losses.items()}
    return {
        "median": median(value for values in losses.values() for value in values) if losses else None,
        "others": list(others),
        "designs": {
            name: (fmean(values), median(values), *(fmean(family[name]) for family in others.values()))
            for name, values in designs.items()
        },
        "above": {name: db for name, db in sorted(means.items(), key=itemgetter(1))[::-1] if db > BELOW_DB},
        "recordings": len(means),
    }


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _traces(group: Mapping[str, Any]) -> dict[str, list[float]]:
    return {method: metrics["trace_db"] for method, metrics in group["methods"].items()}


def _cell(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['settled_db']:.1f} ({_number(metrics['to_90_percent_s'])})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"

"""Plot the results of the benchmarks, for `docs/dsp.md`."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from benchmarks.microphones import Level

mpl.rcParams |= {
    "svg.hashsalt": "anc",
    "font.size": 9,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "figure.dpi": 100,
}


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write dsp-speed.svg, dsp-delay.svg and, if scaling was measured, dsp-growth.svg."""
    speed(results["speed"], folder / "dsp-speed.svg")
    delay(results["delay"], folder / "dsp-delay.svg")
    if "growth" in results:
        growth(results["growth"], folder / "dsp-growth.svg")


def speed(rows: list[dict], path: Path) -> None:
    """Plot speed relative to the numpy loop; other algorithms are pale."""
    rows = sorted(rows, key=lambda row: row["times_the_numpy_loop"])
    figure, axes = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.8), layout="constrained")
    colours = ["tab:blue" if row["name"].startswith("anc") else "tab:gray" for row in rows]
    bars = axes.barh(
        [row["name"] for row in rows], [row["times_the_numpy_loop"] for row in rows], color=colours
    )
    for bar, row in zip(bars, rows, strict=True):
        bar.set_alpha(1.0 if row["same_algorithm"] else 0.45)
        axes.text(bar.get_width(), bar.get_y() + 0.4, f" {bar.get_width():.2g}", va="center")
    axes.set(xscale="log", xlabel="Speed relative to a numpy loop (pale: another algorithm)")
    save(figure, path)


def delay(table: dict[str, dict[int, float]], path: Path) -> None:
    """Plot attenuation over delay, one line per sound."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for name, by_ms in table.items():
        axes.plot([float(ms) for ms in by_ms], [min(db, 60) for db in by_ms.values()], "o-", label=name)
    axes.set(xscale="log", xlabel="Delay of signal and weights, ms", ylabel="Attenuation, dB (at most 60)")
    axes.legend()
    save(figure, path)


def growth(tables: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    """Plot microseconds per sample over taps, block length and sessions."""
    figure, panels = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        for kind in ("NLMS", "FDAF"):
            axes.plot(
                [int(size) for size in table], [cell[kind] for cell in table.values()], "o-", label=kind
            )
        axes.set(xscale="log", yscale="log", xlabel=name)
    panels[0].set_ylabel("us per sample")
    panels[0].legend()
    save(figure, path)


def live(found: dict[str, list[Level]], path: Path) -> None:
    """Plot answered over offered blocks per second and latency over sessions, one line per format."""
    figure, (answered, latency) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for name, levels in found.items():
        offered = [level.offered for level in levels]
        (drawn,) = answered.plot(offered, [level.answered for level in levels], "o-", label=name)
        for quantile, style in (("p50_ms", "--"), ("p99_ms", "o-")):
            latency.plot(
                [level.sessions for level in levels],
                [getattr(level, quantile) for level in levels],
                style,
                color=drawn.get_color(),
            )
    answered.axline((1, 1), slope=1, color="tab:gray", linewidth=0.8)
    answered.set(
        xscale="log", yscale="log", xlabel="Offered blocks per second", ylabel="Answered blocks per second"
    )
    answered.legend(fontsize=7)
    latency.set(yscale="log", xlabel="Sessions", ylabel="Latency, ms: p50 dashed, p99 solid")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def save(figure: Any, path: Path) -> None:
    """Save a plot as reproducible SVG and as PNG."""
    figure.savefig(path, metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    plt.close(figure)

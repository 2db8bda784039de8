"""Figures of the measurements, for `docs/dsp.md` and for whoever ran them."""

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
    """Write dsp-speed.svg, dsp-delay.svg and, when growth was measured, dsp-growth.svg."""
    speed(results["speed"], folder / "dsp-speed.svg")
    delay(results["delay"], folder / "dsp-delay.svg")
    if "growth" in results:
        growth(results["growth"], folder / "dsp-growth.svg")


def speed(rows: list[dict], path: Path) -> None:
    """Bars of speed against the numpy loop; other algorithms are pale."""
    rows = sorted(rows, key=lambda row: row["times_the_numpy_loop"])
    figure, axes = plt.subplots(figsize=(7, 0.3 * len(rows) + 0.8), layout="constrained")
    colours = ["tab:blue" if row["name"].startswith("anc") else "tab:gray" for row in rows]
    bars = axes.barh(
        [row["name"] for row in rows], [row["times_the_numpy_loop"] for row in rows], color=colours
    )
    for bar, row in zip(bars, rows, strict=True):
        bar.set_alpha(1.0 if row["same_algorithm"] else 0.45)
        axes.text(bar.get_width(), bar.get_y() + 0.4, f" {bar.get_width():.2g}", va="center")
    axes.set(xscale="log", xlabel="times the speed of a plain numpy loop (pale: another algorithm)")
    save(figure, path)


def delay(table: dict[str, dict[int, float]], path: Path) -> None:
    """Attenuation over delay, a line a sound."""
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for name, by_ms in table.items():
        axes.plot([float(ms) for ms in by_ms], [min(db, 60) for db in by_ms.values()], "o-", label=name)
    axes.set(
        xscale="log", xlabel="signal and weights late by, ms", ylabel="attenuation, dB (60 and more as 60)"
    )
    axes.legend()
    save(figure, path)


def growth(tables: dict[str, dict[int, dict[str, float]]], path: Path) -> None:
    """Microseconds a sample over taps, block and sessions."""
    figure, panels = plt.subplots(1, 3, figsize=(9, 3), layout="constrained", sharey=True)
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        for kind in ("NLMS", "FDAF"):
            axes.plot(
                [int(size) for size in table], [cell[kind] for cell in table.values()], "o-", label=kind
            )
        axes.set(xscale="log", yscale="log", xlabel=name)
    panels[0].set_ylabel("us a sample")
    panels[0].legend()
    save(figure, path)


def live(found: dict[str, list[Level]], path: Path) -> None:
    """Answered over offered blocks a second, and latency over sessions, a line a format of blocks."""
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
    answered.set(xscale="log", yscale="log", xlabel="blocks a second, offered", ylabel="answered")
    answered.legend(fontsize=7)
    latency.set(yscale="log", xlabel="sessions", ylabel="latency, ms: p50 dashed, p99")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def save(figure: Any, path: Path) -> None:
    """As SVG that changes only when the figures do, and as PNG for whatever shows no SVG."""
    figure.savefig(path, metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=150)
    plt.close(figure)

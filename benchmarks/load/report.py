"""The results of a load as Markdown, and its figures."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

from benchmarks.load.costs import KINDS
from benchmarks.load.run import SAMPLE_S

STEADY_S = 600.0  # from here on, a growth of memory is more than that of its start
QUANTILES = ("p50", "p99", "p99.9", "max")


def load_text(result: dict[str, Any]) -> str:
    """Return the tables of a load."""
    rows = [*_latencies(result)]
    lines = ["| what | number | " + " | ".join(f"{name}, ms" for name in QUANTILES) + " | lost |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for name, ms, lost in rows:
        values = " | ".join(f"{ms[quantile]:,.1f}" if ms["number"] else "-" for quantile in QUANTILES)
        lines.append(f"| {name} | {ms['number']:,} | {values} | {lost} |")
    return "\n".join([*lines, "", _cost_text(result)])


def _latencies(result: dict[str, Any]) -> list[tuple[str, dict[str, float], str]]:
    rows = []
    for each in result.get("streams", {}).get("formats", []):
        lost = each["offered"] - each["answered"]
        text = f"{max(lost, 0):,} blocks ({max(lost, 0) / each['offered']:.2%})" if lost > 0 else "none"
        rows.append((f"{each['sessions']} streams, {each['format']}", each["latency_ms"], text))
    if users := result.get("users"):
        closed = f"{users['closed']} sockets" if users["closed"] else "none"
        rows.append((f"{users['sockets']:,} open consoles: pings", users["ping_ms"], closed))
        refused = f"{users['refused']} blocks" if users["refused"] else "none"
        rows.append((f"their {users['visits']:,} short sessions: blocks", users["block_ms"], refused))
    if fleet := result.get("headsets"):
        lost = f"{fleet['lost']} of {fleet['snapshots']:,} snapshots, {fleet['filters_missed']} filters"
        rows.append(
            (f"{fleet['headsets']:,} headsets: snapshot to filter", fleet["snapshot_to_filter_ms"], lost)
        )
    if calls := result.get("calls"):
        failed = sum(calls["failed"].values())
        rows.append((f"REST, {calls['per_second']:g} calls a second", calls["latency_ms"], f"{failed} calls"))
    return rows


def _cost_text(result: dict[str, Any]) -> str:
    platform, plan = result["platform"], result["plan"]
    memory = platform["memory_mb"]
    generators = ", ".join(f"{name} {cores:.2f}" for name, cores in platform["generator_cores"].items())
    late = ", ".join(
        f"{name} {result[name]['late_ms']['p99']:.1f} ms"
        for name in platform["generator_cores"]
        if name in result
    )
    text = (
        f"{plan['seconds'] / 60:g} minutes. The platform used {platform['cores']:.2f} cores; the generators, "
        f"each a process, used {generators} cores; everything else on the machine used "
        f"{platform['other_cores']:.2f}. p99 of how late the generators themselves were: {late}. "
        f"Memory of the platform: {memory['first']:.0f} MB at first, {memory['last']:.0f} MB at last, "
        f"at most {memory['max']:.0f} MB"
    )
    if plan["seconds"] >= STEADY_S:
        growth = platform["memory_growth_mb_per_hour"]
        text += f"; a line through all samples grows by {growth:.1f} MB an hour"
    text += "."
    if fleet := result.get("headsets"):
        rates = ", ".join(
            f"{name.replace('_', ' ')} {n:,.1f}" for name, n in fleet["per_headset_hour"].items()
        )
        text += (
            f" Of each headset and hour: {rates}; {fleet['connections_lost']} connections were lost, and "
            f"{sum(fleet['refused'].values())} snapshots refused."
        )
    return text


def costs_text(costs: dict[str, Any]) -> str:
    """Return what one more user of each kind costs."""
    lines = [
        "| each | ms of a core in a second | so many use one core | MB | measured | variance explained |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in costs.items():
        each, memory = found["cores"]["each"], found["memory_mb"]["each"]
        numbers = ", ".join(f"{point['number']:,}" for point in found["points"])
        most = f"{1 / each:,.0f}" if each > 0 else "-"
        lines.append(
            f"| {found['unit']} ({name}) | {1e3 * each:.3f} | {most} | {memory:.3f} | {numbers} | "
            f"{found['cores']['explained']:.1%} |"
        )
    others = max(point["other_cores"] for found in costs.values() for point in found["points"])
    return "\n".join([*lines, "", f"Everything else on the machine used at most {others:.2f} cores."])


def plot_costs(costs: dict[str, Any], path: Path) -> None:
    """Plot cores and memory of the platform over the number of users, with the fitted lines."""
    figure, rows = plt.subplots(2, len(costs), figsize=(11, 4.4), layout="constrained", squeeze=False)
    for column, (name, found) in enumerate(costs.items()):
        numbers = [point["number"] for point in found["points"]]
        for axes, what, label in zip(rows[:, column], ("cores", "memory_mb"), ("Cores", "MB"), strict=True):
            axes.plot(numbers, [point[what] for point in found["points"]], "o")
            line = found[what]
            ends = [0, max(numbers)]
            axes.plot(ends, [line["at_none"] + line["each"] * n for n in ends], "-", linewidth=0.8)
            axes.set(ylabel=label if column == 0 else None)
            axes.grid(alpha=0.3)
        rows[0, column].set_title(name, fontsize=9)
        rows[1, column].set_xlabel(
            KINDS[name].unit + "s" if not name.startswith("REST") else "calls a second"
        )
    _save(figure, path)


def plot_load(result: dict[str, Any], path: Path) -> None:
    """Plot the p99 of each minute, and the memory of the platform over time."""
    figure, (latency, memory) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    series = {each["format"].split(",")[0]: each for each in result.get("streams", {}).get("formats", [])}
    series |= {name: result[name] for name in ("headsets", "calls") if name in result}
    for name, each in series.items():
        minutes = each["p99_by_minute_ms"]
        latency.plot(range(1, len(minutes) + 1), minutes, label=name)
    latency.set(yscale="log", xlabel="Minute", ylabel="p99, ms")
    latency.legend(fontsize=7)
    latency.grid(alpha=0.3)
    samples = result["platform"]["memory_by_sample_mb"]
    memory.plot([n * SAMPLE_S / 60 for n in range(len(samples))], samples)
    memory.set(xlabel="Minute", ylabel="Memory of the platform, MB", ylim=(0, None))
    memory.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with mpl.rc_context({"svg.hashsalt": "anc"}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)

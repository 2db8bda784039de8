"""`make bench`: run all benchmarks of one process and write the results as JSON and plots."""

import argparse
import json
import platform
import sys
import textwrap
from pathlib import Path

import numpy as np

from benchmarks import alternatives, figures, guards, quality, speed

COLUMNS = 80


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="Folder for dsp.json and the plots."
    )
    parser.add_argument("--sounds", type=Path, help="Folder of recordings with a clips.csv.")
    parser.add_argument(
        "--quick", action="store_true", help="Run fewer rounds and skip the scaling benchmark."
    )
    parser.add_argument(
        "--guard",
        action="store_true",
        help="Only check ratios of processor time; exit with 1 if one is above its limit.",
    )
    chosen = parser.parse_args()
    if chosen.guard:
        sys.exit(bool(guards.check(guards.guards())))
    rounds = 3 if chosen.quick else 15
    results = {"machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"}
    results["speed"] = report_speed(speed.table(rounds))
    results["fxnlms"] = report("FxNLMS against its loop", speed.fxnlms(rounds))
    results["steps"] = report(
        "block-exact NLMS, us per run of 1024 by step and implementation", alternatives.steps()
    )
    if not chosen.quick:
        results["growth"] = report("microseconds per sample by size", speed.growth())
    results["speech"] = report("noise removed under speech 20 dB below, dB", quality.fdaf_and_nlms())
    designed = quality.control_filters(quality.design_scenes(chosen.sounds))
    results["control"] = report("control filter of one second on the next", designed)
    results["delay"] = report(
        "attenuation with delayed signal and weights, dB by ms", quality.delayed_anti_noise(chosen.sounds)
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "dsp.json").write_text(json.dumps(results, indent=1) + "\n")
    figures.draw(results, chosen.out)
    print(f"\nResults written to {chosen.out}")


def report_speed(rows: list[dict]) -> list[dict]:
    """Print the speed table, fastest first."""
    print(f"\n{'NLMS, 512 taps, blocks of 1024':38}{'us/block':>9}{'x loop':>8}{'deviation':>11}")
    for row in sorted(rows, key=lambda row: row["us_per_block"]):
        note = "" if row["same_algorithm"] else "  other algorithm"
        times = f"{row['us_per_block']:9.0f}{row['times_the_numpy_loop']:8.2f}"
        print(f"{row['name']:38}{times}{row['deviation']:11.1e}{note}")
    return rows


def report(title: str, values: dict) -> dict:
    """Print a dictionary of figures, one line per nested dictionary."""
    print(f"\n{title}")
    for name, value in values.items():
        cells = value.items() if isinstance(value, dict) else [("", value)]
        line = f"  {name!s:34} " + "  ".join(f"{key} {format_value(cell)}".strip() for key, cell in cells)
        print(textwrap.fill(line, COLUMNS, subsequent_indent=37 * " ", drop_whitespace=True))
    return values


def format_value(value: object) -> str:
    """Return a value as text, floats with three significant digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return " ".join(map(format_value, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()

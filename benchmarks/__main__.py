"""`make bench`: everything measured in one process, printed, and written as JSON and figures."""

import argparse
import json
import platform
import textwrap
from pathlib import Path

import numpy as np

from benchmarks import alternatives, figures, quality, speed

COLUMNS = 80


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder of dsp.json and the figures"
    )
    parser.add_argument("--sounds", type=Path, help="folder of recordings with a clips.csv")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no growth")
    chosen = parser.parse_args()
    rounds = 3 if chosen.quick else 15
    results = {"machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}"}
    results["speed"] = report_speed(speed.table(rounds))
    results["fxnlms"] = report("FxNLMS against its loop", speed.fxnlms(rounds))
    results["steps"] = report("block-exact NLMS, us a run of 1024 by step and way", alternatives.steps())
    if not chosen.quick:
        results["growth"] = report("microseconds a sample as it grows", speed.growth())
    results["speech"] = report("noise removed under speech 20 dB below, dB", quality.fdaf_and_nlms())
    designed = quality.control_filters(quality.design_scenes(chosen.sounds))
    results["control"] = report("control filter of one second on the next", designed)
    results["delay"] = report(
        "attenuation with signal and weights late, dB by ms", quality.late_anti_noise(chosen.sounds)
    )
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "dsp.json").write_text(json.dumps(results, indent=1) + "\n")
    figures.draw(results, chosen.out)
    print(f"\nwritten to {chosen.out}")


def report_speed(rows: list[dict]) -> list[dict]:
    """Print the speed table, fastest first."""
    print(f"\n{'NLMS, 512 taps, blocks of 1024':38}{'us/block':>9}{'x loop':>8}{'deviation':>11}")
    for row in sorted(rows, key=lambda row: row["us_per_block"]):
        note = "" if row["same_algorithm"] else "  other kind"
        times = f"{row['us_per_block']:9.0f}{row['times_the_numpy_loop']:8.2f}"
        print(f"{row['name']:38}{times}{row['deviation']:11.1e}{note}")
    return rows


def report(title: str, values: dict) -> dict:
    """Print a dictionary of figures, nested ones a line each."""
    print(f"\n{title}")
    for name, value in values.items():
        cells = value.items() if isinstance(value, dict) else [("", value)]
        line = f"  {name!s:34} " + "  ".join(f"{key} {shown(cell)}".strip() for key, cell in cells)
        print(textwrap.fill(line, COLUMNS, subsequent_indent=37 * " ", drop_whitespace=True))
    return values


def shown(value: object) -> str:
    """A figure short, anything made of figures in full."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return " ".join(map(shown, value)) if isinstance(value, list) else str(value)


if __name__ == "__main__":
    main()

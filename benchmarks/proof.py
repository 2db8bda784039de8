"""`python -m benchmarks.proof`: reproduce the figures of docs/performance.md and docs/reliability.md.

Without arguments every part runs, which takes hours on an idle machine. Each prints date, machine and
command, and writes its figures into the docs. With `--small` each part is short and writes nothing.
Exits with 1 when a part failed or broke a promise.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.processes import environment


class Part(NamedTuple):
    """A command that writes into the docs: its module, arguments, and those of a small run."""

    module: str
    arguments: Sequence[str]
    small: Sequence[str]


PARTS = {
    "faults": Part("tests.faults", ["--docs"], ["--flow", "presence"]),
    "messages": Part("tests.attacks.messages", ["--docs"], ["--inputs", "100", "--only", "topic"]),
    "load": Part(
        "benchmarks.load", ["--only", "load", "--docs"], ["--only", "load", "--small", "--minutes", "0.05"]
    ),
    "costs": Part(
        "benchmarks.load",
        ["--only", "costs", "--docs"],
        ["--only", "costs", "--small", "--step-seconds", "1"],
    ),
    "live": Part("benchmarks.live", ["--docs"], ["--seconds", "1", "--sessions", "1"]),
    "block": Part("benchmarks.block", ["--docs"], ["--blocks", "20"]),
    "rest": Part("benchmarks.rest", ["--docs"], ["--seconds", "0.1", "--rate", "20"]),
    "fleet": Part("benchmarks.fleet", ["--docs"], ["--headsets", "60"]),
    "cold-start": Part("benchmarks.cold_start", ["--rounds", "10", "--docs"], ["--rounds", "1"]),
    "recordings": Part("benchmarks.recordings", ["--docs"], ["--minutes", "2.5"]),
    "recordings-m4a": Part(
        "benchmarks.recordings", ["--format", "m4a", "--docs"], ["--format", "m4a", "--minutes", "2.5"]
    ),
    "tracing": Part("benchmarks.tracing", ["--rounds", "6", "--docs"], ["--rounds", "1"]),
}


def run(name: str, small: bool) -> int:
    """Run a part, and return its exit code."""
    part = PARTS[name]
    command = [sys.executable, "-m", part.module, *(part.small if small else part.arguments)]
    print(
        f"\n{name}: {environment()} at {time.strftime('%H:%M:%S')}\n    python {' '.join(command[1:])}",
        flush=True,
    )
    begun = time.monotonic()
    code = subprocess.call(command)
    print(f"{name}: exit code {code} after {time.monotonic() - begun:.0f} s", flush=True)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proof", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"Of: {', '.join(PARTS)}. Default: all.")
    parser.add_argument(
        "--small", action="store_true", help="Try the parts, and write nothing into the docs."
    )
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.parts if name not in PARTS]:
        parser.error(f"unknown part: {', '.join(unknown)}; choose from {', '.join(PARTS)}")
    codes = {name: run(name, chosen.small) for name in chosen.parts or PARTS}
    failed = [name for name, code in codes.items() if code]
    print(
        f"\n{len(codes) - len(failed)} of {len(codes)} parts succeeded; failed: {', '.join(failed) or 'none'}"
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())

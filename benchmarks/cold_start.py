"""`python -m benchmarks.cold_start`: what PyAV adds to the cold start of `recording_processor`.

Each start is a process of its own, which imports the handler as Lambda does and then opens a first file.
Variants alternate, so that other load affects all alike. A WAV file does not load PyAV: that is the cold
start before compressed files were read. An M4A file loads it. The target is 2 s more at most.

Files are in the page cache of the machine. On Lambda, a first start also reads the layer from its storage.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.processes import environment, write_to_docs
from benchmarks.recordings import record

TARGET_S = 2.0
RATE = 48_000
MINUTES = 1 / 60
START = """
import json, os, sys, time
wall, cpu = time.perf_counter(), time.process_time()
import functions.recording_processor.handler
if len(sys.argv) > 1:
    from anc.audio.reader import AudioReader
    with open(sys.argv[1], "rb") as file, AudioReader(file) as reader:
        reader.read(1)
print(json.dumps({
    "wall_s": time.perf_counter() - wall,
    "cpu_s": time.process_time() - cpu,
    "av": "av" in sys.modules,
}))
"""
VARIANTS = {"handler alone": "", "handler and WAV": "wav", "handler and M4A": "m4a"}


def start(file: Path | None) -> dict[str, Any]:
    """Import the handler in a new process, and open a file; return its times and whether PyAV was loaded."""
    command = [sys.executable, "-c", START, *([str(file)] if file else [])]
    # As Lambda does; see `anc.aws.dependencies`.
    variables = os.environ | {"AWS_LAMBDA_FUNCTION_NAME": "recording_processor"}
    done = subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Return the starts of each variant."""
    starts: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        files = {suffix: Path(folder) / f"first.{suffix}" for suffix in VARIANTS.values() if suffix}
        for path in files.values():
            record(path, MINUTES, RATE)
        for number in range(rounds + 1):
            for name, suffix in VARIANTS.items():
                found = start(files.get(suffix))
                if found["av"] is not (suffix == "m4a"):
                    raise RuntimeError(f"{name}: PyAV was {'' if found['av'] else 'not '}loaded")
                if number:  # the first round fills the page cache and the caches of bytecode
                    starts[name].append(found)
    return starts


def table(results: dict[str, Any]) -> str:
    """Return the times of all variants as text, and whether the target was reached."""
    starts = results["starts"]
    lines = [results["environment"], f"{results['rounds']} starts of each variant, alternating", ""]
    lines.append(f"{'seconds':18}{'median':>10}{'fastest':>10}{'slowest':>10}{'CPU, median':>13}")
    for name, each in starts.items():
        wall = [one["wall_s"] for one in each]
        cpu = statistics.median(one["cpu_s"] for one in each)
        lines.append(f"{name:18}{statistics.median(wall):10.3f}{min(wall):10.3f}{max(wall):10.3f}{cpu:13.3f}")
    added = [
        [after[figure] - before[figure] for before, after in zip(*list(starts.values())[1:], strict=True)]
        for figure in ("wall_s", "cpu_s")
    ]
    wall, cpu = map(statistics.median, added)
    lines.append(f"{'added by PyAV':18}{wall:10.3f}{min(added[0]):10.3f}{max(added[0]):10.3f}{cpu:13.3f}")
    return "\n".join([*lines, "", f"at most {TARGET_S:g} s more: {'yes' if wall <= TARGET_S else 'NO'}"])


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="Starts of each variant.")
    parser.add_argument("--json", type=Path, help="Write the results to this file.")
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/performance.md.")
    chosen = parser.parse_args()
    results = {"environment": environment(), "rounds": chosen.rounds, "starts": measure(chosen.rounds)}
    print(table(results))
    if chosen.docs:
        write_to_docs("cold start", f"```\n{table(results)}\n```")
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

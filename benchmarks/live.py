"""`python -m benchmarks.live`: latency of live sessions by their number, up to and beyond the capacity.

Starts `anc up` with a temporary data folder and streams to it over WebSockets like microphones: a block is
due when it has been recorded, and is sent when no other block of its session is in flight. Latency is
measured from the due time and includes waiting in the client. An `overloaded` session skips to its newest
block.

All clients run in one process on the same machine; the table has the CPU time of server and clients.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.microphones import Format, Level, measure
from benchmarks.processes import PAGE, environment, platform_running, write_to_docs

LARGE, SMALL = Format(16_000, 1600), Format(48_000, 1024)
SESSIONS = {LARGE: (1, 8, 16, 24, 32, 48, 60, 80, 100), SMALL: (1, 2, 4, 8, 12, 16, 24, 48, 100)}
BUSY_SESSIONS, BUSY_PROCESSES = 8, 2
AIM_SESSIONS, AIM_MS, AIM_SHARE = 60, 50.0, 0.9
FIGURE = PAGE.parent / "figures" / "live.svg"
HEAD = (
    f"{'sessions':>8}{'offered':>9}{'answered':>10}{'p50 ms':>8}{'p99 ms':>9}{'lag':>6}{'skipped':>9}"
    f"{'server':>8}{'clients':>9}"
)


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Run CPU-bound processes in sessions of their own (Linux shares cores by session)."""
    command = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def levels(form: Format, sessions: Sequence[int], seconds: float, busy: int = 0) -> list[Level]:
    """Measure and print each number of sessions."""
    print(f"\n{title(form, busy)}\n{HEAD}", flush=True)
    found = []
    with platform_running() as server, busy_processes(busy):
        for count in sessions:
            found.append(uvloop.run(measure(server, form, count, seconds)))
            print(line(found[-1]), flush=True)
    return found


def title(form: Format, busy: int = 0) -> str:
    """Return the title of a table."""
    return f"{form}{f', with {busy} busy processes' if busy else ''}"


def line(level: Level) -> str:
    """Return a level as a line of the table."""
    return (
        f"{level.sessions:8}{level.offered:9.0f}{level.answered:10.0f}{level.p50_ms:8.1f}{level.p99_ms:9.1f}"
        f"{level.lag_reports:6}{level.skipped:9.1%}{level.server_cpu:8.2f}{level.client_cpu:9.2f}"
    )


def targets_table(found: dict[Format, list[Level]], beside: list[Level]) -> str:
    """Return targets and measurements as a Markdown table."""
    rows = ["| target | measured |", "|---|---|"]
    for form, of_form in found.items():
        kept = [level for level in of_form if level.p99_ms <= AIM_MS and not level.lag_reports]
        most, last = max(of_form, key=lambda level: level.answered), of_form[-1]
        wanted = f"{AIM_SESSIONS} sessions, " if form == LARGE else "as many sessions as possible, "
        had = f"{kept[-1].sessions} (p99 {kept[-1].p99_ms:.0f} ms)" if kept else "none"
        had += f"; one core of the server is enough for {most.sessions_per_core:.0f}"
        rows.append(f"| {form}: {wanted}p99 at most {AIM_MS:.0f} ms | {had} |")
        wanted = f"{last.sessions} sessions get at least {AIM_SHARE:.0%} of the most answers"
        had = f"{last.answered / most.answered:.0%} of {most.answered:.0f} per second"
        had += f"; {last.lag_reports} reported a lag"
        rows.append(f"| the same: {wanted} | {had} |")
    for level in beside:
        wanted = f"{level.sessions} sessions with {BUSY_PROCESSES} busy processes"
        rows.append(f"| {LARGE}: {wanted} | p50 {level.p50_ms:.1f} ms, p99 {level.p99_ms:.1f} ms |")
    return "\n".join(rows)


def table(found: dict[Format, list[Level]], beside: list[Level]) -> str:
    """Return all results as text."""
    parts = [(title(form), of_form) for form, of_form in found.items()]
    parts.append((title(LARGE, BUSY_PROCESSES), beside))
    return "\n\n".join("\n".join([name, HEAD, *map(line, of_part)]) for name, of_part in parts)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="Duration of each measurement.")
    parser.add_argument("--sessions", type=int, nargs="+", help="Numbers of sessions to measure.")
    parser.add_argument("--json", type=Path, help="Write the results to this file.")
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/performance.md.")
    chosen = parser.parse_args()
    where = f"{environment()} on {os.cpu_count()} cores"
    print(where)
    found = {
        form: levels(form, chosen.sessions or sessions, chosen.seconds) for form, sessions in SESSIONS.items()
    }
    beside = levels(LARGE, [BUSY_SESSIONS], chosen.seconds, BUSY_PROCESSES)
    print(f"\n{targets_table(found, beside)}")
    if chosen.docs:
        from benchmarks import figures  # noqa: PLC0415  matplotlib is only needed here

        figures.live({str(form): of_form for form, of_form in found.items()}, FIGURE)
        plot = f"![Answered and offered blocks, latency](figures/{FIGURE.name})"
        text = f"{targets_table(found, beside)}\n\n{plot}"
        write_to_docs("live", f"{text}\n\n```\n{where}\n\n{table(found, beside)}\n```")
    if chosen.json:
        results: dict[str, Any] = {str(form): [level._asdict() for level in found[form]] for form in found}
        results |= {"environment": where, "beside": [level._asdict() for level in beside]}
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

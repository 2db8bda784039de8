"""`python -m benchmarks.live`: how many live sessions this machine answers in time, and what happens above.

Starts `anc up` on a folder of its own and streams to it over WebSockets as microphones do: a block of a
session is due when it has been recorded, whether or not the one before was answered, and is sent as soon as
no other block of the session is in flight. Latency counts from when a block was due, so what waits in the
client counts too. A session that is told `overloaded` goes on with its newest block.

All clients run in one other process on the same machine; the table has the CPU time that they take of it.
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
from benchmarks.processes import PAGE, circumstances, platform_running, write_down

LARGE, SMALL = Format(16_000, 1600), Format(48_000, 1024)
SESSIONS = {LARGE: (1, 8, 16, 24, 32, 48, 60, 80, 100), SMALL: (1, 2, 4, 8, 12, 16, 24, 48, 100)}
BUSY_SESSIONS, BUSY_PROCESSES = 8, 2
AIM_SESSIONS, AIM_MS, AIM_SHARE = 60, 50.0, 0.9
FIGURE = PAGE.parent / "figures" / "live.svg"
HEAD = (
    f"{'sessions':>8}{'offered':>9}{'answered':>10}{'p50 ms':>8}{'p99 ms':>9}{'told':>6}{'skipped':>9}"
    f"{'server':>8}{'clients':>9}"
)


@contextlib.contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep so many other processes computing, as programs of their own (Linux shares cores by session)."""
    command = [sys.executable, "-c", "while True: pass"]
    loops = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def levels(form: Format, sessions: Sequence[int], seconds: float, busy: int = 0) -> list[Level]:
    """Measure each number of sessions, and print it."""
    print(f"\n{title(form, busy)}\n{HEAD}", flush=True)
    found = []
    with platform_running() as server, busy_processes(busy):
        for count in sessions:
            found.append(uvloop.run(measure(server, form, count, seconds)))
            print(line(found[-1]), flush=True)
    return found


def title(form: Format, busy: int = 0) -> str:
    """Return what is measured."""
    return f"{form}{f', beside {busy} busy processes' if busy else ''}"


def line(level: Level) -> str:
    """Return a level as a line of the table."""
    return (
        f"{level.sessions:8}{level.offered:9.0f}{level.answered:10.0f}{level.p50_ms:8.1f}{level.p99_ms:9.1f}"
        f"{level.told:6}{level.skipped:9.1%}{level.server_cpu:8.2f}{level.client_cpu:9.2f}"
    )


def aims(found: dict[Format, list[Level]], beside: list[Level]) -> str:
    """Return what was aimed at beside what was measured, as a table of the page."""
    rows = ["| aimed at | measured |", "|---|---|"]
    for form, of_form in found.items():
        kept = [level for level in of_form if level.p99_ms <= AIM_MS and not level.told]
        most, last = max(of_form, key=lambda level: level.answered), of_form[-1]
        wanted = f"{AIM_SESSIONS} sessions, " if form == LARGE else "as many sessions as possible, "
        had = f"{kept[-1].sessions} (p99 {kept[-1].p99_ms:.0f} ms)" if kept else "none"
        had += f"; one core of the server is enough for {most.sessions_per_core:.0f}"
        rows.append(f"| {form}: {wanted}p99 at most {AIM_MS:.0f} ms | {had} |")
        wanted = f"{last.sessions} sessions get at least {AIM_SHARE:.0%} of the most answers"
        had = f"{last.answered / most.answered:.0%} of {most.answered:.0f} a second; {last.told} were told"
        rows.append(f"| the same: {wanted} | {had} |")
    for level in beside:
        wanted = f"{level.sessions} sessions beside {BUSY_PROCESSES} busy processes"
        rows.append(f"| {LARGE}: {wanted} | p50 {level.p50_ms:.1f} ms, p99 {level.p99_ms:.1f} ms |")
    return "\n".join(rows)


def table(found: dict[Format, list[Level]], beside: list[Level]) -> str:
    """Return every figure as lines of text."""
    parts = [(title(form), of_form) for form, of_form in found.items()]
    parts.append((title(LARGE, BUSY_PROCESSES), beside))
    return "\n\n".join("\n".join([name, HEAD, *map(line, of_part)]) for name, of_part in parts)


def main() -> None:
    """Run, print, and write what was measured down if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="that each number of sessions is measured")
    parser.add_argument(
        "--sessions", type=int, nargs="+", help="instead of the usual numbers, of both formats"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--docs", action="store_true", help="write the figures into docs/performance.md")
    chosen = parser.parse_args()
    where = f"{circumstances()} on {os.cpu_count()} cores"
    print(where)
    found = {
        form: levels(form, chosen.sessions or sessions, chosen.seconds) for form, sessions in SESSIONS.items()
    }
    beside = levels(LARGE, [BUSY_SESSIONS], chosen.seconds, BUSY_PROCESSES)
    print(f"\n{aims(found, beside)}")
    if chosen.docs:
        from benchmarks import figures  # noqa: PLC0415  it needs matplotlib, the measurement does not

        figures.live({str(form): of_form for form, of_form in found.items()}, FIGURE)
        text = f"{aims(found, beside)}\n\n![Answered and offered blocks, latency](figures/{FIGURE.name})"
        write_down("live", f"{text}\n\n```\n{where}\n\n{table(found, beside)}\n```")
    if chosen.json:
        results: dict[str, Any] = {str(form): [level._asdict() for level in found[form]] for form in found}
        results |= {"circumstances": where, "beside": [level._asdict() for level in beside]}
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""`python -m benchmarks.load`: everything at the same time, for half an hour, and what each user costs.

Starts `anc up` with a temporary data folder and default settings. Generators in processes of their own hold
1,000 WebSockets, of which some stream without pause and the others behave like an open console, 1,000
headsets on MQTT with mutual TLS, and REST calls. Clients are plain libraries: websockets, awscrt, asyncio.

Then each kind is measured alone at several numbers, and a line is fitted to processor time and memory.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.load import costs
from benchmarks.load.plan import Plan
from benchmarks.load.run import run
from benchmarks.processes import PAGE, environment, platform_running, write_to_docs

FIGURES = PAGE.parent / "figures"
SMALL = {"sockets": 12, "streams_16": 1, "streams_48": 1, "headsets": 12, "calls_per_s": 10.0}


def plan_of(chosen: argparse.Namespace) -> Plan:
    """Return the plan that the options describe."""
    plan = Plan(seconds=60 * chosen.minutes, warm_up_s=chosen.warm_up)
    if chosen.small:
        plan = plan._replace(**SMALL, visits_per_hour=360.0, visit_s=2.0)
    given = {name: getattr(chosen, name) for name in SMALL if getattr(chosen, name) is not None}
    return plan._replace(**given)


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    add, default = parser.add_argument, Plan()
    add("--minutes", type=float, default=default.seconds / 60, help="Duration of the load.")
    add("--warm-up", type=float, default=default.warm_up_s, help="Seconds of load before the measurement.")
    add("--sockets", type=int, help=f"Open WebSockets ({default.sockets:,}).")
    add("--streams-16", type=int, help=f"Of these, streams at 16 kHz ({default.streams_16}).")
    add("--streams-48", type=int, help=f"Of these, streams at 48 kHz ({default.streams_48}).")
    add("--headsets", type=int, help=f"Headsets on MQTT ({default.headsets:,}).")
    add("--calls-per-s", type=float, help=f"REST calls a second ({default.calls_per_s:g}).")
    add("--small", action="store_true", help="A few users of each kind, to try it.")
    add("--only", choices=("load", "costs"), help="Run one of the two parts.")
    add("--step-seconds", type=float, default=10.0, help="Duration of each measurement of costs.")
    add("--json", type=Path, default=Path("build/load.json"), help="File for all results.")
    add("--docs", action="store_true", help="Write the results into docs/performance.md.")
    return parser


def main() -> int:
    """Run the command line; return 1 if anything was lost."""
    chosen = options().parse_args()
    known: dict[str, Any] = json.loads(chosen.json.read_text()) if chosen.json.exists() else {}
    failed = False
    if chosen.only != "costs":
        where, begun = environment(), time.strftime("%H:%M")
        with platform_running() as server:
            result = run(server, plan_of(chosen), lambda text: print(text, flush=True))
        known["load"] = {"environment": f"{where} at {begun}", **result}
        failed = bool(losses(result))
        _save(known, chosen.json)
        _write(known, "load", chosen.docs)
    if chosen.only != "load":
        where = environment()
        share = 0.02 if chosen.small else 1.0
        known["costs"] = {"environment": where, "kinds": costs.measure(chosen.step_seconds, share)}
        _save(known, chosen.json)
        _write(known, "costs", chosen.docs)
    return int(failed)


def losses(result: dict[str, Any]) -> list[str]:
    """Return what was lost: messages, answers or connections. Skipped blocks are not: they are reported."""
    fleet, users = result.get("headsets", {}), result.get("users", {})
    counts = {
        "snapshots": fleet.get("lost", 0),
        "filters": fleet.get("filters_missed", 0),
        "connections of headsets": fleet.get("connections_lost", 0),
        "sockets": users.get("closed", 0),
        "calls": sum(result.get("calls", {}).get("failed", {}).values()),
        "streams": sum(len(each["broken"]) for each in result.get("streams", {}).get("formats", [])),
    }
    return [f"{count} {name}" for name, count in counts.items() if count]


def _save(known: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=1) + "\n")


def _write(known: dict[str, Any], part: str, docs: bool) -> None:
    """Print a part, and write it and its figure into the docs."""
    from benchmarks.load import report  # noqa: PLC0415  the child processes do not need matplotlib

    found = known[part]
    text = report.load_text(found) if part == "load" else report.costs_text(found["kinds"])
    text = f"{found['environment']} on {os.cpu_count()} cores\n\n{text}"
    print(f"\n{text}", flush=True)
    if docs:
        figure = FIGURES / f"{part}.svg"
        if part == "load":
            report.plot_load(found, figure)
            caption = "Latency by minute, and memory of the platform"
        else:
            report.plot_costs(found["kinds"], figure)
            caption = "Cores and memory over the number of users, with fitted lines"
        write_to_docs(part, f"{text}\n\n![{caption}](figures/{figure.name})")


if __name__ == "__main__":
    sys.exit(main())

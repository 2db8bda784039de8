"""`python -m tests.faults`: inject every fault into every call of every flow, and report what held.

With `--docs`, the tables go into `docs/reliability.md`. Exits with 1 when a promise was broken.
"""

import argparse
import logging
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.processes import environment, write_to_docs
from tests.faults.campaign import outcomes, undisturbed
from tests.faults.flows import FLOWS
from tests.faults.injection import KINDS
from tests.faults.memory import FLOWS_STARVED, shortages
from tests.faults.platform import DELIVERIES, FaultyPlatform
from tests.faults.power_cut import FLOWS_CUT, cuts
from tests.faults.sigkill import CHECKS, kills
from tests.faults.sound import computed_once

STEPS = {"recording to report": 10}  # of its many writes, only each tenth
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


class Row(NamedTuple):
    """Faults of a kind in a flow: how many were injected, and how the promise was broken."""

    flow: str
    fault: str
    injected: int
    failures: list[str]


def rows(folder: Path, names: Sequence[str] = tuple(FLOWS)) -> Iterator[Row]:
    """Run the campaign for the flows of these names."""
    for name in names:
        flow = FLOWS[name]
        for delivery in DELIVERIES:
            here = FaultyPlatform(_new(folder), delivery)
            calls = undisturbed(flow, here, "free")
            yield Row(name, f"delivered {delivery}", 1, here.dead_letters())
            for kind in KINDS if delivery == "at once" else KINDS[:2] if delivery == "late" else ():
                found = list(outcomes(flow, here, kind, calls, kind.replace(" ", "-")))
                failures = [f"{each.call}: {each.failure}" for each in found if each.failure]
                late = ", delivered late" if delivery == "late" else ""
                yield Row(name, kind + late, len(found), failures)
        if name in CHECKS:
            killed = list(kills(name, _new(folder), STEPS.get(name, 1)))
            yield Row(name, "SIGKILL", len(killed), [f"write {n}" for n, kept in killed if not kept])
        if name in FLOWS_CUT:
            cut = list(cuts(name, _new(folder)))
            yield Row(name, "power cut", len(cut), [f"frame {n}" for n, kept in cut if not kept])
        if name in FLOWS_STARVED:
            short = [each for each in shortages(name, _new(folder)) if not each[1]]
            yield Row(name, "out of memory", len(short), [f"{kb} KB" for kb, _, kept in short if not kept])


def _new(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def table(found: list[Row]) -> str:
    """Return the table of flows and faults in Markdown."""
    lines = ["| flow | fault | injected | broken |", "|---|---|---|---|"]
    lines += [
        f"| {row.flow} | {row.fault} | {row.injected} | {'; '.join(row.failures) or 'never'} |"
        for row in found
        if row.injected
    ]
    total, broken = sum(row.injected for row in found), sum(len(row.failures) for row in found)
    return "\n".join(
        [environment(), "", f"{total:,} faults were injected; {broken} broke a promise.", "", *lines]
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--docs", action="store_true", help="Write the results into docs/reliability.md.")
    parser.add_argument("--flow", choices=FLOWS, help="Run one flow. Not with --docs.")
    chosen = parser.parse_args()
    if chosen.flow and chosen.docs:
        parser.error("--docs: needs the results of every flow")
    logging.disable(logging.CRITICAL)
    found: list[Row] = []
    with computed_once(), tempfile.TemporaryDirectory() as folder:
        for row in rows(Path(folder) / "data", [chosen.flow] if chosen.flow else tuple(FLOWS)):
            print(
                f"{row.flow}: {row.fault}: {row.injected} injected, broken: {row.failures or 'never'}",
                flush=True,
            )
            found.append(row)
    if chosen.docs:
        write_to_docs("faults", table(found), PAGE)
    sys.exit(any(row.failures for row in found))


if __name__ == "__main__":
    main()

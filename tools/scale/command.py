"""`anc scale`: the result as tables, as JSON and as the docs page."""

from collections.abc import Callable
from typing import Any, NamedTuple

from rich.table import Table

from tools.cli.terminal import table
from tools.cost.estimate import Measured, read_measurements
from tools.cost.prices import FunctionUsage, read_prices
from tools.scale.loads import Quotas, max_headsets, read_quotas, uses
from tools.scale.page import FLEETS, STORMS, page
from tools.scale.simulation import Outcome, simulate


class Result(NamedTuple):
    """The usage of a headset, the quotas, and the outcomes of `STORMS`."""

    measured: Measured
    work: FunctionUsage
    quotas: Quotas
    outcomes: list[Outcome]


def measure(seed: int, on_progress: Callable[[float], None] = lambda done: None) -> Result:
    """Simulate reconnecting fleets."""
    outcomes = []
    for number, storm in enumerate(STORMS):
        outcomes.append(simulate(storm._replace(seed=seed)))
        on_progress((number + 1) / len(STORMS))
    return Result(read_measurements().now, read_prices().work, read_quotas(), outcomes)


def page_of(result: Result) -> str:
    """Return the docs page."""
    return page(*result)


def document(result: Result) -> dict[str, Any]:
    """Return the result for machines."""
    return {
        "quotas": {
            use.quota.name: {
                "value": use.quota.value,
                "headsets": max_headsets(use.quota, result.measured, result.work),
            }
            for use in uses(1, result.measured, result.work, result.quotas)
        },
        "storms": [
            {**storm._asdict(), **outcome._asdict()}
            for storm, outcome in zip(STORMS, result.outcomes, strict=True)
        ],
    }


def tables(result: Result) -> tuple[Table, Table]:
    """Return the use of the quotas, and the reconnecting fleets."""
    quotas = table("Quota", "Value", *(f"{n:,}" for n in FLEETS), numbers=True, title="Share of the quotas")
    shares = {
        n: {use.quota.name: use.share for use in uses(n, result.measured, result.work, result.quotas)}
        for n in FLEETS
    }
    for name in shares[FLEETS[0]]:
        value = next(quota.value for quota in result.quotas.quotas if quota.name == name)
        quotas.add_row(name, f"{value:,.0f}", *(f"{shares[n][name]:.1%}" for n in FLEETS))
    storms = table("Headsets", "All connected, s", "Refused", "Snapshot p99, s", numbers=True)
    for storm, each in zip(STORMS, result.outcomes, strict=True):
        storms.add_row(f"{storm.headsets:,}", f"{each.last_s:,.0f}", f"{each.refused:,}", f"{each.p99_s:.1f}")
    return quotas, storms

"""`anc cost`: the estimate as a table, as JSON and as the docs page."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.table import Table

from tools.cli.terminal import table
from tools.cost.day import measure
from tools.cost.deployment import Deployment, read_deployment
from tools.cost.estimate import (
    DESIGNS,
    MEASUREMENTS,
    Fleet,
    Measured,
    Measurements,
    monthly_cost,
    read_measurements,
)
from tools.cost.page import page
from tools.cost.prices import PRICES, SERVICES, Prices, read_prices


class Estimate(NamedTuple):
    """A fleet, the prices, the usage of a headset and the deployment."""

    fleet: Fleet
    prices: Prices
    measurements: Measurements
    deployment: Deployment

    def dollars(self) -> dict[str, dict[str, float]]:
        """Return the cost in USD per month, by design and service."""
        return monthly_cost(self.fleet, self.prices, self.measurements.now, self.deployment)

    def document(self) -> dict[str, Any]:
        """Return the estimate for machines."""
        source = {"region": self.prices.region, "noted": self.prices.noted}
        sent = round(self.measurements.now.per_hour["snapshots"], 1)
        return {
            "use": self.fleet._asdict(),
            "snapshots_per_hour": sent,
            **source,
            "dollars": self.dollars(),
        }

    def page(self) -> str:
        """Return the docs page."""
        return page(self.fleet, self.prices, self.measurements, self.deployment)


def estimate(
    headsets: int,
    hours_a_day: float,
    prices: Path | None,
    measure_day: bool,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Estimate:
    """Return an estimate, from the stored measurement or from a new one.

    Raises
    ------
    ValueError
        The price table is invalid.
    """
    price_list = read_prices(prices or PRICES)
    measurements = read_measurements()
    if measure_day:
        measured = measure(on_progress)
        now = Measured(measurements.now.code, measured.hours, dict(measured.per_hour))
        measurements = msgspec.structs.replace(measurements, now=now)
    return Estimate(Fleet(headsets, hours_a_day), price_list, measurements, read_deployment())


def store(measurements: Measurements) -> None:
    """Store measurements, from which the docs page is written."""
    MEASUREMENTS.write_bytes(msgspec.json.format(msgspec.json.encode(measurements), indent=1) + b"\n")


def result_table(result: Estimate) -> Table:
    """Return the cost by design and service as a table."""
    dollars = result.dollars()
    title = f"{result.fleet.headsets:,} headsets, {result.prices.region}, prices of {result.prices.noted}"
    rows = table("USD per month", *DESIGNS, numbers=True, title=title)
    for service in SERVICES:
        rows.add_row(service, *(f"{dollars[design][service]:,.0f}" for design in DESIGNS))
    rows.add_section()
    rows.add_row("Total", *(f"[bold]{sum(dollars[design].values()):,.0f}[/]" for design in DESIGNS))
    return rows

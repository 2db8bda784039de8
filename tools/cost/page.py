"""Write `docs/cost.md`."""

from pathlib import Path

from tools.cost.day import DAY
from tools.cost.deployment import Deployment
from tools.cost.estimate import (
    DESIGNS,
    RECONNECTS_PER_DAY,
    Fleet,
    Measurements,
    dollars,
    index_units,
    monthly_cost,
    reductions,
)
from tools.cost.prices import SERVICES, Prices

PAGE = Path(__file__).with_name("page.md")
USAGE = {
    "snapshots": "snapshots",
    "snapshot_bytes": "bytes of snapshots",
    "filters_played": "filters played",
    "shadow_reports": "reports of state",
    "reports": "telemetry messages",
    "iot_message": "billed IoT messages",
    "iot_rule": "billed rules",
    "shadow_operation": "billed shadow operations",
    "dynamodb_write": "DynamoDB write units",
    "dynamodb_read": "DynamoDB read units",
    "sqs_request": "SQS requests, without deletions and polling",
}


def page(fleet: Fleet, prices: Prices, measurements: Measurements, deployment: Deployment) -> str:
    """Return `docs/cost.md`."""
    before, now = measurements.before, measurements.now
    table = monthly_cost(fleet, prices, now, deployment)
    totals = {design: sum(table[design].values()) for design in DESIGNS}
    return PAGE.read_text().format(
        headsets=f"{fleet.headsets:,}",
        hours=f"{fleet.hours_a_day:g}",
        region=prices.region,
        noted=prices.noted,
        designs=" | ".join(DESIGNS),
        rows="\n".join(
            f"| {service} | " + " | ".join(f"{table[design][service]:,.0f}" for design in DESIGNS) + " |"
            for service in SERVICES
            if any(table[design][service] >= 1 for design in DESIGNS)
        ),
        totals=" | ".join(f"**{total:,.0f}**" for total in totals.values()),
        each=f"{totals[DESIGNS[-1]] / fleet.headsets:.2f}",
        ratio=f"{totals[DESIGNS[0]] / totals[DESIGNS[-1]]:,.0f}",
        day="\n".join(
            f"| {part.name} | {part.hours} | "
            + ", ".join(f"{name} {minutes:g} min" for name, minutes in part.turns)
            + " |"
            for part in DAY
        ),
        reconnects=RECONNECTS_PER_DAY,
        before_code=before.code,
        now_code=now.code,
        usage="\n".join(
            f"| {text} | {before.per_hour.get(name, 0):,.0f} | {now.per_hour.get(name, 0):,.0f} |"
            for name, text in USAGE.items()
        ),
        index=dollars(index_units(fleet), prices),
        shadow=prices.of("shadow_operation", now.per_hour["shadow_operation"] * fleet.hours),
        steps=_steps(reductions(fleet, prices, measurements, deployment)),
        alarms="\n".join(
            f"| {service} | {alarms} | {metrics} | {prices.of('alarm_metric', metrics):.2f} |"
            for service, (alarms, metrics) in deployment.alarms.items()
        ),
        custom=f"{deployment.units['custom_metric']:.0f}",
        traced=" and ".join(deployment.traced) or "none",
        prices="\n".join(
            f"| {price.unit} | {price.tiers[0][1] * 1e6:,.6g} | {price.source} |"
            for price in prices.prices.values()
        ),
        sources="\n".join(
            f"| {name} | {source.read} | {source.text}{'' if source.verified else ' (**not verified**)'} |"
            for name, source in prices.sources.items()
        ),
    )


def _steps(steps: list[tuple[str, float]]) -> str:
    (first, total), *rest = steps
    lines = [f"| {first} | {total:,.0f} | |"]
    for name, after in rest:
        lines.append(f"| {name} | {after:,.0f} | {total - after:,.0f} |")
        total = after
    return "\n".join(lines)

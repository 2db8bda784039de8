"""`anc cost`: estimate the monthly AWS cost of a fleet, by service, for three designs.

The estimate applies metering rules to list prices. It excludes support plans, staff and discounts.
"""

import tomllib
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import NamedTuple

import msgspec

from anc.validation_messages import msgspec_sentence

PRICES = Path(__file__).with_name("prices.toml")
PAGE = Path(__file__).with_name("cost_page.md")
HOURS_PER_MONTH = 730.0
KB = 1024

LIVE_RATE = 48_000
BLOCK = 1024
LONG_BLOCK_RATE = 16_000
LONG_BLOCK_S = 0.2
CHANNELS, SAMPLE_BYTES = 2, 2
FRAME_OVERHEAD_BYTES = 200  # JSON around the PCM
STATE_BYTES = 4_200  # of an NLMS session
SNAPSHOT_BYTES = 32 + LONG_BLOCK_RATE * CHANNELS * SAMPLE_BYTES
PRIVATE_SNAPSHOT_BYTES = 6 * KB
CONTROL_BYTES = 9 * KB  # record of a headset: statistics of 512 taps and its last four filters
SHADOW_BYTES = 3 * KB
LOG_BYTES = 600  # per call
TRACED_FRACTION, TRACED_PER_SECOND = 0.01, 1  # X-Ray samples one call a second and 1 % of the rest
SNAPSHOTS_PER_CALL = 4  # average batch size of the queue

Tiers = list[tuple[float, float]]
SERVICES = {
    "API Gateway": ("websocket_message", "websocket_minute", "rest_request"),
    "Lambda": ("lambda_request", "lambda_gb_s"),
    "DynamoDB": ("dynamodb_write", "dynamodb_read"),
    "SQS": ("sqs_request",),
    "IoT Core": ("iot_minute", "iot_message", "iot_rule", "iot_action", "shadow_operation"),
    "KMS": ("kms_key", "kms_request"),
    "CloudWatch Logs": ("log_gb",),
    "X-Ray": ("trace",),
    "Data transfer": ("transfer_gb",),
}
DESIGNS = ("every block", "200-ms blocks", "snapshots")


class FunctionUsage(msgspec.Struct, frozen=True):
    """Memory in GB and duration in seconds of a Lambda call."""

    memory_gb: float
    block_s: float
    long_block_s: float
    snapshot_s: float
    update_s: float


class Prices(msgspec.Struct, frozen=True):
    """A price table: for each unit, tiers of (upper limit in units, USD per unit)."""

    noted: str
    region: str
    prices: dict[str, Tiers]
    sources: dict[str, str]
    work: FunctionUsage

    def of(self, unit: str, amount: float) -> float:
        """Return the price in USD of an amount of a unit."""
        dollars, below = 0.0, 0.0
        for up_to, price in self.prices[unit]:
            dollars += price * max(min(amount, up_to) - below, 0.0)
            below = up_to
        return dollars


class Usage(NamedTuple):
    """A fleet and its usage.

    Attributes
    ----------
    headsets : int
    hours_a_day : float
        Hours of use per headset.
    snapshots_per_hour : float
        Per headset and hour of use.
    changed : float
        Fraction of the snapshots that are answered with a new filter.
    private : float
        Fraction of the headsets in privacy mode.
    telemetry_per_hour : float
        Messages per headset and hour of use.
    """

    headsets: int = 1000
    hours_a_day: float = 24.0
    snapshots_per_hour: float = 60.0
    changed: float = 0.2
    private: float = 0.0
    telemetry_per_hour: float = 4.0


def read_prices(path: Path = PRICES) -> Prices:
    """Read a price table from a TOML file.

    Raises
    ------
    ValueError
        The file is not a price table or lacks a price.
    OSError
    """
    try:
        document = tomllib.loads(path.read_text())
        prices = msgspec.convert(document, Prices)
    except tomllib.TOMLDecodeError as fault:
        raise ValueError(f"{path}: not a TOML document: {fault}") from fault
    except msgspec.ValidationError as fault:
        raise ValueError(f"{path}: {msgspec_sentence(str(fault), Prices, document)}") from fault
    units = {unit for each in SERVICES.values() for unit in each}
    if missing := sorted(units - prices.prices.keys()):
        raise ValueError(f"{path}: missing prices for {', '.join(missing)}")
    return prices


def monthly_cost(use: Usage, prices: Prices) -> dict[str, dict[str, float]]:
    """Return the cost in USD per month, by design and service.

    The first two designs stream all audio to the cloud and back, which is too slow to cancel noise
    (`docs/dsp.md`); the third is this platform.
    """
    amounts = (
        streamed(use, BLOCK / LIVE_RATE, BLOCK, prices.work.block_s, prices.work.memory_gb),
        streamed(
            use,
            LONG_BLOCK_S,
            int(LONG_BLOCK_S * LONG_BLOCK_RATE),
            prices.work.long_block_s,
            prices.work.memory_gb,
        ),
        snapshots(use, prices.work),
    )
    return {
        design: {
            service: sum(prices.of(unit, amount.get(unit, 0.0)) for unit in units)
            for service, units in SERVICES.items()
        }
        for design, amount in zip(DESIGNS, amounts, strict=True)
    }


def streamed(
    use: Usage, block_s: float, samples: int, call_s: float, memory_gb: float
) -> Mapping[str, float]:
    """Return the units per month of streaming: each block is a frame in, a frame out, a call and a write."""
    seconds = use.headsets * _usage_s(use)
    blocks = seconds / block_s
    up = _frame_bytes(samples * CHANNELS * SAMPLE_BYTES)
    down = _frame_bytes(samples * SAMPLE_BYTES)
    return {
        "websocket_message": blocks * (_units(up, 32 * KB) + _units(down, 32 * KB)),
        "websocket_minute": seconds / 60,
        "lambda_request": blocks,
        "lambda_gb_s": blocks * call_s * memory_gb,
        "dynamodb_write": blocks * _units(STATE_BYTES, KB),
        "kms_key": 1,
        "trace": _traces(blocks),
        "transfer_gb": blocks * down / 1e9,
    }


def snapshots(use: Usage, work: FunctionUsage) -> Mapping[str, float]:
    """Return the units per month of this platform."""
    hours = use.headsets * _usage_s(use) / 3600
    sent = hours * use.snapshots_per_hour
    answered = sent * use.changed
    telemetry = hours * use.telemetry_per_hour
    parts = [(1 - use.private, SNAPSHOT_BYTES), (use.private, PRIVATE_SNAPSHOT_BYTES)]
    rule_units = sum(share * _units(size, 5 * KB) for share, size in parts)
    queue_units = sum(share * _units(_frame_bytes(size), 64 * KB) for share, size in parts)
    calls = sent / SNAPSHOTS_PER_CALL + answered / SNAPSHOTS_PER_CALL
    return {
        "iot_minute": hours * 60,
        "iot_message": telemetry + answered,
        "iot_rule": sent * rule_units + telemetry,
        "iot_action": sent * rule_units + telemetry,
        "shadow_operation": answered * 2 * _units(SHADOW_BYTES, KB),
        "sqs_request": sent * 3 * queue_units + answered * 3,
        "lambda_request": calls,
        "lambda_gb_s": (sent * work.snapshot_s + answered * work.update_s) * work.memory_gb,
        "dynamodb_read": sent * (_units(CONTROL_BYTES, 4 * KB) + 1)
        + answered * _units(CONTROL_BYTES, 4 * KB),
        "dynamodb_write": sent * _units(CONTROL_BYTES, KB) + telemetry,
        "kms_key": 2,  # data and audit
        "kms_request": calls,
        "trace": _traces(calls),
        "log_gb": calls * LOG_BYTES / 1e9,
        "transfer_gb": answered * SHADOW_BYTES / 1e9,
    }


def _usage_s(use: Usage) -> float:
    return HOURS_PER_MONTH * 3600 * use.hours_a_day / 24


def _traces(calls: float) -> float:
    first = min(calls, TRACED_PER_SECOND * HOURS_PER_MONTH * 3600)
    return first + TRACED_FRACTION * (calls - first)


def _frame_bytes(size: int) -> int:
    return 4 * ceil(size / 3) + FRAME_OVERHEAD_BYTES


def _units(size: int, unit: int) -> int:
    return ceil(size / unit)


def page(use: Usage, prices: Prices) -> str:
    """Return `docs/cost.md`."""
    table = monthly_cost(use, prices)
    rows = [
        f"| {service} | " + " | ".join(f"{table[design][service]:,.0f}" for design in DESIGNS) + " |"
        for service in SERVICES
        if any(table[design][service] >= 1 for design in DESIGNS)
    ]
    totals = " | ".join(f"**{sum(table[design].values()):,.0f}**" for design in DESIGNS)
    return PAGE.read_text().format(
        headsets=f"{use.headsets:,}",
        hours=f"{use.hours_a_day:g}",
        snapshots=f"{use.snapshots_per_hour:g}",
        changed=f"{use.changed:.0%}",
        each=f"{sum(table[DESIGNS[2]].values()) / use.headsets:.2f}",
        ratio=f"{sum(table[DESIGNS[0]].values()) / sum(table[DESIGNS[2]].values()):,.0f}",
        noted=prices.noted,
        region=prices.region,
        designs=" | ".join(DESIGNS),
        rows="\n".join(rows),
        totals=totals,
        sources="\n".join(f"- {name}: <{address}>" for name, address in prices.sources.items()),
    )

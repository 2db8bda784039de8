"""`anc cost`: what a month of a fleet costs on AWS, by service, for three ways to build it.

Arithmetic on metering rules and list prices, nothing else: no support plan, no people, no discounts.
"""

import tomllib
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import NamedTuple

import msgspec

PRICES = Path(__file__).with_name("prices.toml")
PAGE = Path(__file__).with_name("cost_page.md")
HOURS = 730.0  # in a month
KB = 1024

RATE_LIVE = 48_000
BLOCK = 1024
RATE_LONG = 16_000
LONG_BLOCK_S = 0.2
CHANNELS, BYTES = 2, 2
FRAME_TEXT = 200  # what surrounds the PCM in a frame
STATE_BYTES = 4_200  # of an NLMS session
SNAPSHOT_BYTES = 32 + RATE_LONG * CHANNELS * BYTES
PRIVATE_BYTES = 6 * KB
CONTROL_BYTES = 9 * KB  # kept of a headset: statistics of 512 taps and its last four filters
SHADOW_BYTES = 3 * KB
LOG_BYTES = 600  # of a call
TRACED, TRACED_A_SECOND = 0.01, 1  # of the calls, and so many before that share counts
BATCH = 4  # snapshots that one call takes from its queue, on average

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


class Work(msgspec.Struct, frozen=True):
    """What a call takes of a function, in GB and seconds."""

    memory_gb: float
    block_s: float
    long_block_s: float
    snapshot_s: float
    update_s: float


class Prices(msgspec.Struct, frozen=True):
    """The table of prices: by unit, as tiers of (up to so many units, dollars for one)."""

    noted: str
    region: str
    prices: dict[str, Tiers]
    sources: dict[str, str]
    work: Work

    def of(self, unit: str, amount: float) -> float:
        """Return the dollars for an amount of a unit."""
        dollars, below = 0.0, 0.0
        for up_to, each in self.prices[unit]:
            dollars += each * max(min(amount, up_to) - below, 0.0)
            below = up_to
        return dollars


class Use(NamedTuple):
    """A fleet and how it is used.

    Attributes
    ----------
    headsets : int
    hours_a_day : float
        For which each is worn.
    snapshots_per_hour : float
        While worn; most come when the noise changes.
    changed : float
        Share of the snapshots that are answered with a new filter.
    private : float
        Share of the headsets in privacy mode.
    telemetry_per_hour : float
        Messages.
    """

    headsets: int = 1000
    hours_a_day: float = 24.0
    snapshots_per_hour: float = 60.0
    changed: float = 0.2
    private: float = 0.0
    telemetry_per_hour: float = 4.0


def read_prices(path: Path = PRICES) -> Prices:
    """Read a table of prices.

    Raises
    ------
    ValueError
        When it is no such table; the message names what is wrong.
    OSError
        When it cannot be read.
    """
    try:
        prices = msgspec.convert(tomllib.loads(path.read_text()), Prices)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise ValueError(f"{path}: {fault}") from fault
    units = {unit for each in SERVICES.values() for unit in each}
    if missing := sorted(units - prices.prices.keys()):
        raise ValueError(f"{path}: no price for {', '.join(missing)}")
    return prices


def monthly(use: Use, prices: Prices) -> dict[str, dict[str, float]]:
    """Return dollars a month by design and service.

    The first two stream everything that a headset hears to the cloud and back, and still cannot cancel
    (`docs/dsp.md`); the third is this platform.
    """
    amounts = (
        streamed(use, BLOCK / RATE_LIVE, BLOCK, prices.work.block_s, prices.work.memory_gb),
        streamed(
            use, LONG_BLOCK_S, int(LONG_BLOCK_S * RATE_LONG), prices.work.long_block_s, prices.work.memory_gb
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


def streamed(use: Use, block_s: float, samples: int, takes_s: float, memory_gb: float) -> Mapping[str, float]:
    """Return what streaming every block uses in a month: one frame in, one out, one call, one commit each."""
    seconds = use.headsets * _worn_s(use)
    blocks = seconds / block_s
    up = _text(samples * CHANNELS * BYTES)
    down = _text(samples * BYTES)
    return {
        "websocket_message": blocks * (_units(up, 32 * KB) + _units(down, 32 * KB)),
        "websocket_minute": seconds / 60,
        "lambda_request": blocks,
        "lambda_gb_s": blocks * takes_s * memory_gb,
        "dynamodb_write": blocks * _units(STATE_BYTES, KB),
        "kms_key": 1,
        "trace": _traces(blocks),
        "transfer_gb": blocks * down / 1e9,
    }


def snapshots(use: Use, work: Work) -> Mapping[str, float]:
    """Return what the platform's own way uses in a month."""
    hours = use.headsets * _worn_s(use) / 3600
    made = hours * use.snapshots_per_hour
    answered = made * use.changed
    told = hours * use.telemetry_per_hour
    parts = [(1 - use.private, SNAPSHOT_BYTES), (use.private, PRIVATE_BYTES)]
    five = sum(share * _units(size, 5 * KB) for share, size in parts)
    queued = sum(share * _units(_text(size), 64 * KB) for share, size in parts)
    calls = made / BATCH + answered / BATCH
    return {
        "iot_minute": hours * 60,
        "iot_message": told + answered,
        "iot_rule": made * five + told,
        "iot_action": made * five + told,
        "shadow_operation": answered * 2 * _units(SHADOW_BYTES, KB),
        "sqs_request": made * 3 * queued + answered * 3,
        "lambda_request": calls,
        "lambda_gb_s": (made * work.snapshot_s + answered * work.update_s) * work.memory_gb,
        "dynamodb_read": made * (_units(CONTROL_BYTES, 4 * KB) + 1)
        + answered * _units(CONTROL_BYTES, 4 * KB),
        "dynamodb_write": made * _units(CONTROL_BYTES, KB) + told,
        "kms_key": 2,  # what is kept, and who touched it
        "kms_request": calls,
        "trace": _traces(calls),
        "log_gb": calls * LOG_BYTES / 1e9,
        "transfer_gb": answered * SHADOW_BYTES / 1e9,
    }


def _worn_s(use: Use) -> float:
    return HOURS * 3600 * use.hours_a_day / 24


def _traces(calls: float) -> float:
    first = min(calls, TRACED_A_SECOND * HOURS * 3600)
    return first + TRACED * (calls - first)


def _text(size: int) -> int:
    return 4 * ceil(size / 3) + FRAME_TEXT


def _units(size: int, unit: int) -> int:
    return ceil(size / unit)


def page(use: Use, prices: Prices) -> str:
    """Return `docs/cost.md`."""
    table = monthly(use, prices)
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

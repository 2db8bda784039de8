"""The load of a fleet on the quotas of an AWS account."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tools.cost.estimate import RECONNECTS_PER_DAY, Measured
from tools.cost.prices import FunctionUsage

QUOTAS = Path(__file__).with_name("quotas.toml")
PEAK = 3.0  # load of the busiest minute over the mean
SUBSCRIPTIONS = 5  # of a headset: delta, the two answers with the whole shadow, and two topics of jobs
SHADOW_PUBLICATIONS = 4  # an update of a shadow and up to three answers count as inbound
CELL = 100_000  # headsets of one cell: an account with a deployment of its own


class Quota(msgspec.Struct, frozen=True):
    """A quota: `load` names the load that it limits."""

    name: str
    load: str
    value: float
    adjustable: bool
    source: str


class Quotas(msgspec.Struct, frozen=True):
    """Quotas and their sources."""

    sources: dict[str, str]
    quotas: list[Quota]


class Use(NamedTuple):
    """A quota and the load on it."""

    quota: Quota
    load: float

    @property
    def share(self) -> float:
        """Load over quota."""
        return self.load / self.quota.value


def read_quotas(path: Path = QUOTAS) -> Quotas:
    """Read a table of quotas."""
    return msgspec.convert(tomllib.loads(path.read_text()), Quotas)


def loads(headsets: int, measured: Measured, work: FunctionUsage) -> Mapping[str, float]:
    """Return the load of the busiest minute, without reconnect storms."""
    per_s = {name: PEAK * headsets * amount / 3600 for name, amount in measured.per_hour.items()}
    connects = PEAK * headsets * RECONNECTS_PER_DAY / 86_400
    snapshots, reports = per_s["snapshots"], per_s["reports"]
    states, updates = per_s["shadow_reports"], per_s["updates_messages"]
    shadows = states + updates + connects
    processing = snapshots * work.snapshot_s
    return {
        "connections": headsets,
        "subscriptions": SUBSCRIPTIONS * headsets,
        "connects_per_s": connects,
        "subscriptions_per_s": SUBSCRIPTIONS * connects,
        "inbound_per_s": snapshots + reports + SHADOW_PUBLICATIONS * shadows,
        "outbound_per_s": snapshots + reports + updates + connects,
        "rules_per_s": snapshots + reports + 2 * connects,
        "shadows_per_s": shadows,
        "snapshot_concurrency": processing,
        "concurrency": processing + reports * work.report_s + updates * work.update_s,
        "writes_per_s": per_s["dynamodb_write"],
    }


def uses(headsets: int, measured: Measured, work: FunctionUsage, quotas: Quotas) -> Sequence[Use]:
    """Return every quota with its load, the scarcest first."""
    load = loads(headsets, measured, work)
    return sorted((Use(each, load[each.load]) for each in quotas.quotas), key=lambda use: -use.share)


def max_headsets(quota: Quota, measured: Measured, work: FunctionUsage) -> int:
    """Return how many headsets a quota allows."""
    return int(quota.value / loads(1, measured, work)[quota.load])

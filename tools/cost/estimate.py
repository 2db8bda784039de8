"""Estimate the monthly AWS cost of a fleet from what one headset was measured to use."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from tools.cost import streaming
from tools.cost.deployment import Deployment
from tools.cost.prices import SERVICES, FunctionUsage, Prices

MEASUREMENTS = Path(__file__).with_name("measurements.json")
HOURS_PER_MONTH = 730.0
HISTORY_HOURS = 720.0  # for which telemetry is kept
CALL_LOG_BYTES = 340  # start, end and report of a logged call, and 26 bytes that CloudWatch adds to each
METRICS_LOG_BYTES = 460  # of the metrics of a snapshot, with these 26 bytes; others have fewer
TRACED_PER_SECOND, TRACED_FRACTION = 1, 0.05  # by Lambda, for each function; sampling rules do not apply
POLLERS, POLL_S = 5, 20.0  # of each event source: long polls of an idle queue
RECONNECTS_PER_DAY = 4
CONNECT_MESSAGES = 13  # CONNECT, five SUBSCRIBE, two requests, two answers and their PUBACKs, report
PRESENCE_EVENTS = 2  # connected and disconnected: a rule, an action, a queue message and a write each
SHADOW_UNITS = 8  # of a connect: request and report, with a filter of 512 taps on both sides
KEY_REQUESTS = 24 * 12  # an hour: tables in use times functions, every five minutes
RECORD_BYTES = 12_000  # of a headset, in all tables but the history
CONTROL_READS = 2  # units of a read of its control record
FLEET_READ_UNITS = 17.5  # 16 contributions of at most 4 KB, the query of their keys, and an earlier one
LABELS = 6  # in use, of one model of headset
FLUSH_S = 30.0  # between updates of the totals by one container (`anc.aws.counters`)
TOTALS_WRITES = 5  # units of such an update
CONTAINERS = 2  # of a function for each call at the same time, and one more
DESIGNS = ("every block", "200-ms blocks", "snapshots")

PROVISIONED_BEFORE = {"provisioned_gb": 3.455}  # two executions of one core
CUSTOM_METRICS_BEFORE = {"custom_metric": 64}  # names of counters; some had one for each reason of a refusal
CONSUMERS = ["anc_processor", "audio_sender", "classifier"]  # functions behind the queues of headsets

GROUPS = ("Snapshots", "Reported state and filters", "Fleet statistics", "Telemetry")
# The parts of the snapshots' cost, in the order in which the cost page replaces them.
SNAPSHOT_STEPS = {
    "Statistics instead of sound": ("iot_rule", "iot_action", "sqs_request"),
    "Fewer and smaller records": ("dynamodb_write", "dynamodb_read"),
    "Larger classifier": ("endpoint_questions", "reclassifications_messages"),
}


class Fleet(NamedTuple):
    """A fleet and its usage.

    Attributes
    ----------
    headsets : int
    hours_a_day : float
        Hours of use per headset.
    """

    headsets: int = 1000
    hours_a_day: float = 24.0

    @property
    def hours(self) -> float:
        """Headset hours per month."""
        return self.headsets * HOURS_PER_MONTH * self.hours_a_day / 24


class Measured(msgspec.Struct, frozen=True):
    """A measurement of `anc cost --measure`.

    Attributes
    ----------
    code : str
        What was measured.
    hours : float
    per_hour : dict of str to float
        Billed units and counts per headset and hour.
    detailed_metrics : int
        Detailed metrics of the APIs in the deployment of that time.
    """

    code: str
    hours: float
    per_hour: dict[str, float]
    detailed_metrics: int = 0


class Measurements(msgspec.Struct, frozen=True):
    """The platform before the reductions on the cost page, and the present one."""

    before: Measured
    now: Measured


def read_measurements() -> Measurements:
    """Return the stored measurements."""
    return msgspec.json.decode(MEASUREMENTS.read_bytes(), type=Measurements)


def monthly_cost(
    fleet: Fleet, prices: Prices, now: Measured, deployment: Deployment
) -> dict[str, dict[str, float]]:
    """Return the cost in USD per month, by design and service."""
    used = defaultdict(
        float, platform_units(fleet, prices.work, by_group(now), deployment, now.detailed_metrics)
    )
    _add(used, index_units(fleet))
    amounts = (
        streaming.every_block(fleet.hours, prices.work),
        streaming.long_blocks(fleet.hours, prices.work),
        used,
    )
    return {
        design: {
            service: sum(prices.of(unit, amount.get(unit, 0.0)) for unit in units)
            for service, units in SERVICES.items()
        }
        for design, amount in zip(DESIGNS, amounts, strict=True)
    }


def by_group(measured: Measured) -> dict[str, Mapping[str, float]]:
    """Return the units per headset and hour by what causes them."""
    units = defaultdict(float, measured.per_hour)
    reports, updates = units["reports"], units["updates_messages"]
    charged = units["reports_charged"]  # as messages; those of Basic Ingest are not
    telemetry = {
        "iot_message": charged,
        "iot_rule": reports,
        "iot_action": reports,
        "sqs_request": 2 * reports,
        "reports": reports,
        "dynamodb_write": units["written to history"] + units["written to telemetry"],
        "dynamodb_read": units["read from telemetry"] + reports,  # and the registration
        "history_bytes": units["bytes of history"],
    }
    state = {
        "iot_message": units["iot_message"] - charged,
        "shadow_operation": units["shadow_operation"],
        "sqs_request": 2 * updates,
        "updates": updates,
        "dynamodb_read": 4 * updates,  # the record of a headset twice, and its watchers
        "transfer_bytes": units["transfer_bytes"],
    }
    fleet = {
        "dynamodb_write": units["written to fleets"],
        "dynamodb_read": units["read from fleets"],
        "fleet_lookups": units["lookups of fleets"],
    }
    snapshots = {
        name: units[name] - sum(group.get(name, 0.0) for group in (telemetry, state, fleet))
        for name in ("iot_rule", "iot_action", "sqs_request", "dynamodb_write", "dynamodb_read")
    }
    snapshots |= {
        name: units[name] for name in ("snapshots", "endpoint_questions", "reclassifications_messages")
    }
    return dict(zip(GROUPS, (snapshots, state, fleet, telemetry), strict=True))


def platform_units(
    fleet: Fleet,
    work: FunctionUsage,
    groups: Mapping[str, Mapping[str, float]],
    deployment: Deployment,
    detailed_metrics: float,
) -> Mapping[str, float]:
    """Return the billed units per month of the platform."""
    used: defaultdict[str, float] = defaultdict(float)
    for group in groups.values():
        _add(used, group)
    units = defaultdict(float, {name: amount * fleet.hours for name, amount in used.items()})
    _add_connections(units, fleet)
    _add_functions(units, work, deployment)
    deployed = deployment.units
    units["sqs_request"] += deployed["event_source"] * POLLERS * HOURS_PER_MONTH * 3600 / POLL_S
    units["transfer_gb"] = units["transfer_bytes"] / 1e9
    stored_gb = (
        fleet.headsets * RECORD_BYTES
        + used["history_bytes"] * HISTORY_HOURS * fleet.headsets * fleet.hours_a_day / 24
    ) / 1e9
    units["dynamodb_gb"] = units["dynamodb_backup_gb"] = stored_gb
    units["kms_request"] = KEY_REQUESTS * HOURS_PER_MONTH
    units["custom_metric"] = deployed["custom_metric"] + detailed_metrics
    units["provisioned_gb_s"] = deployed["provisioned_gb"] * HOURS_PER_MONTH * 3600
    for unit in (
        "kms_key",
        "secret",
        "alarm_metric",
        "composite_alarm",
        "dashboard",
        "web_acl",
        "web_acl_rule",
    ):
        units[unit] = deployed[unit]
    return units


def _add_connections(units: defaultdict[str, float], fleet: Fleet) -> None:
    connects = fleet.headsets * RECONNECTS_PER_DAY * HOURS_PER_MONTH / 24
    events = PRESENCE_EVENTS * connects
    units["iot_minute"] = 60 * fleet.hours
    units["iot_message"] += CONNECT_MESSAGES * connects
    units["shadow_operation"] += SHADOW_UNITS * connects
    _add(units, {"iot_rule": events, "iot_action": events, "sqs_request": 2 * events})
    _add(units, {"dynamodb_write": events, "dynamodb_read": 2 * events, "reports": events})


def index_units(fleet: Fleet) -> Mapping[str, float]:
    """Return the billed units per month of the fleet index.

    A headset's summary is updated once an hour, and fleet indexing itself updates its connection.
    """
    events = PRESENCE_EVENTS * fleet.headsets * RECONNECTS_PER_DAY * HOURS_PER_MONTH / 24
    return {
        "shadow_operation": fleet.hours,
        "index_update": fleet.hours + events,
        "dynamodb_read": CONTROL_READS * fleet.hours,  # the noise
    }


def _add_functions(units: defaultdict[str, float], work: FunctionUsage, deployment: Deployment) -> None:
    """Add calls, one message each, although batches are larger at a high load."""
    questions, requests = units["endpoint_questions"], units["reclassifications_messages"]
    calls = {
        "anc_processor": units["snapshots"] + units["reports"],
        "audio_sender": units["updates"],
        "classifier": requests,
    }
    seconds = {
        "anc_processor": units["snapshots"] * work.snapshot_s + units["reports"] * work.report_s,
        "audio_sender": units["updates"] * work.update_s,
        "classifier": questions * work.endpoint_s,
    }
    units["lambda_request"] = sum(calls.values())
    units["lambda_gb_s"] = sum(seconds.values()) * work.memory_gb
    units["dynamodb_write"] += TOTALS_WRITES * sum(flushes(calls[name], seconds[name]) for name in calls)
    units["dynamodb_read"] += fleet_reads(units["fleet_lookups"], seconds["anc_processor"])
    units["sqs_request"] += sum(calls.values())  # deletions
    units["endpoint_gb_s"] = questions * work.endpoint_s * work.endpoint_gb
    with_metrics = units["snapshots"] + units["updates"] + requests
    logged = sum(each for name, each in calls.items() if name in deployment.logged)
    log_bytes = logged * CALL_LOG_BYTES + with_metrics * METRICS_LOG_BYTES
    units["log_gb"] = units["log_stored_gb"] = log_bytes / 1e9
    units["trace"] = sum(traces(each) for name, each in calls.items() if name in deployment.traced)


def fleet_reads(lookups: float, seconds: float) -> float:
    """Return the units of reading fleet statistics in a month: a container keeps them for a minute."""
    minutes = HOURS_PER_MONTH * 60
    containers = 1 + CONTAINERS * seconds / (60 * minutes)
    return min(lookups, containers * minutes * LABELS) * FLEET_READ_UNITS


def _add(units: defaultdict[str, float], amounts: Mapping[str, float]) -> None:
    for name, amount in amounts.items():
        units[name] += amount


def traces(calls: float) -> float:
    """Return how many calls of a function in a month Lambda traces."""
    first = min(calls, TRACED_PER_SECOND * HOURS_PER_MONTH * 3600)
    return first + TRACED_FRACTION * (calls - first)


def flushes(calls: float, seconds: float) -> float:
    """Return how often the containers of a function write their counters to the totals in a month."""
    month_s = HOURS_PER_MONTH * 3600
    containers = 1 + CONTAINERS * seconds / month_s
    return min(calls, containers * month_s / FLUSH_S)


def dollars(units: Mapping[str, float], prices: Prices) -> float:
    """Return the price of billed units; counts without a price are ignored."""
    return sum(prices.of(unit, units.get(unit, 0.0)) for each in SERVICES.values() for unit in each)


def reductions(
    fleet: Fleet, prices: Prices, measurements: Measurements, deployment: Deployment
) -> list[tuple[str, float]]:
    """Return the cost before, and after each step of replacing a part of the units by the present ones.

    The endpoint and the fleet index, which there were not before, are steps that cost.
    """
    groups, metrics = by_group(measurements.before), measurements.before.detailed_metrics
    present = by_group(measurements.now)
    units_before = deployment.units | PROVISIONED_BEFORE | CUSTOM_METRICS_BEFORE
    deployed = replace(deployment, units=units_before, traced=CONSUMERS, logged=CONSUMERS)

    def total() -> float:
        return dollars(platform_units(fleet, prices.work, groups, deployed, metrics), prices)

    steps = [("Before", total())]
    snapshots, *others = GROUPS
    fewer = present[snapshots]["snapshots"] / groups[snapshots]["snapshots"]
    part = {name: fewer * amount for name, amount in groups[snapshots].items()}
    groups = {**groups, snapshots: part}
    steps.append(("Fewer snapshots", total()))
    for name, units in SNAPSHOT_STEPS.items():
        part = part | {unit: present[snapshots][unit] for unit in units}
        groups = {**groups, snapshots: part}
        steps.append((name, total()))
    for name in others:
        groups = {**groups, name: present[name]}
        steps.append((name, total()))
    metrics = measurements.now.detailed_metrics
    steps.append(("Detailed metrics", total()))
    deployed = replace(deployed, units=deployment.units | PROVISIONED_BEFORE)
    steps.append(("Custom metrics", total()))
    deployed = replace(deployed, traced=deployment.traced)
    steps.append(("Traces", total()))
    deployed = replace(deployed, logged=deployment.logged)
    steps.append(("Logs", total()))
    deployed = deployment
    steps.append(("Provisioned concurrency", total()))
    return [*steps, ("Fleet index", total() + dollars(index_units(fleet), prices))]

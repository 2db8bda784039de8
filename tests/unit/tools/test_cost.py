"""The AWS cost estimate: metering checked by hand, and the docs page matches the command."""

import json
from collections import defaultdict
from pathlib import Path

import msgspec
import numpy as np
import pytest
from aws_lambda_powertools import Metrics

from anc.aws import counters
from anc.headset_records import Control
from anc.schemas.topics import telemetry_topic
from iot.status import Status
from iot.telemetry_buffer import TelemetryBuffer
from tests.fakes import FakePlatform
from tools.cost.command import Estimate, estimate
from tools.cost.day import DAY, Measurement, Part, Schedule, combined, measure
from tools.cost.estimate import (
    DESIGNS,
    FLEET_READ_UNITS,
    FLUSH_S,
    GROUPS,
    HOURS_PER_MONTH,
    LABELS,
    METRICS_LOG_BYTES,
    Fleet,
    by_group,
    dollars,
    fleet_reads,
    flushes,
    index_units,
    platform_units,
    read_measurements,
    reductions,
    traces,
)
from tools.cost.metered_platform import MeteredTable
from tools.cost.metering import KB, Meter
from tools.cost.prices import read_prices
from tools.cost.streaming import every_block

ROOT = Path(__file__).parents[3]
MAX_DOLLARS = 300.0  # the aim
MAX_INDEX_DOLLARS = 5.0


@pytest.fixture(scope="module")
def built_in() -> Estimate:
    return estimate(1000, 24.0, None, measure_day=False)


def test_tiered_prices_are_applied_tier_by_tier() -> None:
    prices = read_prices()
    assert prices.of("iot_message", 1e9) == pytest.approx(1200)
    assert prices.of("iot_message", 3e9) == pytest.approx(1200 + 2 * 960)
    assert prices.of("iot_message", 0) == 0


def test_a_streaming_headset_exchanges_47_frames_per_second() -> None:
    amount = every_block(HOURS_PER_MONTH, msgspec.structs.replace(read_prices().work, memory_gb=0.5))
    blocks = HOURS_PER_MONTH * 3600 * 46.875
    assert amount["websocket_message"] == pytest.approx(2 * blocks)  # 4 KB up, 2 KB down: one of 32 KB each
    assert amount["dynamodb_write"] == pytest.approx(5 * blocks)  # 4.2 KB of state in units of 1 KB
    assert amount["lambda_gb_s"] == pytest.approx(0.003 * blocks)


def test_a_64_kb_snapshot_is_13_rules_and_two_parts_of_a_queue_message_and_no_iot_message() -> None:
    meter = Meter()
    meter.uplink("$aws/rules/anc_snapshot/anc/h/snapshot", bytes(64_032))
    assert (meter.units["iot_rule"], meter.units["iot_action"]) == (13, 13)
    assert meter.units["sqs_request"] == 4  # 84 KB of base64, sent and received
    assert meter.units["iot_message"] == 0


@pytest.mark.parametrize(("topic", "messages"), [("anc/h/telemetry", 1), (telemetry_topic("h", "prod"), 0)])
def test_telemetry_is_a_rule_and_without_basic_ingest_a_message(topic: str, messages: int) -> None:
    meter = Meter()
    meter.uplink(topic, bytes(2_000))
    units = meter.units
    assert (units["iot_message"], units["iot_rule"], units["sqs_request"]) == (messages, 1, 2)


def test_a_delta_is_acknowledged() -> None:
    meter = Meter()
    meter.downlink("$aws/things/h/shadow/name/anc/update/delta", bytes(1_600))
    assert meter.units["iot_message"] == 2


def test_the_measured_telemetry_is_what_the_headset_sends() -> None:
    sent: list[bytes] = []

    def publish(payload: bytes) -> bool:
        sent.append(payload)
        return True

    rate = 16
    status = Status(attenuation_db=13.1, filters=12)
    buffer = TelemetryBuffer(rate, publish)
    for _ in range(4 * 3600):
        buffer.process(np.full(rate, 0.03, np.float32), lambda: status.telemetry("1.4.2"))
    per_hour = read_measurements().now.per_hour
    first, *batches = sent  # the first one is sent at once, with a single report
    assert len(sent) / 4 == per_hour["reports"]
    assert len(first) < 200
    assert len(batches[-1]) + len(telemetry_topic("h", "prod")) < 5 * KB  # one unit of AWS IoT


def test_shadow_operations_are_metered_by_the_size_of_the_shadow() -> None:
    meter = Meter()
    meter.shadow({"state": {"desired": {"filter": "x" * 3000}}})
    assert meter.units["shadow_operation"] == 3


def test_lambda_traces_one_call_per_second_and_five_percent_of_the_rest() -> None:
    seconds = HOURS_PER_MONTH * 3600
    assert traces(seconds / 2) == seconds / 2
    assert traces(101 * seconds) == pytest.approx(6 * seconds)


def test_the_groups_contain_all_measured_units() -> None:
    for measured in (read_measurements().before, read_measurements().now):
        total: defaultdict[str, float] = defaultdict(float)
        for group in by_group(measured).values():
            for unit, amount in group.items():
                total[unit] += amount
                assert amount >= 0, unit
        for unit in (
            "iot_message",
            "iot_rule",
            "sqs_request",
            "dynamodb_write",
            "dynamodb_read",
            "snapshots",
        ):
            assert total[unit] == pytest.approx(measured.per_hour[unit]), unit


def test_a_thousand_headsets_around_the_clock_cost_no_more_than_was_measured(
    built_in: Estimate,
) -> None:
    every, _, ours = (sum(built_in.dollars()[design].values()) for design in DESIGNS)
    assert ours <= MAX_DOLLARS
    assert dollars(index_units(built_in.fleet), built_in.prices) <= MAX_INDEX_DOLLARS
    assert every > 1000 * ours


def test_every_reduction_saves_and_the_last_step_is_the_estimate(built_in: Estimate) -> None:
    steps = reductions(built_in.fleet, built_in.prices, built_in.measurements, built_in.deployment)
    names, totals = zip(*steps, strict=True)
    added = {"Larger classifier", "Fleet index"}
    assert added | {*GROUPS[1:]} <= {*names}
    for name, before, after in zip(names[1:], totals, totals[1:], strict=False):
        assert (after > before) == (name in added), name
    assert totals[-1] == pytest.approx(sum(built_in.dollars()[DESIGNS[-1]].values()))


def test_the_totals_are_updated_as_often_as_the_counters_do() -> None:
    assert counters.FLUSH_S == FLUSH_S
    month_s = HOURS_PER_MONTH * 3600
    assert flushes(10.0, 0.5) == 10  # each of few calls may be in another container
    assert flushes(1e9, month_s) == pytest.approx(3 * month_s / FLUSH_S)


def test_cost_rises_with_headsets_and_a_fleet_that_is_off_costs_its_deployment(built_in: Estimate) -> None:
    def total(fleet: Fleet) -> float:
        return sum(built_in._replace(fleet=fleet).dollars()[DESIGNS[-1]].values())

    assert total(Fleet(10_000)) > 5 * total(Fleet(1000))
    assert 20 < total(Fleet(1000, 0.0)) < total(Fleet(1000, 3.0)) < total(Fleet(1000))


def test_the_deployment_counts_for_any_fleet(built_in: Estimate) -> None:
    groups = by_group(built_in.measurements.now)
    units = platform_units(Fleet(1, 0.0), built_in.prices.work, groups, built_in.deployment, 0)
    assert units["kms_key"] == built_in.deployment.units["kms_key"] >= 2
    assert units["alarm_metric"] > 20


def test_the_parts_of_the_day_are_24_hours() -> None:
    assert sum(part.hours for part in DAY) == 24
    assert all(sum(minutes for _, minutes in part.turns) == 60 for part in DAY)
    noise = Schedule((("cabin", 0.01), ("street", 0.01)), seed=0)
    assert noise.read(3 * 9_600).size == 3 * 9_600


def test_a_measured_minute_has_the_snapshots_of_a_change_and_its_filters() -> None:
    day = (Part("a minute", 1, (("cabin", 1),)),)
    minute = {name: amount / 60 for name, amount in measure(day=day).per_hour.items()}
    assert 4 <= minute["snapshots"] <= 8  # at about 0.3, 1, 2, 4 and 19 s
    assert 1 <= minute["filters_played"] <= minute["snapshots"]
    assert minute["updates_messages"] >= minute["filters_played"]
    assert minute["shadow_reports"] <= 4  # two at power-on, one for all filters, one for another label
    assert minute["written to controls"] >= 4 * minute["filters_played"]  # a record of 4 to 5 KB
    for unit in ("shadow_operation", "iot_message", "iot_rule", "read from devices", "lookups of fleets"):
        assert minute[unit] > 0, unit


def test_a_metered_table_counts_units_by_the_size_of_records(platform: FakePlatform) -> None:
    meter = Meter()
    table = MeteredTable("controls", platform.deps.controls, meter)
    table.put(Control(key="a", group="g"))
    table.put(Control(key="b", group="g", statistics=bytes(6000)))
    assert table.get("b") is not None
    assert meter.units["written to controls"] == meter.units["dynamodb_write"] == 1 + 6
    assert meter.units["read from controls"] == meter.units["dynamodb_read"] == 2
    table.list("g")
    assert meter.units["dynamodb_read"] == 2 + 0.5 + 1 + 2


def test_the_metrics_of_a_snapshot_take_the_bytes_that_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "anc_processor")
    totals, metrics = counters.DynamoCounters(""), Metrics(namespace="ANC/prod", service="anc_processor")
    for name in ("snapshots_processed", "filters_sent", "filters_at_drivers_limit"):
        totals.add(name)
    totals.time("snapshot", 0.0512345678)
    text = json.dumps(metrics.serialize_metric_set(), separators=(",", ":"))
    metrics.clear_metrics()
    assert pytest.approx(len(text), abs=20) == METRICS_LOG_BYTES - 26


def test_containers_read_the_fleet_once_a_minute_at_most() -> None:
    month_s = HOURS_PER_MONTH * 3600
    assert fleet_reads(10.0, 1.0) == 10 * FLEET_READ_UNITS
    assert fleet_reads(1e9, month_s) == pytest.approx(3 * HOURS_PER_MONTH * 60 * LABELS * FLEET_READ_UNITS)


def test_the_mean_hour_weighs_the_parts_of_the_day() -> None:
    day = (Part("a", 6, ()), Part("b", 18, ()))
    mean = combined(
        day, [Measurement(1, {"snapshots": 8.0}), Measurement(1, {"snapshots": 4.0, "reports": 4.0})]
    )
    assert mean == Measurement(2, {"reports": 3.0, "snapshots": 5.0})


def test_the_cost_page_in_the_docs_is_current(built_in: Estimate) -> None:
    assert (ROOT / "docs" / "cost.md").read_text() == built_in.page()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "region: is required"),
        ("region = 1", r"region: must be a string \(got an integer\)"),
        ("region =", "not a TOML document"),
    ],
)
def test_an_invalid_price_table_is_rejected_by_file_and_field(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"mine\.toml: {message}"):
        read_prices(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.toml"):
        read_prices(tmp_path / "absent.toml")


def test_the_console_shows_the_same_costs_as_the_command(built_in: Estimate) -> None:
    shown = json.loads((ROOT / "web" / "costs.json").read_text())
    assert shown["use"] == Fleet()._asdict()
    for design, amount in built_in.dollars().items():
        assert shown["dollars"][design] == pytest.approx(amount)

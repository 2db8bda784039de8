"""Telemetry of the headset: batching, and buffering while offline."""

import json
from typing import Any

import numpy as np

from anc.schemas.telemetry import MAX_REPORTS, PAYLOAD_LIMIT, TelemetryReport, parse_reports
from iot.telemetry_buffer import BATCH_SIZE, MAX_BUFFERED, MAX_PER_MESSAGE, TelemetryBuffer

RATE = 100
REPORT = TelemetryReport(filters=3)
MINUTE = np.full(60 * RATE, 0.1, np.float32)


class Receiver:
    """Receives messages while online."""

    def __init__(self) -> None:
        self.online = True
        self.messages: list[list[dict[str, Any]]] = []

    def publish(self, payload: bytes) -> bool:
        if self.online:
            parse_reports(payload)
            self.messages.append(json.loads(payload))
        return self.online


def run_minutes(buffer: TelemetryBuffer, minutes: int, report: TelemetryReport = REPORT) -> None:
    for _ in range(minutes):
        buffer.process(MINUTE, lambda: report)


def test_the_first_report_is_sent_at_once_and_later_ones_in_batches() -> None:
    receiver = Receiver()
    run_minutes(TelemetryBuffer(RATE, receiver.publish), 1 + 2 * BATCH_SIZE)
    assert [len(message) for message in receiver.messages] == [1, BATCH_SIZE, BATCH_SIZE]
    ages = [line.get("age_s", 0.0) for line in receiver.messages[1]]
    assert ages == [60.0 * age for age in reversed(range(BATCH_SIZE))]
    assert receiver.messages[1][0]["level_dbfs"] == -20.0


def test_every_report_has_a_unique_number() -> None:
    receiver = Receiver()
    for _ in range(2):  # two starts
        run_minutes(TelemetryBuffer(RATE, receiver.publish), 1 + BATCH_SIZE)
    lines = [line for message in receiver.messages for line in message]
    assert len({(line["run"], line["line"]) for line in lines}) == len(lines) == 2 * (1 + BATCH_SIZE)
    assert [line["line"] for line in lines] == 2 * list(range(1 + BATCH_SIZE))


def test_buffered_reports_are_sent_oldest_first_and_a_message_a_minute() -> None:
    receiver = Receiver()
    buffer = TelemetryBuffer(RATE, receiver.publish)
    run_minutes(buffer, 1)
    receiver.online = False
    run_minutes(buffer, 40)
    receiver.online = True
    run_minutes(buffer, 5)
    assert [len(message) for message in receiver.messages] == [1, MAX_PER_MESSAGE, BATCH_SIZE]
    ages = [line.get("age_s", 0.0) for message in receiver.messages[1:] for line in message]
    assert ages[0] == 2400.0  # the first offline minute


def test_a_week_offline_is_covered_at_a_lower_resolution() -> None:
    receiver = Receiver()
    buffer = TelemetryBuffer(RATE, receiver.publish)
    receiver.online = False
    run_minutes(buffer, 7 * 24 * 60)
    receiver.online = True
    run_minutes(buffer, 4)
    lines = [line for message in receiver.messages for line in message]
    assert len(lines) <= MAX_BUFFERED + 4
    assert lines[0]["age_s"] > 6 * 24 * 3600


def test_reports_of_maximum_length_fit_into_a_message() -> None:
    receiver = Receiver()
    report = TelemetryReport(
        battery=0.123456789,
        attenuation_db=-12.3456789,
        mode="transparency",
        firmware="f" * 64,
        filters=2**32 - 1,
        reverted=2**32 - 1,
        refused="r" * 200,
    )
    buffer = TelemetryBuffer(RATE, receiver.publish)
    receiver.online = False
    run_minutes(buffer, MAX_PER_MESSAGE, report)
    receiver.online = True
    run_minutes(buffer, 1, report)
    assert [len(message) for message in receiver.messages] == [MAX_PER_MESSAGE]
    assert len(json.dumps(receiver.messages[0])) < PAYLOAD_LIMIT
    assert MAX_PER_MESSAGE <= MAX_REPORTS

"""A headset's telemetry: few messages, and nothing of a time out of reach left untold."""

import json
from typing import Any

import numpy as np

from anc.schemas.telemetry import MAX_REPORTS, PAYLOAD_LIMIT, TelemetryReport, parse_reports
from iot.telemetry_buffer import BATCH, MAX_BUFFERED, MAX_PER_MESSAGE, TelemetryBuffer

RATE = 100
ORDINARY = TelemetryReport(filters=3)
MINUTE = np.full(60 * RATE, 0.1, np.float32)


class Reader:
    """Takes what is published while it can be reached."""

    def __init__(self) -> None:
        self.reached = True
        self.messages: list[list[dict[str, Any]]] = []

    def publish(self, payload: bytes) -> bool:
        if self.reached:
            parse_reports(payload)
            self.messages.append(json.loads(payload))
        return self.reached


def live(diary: TelemetryBuffer, minutes: int, said: TelemetryReport = ORDINARY) -> None:
    for _ in range(minutes):
        diary.process(MINUTE, lambda: said)


def test_the_first_line_goes_out_at_once_and_then_a_message_holds_several() -> None:
    reader = Reader()
    live(TelemetryBuffer(RATE, reader.publish), 1 + 2 * BATCH)
    assert [len(message) for message in reader.messages] == [1, BATCH, BATCH]
    assert [line.get("age_s", 0.0) for line in reader.messages[1]] == [240.0, 180.0, 120.0, 60.0, 0.0]
    assert reader.messages[1][0]["level_dbfs"] == -20.0


def test_every_line_carries_a_number_that_tells_it_from_all_others() -> None:
    reader = Reader()
    for _ in range(2):  # switched on twice
        live(TelemetryBuffer(RATE, reader.publish), 1 + BATCH)
    lines = [line for message in reader.messages for line in message]
    assert len({(line["run"], line["line"]) for line in lines}) == len(lines) == 2 * (1 + BATCH)
    assert [line["line"] for line in lines] == 2 * list(range(1 + BATCH))


def test_what_was_out_of_reach_is_told_afterwards_the_oldest_first_and_a_message_a_minute() -> None:
    reader = Reader()
    diary = TelemetryBuffer(RATE, reader.publish)
    live(diary, 1)
    reader.reached = False
    live(diary, 40)
    reader.reached = True
    live(diary, 3)
    assert [len(message) for message in reader.messages] == [1, MAX_PER_MESSAGE, 12]
    ages = [line.get("age_s", 0.0) for message in reader.messages[1:] for line in message]
    assert ages[0] == 2400.0  # of the first minute out of reach, when the network came back


def test_a_week_out_of_reach_is_told_of_in_lines_further_apart_but_all_of_it() -> None:
    reader = Reader()
    diary = TelemetryBuffer(RATE, reader.publish)
    reader.reached = False
    live(diary, 7 * 24 * 60)
    reader.reached = True
    live(diary, 4)
    lines = [line for message in reader.messages for line in message]
    assert len(lines) <= MAX_BUFFERED + 4
    assert lines[0]["age_s"] > 6 * 24 * 3600


def test_the_longest_lines_fit_into_a_message() -> None:
    reader = Reader()
    longest = TelemetryReport(
        battery=0.123456789,
        attenuation_db=-12.3456789,
        mode="transparency",
        firmware="f" * 64,
        filters=2**32 - 1,
        reverted=2**32 - 1,
        refused="r" * 200,
    )
    diary = TelemetryBuffer(RATE, reader.publish)
    reader.reached = False
    live(diary, MAX_PER_MESSAGE, longest)
    reader.reached = True
    live(diary, 1, longest)
    assert [len(message) for message in reader.messages] == [MAX_PER_MESSAGE]
    assert len(json.dumps(reader.messages[0])) < PAYLOAD_LIMIT
    assert MAX_PER_MESSAGE <= MAX_REPORTS

"""Collect telemetry reports on the headset, batch them into messages, and buffer them while offline."""

import secrets
from collections.abc import Callable

import msgspec
import numpy as np

from anc.dsp import level_dbfs
from anc.schemas.telemetry import TelemetryReport
from iot.fir import Signal

REPORT_INTERVAL_S = 60.0
FIRST_REPORT_S = 2.0
BATCH_SIZE = 15  # reports per message, which AWS IoT bills in units of 5 KB
MAX_PER_MESSAGE = 30  # after an offline period; 30 reports of maximum length take 14 KB
MAX_BUFFERED = 64


class TelemetryBuffer:
    """Record a report every `interval_s` seconds and publish the reports in batches.

    Time is counted in samples, so the headset needs no clock: a report carries its age when it is sent,
    and a number that identifies repeats. At most one message is published per interval. When the buffer is
    full, every second report is dropped, so a long offline period is covered at a lower resolution.

    Parameters
    ----------
    rate : int
        Hz.
    publish : callable
        `publish(payload)` returns whether the message was sent.
    """

    def __init__(self, rate: int, publish: Callable[[bytes], bool]) -> None:
        self.interval_s = REPORT_INTERVAL_S
        self._rate = rate
        self._publish = publish
        self._run = secrets.randbelow(2**32)
        self._count = 0
        self._reports: list[tuple[int, TelemetryReport]] = []
        self._elapsed = 0
        self._next = int(FIRST_REPORT_S * rate)
        self._published_any = False
        self._powers: list[float] = []

    def process(self, e: Signal, make_report: Callable[[], TelemetryReport]) -> None:
        """Process a block of the error microphone; `make_report` is called when a report is due."""
        self._elapsed += e.size
        self._powers.append(float(np.mean(np.square(e, dtype=float))))
        if self._elapsed < self._next:
            return
        self._next = self._elapsed + int(self.interval_s * self._rate)
        level = level_dbfs(np.sqrt(self._powers))
        self._powers.clear()
        report = msgspec.structs.replace(
            make_report(), level_dbfs=round(max(level, -200.0), 1), run=self._run, line=self._count
        )
        self._count += 1
        if len(self._reports) >= MAX_BUFFERED:
            del self._reports[1::2]
        self._reports.append((self._elapsed, report))
        if len(self._reports) >= BATCH_SIZE or not self._published_any:
            self._flush()

    def _flush(self) -> None:
        batch = self._reports[:MAX_PER_MESSAGE]
        aged = [msgspec.structs.replace(report, age_s=self._age_s(at)) for at, report in batch]
        if self._publish(msgspec.json.encode(aged)):
            self._published_any = True
            del self._reports[: len(batch)]

    def _age_s(self, at: int) -> float:
        return round((self._elapsed - at) / self._rate, 1)

"""The headset's telemetry: a line a minute, several in a message, kept while nobody can be reached."""

import secrets
from collections.abc import Callable

import msgspec
import numpy as np

from anc.dsp import level_dbfs
from anc.schemas.telemetry import TelemetryReport
from iot.fir import Signal

REPORT_INTERVAL_S = 60.0
FIRST_REPORT_S = 2.0
BATCH = 5  # lines to a message
MAX_PER_MESSAGE = 30  # after a time out of reach; 30 of the longest are 14 KB
MAX_BUFFERED = 64


class TelemetryBuffer:
    """Writes down how the headset is every `line_s` seconds, and publishes it when there is enough.

    Time is counted in samples heard, so a headset needs no clock: each line says how old it is when it is
    sent, and carries a number, by which it is known when it comes again. A message goes out at most once a
    line's time. When more wait than are kept, every second of them goes: a long time out of reach is told of
    in fewer words, but all of it.

    Parameters
    ----------
    rate : int
        Hz.
    publish : callable
        `publish(payload)`: whether the message is on its way.
    """

    def __init__(self, rate: int, publish: Callable[[bytes], bool]) -> None:
        self.line_s = REPORT_INTERVAL_S
        self._rate = rate
        self._publish = publish
        self._run = secrets.randbelow(2**32)
        self._written = 0
        self._lines: list[tuple[int, TelemetryReport]] = []
        self._heard = 0
        self._next = int(FIRST_REPORT_S * rate)
        self._said_anything = False
        self._since_line: list[float] = []

    def process(self, e: Signal, describe: Callable[[], TelemetryReport]) -> None:
        """Take a block of the error microphone; `describe` is asked when a line is due."""
        self._heard += e.size
        self._since_line.append(float(np.mean(np.square(e, dtype=float))))
        if self._heard < self._next:
            return
        self._next = self._heard + int(self.line_s * self._rate)
        level = level_dbfs(np.sqrt(self._since_line))
        self._since_line.clear()
        line = msgspec.structs.replace(
            describe(), level_dbfs=round(max(level, -200.0), 1), run=self._run, line=self._written
        )
        self._written += 1
        if len(self._lines) >= MAX_BUFFERED:
            del self._lines[1::2]
        self._lines.append((self._heard, line))
        if len(self._lines) >= BATCH or not self._said_anything:
            self._send()

    def _send(self) -> None:
        going = self._lines[:MAX_PER_MESSAGE]
        aged = [msgspec.structs.replace(line, age_s=self._age_s(at)) for at, line in going]
        if self._publish(msgspec.json.encode(aged)):
            self._said_anything = True
            del self._lines[: len(going)]

    def _age_s(self, at: int) -> float:
        return round((self._heard - at) / self._rate, 1)

"""The headset's real-time part: y = gain * w * x, and fades from one filter to the next."""

import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from iot.fir import Signal

FADE_S = 0.05


class ActiveFilter(NamedTuple):
    """What the driver plays: a control filter w, (taps,), at a gain of 0 to 1. Without an id it is silent."""

    filter_id: str
    w: Signal
    gain: float


NO_FILTER = ActiveFilter("", np.zeros(1, np.float32), 0.0)


class Block(NamedTuple):
    """What passed in one block of audio: x, e and y, each (n,), and the voice that played.

    `steady` tells that the voice played alone and in full during all of it; else it was being faded in.
    """

    x: Signal
    e: Signal
    y: Signal
    active: ActiveFilter
    steady: bool


class Controller:
    """Filters the reference microphone, block by block. `process` belongs to the audio thread alone.

    Parameters
    ----------
    rate : int
        Hz.
    max_taps : int
        Of the longest filter it will be given.
    """

    def __init__(self, rate: int, max_taps: int) -> None:
        self.max_taps = max_taps
        self.active = NO_FILTER
        self.steady = True
        self._before = NO_FILTER
        self._past = np.zeros(max_taps - 1, np.float32)
        self._fade = int(FADE_S * rate)
        self._faded = self._fade
        self._orders: deque[tuple[float, ActiveFilter]] = deque()
        self._ordering = threading.Lock()

    def play(self, active: ActiveFilter, at: float) -> None:
        """Change to another voice, from any thread. `at` is when the order was given, time.monotonic()."""
        if active.w.size > self.max_taps:
            raise ValueError(f"filter of {active.w.size} taps, this headset takes {self.max_taps}")
        with self._ordering:
            self._orders.append((at, active))

    def process(self, x: Signal, at: float) -> Signal:
        """Return y for a block of x whose first sample sounded `at` that time; later orders must wait."""
        if self._faded == self._fade:
            self._obey(at)
        heard = np.concatenate([self._past, x])
        self._past = heard[x.size :]
        y = self._sound(self.active, heard, x.size)
        self.steady = self._faded == self._fade
        if not self.steady:
            rise = np.minimum(np.arange(self._faded + 1, self._faded + x.size + 1) / self._fade, 1.0)
            y = rise.astype(np.float32) * y
            y += (1.0 - rise).astype(np.float32) * self._sound(self._before, heard, x.size)
            self._faded = min(self._faded + x.size, self._fade)
        return y

    def _obey(self, at: float) -> None:
        with self._ordering:
            due = [active for given, active in self._orders if given <= at]
            for _ in due:
                self._orders.popleft()
        if due and (due[-1].filter_id, due[-1].gain) != (self.active.filter_id, self.active.gain):
            self._before, self.active, self._faded = self.active, due[-1], 0

    def _sound(self, active: ActiveFilter, heard: Signal, n: int) -> Signal:
        if active.gain == 0.0:
            return np.zeros(n, np.float32)
        return active.gain * np.convolve(heard[heard.size - n - active.w.size + 1 :], active.w, "valid")

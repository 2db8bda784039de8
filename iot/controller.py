"""The headset's real-time part: y = gain * w * x, with a cross-fade from one filter to the next."""

import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from iot.fir import Signal
from iot.local_adaptation import LocalAdaptation

FADE_S = 0.05


class ActiveFilter(NamedTuple):
    """The control filter w, (taps,), and its gain, 0 to 1. An empty `filter_id` means no anti-noise."""

    filter_id: str
    w: Signal
    gain: float


Orders = deque[tuple[float, ActiveFilter]]  # with the time of each
NO_FILTER = ActiveFilter("", np.zeros(1, np.float32), 0.0)


class Block(NamedTuple):
    """Signals x, e and y of one block of audio, each (n,), and the filter that played.

    `steady` is True when that filter played at full gain during the whole block, False during a cross-fade.
    """

    x: Signal
    e: Signal
    y: Signal
    active: ActiveFilter
    steady: bool


class Controller:
    """Filter the reference microphone block by block. Only the audio thread may call `process`.

    Parameters
    ----------
    rate : int
        Hz.
    max_taps : int
        Maximum filter length.
    adaptation : LocalAdaptation, optional
        Adapts the active filter to the residual; without it every filter stays as it came.
    """

    def __init__(self, rate: int, max_taps: int, adaptation: LocalAdaptation | None = None) -> None:
        self.max_taps = max_taps
        self.active = NO_FILTER
        self.weights = NO_FILTER.w
        self.steady = True
        self._previous = NO_FILTER
        self._history = np.zeros(max_taps - 1, np.float32)
        self._fade = int(FADE_S * rate)
        self._faded = self._fade
        self._orders: Orders = deque()
        self._designs: Orders = deque()
        self._lock = threading.Lock()
        self._adaptation = adaptation

    def play(self, active: ActiveFilter, at: float) -> None:
        """Change to another filter, from any thread. `at` is the time of the order, as time.monotonic().

        Raises
        ------
        ValueError
            When the filter is longer than `max_taps`.
        """
        if active.w.size > self.max_taps:
            raise ValueError(f"filter must have at most {self.max_taps} taps (got {active.w.size})")
        with self._lock:
            self._orders.append((at, active))

    def refine(self, filter_id: str, w: Signal, at: float) -> None:
        """Move a filter to weights that the headset designed, (taps,), from any thread, from time `at` on.

        Nothing happens if another filter plays by then, or without adaptation.
        """
        with self._lock:
            self._designs.append((at, ActiveFilter(filter_id, w, 1.0)))

    @property
    def adapts(self) -> bool:
        """Whether the active filter is adapted, so that designs of the headset can replace it."""
        return self._adaptation is not None and self.active.gain > 0

    def process(self, x: Signal, at: float) -> Signal:
        """Return y, (n,), -1 to 1, for a block of x whose first sample is of time `at`.

        Orders for later are deferred.
        """
        if self._faded == self._fade:
            self._apply_orders(at)
            self._apply_designs(at)
        padded = np.concatenate([self._history, x])
        self._history = padded[x.size :]
        y = self._filter(self.active._replace(w=self.weights), padded, x.size)
        self.steady = self._faded == self._fade
        if not self.steady:
            rise = np.minimum(np.arange(self._faded + 1, self._faded + x.size + 1) / self._fade, 1.0)
            y = rise.astype(np.float32) * y
            y += (1.0 - rise).astype(np.float32) * self._filter(self._previous, padded, x.size)
            self._faded = min(self._faded + x.size, self._fade)
        return np.clip(y, -1.0, 1.0)  # as the driver does, so that the noise without control is known

    def adapt(self, x: Signal, e: Signal, y: Signal) -> None:
        """Adapt the active filter to the block that was just played, for the next block on."""
        if self._adaptation:
            self._adaptation.process(x, e, y, self.steady)
            self.weights = self._adaptation.w if self.active.gain else self.active.w

    def _apply_orders(self, at: float) -> None:
        due = self._take(self._orders, at)
        if due and (due[-1].filter_id, due[-1].gain) != (self.active.filter_id, self.active.gain):
            self._previous, self.active, self._faded = self.active, due[-1], 0
            if self._adaptation:
                self._previous = self._previous._replace(w=self.weights)
                self._adaptation.start(self.active.w, self.active.gain)
            self.weights = self.active.w

    def _apply_designs(self, at: float) -> None:
        for design in self._take(self._designs, at):
            if self._adaptation and self.active.gain and design.filter_id == self.active.filter_id:
                self._adaptation.refine(design.w)

    def _take(self, orders: Orders, at: float) -> list[ActiveFilter]:
        """Remove and return the orders that are due."""
        with self._lock:
            due = [active for ordered_at, active in orders if ordered_at <= at]
            for _ in due:
                orders.popleft()
        return due

    def _filter(self, active: ActiveFilter, padded: Signal, n: int) -> Signal:
        if active.gain == 0.0:
            return np.zeros(n, np.float32)
        return active.gain * np.convolve(padded[padded.size - n - active.w.size + 1 :], active.w, "valid")

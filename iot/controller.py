"""The headset's real-time part: y = gain * w * x, and fades from one filter to the next."""

import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from iot.fir import Signal

FADE_S = 0.05


class Voice(NamedTuple):
    """What the driver plays: a control filter w, (taps,), at a gain of 0 to 1. Without an id it is silent."""

    filter_id: str
    w: Signal
    gain: float


SILENCE = Voice("", np.zeros(1, np.float32), 0.0)


class Block(NamedTuple):
    """What passed in one block of audio: x, e and y, each (n,), and the voice that played.

    `steady` tells that the voice played alone and in full during all of it; else it was being faded in.
    """

    x: Signal
    e: Signal
    y: Signal
    voice: Voice
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
        self.voice = SILENCE
        self.steady = True
        self._before = SILENCE
        self._past = np.zeros(max_taps - 1, np.float32)
        self._fade = int(FADE_S * rate)
        self._faded = self._fade
        self._orders: deque[tuple[float, Voice]] = deque()
        self._ordering = threading.Lock()

    def play(self, voice: Voice, at: float) -> None:
        """Change to another voice, from any thread. `at` is when the order was given, time.monotonic()."""
        if voice.w.size > self.max_taps:
            raise ValueError(f"filter of {voice.w.size} taps, this headset takes {self.max_taps}")
        with self._ordering:
            self._orders.append((at, voice))

    def process(self, x: Signal, at: float) -> Signal:
        """Return y for a block of x whose first sample sounded `at` that time; later orders must wait."""
        if self._faded == self._fade:
            self._obey(at)
        heard = np.concatenate([self._past, x])
        self._past = heard[x.size :]
        y = self._sound(self.voice, heard, x.size)
        self.steady = self._faded == self._fade
        if not self.steady:
            rise = np.minimum(np.arange(self._faded + 1, self._faded + x.size + 1) / self._fade, 1.0)
            y = rise.astype(np.float32) * y
            y += (1.0 - rise).astype(np.float32) * self._sound(self._before, heard, x.size)
            self._faded = min(self._faded + x.size, self._fade)
        return y

    def _obey(self, at: float) -> None:
        with self._ordering:
            due = [voice for given, voice in self._orders if given <= at]
            for _ in due:
                self._orders.popleft()
        if due and (due[-1].filter_id, due[-1].gain) != (self.voice.filter_id, self.voice.gain):
            self._before, self.voice, self._faded = self.voice, due[-1], 0

    def _sound(self, voice: Voice, heard: Signal, n: int) -> Signal:
        if voice.gain == 0.0:
            return np.zeros(n, np.float32)
        return voice.gain * np.convolve(heard[heard.size - n - voice.w.size + 1 :], voice.w, "valid")

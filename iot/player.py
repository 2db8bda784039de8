"""The headset's audio, by the clock, and the score kept at the ear."""

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from anc.dsp import level_dbfs
from iot.agent import Agent
from iot.controller import Block, Controller
from iot.fir import Signal
from iot.head import Head
from iot.hindsight import best_fixed_filter_db
from iot.scenes import Noise

BLOCK_S = 0.016
QUIET_S = 1.0
ONSET_S = 0.01
STEP_S = 0.2  # of the course
REMEMBERED_S = 300.0  # for the comparison in hindsight: 58 MB


class Course(NamedTuple):
    """What arrived at the ear over a run.

    Attributes
    ----------
    seconds : list of float
        When, from the beginning.
    before_dbfs, after_dbfs : list of float
        Levels of the noise as it would have been without control, and as it was.
    """

    seconds: list[float]
    before_dbfs: list[float]
    after_dbfs: list[float]


class Score:
    """What really arrived at the ear of what the listener wants gone: no microphone noise, no opinions.

    Attributes
    ----------
    before, after : float
        Energy of d and of the residual since the first filter was in.
    samples : int
        Since then.
    first_filter : int or None
        Sample from which on the first filter played in full.
    """

    def __init__(self) -> None:
        self.before = self.after = 0.0
        self.samples = 0
        self.first_filter: int | None = None
        self.heard = 0
        self._recent: deque[tuple[Signal, Signal, Signal]] = deque(maxlen=int(REMEMBERED_S / BLOCK_S))

    def add(self, x: Signal, d: Signal, residual: Signal, playing: bool) -> None:
        """Take a block; `playing` tells that a filter played in full during all of it."""
        if self.first_filter is None and playing:
            self.first_filter = self.heard
        self.heard += x.size
        self._recent.append((x, d, residual))
        if self.first_filter is not None:
            self.before += float(np.vdot(d, d))
            self.after += float(np.vdot(residual, residual))
            self.samples += x.size

    def latest(self, seconds: float) -> tuple[Signal, Signal]:
        """Return d and the residual of the last seconds."""
        blocks = list(self._recent)[-round(seconds / BLOCK_S) :]
        return np.concatenate([d for _, d, _ in blocks]), np.concatenate(
            [residual for *_, residual in blocks]
        )

    def course(self, rate: int) -> "Course":
        """Return the levels at the ear, step by step, of what is remembered."""
        d, residual = (np.concatenate([block[i] for block in self._recent]) for i in (1, 2))
        step = int(STEP_S * rate)
        steps = d.size // step

        def levels(signal: Signal) -> list[float]:
            return [level_dbfs(part) for part in signal[: steps * step].reshape(steps, step)]

        first_s = (self.heard - d.size) / rate
        return Course([first_s + STEP_S * (k + 0.5) for k in range(steps)], levels(d), levels(residual))

    def hindsight_db(self, secondary: Signal) -> float | None:
        """Return what the best fixed filter would have given; None without a filter or after a long run."""
        x, d, _ = map(np.concatenate, zip(*self._recent, strict=True))
        if self.first_filter is None or x.size < self.heard:
            return None
        return best_fixed_filter_db(x, d, secondary, slice(self.first_filter, None))


class Player:
    """Runs head and controller by the clock, in a thread of its own: the audio of the headset.

    A block is computed when its last sample has sounded, never earlier. When the machine falls behind, the
    sound falls behind too, but no order reaches a sample that sounded before the order was given.
    """

    def __init__(
        self, head: Head, scene: Noise, controller: Controller, agent: Agent, seconds: float
    ) -> None:
        self.score = Score()
        self.onset = int(QUIET_S * head.rate)
        self._head = head
        self._scene = scene
        self._controller = controller
        self._agent = agent
        self._block = int(BLOCK_S * head.rate)
        self._blocks = int((QUIET_S + seconds) / BLOCK_S) if np.isfinite(seconds) else None
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="headset-audio", daemon=True)

    def stop(self) -> None:
        """End after the block in hand."""
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        k = 0
        while k != self._blocks and not self._stopping.is_set():
            sounded = begun + (k + 1) * self._block / self._head.rate
            if self._stopping.wait(max(sounded - time.monotonic(), 0.0)):
                return
            self._sound(k * self._block, begun)
            k += 1

    def _sound(self, first: int, begun: float) -> None:
        noise = self._noise(first)
        step = self._head.feedback_samples or noise.size
        steady = True
        parts = []
        for at in range(0, noise.size, step):
            part = noise[at : at + step]
            x = self._head.reference(part)
            y = self._controller.process(x, begun + (first + at) / self._head.rate)
            parts.append((x, y, *self._head.ear(part, y)))
            steady = steady and self._controller.steady
        x, y, e, d, residual = map(np.concatenate, zip(*parts, strict=True))
        voice = self._controller.voice
        self._agent.hear(Block(x, e, y, voice, steady))
        self.score.add(x, d, residual, voice.gain > 0 and steady)

    def _noise(self, first: int) -> Signal:
        into = first + np.arange(self._block) - self.onset
        if into[-1] < 0:
            return np.zeros(self._block, np.float32)
        noise = np.zeros(self._block, np.float32)
        sounding = into >= 0
        rise = np.minimum(into[sounding] / (ONSET_S * self._head.rate), 1.0).astype(np.float32)
        noise[sounding] = rise * self._scene.read(int(sounding.sum()))
        return noise

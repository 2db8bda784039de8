"""The headset's audio, by the clock, and the score kept at the ear."""

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from anc.dsp import level_dbfs
from iot.agent import Agent
from iot.controller import Block, Controller
from iot.fir import Fir, Signal
from simulation.acoustic_plant import AcousticPlant, Ear
from simulation.disturbances import NO_DISTURBANCES, Disturbances, DisturbanceSignals
from simulation.oracle import best_fixed_filter_db
from simulation.scenes import Noise

BLOCK_S = 0.016
QUIET_S = 1.0
ONSET_S = 0.01
STEP_S = 0.2  # of the course
REMEMBERED_S = 300.0  # for the comparison in hindsight: 58 MB


class LevelTrace(NamedTuple):
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


class Metrics:
    """What really arrived at the ear of what the listener wants gone: no microphone noise, no opinions.

    Attributes
    ----------
    before, after : float
        Energy of d and of the residual since the first filter was in.
    samples : int
        Since then.
    first_filter : int or None
        Sample from which on the first filter played in full.
    played : deque of str
        Of each block that is remembered, the filter that played in full during all of it, if one did.
    """

    def __init__(self) -> None:
        self.before = self.after = 0.0
        self.samples = 0
        self.first_filter: int | None = None
        self.heard = 0
        self.played: deque[str] = deque(maxlen=int(REMEMBERED_S / BLOCK_S))
        self._recent: deque[tuple[Signal, Signal, Signal]] = deque(maxlen=int(REMEMBERED_S / BLOCK_S))

    def add(self, x: Signal, d: Signal, residual: Signal, filter_id: str) -> None:
        """Take a block; `filter_id` names the filter that played in full during all of it, or is empty."""
        if self.first_filter is None and filter_id:
            self.first_filter = self.heard
        self.played.append(filter_id)
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

    def signals(self) -> tuple[Signal, Signal, Signal]:
        """Return x, d and the residual of all that is remembered, each (n,)."""
        x, d, residual = map(np.concatenate, zip(*self._recent, strict=True))
        return x, d, residual

    def course(self, rate: int) -> "LevelTrace":
        """Return the levels at the ear, step by step, of what is remembered."""
        _, d, residual = self.signals()
        step = int(STEP_S * rate)
        steps = d.size // step

        def levels(signal: Signal) -> list[float]:
            return [level_dbfs(part) for part in signal[: steps * step].reshape(steps, step)]

        first_s = (self.heard - d.size) / rate
        return LevelTrace([first_s + STEP_S * (k + 0.5) for k in range(steps)], levels(d), levels(residual))

    def oracle_db(self, secondary: Signal) -> float | None:
        """Return what the best fixed filter would have given; None without a filter or after a long run."""
        x, d, _ = self.signals()
        if self.first_filter is None or x.size < self.heard:
            return None
        return best_fixed_filter_db(x, d, secondary, slice(self.first_filter, None))


class Simulation:
    """A headset on a head in a noise, block by block; the caller says what time it is.

    Parameters
    ----------
    head : Head
    noise : Noise
        What the listener wants gone.
    controller : Controller
    agent : Agent
        Both belong to the headset.
    around : Surroundings
        What else sounds, and how the headset sits.
    """

    def __init__(
        self,
        head: AcousticPlant,
        noise: Noise,
        controller: Controller,
        agent: Agent,
        around: Disturbances = NO_DISTURBANCES,
    ) -> None:
        self.score = Metrics()
        self.block = int(BLOCK_S * head.rate)
        self._head = head
        self._noise = noise
        self._controller = controller
        self._of_noise = Controller(head.rate, controller.max_taps)
        self._agent = agent
        self._around = around
        self._own_music = Fir(head.measured_secondary())

    def sound(self, k: int, begun: float) -> None:
        """Let block k sound, whose first sample sounded k blocks after `begun`."""
        around = self._around.read(self.block)
        self._around.sit(self._head, k * BLOCK_S)
        noise = self._noise.read(self.block)
        step = self._head.feedback_samples or noise.size
        steady = True
        parts = []
        for at in range(0, noise.size, step):
            part = slice(at, at + step)
            x, y, ear = self._pass(noise[part], around.part(part), begun + k * BLOCK_S + at / self._head.rate)
            parts.append((x, y, *ear))
            steady = steady and self._controller.steady
        x, y, e, d, residual = map(np.concatenate, zip(*parts, strict=True))
        active = self._controller.active
        self._agent.process(Block(x, e, y, active, steady))
        self.score.add(x, d, residual, active.filter_id if active.gain > 0 and steady else "")

    def _pass(self, noise: Signal, around: DisturbanceSignals, now: float) -> tuple[Signal, Signal, Ear]:
        x = self._head.reference(noise) + around.wind_outside
        y = self._controller.process(x + around.speech, now)
        if self._controller.active is not self._of_noise.active:
            self._of_noise.play(self._controller.active, now)
        ear = self._head.ear(noise, y, self._of_noise.process(x, now))
        # The headset knows the music and takes it out of what its error microphone hears, as well as it can.
        music = self._head.music(around.music) - self._own_music.process(around.music)
        e = ear.e + self._head.speech(around.speech) + around.wind_inside + music
        return x + around.speech, y, ear._replace(e=e)


class Onset:
    """A noise that begins after a second of quiet."""

    def __init__(self, noise: Noise, rate: int) -> None:
        self.samples = int(QUIET_S * rate)
        self._noise = noise
        self._rate = rate
        self._first = 0

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        into = self._first + np.arange(n) - self.samples
        self._first += n
        noise = np.zeros(n, np.float32)
        sounding = into >= 0
        if sounding.any():
            rise = np.minimum(into[sounding] / (ONSET_S * self._rate), 1.0).astype(np.float32)
            noise[sounding] = rise * self._noise.read(int(sounding.sum()))
        return noise


class RealTimePlayback:
    """Runs head and controller by the clock, in a thread of its own: the audio of the headset.

    A block is computed when its last sample has sounded, never earlier. When the machine falls behind, the
    sound falls behind too, but no order reaches a sample that sounded before the order was given.
    """

    def __init__(
        self, head: AcousticPlant, scene: Noise, controller: Controller, agent: Agent, seconds: float
    ) -> None:
        onset = Onset(scene, head.rate)
        self.onset = onset.samples
        self._sitting = Simulation(head, onset, controller, agent)
        self.score = self._sitting.score
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
            sounded = begun + (k + 1) * BLOCK_S
            if self._stopping.wait(max(sounded - time.monotonic(), 0.0)):
                return
            self._sitting.sound(k, begun)
            k += 1

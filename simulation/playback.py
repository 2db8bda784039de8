"""Run the audio of a simulated headset and measure the attenuation at the ear."""

import threading
import time
from collections import deque
from typing import NamedTuple

import numpy as np

from anc.dsp import level_dbfs
from iot.agent import Agent
from iot.controller import Block, Controller
from iot.fir import Fir, Signal
from simulation.acoustic_plant import AcousticPlant, EarSignals
from simulation.disturbances import NO_DISTURBANCES, Disturbances, DisturbanceSignals
from simulation.oracle import best_fixed_filter_db
from simulation.scenes import Noise

BLOCK_S = 0.016
QUIET_S = 1.0
ONSET_S = 0.01
TRACE_STEP_S = 0.2
HISTORY_S = 300.0  # 96 MB of signals, for the comparison with the best fixed filter


class LevelTrace(NamedTuple):
    """Levels at the ear over a run.

    Attributes
    ----------
    seconds : list of float
        Time from the start of the run.
    before_dbfs, after_dbfs : list of float
        Levels of the noise without and with control.
    """

    seconds: list[float]
    before_dbfs: list[float]
    after_dbfs: list[float]


class Metrics:
    """Measure the true noise at the ear, without and with control; microphone noise is excluded.

    Attributes
    ----------
    before, after : float
        Energy of d and of the residual since the first filter was fully faded in.
    samples : int
        Number of samples since then.
    first_filter : int or None
        Index of the first of these samples.
    elapsed : int
        Samples processed.
    played : deque of str
        Filter id of each block in the history; empty without a filter or during a cross-fade.
    """

    def __init__(self) -> None:
        self.before = self.after = 0.0
        self.samples = 0
        self.first_filter: int | None = None
        self.elapsed = 0
        self.played: deque[str] = deque(maxlen=int(HISTORY_S / BLOCK_S))
        self._recent: deque[tuple[Signal, ...]] = deque(maxlen=int(HISTORY_S / BLOCK_S))

    def add(self, x: Signal, d: Signal, residual: Signal, heard: Signal, filter_id: str) -> None:
        """Add a block.

        Parameters
        ----------
        x : (n,) ndarray
            Reference microphone without speech.
        d, residual : (n,) ndarray
            Noise at the ear without and with control.
        heard : (n, 2) ndarray
            All sounds at the error microphone, without and with control.
        filter_id : str
            Empty without a filter or during a cross-fade.
        """
        if self.first_filter is None and filter_id:
            self.first_filter = self.elapsed
        self.played.append(filter_id)
        self.elapsed += x.size
        self._recent.append((x, d, residual, heard))
        if self.first_filter is not None:
            self.before += float(np.vdot(d, d))
            self.after += float(np.vdot(residual, residual))
            self.samples += x.size

    def latest(self, seconds: float) -> tuple[Signal, Signal]:
        """Return d and the residual of the last seconds, each (n,)."""
        blocks = list(self._recent)[-round(seconds / BLOCK_S) :]
        return np.concatenate([block[1] for block in blocks]), np.concatenate([block[2] for block in blocks])

    def signals(self) -> tuple[Signal, Signal, Signal]:
        """Return x, d and the residual of the history, each (n,)."""
        x, d, residual, _ = map(np.concatenate, zip(*self._recent, strict=True))
        return x, d, residual

    def heard(self) -> Signal:
        """Return all sounds at the error microphone, without and with control, of the history, (n, 2)."""
        return np.concatenate([block[3] for block in self._recent])

    def trace(self, rate: int) -> "LevelTrace":
        """Return the levels at the ear in steps of 0.2 s, over the history."""
        _, d, residual = self.signals()
        step = int(TRACE_STEP_S * rate)
        steps = d.size // step

        def levels(signal: Signal) -> list[float]:
            return [level_dbfs(part) for part in signal[: steps * step].reshape(steps, step)]

        first_s = (self.elapsed - d.size) / rate
        seconds = [first_s + TRACE_STEP_S * (k + 0.5) for k in range(steps)]
        return LevelTrace(seconds, levels(d), levels(residual))

    def oracle_db(self, secondary: Signal) -> float | None:
        """Return the attenuation of the best fixed filter; None without a filter or beyond `HISTORY_S`."""
        x, d, _ = self.signals()
        if self.first_filter is None or x.size < self.elapsed:
            return None
        return best_fixed_filter_db(x, d, secondary, slice(self.first_filter, None))


class Simulation:
    """Simulate a headset on a head in noise, block by block; the caller provides the time.

    Parameters
    ----------
    plant : AcousticPlant
    noise : Noise
        The noise to cancel.
    controller : Controller
    agent : Agent
    disturbances : Disturbances
        Signals beside the noise, and changes of the fit.
    """

    def __init__(
        self,
        plant: AcousticPlant,
        noise: Noise,
        controller: Controller,
        agent: Agent,
        disturbances: Disturbances = NO_DISTURBANCES,
    ) -> None:
        self.metrics = Metrics()
        self.block = int(BLOCK_S * plant.rate)
        self._plant = plant
        self._noise = noise
        self._controller = controller
        self._noise_controller = Controller(plant.rate, controller.max_taps)
        self._agent = agent
        self._disturbances = disturbances
        self._music_model = Fir(plant.measured_secondary())

    def process_block(self, k: int, start: float) -> None:
        """Simulate block k, whose first sample is of time `start` plus k blocks."""
        disturbances = self._disturbances.read(self.block)
        self._disturbances.apply_refits(self._plant, k * BLOCK_S)
        noise = self._noise.read(self.block)
        step = self._plant.feedback_samples or noise.size
        steady = True
        parts = []
        for at in range(0, noise.size, step):
            part = slice(at, at + step)
            now = start + k * BLOCK_S + at / self._plant.rate
            x, y, ear = self._process_part(noise[part], disturbances.part(part), now)
            parts.append((x, y, *ear))
            steady = steady and self._controller.steady
        x_noise, y, e, d, residual, anti_noise = map(np.concatenate, zip(*parts, strict=True))
        x = x_noise + disturbances.speech
        self._controller.adapt(x, e, y)
        self._noise_controller.weights = self._controller.weights
        active = self._controller.active
        self._agent.process(Block(x, e, y, active, steady))
        heard = np.stack([e + anti_noise, e], axis=1).astype(np.float32)
        self.metrics.add(x_noise, d, residual, heard, active.filter_id if active.gain > 0 and steady else "")

    def _process_part(
        self, noise: Signal, disturbances: DisturbanceSignals, now: float
    ) -> tuple[Signal, Signal, EarSignals]:
        x = self._plant.reference(noise) + disturbances.wind_outside
        y = self._controller.process(x + disturbances.speech, now)
        if self._controller.active is not self._noise_controller.active:
            self._noise_controller.play(self._controller.active, now)
        ear = self._plant.ear(noise, y, self._noise_controller.process(x, now))
        # The headset subtracts its own music from the error microphone, with its model of the path.
        music = self._plant.music(disturbances.music) - self._music_model.process(disturbances.music)
        e = ear.e + self._plant.speech(disturbances.speech) + disturbances.wind_inside + music
        return x, y, ear._replace(e=e)


class DelayedNoise:
    """A noise that starts after one second of quiet."""

    def __init__(self, noise: Noise, rate: int) -> None:
        self.samples = int(QUIET_S * rate)
        self._noise = noise
        self._rate = rate
        self._first = 0

    def read(self, n: int) -> Signal:
        """Return the next n samples, float32."""
        position = self._first + np.arange(n) - self.samples
        self._first += n
        noise = np.zeros(n, np.float32)
        started = position >= 0
        if started.any():
            rise = np.minimum(position[started] / (ONSET_S * self._rate), 1.0).astype(np.float32)
            noise[started] = rise * self._noise.read(int(started.sum()))
        return noise


class RealTimePlayback:
    """Run plant and controller in real time, in a thread of its own.

    A block is computed when its last sample is due, never earlier. On a slow machine audio is late, but an
    order to the controller never affects samples from before it.
    """

    def __init__(
        self, plant: AcousticPlant, scene: Noise, controller: Controller, agent: Agent, seconds: float
    ) -> None:
        noise = DelayedNoise(scene, plant.rate)
        self.onset = noise.samples
        self._simulation = Simulation(plant, noise, controller, agent)
        self.metrics = self._simulation.metrics
        self._blocks = int((QUIET_S + seconds) / BLOCK_S) if np.isfinite(seconds) else None
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="headset-audio", daemon=True)

    def stop(self) -> None:
        """Stop after the current block."""
        self._stopping.set()
        self.thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        k = 0
        while k != self._blocks and not self._stopping.is_set():
            due = start + (k + 1) * BLOCK_S
            if self._stopping.wait(max(due - time.monotonic(), 0.0)):
                return
            self._simulation.process_block(k, start)
            k += 1

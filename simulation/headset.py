"""Run a registered headset on a simulated head in real time and measure its attenuation at the ear."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anc.dsp import level_dbfs
from anc.noise import Classifier, ModelError, MultichannelClassifier
from anc.ports import Credentials
from anc.schemas.shadow import MAX_TAPS
from iot.agent import SLOW_TIMER_S, Agent
from iot.controller import Controller
from iot.emergency_detector import EmergencyDetector, FailOpenDetector
from iot.local_adaptation import LocalAdaptation
from iot.status import Status
from iot.store import PathStore
from simulation.acoustic_plant import AcousticPlant
from simulation.path_measurement import (
    StimulusKind,
    measure_secondary,
    music_stimulus,
    probe_stimulus,
    to_measured_path,
)
from simulation.playback import LevelTrace, RealTimePlayback
from simulation.scenes import Noise

FIRMWARE = "1.0.0"
UPDATE_S = 1.0
MICROPHONES = 2


@dataclass(frozen=True)
class StatusUpdate:
    """The latest second of a run. Levels are of the noise at the ear, without and with control, in dBFS."""

    seconds: float
    before_dbfs: float
    after_dbfs: float
    status: Status


@dataclass(frozen=True)
class SimulationResult:
    """Result of a run, measured on the true noise at the ear, without microphone noise.

    Attributes
    ----------
    attenuation_db : float or None
        Energy of d over energy of the residual in dB, from the time when the first filter was fully faded in.
    oracle_db : float or None
        The same for the best fixed causal filter, fitted to that span afterwards.
    first_filter_s : float or None
        Time from the onset of the noise until the first filter was fully faded in.
    before_dbfs, after_dbfs : float or None
        Levels over that span.
    filters, reverted, snapshots : int
        Filters played, filters reverted by the headset, snapshots sent.
    noise, noise_confidence : str, float
        Latest label of the noise from the platform.
    refused : str
        Latest reason why the headset refused something.
    onset_s : float
        When the noise started.
    trace : LevelTrace
        Levels of the last five minutes.
    """

    attenuation_db: float | None
    oracle_db: float | None
    first_filter_s: float | None
    before_dbfs: float | None
    after_dbfs: float | None
    filters: int
    reverted: int
    snapshots: int
    noise: str
    noise_confidence: float
    refused: str
    onset_s: float
    trace: LevelTrace


def run_headset(
    thing: str,
    credentials: Credentials,
    plant: AcousticPlant,
    scene: Noise,
    seconds: float,
    folder: Path,
    on_update: Callable[[StatusUpdate], None] = lambda update: None,
    slow_timer_s: float = SLOW_TIMER_S,
    detect_emergencies: bool = True,
    measure: StimulusKind | None = None,
) -> SimulationResult:
    """Run a registered headset in noise for some seconds and return its attenuation.

    Parameters
    ----------
    thing : str
    credentials : Credentials
        Credentials of the registered headset.
    plant : AcousticPlant
        Its `measured_secondary` is the registered path, used until the headset has measured its own.
    scene : Noise
        Starts after one second of quiet.
    seconds : float
        Duration of the noise. A keyboard interrupt ends the run early.
    folder : Path
        Persistent storage of the headset.
    on_update : callable
        Called every second in the calling thread; it may block.
    slow_timer_s : float
        Interval between snapshots of an unchanging noise.
    detect_emergencies : bool
        Whether sirens and alarms switch the headset to transparency.
    measure : str or None
        Measure the secondary path first, with a probe or with music, and publish it to the platform.

    Raises
    ------
    MeasurementFailed
    """
    emergency_detector = make_emergency_detector(plant.rate) if detect_emergencies else None
    path = PathStore(folder / "path.json")
    if measure:
        stimulus = probe_stimulus(plant.rate) if measure == "probe" else music_stimulus(plant.rate)
        path.save(to_measured_path(measure_secondary(plant, stimulus), plant.rate, measure))
    measured = path.read()
    secondary = measured.secondary if measured else plant.measured_secondary()
    controller = Controller(plant.rate, MAX_TAPS, LocalAdaptation(secondary, plant.rate))
    agent = Agent(
        thing,
        credentials,
        controller,
        secondary,
        plant.rate,
        folder,
        emergency_detector,
        slow_timer_s,
        path=path,
        firmware=FIRMWARE,
    )
    playback = RealTimePlayback(plant, scene, controller, agent, seconds)
    agent.start()
    playback.thread.start()
    try:
        with suppress(KeyboardInterrupt):
            while playback.thread.is_alive():
                playback.thread.join(UPDATE_S)
                if playback.metrics.elapsed:
                    on_update(_update(playback, plant.rate, agent.status))
    finally:
        playback.stop()
        agent.stop()
    return _result(playback, plant, agent.status)


def make_emergency_detector(rate: int) -> EmergencyDetector:
    """Return an emergency detector; one that fails open if the model cannot be loaded."""
    try:
        return MultichannelClassifier(Classifier.load(), rate, MICROPHONES)
    except ModelError:
        return FailOpenDetector("the model cannot be loaded")


def _update(playback: RealTimePlayback, rate: int, status: Status) -> StatusUpdate:
    metrics = playback.metrics
    d, residual = metrics.latest(UPDATE_S)
    return StatusUpdate(metrics.elapsed / rate, level_dbfs(d), level_dbfs(residual), status)


def _result(playback: RealTimePlayback, plant: AcousticPlant, status: Status) -> SimulationResult:
    metrics = playback.metrics
    attenuation = first_filter_s = before = after = None
    if metrics.first_filter is not None:
        first_filter_s = (metrics.first_filter - playback.onset) / plant.rate
        before, after = (
            10 * np.log10(energy / metrics.samples) for energy in (metrics.before, metrics.after)
        )
        attenuation = before - after
    return SimulationResult(
        attenuation_db=attenuation,
        oracle_db=metrics.oracle_db(plant.true_secondary()),
        first_filter_s=first_filter_s,
        before_dbfs=before,
        after_dbfs=after,
        filters=status.filters,
        reverted=status.reverted,
        snapshots=status.snapshots,
        noise=status.noise,
        noise_confidence=status.noise_confidence,
        refused=status.refused,
        onset_s=playback.onset / plant.rate,
        trace=metrics.trace(plant.rate),
    )

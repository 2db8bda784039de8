"""A headset on a simulated head, in noise, in real time: what a listener gains, measured at the ear."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anc.dsp import level_dbfs
from anc.noise import Classifier, ModelError, StreamingClassifier
from anc.ports import Credentials
from anc.schemas.shadow import MAX_TAPS
from iot.agent import SLOW_TIMER_S, Agent
from iot.controller import Controller
from iot.emergency_detector import EmergencyDetector, FailOpenDetector
from iot.status import Status
from iot.store import PathStore
from simulation.acoustic_plant import AcousticPlant
from simulation.path_measurement import Played, measure_secondary, outcome, probe, tune
from simulation.playback import LevelTrace, RealTimePlayback
from simulation.scenes import Noise

FIRMWARE = "1.0.0"
UPDATE_S = 1.0


@dataclass(frozen=True)
class StatusUpdate:
    """The latest second of a run. Levels are of the noise alone, without control and with it, in dBFS."""

    seconds: float
    before_dbfs: float
    after_dbfs: float
    status: Status


@dataclass(frozen=True)
class SimulationResult:
    """A run, measured at the ear on the true noise: microphones' noise and filters' opinions left out.

    Attributes
    ----------
    attenuation_db : float or None
        10 log10 of the energy of d over that of the residual, over everything after the first filter was in.
    hindsight_db : float or None
        The same, of the best fixed causal filter for that very span, known only when it was over.
    first_filter_s : float or None
        From the noise's onset until the first filter was fully faded in.
    before_dbfs, after_dbfs : float or None
        Levels over that span.
    filters, reverted, snapshots : int
        Filters played, filters given up by the headset, snapshots sent.
    noise : str
        What the platform called it last.
    refused : str
        Why the headset refused something, if it did.
    onset_s : float
        When the noise began.
    course : Course
        Of the last five minutes.
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
    refused: str
    onset_s: float
    course: LevelTrace


def run_headset(
    thing: str,
    credentials: Credentials,
    head: AcousticPlant,
    scene: Noise,
    seconds: float,
    folder: Path,
    on_update: Callable[[StatusUpdate], None] = lambda update: None,
    slow_timer_s: float = SLOW_TIMER_S,
    alarms: bool = True,
    measure: Played | None = None,
) -> SimulationResult:
    """Put a registered headset into a noise for some seconds and measure what it gained.

    Parameters
    ----------
    thing : str
    credentials : Credentials
        As `Things.enrol` gave them out.
    head : Head
        Its `measured_secondary` is what the headset was registered with, and goes by until it has measured.
    scene : Noise
        Begins to sound after one second of quiet.
    seconds : float
        Of noise. An interrupt ends it early, and the result is of the time until then.
    folder : Path
        The headset's own.
    on_update : callable
        Called every second, in this thread; it may take its time.
    slow_timer_s : float
        Between snapshots of an unchanging noise.
    alarms : bool
        Whether sirens and alarms open the headset.
    measure : str or None
        Measure the secondary path first, with a probe or with music, and tell the platform.

    Raises
    ------
    CannotMeasure
    """
    emergency_detector = make_emergency_detector(head.rate) if alarms else None
    controller = Controller(head.rate, MAX_TAPS)
    path = PathStore(folder / "path.json")
    if measure:
        heard = measure_secondary(head, (probe if measure == "probe" else tune)(head.rate))
        path.keep(outcome(heard, head.rate, measure))
    kept = path.read()
    agent = Agent(
        thing,
        credentials,
        controller,
        kept.secondary if kept else head.measured_secondary(),
        head.rate,
        folder,
        emergency_detector,
        slow_timer_s,
        path=path,
        firmware=FIRMWARE,
    )
    player = RealTimePlayback(head, scene, controller, agent, seconds)
    agent.start()
    player.thread.start()
    try:
        with suppress(KeyboardInterrupt):
            while player.thread.is_alive():
                player.thread.join(UPDATE_S)
                if player.score.heard:
                    on_update(_update(player, head.rate, agent.status))
    finally:
        player.stop()
        agent.stop()
    return _result(player, head, agent.status)


def make_emergency_detector(rate: int) -> EmergencyDetector:
    """Return the detector, or what stands for it when there is no model to run it with."""
    try:
        return StreamingClassifier(Classifier.load(), rate)
    except ModelError:
        return FailOpenDetector("the model cannot be loaded")


def _update(player: RealTimePlayback, rate: int, status: Status) -> StatusUpdate:
    d, residual = player.score.latest(UPDATE_S)
    return StatusUpdate(player.score.heard / rate, level_dbfs(d), level_dbfs(residual), status)


def _result(player: RealTimePlayback, head: AcousticPlant, status: Status) -> SimulationResult:
    score = player.score
    attenuation = first_filter_s = before = after = None
    if score.first_filter is not None:
        first_filter_s = (score.first_filter - player.onset) / head.rate
        before, after = (10 * np.log10(energy / score.samples) for energy in (score.before, score.after))
        attenuation = before - after
    return SimulationResult(
        attenuation_db=attenuation,
        oracle_db=score.oracle_db(head.true_secondary()),
        first_filter_s=first_filter_s,
        before_dbfs=before,
        after_dbfs=after,
        filters=status.filters,
        reverted=status.reverted,
        snapshots=status.snapshots,
        noise=status.noise,
        refused=status.refused,
        onset_s=player.onset / head.rate,
        course=score.course(head.rate),
    )

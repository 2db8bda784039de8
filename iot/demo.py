"""A headset on a simulated head, in noise, in real time: what a listener gains, measured at the ear."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anc.dsp import level_dbfs
from anc.noise import Classifier, Listener, ModelError
from anc.ports import Credentials
from anc.wire.shadow import MAX_TAPS
from iot.agent import SLOW_TIMER_S, Agent, AlarmEars, Deaf, Status
from iot.controller import Block, Controller
from iot.fir import Signal
from iot.head import Head
from iot.hindsight import best_fixed_filter_db
from iot.scenes import Scene

BLOCK_S = 0.016
QUIET_S = 1.0
ONSET_S = 0.01
UPDATE_S = 1.0
REMEMBERED_S = 300.0  # of a run, for the comparison in hindsight


@dataclass(frozen=True)
class Update:
    """The latest second of a run. Levels are of the noise alone, without control and with it, in dBFS."""

    seconds: float
    before_dbfs: float
    after_dbfs: float
    status: Status


@dataclass(frozen=True)
class DemoResult:
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
    """

    attenuation_db: float | None
    hindsight_db: float | None
    first_filter_s: float | None
    before_dbfs: float | None
    after_dbfs: float | None
    filters: int
    reverted: int
    snapshots: int
    noise: str
    refused: str


class Player:
    """Runs head and controller by the clock, in a thread of its own: the audio of the headset.

    A block is computed when its last sample has sounded, never earlier. When the machine falls behind, the
    sound falls behind too, but no order reaches a sample that sounded before the order was given.
    """

    def __init__(
        self, head: Head, scene: Scene, controller: Controller, agent: Agent, seconds: float
    ) -> None:
        self.onset = int(QUIET_S * head.rate)
        self.first_filter: int | None = None
        self.x: list[Signal] = []
        self.d: list[Signal] = []
        self.residual: list[Signal] = []
        self._head = head
        self._scene = scene
        self._controller = controller
        self._agent = agent
        self._block = int(BLOCK_S * head.rate)
        self._blocks = int((QUIET_S + seconds) / BLOCK_S) if np.isfinite(seconds) else None
        self._remembered = int(REMEMBERED_S / BLOCK_S)
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
        for at in range(0, noise.size, step):
            part = noise[at : at + step]
            x = self._head.reference(part)
            y = self._controller.process(x, begun + (first + at) / self._head.rate)
            ear = self._head.ear(part, y)
            self._agent.hear(Block(x, ear.e, y, self._controller.voice, self._controller.steady))
            self._keep(x, ear.d, ear.residual)
        if self.first_filter is None and self._controller.voice.gain > 0 and self._controller.steady:
            self.first_filter = first

    def _noise(self, first: int) -> Signal:
        into = first + np.arange(self._block) - self.onset
        if into[-1] < 0:
            return np.zeros(self._block, np.float32)
        noise = np.zeros(self._block, np.float32)
        sounding = into >= 0
        rise = np.minimum(into[sounding] / (ONSET_S * self._head.rate), 1.0).astype(np.float32)
        noise[sounding] = rise * self._scene.read(int(sounding.sum()))
        return noise

    def _keep(self, x: Signal, d: Signal, residual: Signal) -> None:
        self.x.append(x)
        self.d.append(d)
        self.residual.append(residual)


def run_headset(
    thing: str,
    credentials: Credentials,
    head: Head,
    scene: Scene,
    seconds: float,
    folder: Path,
    on_update: Callable[[Update], None] = lambda update: None,
    slow_timer_s: float = SLOW_TIMER_S,
    alarms: bool = True,
) -> DemoResult:
    """Put a registered headset into a noise for some seconds and measure what it gained.

    Parameters
    ----------
    thing : str
    credentials : Credentials
        As `Things.enrol` gave them out.
    head : Head
        Its `measured_secondary` is what the headset was registered with.
    scene : Scene
        Begins to sound after one second of quiet.
    seconds : float
        Of noise.
    folder : Path
        The headset's own.
    on_update : callable
        Called every second, in this thread; it may take its time.
    slow_timer_s : float
        Between snapshots of an unchanging noise.
    alarms : bool
        Whether sirens and alarms open the headset.
    """
    ears = _ears(head.rate) if alarms else None
    controller = Controller(head.rate, MAX_TAPS)
    agent = Agent(
        thing,
        credentials,
        controller,
        head.measured_secondary(),
        head.rate,
        folder,
        ears,
        slow_timer_s,
    )
    player = Player(head, scene, controller, agent, seconds)
    agent.start()
    player.thread.start()
    try:
        while player.thread.is_alive():
            player.thread.join(UPDATE_S)
            on_update(_update(player, head.rate, agent.status))
    finally:
        player.stop()
        agent.stop()
    return _result(player, head, agent.status)


def _ears(rate: int) -> AlarmEars:
    try:
        return Listener(Classifier.load(), rate)
    except ModelError:
        return Deaf()


def _update(player: Player, rate: int, status: Status) -> Update:
    blocks = int(UPDATE_S / BLOCK_S)
    d, residual = player.d[-blocks:], player.residual[-blocks:]
    sounded = sum(map(len, player.d)) / rate
    return Update(sounded, level_dbfs(np.concatenate(d)), level_dbfs(np.concatenate(residual)), status)


def _result(player: Player, head: Head, status: Status) -> DemoResult:
    attenuation = hindsight = first_filter_s = before = after = None
    if player.first_filter is not None:
        x, d, residual = map(np.concatenate, (player.x, player.d, player.residual))
        span = slice(player.first_filter, None)
        first_filter_s = (player.first_filter - player.onset) / head.rate
        before, after = level_dbfs(d[span]), level_dbfs(residual[span])
        attenuation = before - after
        hindsight = best_fixed_filter_db(x, d, head.true_secondary(), span)
    return DemoResult(
        attenuation_db=attenuation,
        hindsight_db=hindsight,
        first_filter_s=first_filter_s,
        before_dbfs=before,
        after_dbfs=after,
        filters=status.filters,
        reverted=status.reverted,
        snapshots=status.snapshots,
        noise=status.noise,
        refused=status.refused,
    )

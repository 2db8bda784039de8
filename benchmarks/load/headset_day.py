"""When a headset sends what: the scheduler of `iot` in a day of changing noise, without the sound.

The noises of a day are those of `anc cost --measure`, so that the rates can be compared with docs/cost.md.
The scheduler is the one that runs on the headset; only the detection of a change, which needs the sound,
is replaced by the script: every change of the scene is a new noise.
"""

import random
from typing import Any, NamedTuple, cast

from iot.agent import SLOW_TIMER_S
from iot.snapshot_scheduler import SnapshotScheduler
from simulation.fleet import RATE
from tools.cost.day import DAY

PENDING_STEP_S, STEADY_STEP_S = 0.125, 1.0  # a snapshot is at most this late
AGED_STEP_S = 5.0
MAX_AGE_S = 7200.0


class Silent(NamedTuple):
    """The length of a signal, which is all that is read of it."""

    size: int


class ScriptedBlock(NamedTuple):
    """What the scheduler reads of a block of audio."""

    x: Silent
    steady: bool


class ScriptedNoise:
    """Stands in for `iot.noise_change.NoiseChange`: changes when it is told to."""

    sudden = quiet = False

    def __init__(self) -> None:
        self.since: int | None = None
        self._elapsed = 0

    def process(self, x: Any) -> None:
        """Count the samples of a block."""
        self._elapsed += x.size

    def mark_change(self) -> None:
        """Treat the noise as changed from now on."""
        self.since = self._elapsed if self.since is None else self.since

    def confirm(self) -> None:
        """A scripted noise never is a mixture of two others, whose change could be taken back."""

    def learn(self) -> None:
        """Take the current noise as known."""
        self.since = None

    def remember(self) -> None:
        """Keep nothing: the script decides what is new."""

    def forget(self) -> None:
        """Forget nothing, as nothing is kept."""


class HeadsetDay:
    """A headset at a random time of its day.

    Parameters
    ----------
    seed : int
        The same seed makes the same day.

    Attributes
    ----------
    noise : str
        Name of the current scene.
    """

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        part = chance.choices(DAY, [part.hours for part in DAY])[0]
        self._turns = [(name, 60.0 * minutes) for name, minutes in part.turns]
        self._scheduler = SnapshotScheduler(RATE, RATE, SLOW_TIMER_S)
        self._change = ScriptedNoise()
        self._scheduler._change = cast(Any, self._change)
        self._turn, self._left_s = 0, 0.0
        self._steady = True
        self.noise = ""
        self._age(chance.uniform(0.0, MAX_AGE_S))

    @property
    def new_noise(self) -> bool:
        """Whether the noise has not been sent in full: its snapshots have sound."""
        return self._scheduler.new_noise

    def next_step_s(self) -> float:
        """Return after how many seconds to call `step`."""
        return PENDING_STEP_S if self._pending else STEADY_STEP_S

    def step(self, seconds: float) -> int:
        """Let time pass; return the samples of the snapshot that is due, 0 for none."""
        if self._left_s <= 0:
            self.noise, self._left_s = self._turns[self._turn % len(self._turns)]
            self._turn += 1
            self._change.mark_change()
        self._left_s -= seconds
        block = ScriptedBlock(Silent(round(seconds * RATE)), self._steady)
        self._scheduler.process(cast(Any, block))
        self._steady = True
        return self._scheduler.due()

    def mark_sent(self, samples: int) -> None:
        """Record that the snapshot was sent."""
        self._scheduler.mark_sent(samples)

    def mark_filter(self) -> None:
        """Record that a new filter plays: its cross-fade is in no snapshot."""
        self._scheduler.mark_answered()
        self._steady = False

    @property
    def _pending(self) -> bool:
        """Whether a change is about to be sent or to come, so that time matters."""
        return self.new_noise or self._left_s <= 0

    def _age(self, seconds: float) -> None:
        """Let time pass during which every new noise brings one filter."""
        while seconds > 0:
            step = PENDING_STEP_S if self._pending else AGED_STEP_S
            if samples := self.step(step):
                new = self.new_noise
                self.mark_sent(samples)
                if new and samples == RATE:
                    self.mark_filter()
            seconds -= step

"""When the cloud is to hear the noise, and how much of it: a glance at once, a look soon, then seldom."""

from iot.controller import Block
from iot.noise_change import NoiseChange

GLANCE_S = 0.25  # of a new noise: enough for a first filter, which the look then betters
SECOND_LOOK_S = 4.0  # after a change: one second of a noise is little to know of it
SHORTEST_S = 2.0  # between two changes, however the noise flickers


class Lookout:
    """Watches the noise and the filter that plays.

    Parameters
    ----------
    rate : int
        Hz.
    look : int
        Samples of a whole snapshot.
    slow_timer_s : float
        Between snapshots of an unchanging noise; may be changed.
    """

    def __init__(self, rate: int, look: int, slow_timer_s: float) -> None:
        self.heard = 0
        self._change = NoiseChange(rate)
        self._rate = rate
        self._look, self._glance = look, int(GLANCE_S * rate)
        self.slow_timer_s = slow_timer_s
        self._steady_since = 0
        self._next = 0
        self._not_before = 0
        self._glanced = False

    def hear(self, block: Block) -> None:
        """Take a block."""
        self.heard += block.x.size
        if not block.steady:
            self._steady_since = self.heard
        self._change.hear(block.x)

    def mark(self) -> None:
        """Take it from elsewhere that the noise has changed by now."""
        self._change.mark()

    def again(self) -> None:
        """Take it that the latest snapshot was of no use: another glance is due as soon as it can be."""
        self._change.mark()
        self._not_before, self._glanced = self.heard, False

    def due(self) -> int:
        """Return how many of the last samples the cloud should hear now; 0 for none.

        One filter played during all of them. Of a new noise first `GLANCE_S`, then all that a snapshot holds.
        """
        since = self._change.since
        if self._change.quiet or (self.heard < self._not_before and not self._glanced):
            return 0
        if since is None:
            wanted, due = self._look, self.heard >= self._next
        else:
            wanted = self._look if self._glanced else self._glance
            due = self.heard - since >= wanted
        return wanted if due and self._steady_since <= self.heard - wanted else 0

    def sent(self, samples: int) -> None:
        """Note that the cloud was sent so many samples."""
        self._not_before = self.heard + int(SHORTEST_S * self._rate)
        if samples < self._look:
            self._glanced = True
            return
        changed = self._change.since is not None
        self._next = self.heard + int((SECOND_LOOK_S if changed else self.slow_timer_s) * self._rate)
        self._change.learn()
        self._glanced = False

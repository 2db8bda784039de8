"""When the cloud is to hear the noise, and how much of it: a glance at once, looks soon, then seldom."""

from iot.controller import Block
from iot.noise_change import NoiseChange

FIRST_SNAPSHOT_S = 0.25  # of a new noise: enough for a first filter, which the looks then better
SUDDEN_CHANGE_S = 0.112  # of a noise so loud that what was before in the glance does not count
FOLLOW_UP_S = (0.5, 1.0)
RETRY_S = 2.0  # after the last of them: one second of a noise is little to know of it
BURST = 4  # changes that may follow one upon the other; then there is one every `slow_timer_s`


class SnapshotScheduler:
    """Watches the noise and the filter that plays.

    Parameters
    ----------
    rate : int
        Hz.
    longest : int
        Samples of a whole snapshot.
    slow_timer_s : float
        Between snapshots of an unchanging noise; may be changed.
    """

    def __init__(self, rate: int, longest: int, slow_timer_s: float) -> None:
        self.heard = 0
        self._change = NoiseChange(rate)
        self._rate = rate
        self._looks = sorted(
            {min(int(s * rate), longest) for s in (FIRST_SNAPSHOT_S, *FOLLOW_UP_S)} | {longest}
        )
        self.slow_timer_s = slow_timer_s
        self._steady_since = self._quiet_until = 0
        self._next = 0
        self._credit = float(BURST)
        self._seen = 0

    def process(self, block: Block) -> None:
        """Take a block."""
        self.heard += block.x.size
        self._credit = min(self._credit + block.x.size / (self.slow_timer_s * self._rate), BURST)
        if not block.steady:
            self._steady_since = self.heard
        self._change.process(block.x)
        if self._change.quiet:
            self._quiet_until = self.heard

    def mark(self) -> None:
        """Take it from elsewhere that the noise has changed by now."""
        self._change.mark()

    def again(self) -> None:
        """Take it that the latest snapshot was of no use: another glance is due as soon as it can be."""
        self._change.mark()
        self._credit, self._seen = max(self._credit, 1.0), 0

    def due(self) -> int:
        """Return how many of the last samples the cloud should hear now; 0 for none.

        One filter played during all of them. Of a new noise first a glance, then more, then all that a
        snapshot holds.
        """
        if self._change.quiet:
            return 0
        steady = self.heard - self._steady_since
        since = self._change.since
        if since is None:
            longest = self._looks[-1]
            heard = min(steady, self.heard - self._quiet_until)
            return longest if self.heard >= self._next and heard >= longest else 0
        if not self._seen and self._credit < 1.0:
            return 0
        new = self.heard - since
        if self._change.sudden and not self._seen and new >= SUDDEN_CHANGE_S * self._rate:
            new = max(new, self._looks[0])
        return max((n for n in self._looks if self._seen < n <= min(new, steady)), default=0)

    def sent(self, samples: int) -> None:
        """Note that the cloud was sent so many samples."""
        changed = self._change.since is not None
        if changed and not self._seen:
            self._credit -= 1.0
        if samples < self._looks[-1]:
            self._seen = samples
            return
        self._next = self.heard + int((RETRY_S if changed else self.slow_timer_s) * self._rate)
        self._change.learn()
        self._seen = 0

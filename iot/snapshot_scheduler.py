"""Decide when to send a snapshot, and how long it is: short at once, longer soon after, then periodically."""

from iot.controller import Block
from iot.noise_change import NoiseChange

FIRST_SNAPSHOT_S = 0.25  # enough for a first filter; follow-up snapshots improve it
SUDDEN_CHANGE_S = 0.112  # length of the new noise in the first snapshot when it is much louder than before
FOLLOW_UP_S = (0.5, 1.0)
RETRY_S = 2.0  # until another full snapshot of a new noise, whose statistics still vary
BURST = 4  # changes that may be sent in a row; after that, one per `slow_timer_s`


class SnapshotScheduler:
    """Schedule snapshots from changes of the noise and of the active filter, limited by a token bucket.

    Parameters
    ----------
    rate : int
        Hz.
    max_samples : int
        Length of a full snapshot.
    slow_timer_s : float
        Interval between snapshots of an unchanging noise; may be changed later.

    Attributes
    ----------
    elapsed : int
        Samples processed.
    """

    def __init__(self, rate: int, max_samples: int, slow_timer_s: float) -> None:
        self.elapsed = 0
        self._change = NoiseChange(rate)
        self._rate = rate
        self._lengths = sorted(
            {min(int(s * rate), max_samples) for s in (FIRST_SNAPSHOT_S, *FOLLOW_UP_S)} | {max_samples}
        )
        self.slow_timer_s = slow_timer_s
        self._steady_since = self._quiet_until = 0
        self._next = 0
        self._tokens = float(BURST)
        self._sent = 0  # length of the latest snapshot of a new noise

    def process(self, block: Block) -> None:
        """Process a block of audio."""
        self.elapsed += block.x.size
        self._tokens = min(self._tokens + block.x.size / (self.slow_timer_s * self._rate), BURST)
        if not block.steady:
            self._steady_since = self.elapsed
        self._change.process(block.x)
        if self._change.quiet:
            self._quiet_until = self.elapsed

    def mark_change(self) -> None:
        """Treat the noise as changed from now on."""
        self._change.mark_change()

    def retry(self) -> None:
        """Schedule a first snapshot again, because the latest one could not be used."""
        self._change.mark_change()
        self._tokens, self._sent = max(self._tokens, 1.0), 0

    def due(self) -> int:
        """Return how many of the last samples to send now, 0 for none.

        One filter played during all of them. A new noise gets a short snapshot first, then longer ones, then
        a full one.
        """
        if self._change.quiet:
            return 0
        steady = self.elapsed - self._steady_since
        since = self._change.since
        if since is None:
            full = self._lengths[-1]
            available = min(steady, self.elapsed - self._quiet_until)
            return full if self.elapsed >= self._next and available >= full else 0
        if not self._sent and self._tokens < 1.0:
            return 0
        new = self.elapsed - since
        if self._change.sudden and not self._sent and new >= SUDDEN_CHANGE_S * self._rate:
            new = max(new, self._lengths[0])
        return max((n for n in self._lengths if self._sent < n <= min(new, steady)), default=0)

    def mark_sent(self, samples: int) -> None:
        """Record that a snapshot of so many samples was sent."""
        changed = self._change.since is not None
        if changed and not self._sent:
            self._tokens -= 1.0
        if samples < self._lengths[-1]:
            self._sent = samples
            return
        self._next = self.elapsed + int((RETRY_S if changed else self.slow_timer_s) * self._rate)
        self._change.learn()
        self._sent = 0

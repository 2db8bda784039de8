"""Decide when to send a snapshot, and how long it is: short at once, longer soon after, then periodically.

A snapshot is worth sending if it brings a better filter. The interval therefore grows after each one that
did not, and a noise for which the cloud kept the filter is no change when it returns.
"""

from iot.controller import Block
from iot.noise_change import NoiseChange

FIRST_SNAPSHOT_S = 0.25  # enough for a first filter; follow-up snapshots improve it
SUDDEN_CHANGE_S = 0.112  # length of the new noise in the first snapshot when it is much louder than before
FOLLOW_UP_S = (0.5, 1.0)
RETRY_S = 2.0  # until another full snapshot of a new noise, whose statistics still vary
BURST = 4  # changes that may be sent in a row
CHANGE_INTERVAL_S = 60.0  # between changes after a burst, if it backs off; else the shortest interval
BACK_OFF = 4  # factor of the interval after a snapshot that brought no new filter
LONGEST_S = 960.0


class SnapshotScheduler:
    """Schedule snapshots from changes of the noise and of the active filter, limited by a token bucket.

    Parameters
    ----------
    rate : int
        Hz.
    max_samples : int
        Length of a full snapshot.
    slow_timer_s : float
        Shortest interval between snapshots of an unchanging noise; may be changed later.

    Attributes
    ----------
    elapsed : int
        Samples processed.
    interval_s : float
        Present interval between snapshots of an unchanging noise.
    backs_off : bool
        Whether the interval grows after snapshots that brought no filter, and a known noise is no change.
        False while only the cloud detects alarms.
    """

    def __init__(self, rate: int, max_samples: int, slow_timer_s: float) -> None:
        self.elapsed = 0
        self._change = NoiseChange(rate)
        self._rate = rate
        self._lengths = sorted(
            {min(int(s * rate), max_samples) for s in (FIRST_SNAPSHOT_S, *FOLLOW_UP_S)} | {max_samples}
        )
        self.slow_timer_s = self.interval_s = slow_timer_s
        self._steady_since = self._quiet_until = 0
        self._next = 0
        self._tokens = float(BURST)
        self._sent = 0  # length of the latest snapshot of a new noise
        self.backs_off = True
        self._retrying = False  # whether the next full snapshot is due after `RETRY_S`
        self._answered = True  # whether the latest full snapshot brought a filter, or none was sent

    @property
    def slow_timer_s(self) -> float:
        """The shortest interval. Setting it also sets the present one."""
        return self._slow_timer_s

    @slow_timer_s.setter
    def slow_timer_s(self, seconds: float) -> None:
        self._slow_timer_s = self.interval_s = seconds

    def process(self, block: Block) -> None:
        """Process a block of audio."""
        self.elapsed += block.x.size
        refill_s = CHANGE_INTERVAL_S if self.backs_off else self.slow_timer_s
        self._tokens = min(self._tokens + block.x.size / (refill_s * self._rate), BURST)
        if not block.steady:
            self._steady_since = self.elapsed
        self._change.process(block.x)
        if self._change.quiet:
            self._quiet_until, self._sent = self.elapsed, 0

    @property
    def noise_age(self) -> int:
        """Number of samples since the present noise began."""
        return self.elapsed - self._change.began

    @property
    def new_noise(self) -> bool:
        """Whether the noise has not been sent in full."""
        return self._change.since is not None

    def mark_change(self) -> None:
        """Treat the noise as changed from now on."""
        self._change.mark_change()

    def mark_answered(self) -> None:
        """Record that a snapshot brought a new filter, or that the cloud needs the next one soon."""
        self._change.forget()
        self.interval_s = self.slow_timer_s
        self._answered = True

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
        self._change.confirm()
        if changed and not self._sent:
            self._tokens -= 1.0
        if samples < self._lengths[-1]:
            self._sent = samples
            return
        if changed or not self.backs_off:
            self.interval_s = self.slow_timer_s
        elif not (self._answered or self._retrying):
            self.interval_s = min(BACK_OFF * self.interval_s, max(LONGEST_S, self.slow_timer_s))
        if self.backs_off and not self._answered:
            self._change.remember()
        self._answered, self._retrying = False, changed
        self._next = self.elapsed + int((RETRY_S if changed else self.interval_s) * self._rate)
        self._change.learn()
        self._sent = 0

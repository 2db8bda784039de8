"""Measure how far the answers of a live session lag behind its sound."""

from typing import NamedTuple

LAG_LIMIT_S = 0.5  # a larger lag is reported to the client
MIN_BLOCK_S = 0.02  # the time allowed for the answer to a shorter block
IDLE_S = 0.1  # a client that is idle for longer after an answer has no block waiting


class SessionLag(NamedTuple):
    """Lag of a session's answers behind its sound.

    A live client records continuously and sends its next block when the last one is answered. An answer that
    takes longer than its block therefore delays all later blocks until faster answers make up for it.
    Lindley's recursion for the waiting time in a queue gives the time that a block waited in the client.

    Attributes
    ----------
    lag_s : float
        Seconds by which the last answer delays the next block.
    answered : float
        Time of the last answer, seconds since the epoch.

    References
    ----------
    Lindley, "The theory of queues with a single server", Proc. Cambridge Philosophical Society 48, 1952.
    """

    lag_s: float = 0.0
    answered: float = 0.0

    def lag_at(self, received: float) -> float:
        """Return the seconds that a block received at this time has waited in the client."""
        return self.lag_s if received - self.answered <= IDLE_S else 0.0

    def after(self, received: float, answered: float, block_s: float) -> "SessionLag":
        """Return the lag after the answer to a block of this length; times in seconds since the epoch."""
        taken_s = answered - received - max(block_s, MIN_BLOCK_S)
        return SessionLag(max(self.lag_at(received) + taken_s, 0.0), answered)

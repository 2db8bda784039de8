"""Whether the answers of a live session keep up with its sound."""

from typing import NamedTuple

LAG_LIMIT_S = 0.5  # a client is told of more
SHORTEST_BLOCK_S = 0.02  # what lasts less is no live block, and is not expected to be answered in that time
IDLE_S = 0.1  # a client that sends nothing for so long after an answer has nothing waiting


class SessionLag(NamedTuple):
    """How far the answers of a session lag behind its sound.

    A live client records while it waits, and sends its next block as soon as the last one is answered. An
    answer that takes longer than its block lasts therefore delays every later block, until faster answers
    make up for it. This is Lindley's recursion for the waiting time in a queue, so the platform knows how
    long a block has waited in the client before it was sent.

    Attributes
    ----------
    lag_s : float
        Seconds by which the last answer came too late for its successor to be sent on time.
    answered : float
        When the last answer was ready, in seconds since the epoch.

    References
    ----------
    Lindley, "The theory of queues with a single server", Proc. Cambridge Philosophical Society 48, 1952.
    """

    lag_s: float = 0.0
    answered: float = 0.0

    def lag_at(self, received: float) -> float:
        """Return for how many seconds a block that was received at this time has waited in the client."""
        return self.lag_s if received - self.answered <= IDLE_S else 0.0

    def after(self, received: float, answered: float, block_s: float) -> "SessionLag":
        """Return the pace after the answer to a block of this length; times in seconds since the epoch."""
        taken_s = answered - received - max(block_s, SHORTEST_BLOCK_S)
        return SessionLag(max(self.lag_at(received) + taken_s, 0.0), answered)

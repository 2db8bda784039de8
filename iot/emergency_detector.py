"""Detection of sirens and alarms on the headset."""

from typing import Protocol

from iot.fir import Signal


class EmergencyDetector(Protocol):
    """Detects sirens and alarms; `anc.noise.MultichannelClassifier` implements it."""

    @property
    def holding(self) -> bool:
        """Whether a siren or an alarm was detected within the last ten seconds."""

    def process(self, block: Signal) -> object:
        """Process a block of the reference x and the error microphone e, (n, 2) in [-1, 1]."""


class FailOpenDetector:
    """Replacement for a detector that failed: always reports an emergency, so the headset stays open.

    Parameters
    ----------
    reason : str
        Why detection failed, as reported to the shadow.
    """

    holding = True

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def process(self, block: Signal) -> None:
        """Ignore the block."""

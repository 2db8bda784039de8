"""What hears sirens and alarms on the headset."""

from typing import Protocol

from iot.fir import Signal


class EmergencyDetector(Protocol):
    """Hears sirens and alarms; `anc.noise.StreamingClassifier` does."""

    @property
    def holding(self) -> bool:
        """Whether an alarm was heard within the last ten seconds."""

    def process(self, block: Signal) -> object:
        """Take a block of the reference microphone, in [-1, 1]."""


class FailOpenDetector:
    """Ears that are out of order: nobody knows whether there is an alarm, so it is as if there were.

    Parameters
    ----------
    why : str
        They are.
    """

    holding = True

    def __init__(self, why: str) -> None:
        self.why = why

    def process(self, block: Signal) -> None:
        """Hear nothing."""

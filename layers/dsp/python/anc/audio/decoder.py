"""What `AudioReader` needs of a decoder."""

from typing import Protocol

import numpy as np

MAX_CHANNELS = 8


class Damaged(Exception):
    """Raised if a file, or its encoding, cannot be decoded at all; the message, if any, is for the user."""


class Decoder(Protocol):
    """Decoder of one file, in constant memory.

    Attributes
    ----------
    rate : int
        Hz.
    channels : int
    frames : int or None
        Samples per channel; None if only decoding shows how many there are.
    announced : int
        Samples per channel according to the header; 0 if it does not say so reliably.
    broken : bool
        Whether a part of what was read so far is damaged or missing.
    """

    rate: int
    channels: int
    frames: int | None
    announced: int
    broken: bool

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more samples per channel, (n, channels) float32; fewer only at the end."""

    def seek(self, frame: int) -> None:
        """Continue at a frame."""

    def close(self) -> None:
        """Free the decoder."""

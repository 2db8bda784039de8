"""Decode uncompressed sound files with libsndfile."""

from typing import BinaryIO, cast

import numpy as np
import soundfile

from anc.audio.byte_source import ByteSource
from anc.audio.decoder import Damaged
from anc.audio.formats import LIBSNDFILE


class LibsndfileDecoder:
    """Decode a file whose header gives the exact length.

    Parameters
    ----------
    source : ByteSource
    announced : float
        Share of the samples that the file has of those that its header announces, at most 1.

    Raises
    ------
    Damaged
        If libsndfile cannot read the file.
    """

    def __init__(self, source: ByteSource, announced: float = 1.0) -> None:
        self._source = source
        try:
            self._file = soundfile.SoundFile(cast(BinaryIO, source))
        except (soundfile.SoundFileError, TypeError, ValueError) as fault:
            source.raise_fault()
            raise Damaged from fault
        if self._file.format not in LIBSNDFILE:
            raise Damaged
        if announced < 1 and self._file.subtype.startswith("ALAC"):
            raise Damaged  # libsndfile counts packets that are missing
        self.rate, self.channels = int(self._file.samplerate), int(self._file.channels)
        self.frames: int | None = int(self._file.frames)
        self.announced = round(self.frames / announced) if announced else self.frames
        self.broken = False
        self._at = 0

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more samples per channel, (n, channels) float32; fewer only at the end."""
        try:
            samples = self._file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, ValueError):
            self._source.raise_fault()
            self.broken = True
            return np.zeros((0, self.channels), np.float32)
        self._source.raise_fault()
        self._at += len(samples)
        self.broken = len(samples) < frames and self._at != self.frames
        return samples

    def seek(self, frame: int) -> None:
        """Continue at a frame."""
        self._file.seek(frame)
        self._source.raise_fault()
        self._at = frame

    def close(self) -> None:
        """Free the decoder."""
        self._file.close()

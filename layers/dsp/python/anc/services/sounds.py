"""Sound files as people upload them, decoded within bounds."""

import io
from typing import BinaryIO, NamedTuple, Self, cast

import numpy as np
import soundfile

from anc.wire.refusal import Refused, refuse

RATES = (8_000, 192_000)
MOST_CHANNELS = 8
MOST_FRAMES = 12 * 3600 * 48_000  # twelve hours at 48 kHz: a wav file of int16 holds little more
MOST_SAMPLES = 12_000_000  # of all channels, decoded at once: a minute of stereo at 96 kHz, 48 MB
LOUDEST = 100.0  # 40 dB above full scale: a float file may go beyond, one of int16 values is meant otherwise
MAGIC = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"ID3")
NO_SOUND_FILE = "file: not a sound file that can be read (wav, flac, ogg, mp3)"


class Sound(NamedTuple):
    """A decoded sound: samples (n, channels) float32 of full scale 1, and the rate in Hz."""

    samples: np.ndarray
    rate: int


class Source:
    """A wav, flac, ogg or mp3 file that is decoded block by block, in constant memory.

    Parameters
    ----------
    file : BinaryIO
        Seekable.

    Attributes
    ----------
    rate, channels : int
    frames : int
        How many the file says that it holds.

    Raises
    ------
    Refused
        Naming what is wrong with it, and what is allowed.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._bytes = _Bytes(file)
        start = file.read(4)
        file.seek(0)
        # libsndfile reads two dozen more formats, each with a parser that need not meet strangers' bytes.
        if not start.startswith(MAGIC) and not (start[:1] == b"\xff" and start[1:2] >= b"\xe0"):
            refuse("bad_field", NO_SOUND_FILE)
        try:
            self._file = soundfile.SoundFile(cast(BinaryIO, self._bytes))
        except (soundfile.SoundFileError, TypeError, ValueError) as fault:
            self._bytes.raise_fault()
            raise Refused("bad_field", NO_SOUND_FILE) from fault
        self.rate, self.channels, self.frames = self._file.samplerate, self._file.channels, self._file.frames
        if not RATES[0] <= self.rate <= RATES[1]:
            refuse("bad_field", f"rate: {self.rate} Hz, allowed are {RATES[0]} to {RATES[1]}")
        if self.channels > MOST_CHANNELS:
            refuse("bad_field", f"channels: {self.channels}, at most {MOST_CHANNELS}")
        if self.frames < 1:
            refuse("bad_field", "file: holds no samples")
        if self.frames > MOST_FRAMES:
            refuse(
                "too_large",
                f"file: longer than {MOST_FRAMES / self.rate / 3600:.3g} hours, or it does not say how long",
            )

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more, (n, channels) float32 of full scale 1; fewer only at the end.

        Raises
        ------
        Refused
            When the file is damaged here, or holds samples that are not finite or far beyond full scale.
        """
        try:
            samples = self._file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, ValueError) as fault:
            self._bytes.raise_fault()
            raise Refused("bad_field", "file: damaged; only its beginning can be read") from fault
        self._bytes.raise_fault()
        peak = max(samples.max(), -samples.min()) if samples.size else 0.0
        if not np.isfinite(peak):
            refuse("bad_field", "file: holds samples that are not finite")
        if peak > LOUDEST:
            refuse("bad_field", f"file: holds samples beyond {LOUDEST:g} times full scale; full scale is 1")
        return samples

    def seek(self, frame: int) -> None:
        """Go on decoding at a frame."""
        self._file.seek(frame)
        self._bytes.raise_fault()

    def close(self) -> None:
        """Let the decoder go; the file stays open."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode(data: bytes, longest_s: float) -> Sound:
    """Read a whole wav, flac, ogg or mp3 file.

    A header that lies about its length costs nothing, and a little silence never becomes gigabytes: at most
    `longest_s` seconds and `MOST_SAMPLES` samples are ever decoded.

    Raises
    ------
    Refused
        Naming what is wrong with it, and what is allowed.
    """
    with Source(io.BytesIO(data)) as source:
        most = int(longest_s * source.rate)
        room = MOST_SAMPLES // source.channels
        samples = source.read(min(most, room) + 1)
        if len(samples) > most:
            refuse("too_large", f"file: longer than {longest_s:g} s")
        if len(samples) > room:
            refuse("too_large", f"file: more than {MOST_SAMPLES:,} samples in all channels; send an upload")
        if not len(samples):
            refuse("bad_field", "file: holds no samples")
        return Sound(np.clip(samples, -1.0, 1.0, out=samples), source.rate)


class _Bytes:
    """What libsndfile reads through. It takes an exception for the end of the file, so one is kept."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._fault: Exception | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except Exception as fault:  # noqa: BLE001  raised as soon as libsndfile is left
            self._fault = fault
            return b""

    def raise_fault(self) -> None:
        if self._fault:
            raise self._fault

"""Decode sound files of users within limits of size, rate and length."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self, cast

import numpy as np
import soundfile

from anc.audio.formats import LIBSNDFILE, MAGIC_BYTES, SUPPORTED, recognise
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.refusal import Refused, refuse

MAX_CHANNELS = 8
MAX_FRAMES = 12 * 3600 * 48_000  # twelve hours at 48 kHz; the result, a 16-bit WAV, is limited to 4 GB
MAX_PEAK = 100.0  # 40 dB above full scale; codecs overshoot by 6 dB, unscaled integers by 80
SHORT_BYTES = 10 * 1000 * 1000  # limit of a file in a request
SHORT_S = 60.0
BLOCK = 1 << 16  # frames decoded at a time

EMPTY = f"file: empty (0 bytes); supported are {SUPPORTED}"
NOT_SOUND = f"file: not a sound file in a supported format; supported are {SUPPORTED}"
UNREADABLE = (
    "file: the header is damaged or incomplete, or the encoding is not supported; save it again, for example "
    "as 16-bit WAV"
)
NO_SAMPLES = "file: contains no samples; record or save it again"
NO_LENGTH = "file: the header has no length; save it again, for example as 16-bit WAV"
NOT_A_FILE = "file: not a regular file; name a file on disk"
ABSENT = "file: does not exist"


class AudioReader:
    """A sound file that is decoded block by block, in constant memory.

    Error messages start with `file: `; `open_path` replaces that by the path.

    Parameters
    ----------
    file : BinaryIO
        Seekable; one of `anc.audio.formats.FORMATS`.

    Attributes
    ----------
    rate : int
        Hz, 8,000 to 192,000.
    channels : int
        1 to 8.
    frames : int
        Samples per channel according to the header, 1 to `MAX_FRAMES`. Reading the end of a file with fewer
        raises Refused.

    Raises
    ------
    Refused
        `bad_field` or `too_large`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._bytes = _Bytes(file)
        self._at = 0
        start = file.read(MAGIC_BYTES)
        file.seek(0)
        # libsndfile reads many more formats; their parsers are not exposed to untrusted files.
        if recognise(start) is None:
            refuse("bad_field", NOT_SOUND if start else EMPTY)
        try:
            self._file = soundfile.SoundFile(cast(BinaryIO, self._bytes))
        except (soundfile.SoundFileError, TypeError, ValueError) as fault:
            self._bytes.raise_fault()
            raise Refused("bad_field", UNREADABLE) from fault
        self.rate, self.channels, self.frames = self._file.samplerate, self._file.channels, self._file.frames
        self._check_header()

    @property
    def seconds(self) -> float:
        """Length according to the header."""
        return self.frames / self.rate

    def check_length(self, max_s: float, advice: str) -> None:
        """Raise Refused, `too_large`, with the advice if the file is longer than a limit in seconds."""
        if self.seconds > max_s:
            refuse(
                "too_large",
                f"file: must be at most {_in_ms(max_s)} long (got {_in_ms(self.seconds)}); {advice}",
            )

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more samples per channel; fewer only at the end.

        Returns
        -------
        (n, channels) float32
            Full scale 1; up to `MAX_PEAK`, since floating-point files and lossy codecs may overshoot.

        Raises
        ------
        Refused
            `bad_field` if the file is damaged or ends early, or samples are not finite or not scaled to
            -1..1.
        """
        try:
            samples = self._file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, ValueError) as fault:
            self._bytes.raise_fault()
            raise Refused("bad_field", self._damaged("a part")) from fault
        self._bytes.raise_fault()
        self._check_samples(samples)
        self._at += len(samples)
        if len(samples) < frames and self._at != self.frames:
            refuse("bad_field", self._damaged(f"{self._at:,}"))
        return samples

    def read_mono(self, frames: int | None = None) -> np.ndarray:
        """Decode up to `frames` more samples, by default all, as the mean of the channels.

        Returns
        -------
        (n,) float32
            Clipped to -1..1.
        """
        left = self.frames - self._at
        wanted = left if frames is None else min(frames, left)
        mono = np.empty(wanted, np.float32)
        for at in range(0, wanted, BLOCK):
            block = self.read(min(BLOCK, wanted - at))
            mono[at : at + len(block)] = block.mean(axis=1)
        return np.clip(mono, -1.0, 1.0, out=mono)

    def seek(self, frame: int) -> None:
        """Continue decoding at a frame."""
        self._file.seek(frame)
        self._bytes.raise_fault()
        self._at = frame

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_header(self) -> None:
        if self._file.format not in LIBSNDFILE:
            refuse("bad_field", NOT_SOUND)
        if not MIN_RATE <= self.rate <= MAX_RATE:
            refuse(
                "bad_field",
                f"file: the sample rate must be {MIN_RATE:,} to {MAX_RATE:,} Hz (got {self.rate:,} Hz); "
                "resample it",
            )
        if self.channels > MAX_CHANNELS:
            refuse("bad_field", f"file: must have at most {MAX_CHANNELS} channels (got {self.channels})")
        if self.frames < 1:
            refuse("bad_field", NO_SAMPLES)
        if self.frames == np.iinfo(np.int64).max:
            refuse("bad_field", NO_LENGTH)
        self.check_length(MAX_FRAMES / self.rate, "split it")

    def _check_samples(self, samples: np.ndarray) -> None:
        peak = float(max(samples.max(), -samples.min())) if samples.size else 0.0
        if not math.isfinite(peak):
            frame = self._at + int(np.flatnonzero(~np.isfinite(samples).all(axis=1))[0])
            refuse(
                "bad_field",
                f"file: samples must be finite (NaN or infinity at {_in_ms(frame / self.rate)}); "
                "replace them and save the file again",
            )
        # Quiet unscaled 16-bit values may stay below MAX_PEAK, but scaled recordings are not all integers.
        if peak > MAX_PEAK or (peak > 1.0 and np.array_equal(samples, np.rint(samples))):
            refuse(
                "bad_field",
                f"file: floating-point samples must be within -1 to 1 (got {peak:,.0f}); divide "
                "them by full scale (32,768 for 16-bit values) and save the file again",
            )

    def _damaged(self, part: str) -> str:
        return (
            f"file: damaged or incomplete: only {part} of {self.frames:,} samples can be decoded; send or "
            "save it again"
        )


@contextmanager
def open_path(path: Path) -> Iterator[AudioReader]:
    """Open a sound file on disk; use it in a `with` statement.

    Raises
    ------
    Refused
        As `AudioReader`, and `not_found`. Messages that start with `file: `, also those raised inside the
        `with` statement, start with the path instead.
    """
    try:
        if not path.is_file():
            refuse("not_found", NOT_A_FILE if path.exists() else ABSENT)
        with _opened(path) as file, AudioReader(file) as reader:
            yield reader
    except Refused as refusal:
        head, colon, message = refusal.message.partition(": ")
        if head != "file":
            raise
        raise Refused(refusal.code, f"{path}{colon}{message}") from refusal


def open_short(data: bytes) -> AudioReader:
    """Open a file from a request, of at most 10 MB and a minute. Raises Refused."""
    check_size(len(data))
    reader = AudioReader(io.BytesIO(data))
    reader.check_length(SHORT_S, "upload it instead")
    return reader


def check_size(size: int) -> None:
    """Raise Refused, `too_large`, if a file in a request has too many bytes."""
    if size > SHORT_BYTES:
        refuse("too_large", f"file: must be at most {SHORT_BYTES:,} bytes (got {size:,}); upload it instead")


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as fault:
        raise Refused(
            "not_found", f"file: cannot be opened ({fault.strerror}); check its permissions"
        ) from fault


def _in_ms(seconds: float) -> str:
    """Return seconds as text, rounded up to a millisecond so that it never equals an exceeded limit."""
    return f"{math.ceil(1000 * seconds) / 1000:,.10g} s"


class _Bytes:
    """File object for libsndfile, which treats exceptions as end of file: stores one to raise it later."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._fault: Exception | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError):  # a damaged header may point before the start
            return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except Exception as fault:  # noqa: BLE001  raised by raise_fault
            self._fault = fault
            return b""

    def raise_fault(self) -> None:
        if self._fault:
            raise self._fault

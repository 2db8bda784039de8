"""Decode sound files of users within limits of size, rate and length."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from anc.audio.backends import UNREADABLE, open_decoder
from anc.audio.decoder import MAX_CHANNELS
from anc.sample_rates import MAX_RATE, MIN_RATE
from anc.schemas.refusal import Refused, refuse

MAX_FRAMES = 12 * 3600 * 48_000  # twelve hours at 48 kHz; the result, a 16-bit WAV, is limited to 4 GB
MAX_PEAK = 100.0  # 40 dB above full scale; codecs overshoot by 6 dB, unscaled integers by 80
SHORT_BYTES = 10 * 1000 * 1000  # limit of a file in a request
SHORT_S = 60.0
BLOCK = 1 << 16  # frames decoded at a time
SAME_S = 0.01  # a header's length that differs by less is what was read, and the padding of an encoder

NO_SAMPLES = "file: contains no samples; record or save it again"
NOT_A_FILE = "file: not a regular file; name a file on disk"
ABSENT = "file: does not exist"


class AudioReader:
    """A sound file that is decoded block by block, in constant memory.

    The length is what can be decoded, whatever the header says. Error messages start with `file: `;
    `open_path` replaces that by the path.

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
    ended : bool
        Whether all samples were read.

    Raises
    ------
    Refused
        `bad_field` or `too_large`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._at = 0
        self._source, self._decoder = open_decoder(file)
        self.rate, self.channels = self._decoder.rate, self._decoder.channels
        self._frames = self._decoder.frames
        self.ended = False
        try:
            self._check_header()
        except Refused:
            self.close()
            raise

    @property
    def frames(self) -> int:
        """Samples per channel. Decodes the file once if its header does not give the exact length."""
        if self._frames is None:
            self._measure(MAX_FRAMES)
        return self._frames or 0

    @property
    def announced_s(self) -> float | None:
        """Length in seconds: what the file holds if known without decoding it, else what its header says.

        None if neither is known.
        """
        return (self._decoder.frames or self._decoder.announced or 0) / self.rate or None

    @property
    def progress(self) -> float:
        """Share of the file that was read, 0 to 1."""
        if self.ended:
            return 1.0
        if self._frames is not None:
            return self._at / self._frames
        return min(0.99, self._source.tell() / self._source.size)

    @property
    def note(self) -> str:
        """What is missing of the part that was read or measured so far, as a sentence; "" if nothing is."""
        decoder = self._decoder
        if not decoder.broken and not (decoder.frames is not None and decoder.announced > decoder.frames):
            return ""
        read = max(self._at, self._frames or 0)
        part = f"only {_in_ms(read / self.rate)}"
        if decoder.announced > read + SAME_S * self.rate:
            part += f" of {_in_ms(decoder.announced / self.rate)}"
        return f"The file is damaged or breaks off: {part} could be decoded. Send or save it again."

    @property
    def truncated(self) -> bool:
        """Whether a part of the file is damaged or missing; `note` says what was read."""
        return bool(self.note)

    def check_length(self, max_s: float, advice: str) -> None:
        """Raise Refused, `too_large`, with the advice if the file is longer than a limit in seconds.

        Decodes the file up to the limit if its header does not give the exact length.
        """
        limit = int(max_s * self.rate)
        if self._frames is None:
            self._measure(limit)
        if self._frames is None or self._frames > limit:
            frames = self._frames or max(self._decoder.announced, limit + 1)
            got = _in_ms(frames / self.rate)
            refuse("too_large", f"file: must be at most {_in_ms(max_s)} long (got {got}); {advice}")

    def read(self, frames: int) -> np.ndarray:
        """Decode up to `frames` more samples per channel; fewer only at the end.

        Returns
        -------
        (n, channels) float32
            Full scale 1; up to `MAX_PEAK`, since floating-point files and lossy codecs may overshoot.

        Raises
        ------
        Refused
            `bad_field` if samples are not finite or not scaled to -1..1, `too_large` beyond `MAX_FRAMES`.
        """
        samples = self._decoder.read(frames)
        self._check_samples(samples)
        self._at += len(samples)
        if self._at > MAX_FRAMES:
            refuse("too_large", f"file: must be at most {_in_ms(MAX_FRAMES / self.rate)} long; split it")
        self.ended = len(samples) < frames or self._at == self._frames
        if self.ended:
            self._frames = self._at
            if not self._at:
                refuse("bad_field", UNREADABLE if self._decoder.broken else NO_SAMPLES)
        return samples

    def read_channels(self, frames: int | None = None) -> np.ndarray:
        """Decode up to `frames` more samples, by default all. The channels are never mixed: they may cancel.

        Returns
        -------
        (n, channels) float32
            Clipped to -1..1.
        """
        left = (self.frames if frames is None or self._frames is not None else MAX_FRAMES) - self._at
        wanted = left if frames is None else min(frames, left)
        size = wanted if self._frames is not None else min(wanted, BLOCK)
        samples, at = np.empty((size, self.channels), np.float32), 0
        while at < wanted and not self.ended:
            block = self.read(min(BLOCK, wanted - at))
            if at + len(block) > len(samples):
                samples.resize((min(wanted, 2 * len(samples)), self.channels), refcheck=False)
            samples[at : at + len(block)] = block
            at += len(block)
        samples = samples[:at]
        return np.clip(samples, -1.0, 1.0, out=samples)

    def read_loudest(self) -> np.ndarray:
        """Decode the rest; return the channel with the most energy, (n,) float32, clipped to -1..1.

        A file of several channels is decoded twice, so that only one channel is in memory.
        """
        channel = self._loudest_channel() if self.channels > 1 else 0
        parts = [np.zeros(0, np.float32)]
        while not self.ended:
            parts.append(np.clip(self.read(BLOCK)[:, channel], -1.0, 1.0))
        return np.concatenate(parts)

    def _loudest_channel(self) -> int:
        at, energy = self._at, np.zeros(self.channels)
        while not self.ended:
            energy += np.square(self.read(BLOCK), dtype=np.float64).sum(axis=0)
        self.seek(at)
        return int(np.argmax(energy))

    def seek(self, frame: int) -> None:
        """Continue decoding at a frame."""
        self._decoder.seek(frame)
        self._at = frame
        self.ended = frame == self._frames

    def close(self) -> None:
        """Free the decoder; the file stays open."""
        self._decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_header(self) -> None:
        if not MIN_RATE <= self.rate <= MAX_RATE:
            refuse(
                "bad_field",
                f"file: the sample rate must be {MIN_RATE:,} to {MAX_RATE:,} Hz (got {self.rate:,} Hz); "
                "resample it",
            )
        if self.channels > MAX_CHANNELS:
            refuse("bad_field", f"file: must have at most {MAX_CHANNELS} channels (got {self.channels})")
        if self._frames is not None:
            if self._frames < 1:
                refuse("bad_field", NO_SAMPLES)
            self.check_length(MAX_FRAMES / self.rate, "split it")

    def _measure(self, limit: int) -> None:
        """Decode the file, at most up to a number of samples, and return to where it was read."""
        at, ended = self._at, self.ended
        while self._at <= limit and not self.ended:
            self.read(min(BLOCK, limit + 1 - self._at))
        if self._at != at:
            self.seek(at)
            self.ended = ended

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

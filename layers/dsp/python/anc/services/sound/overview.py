"""Picture of a whole recording in a few hundred columns, for players: waveform and spectrogram.

A recording of ten hours gives as much data as one of ten seconds, so that a browser draws it without
decoding the sound. `anc.services.sound.recordings` makes it while it filters; `web/lib/player.js` draws it.
"""

from typing import NamedTuple, Self

import msgspec
import numpy as np

from anc.dsp.state import pack, unpack
from anc.pcm import FULL_SCALE, MAX_INT16

KIND = "overview"
MAX_COLUMNS = 1024  # even; neighbours are merged when there are more, so a long recording has 512 to 1024
FRAME_S = 0.03  # at least; a power of two of samples, Hann window, half overlapping
BANDS = 64
LOW_HZ = 50.0
HIGH_HZ = 16_000.0  # or half of the sample rate
FLOOR_DBFS = -120.0
STEP_DB = 0.5


class ChannelOverview(msgspec.Struct, frozen=True):
    """Picture of one channel; bytes are base64 in JSON.

    Attributes
    ----------
    low, high : bytes
        Smallest and largest sample of each column, int16, little-endian.
    spectrum : bytes
        Level of each band as u8 in steps of 0.5 dB from -120 dBFS, column by column. A sine has its level in
        dBFS; the Hann window takes up to 1.4 dB from frequencies between two bins.
    """

    low: bytes
    high: bytes
    spectrum: bytes


class RecordingOverview(msgspec.Struct, frozen=True):
    """Pictures of a recording before and after filtering, with common columns and bands.

    Attributes
    ----------
    seconds, column_s : float
        Length of the recording and of one column.
    low_hz, high_hz : float
        Edges of the logarithmically spaced bands.
    bands : int
    floor_dbfs, step_db : float
        Level of the value 0 in a spectrum, and of one step.
    before : ChannelOverview
        Of the channel from which the noise is removed, or that was classified.
    after : ChannelOverview or None
    """

    seconds: float
    column_s: float
    low_hz: float
    high_hz: float
    bands: int
    floor_dbfs: float
    step_db: float
    before: ChannelOverview
    after: ChannelOverview | None


class _Columns(NamedTuple):
    low: np.ndarray  # (n,) float32
    high: np.ndarray
    power: np.ndarray  # (n, BANDS) float32

    @classmethod
    def empty(cls) -> Self:
        none = np.zeros(0, np.float32)
        return cls(none, none, none.reshape(0, BANDS))

    def joined(self, more: Self) -> Self:
        return type(self)(*(np.concatenate(pair) for pair in zip(self, more, strict=True)))

    def part(self, begin: int, end: int) -> Self:
        return type(self)(*(values[begin:end] for values in self))

    def merged(self, by: int) -> Self:
        """Return columns of `by` neighbours each; their number is a multiple of `by`."""
        low, high = self.low.reshape(-1, by), self.high.reshape(-1, by)
        power = self.power.reshape(-1, by, BANDS)
        return type(self)(low.min(axis=1), high.max(axis=1), power.mean(axis=1))


class Overview:
    """Collect the picture of one channel block by block in constant memory.

    Parameters
    ----------
    rate : int
        Hz.

    Attributes
    ----------
    samples : int
        Number of samples added.

    Examples
    --------
    >>> overview = Overview(rate=16_000)
    >>> overview.add(np.zeros(16_000, np.float32))
    >>> len(overview.picture().low) // 2  # int16 values, one per column
    63
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = 0
        self._frame = 2 ** int(np.ceil(np.log2(rate * FRAME_S)))
        self._hop = self._frame // 2
        self._window = np.hanning(self._frame + 1)[:-1].astype(np.float32)
        self._starts = _first_bins(self._frame, rate)
        self._tail = np.zeros(0, np.float32)  # samples whose frame is not complete
        self._merged = 1  # hops per column
        self._columns = _Columns.empty()
        self._pending = _Columns.empty()  # hops of the column that is not complete

    @property
    def column_s(self) -> float:
        """Length of a column in seconds."""
        return self._merged * self._hop / self.rate

    def add(self, samples: np.ndarray) -> None:
        """Add the next samples, (n,), full scale 1."""
        self.samples += len(samples)
        stream = np.concatenate([self._tail, np.asarray(samples, np.float32)])
        hops = max(0, stream.size // self._hop - 1)
        self._tail = stream[hops * self._hop :].copy()
        self._append(self._measured(stream, hops))

    def picture(self) -> ChannelOverview:
        """Return the picture of all samples so far; the last column may be shorter."""
        hops = -(-self._tail.size // self._hop)
        padded = np.pad(self._tail, (0, (hops + 1) * self._hop - self._tail.size))
        pending = self._pending.joined(self._measured(padded, hops))
        if pending.low.size and self._merged > 1:
            pending = pending.merged(pending.low.size)
        columns = self._columns.joined(pending)
        level = 10 * np.log10(np.maximum(columns.power, 1e-12))
        spectrum = np.clip(np.round((level - FLOOR_DBFS) / STEP_DB), 0, 255).astype(np.uint8)
        return ChannelOverview(_int16(columns.low), _int16(columns.high), spectrum.tobytes())

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues from it."""
        parts = (self._tail, *self._columns, *self._pending)
        return pack(KIND, (self.rate, self.samples, self._merged), tuple(part.ravel() for part in parts))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore an overview from `state()`. Raises ValueError for damaged bytes."""
        (rate, samples, merged), (tail, *rest) = unpack(KIND, state)
        overview = cls(int(rate))
        overview.samples, overview._merged, overview._tail = int(samples), int(merged), tail
        overview._columns, overview._pending = (
            _Columns(low, high, power.reshape(-1, BANDS)) for low, high, power in (rest[:3], rest[3:])
        )
        return overview

    def _measured(self, stream: np.ndarray, hops: int) -> _Columns:
        """Return one column per hop; the stream has half a frame more than the hops."""
        if not hops:
            return _Columns.empty()
        pieces = stream[: hops * self._hop].reshape(hops, self._hop)
        frames = np.lib.stride_tricks.sliding_window_view(stream, self._frame)[:: self._hop][:hops]
        spectra = np.fft.rfft(frames * self._window)
        # The sum of the window is half of its length, so a sine of amplitude 1 has -3 dBFS in its bin.
        power = (np.square(spectra.real) + np.square(spectra.imag)) * (8.0 / self._frame**2)
        bands = np.maximum.reduceat(power[:, : self._starts[-1]], self._starts[:-1], axis=1)
        return _Columns(pieces.min(axis=1), pieces.max(axis=1), bands.astype(np.float32))

    def _append(self, hops: _Columns) -> None:
        pending = self._pending.joined(hops)
        while pending.low.size >= self._merged:
            room = MAX_COLUMNS - self._columns.low.size
            if not room:
                self._columns, self._merged = self._columns.merged(2), 2 * self._merged
                continue
            taken = min(room, pending.low.size // self._merged) * self._merged
            self._columns = self._columns.joined(pending.part(0, taken).merged(self._merged))
            pending = pending.part(taken, pending.low.size)
        self._pending = pending


def recording_overview(before: Overview, after: Overview | None) -> RecordingOverview:
    """Return the pictures of a recording, all of whose samples were added to both."""
    return RecordingOverview(
        seconds=round(before.samples / before.rate, 3),
        column_s=before.column_s,
        low_hz=LOW_HZ,
        high_hz=_high_hz(before.rate),
        bands=BANDS,
        floor_dbfs=FLOOR_DBFS,
        step_db=STEP_DB,
        before=before.picture(),
        after=after.picture() if after else None,
    )


def _high_hz(rate: int) -> float:
    return min(HIGH_HZ, rate / 2)


def _first_bins(frame: int, rate: int) -> np.ndarray:
    """Return the first bin of each band and the bin after the last; narrow bands share a bin."""
    edges = np.geomspace(LOW_HZ, _high_hz(rate), BANDS + 1)
    return np.round(edges * frame / rate).astype(int)


def _int16(samples: np.ndarray) -> bytes:
    return np.clip(np.round(samples * FULL_SCALE), -FULL_SCALE, MAX_INT16).astype("<i2").tobytes()

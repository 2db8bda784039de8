"""Levels and spectrum of a stream, accumulated block by block in constant memory.

Bands follow IEC 61260-1:2014, base ten: third octaves around 1000 * 10^(k/10) Hz, octaves of three of them.
"""

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.levels import DOUBLE, a_weighting_db
from anc.dsp.state import pack, unpack
from anc.dsp.validation import Signal
from anc.pcm import FULL_SCALE, MAX_INT16

KIND = "meter"
FLOOR_DBFS = -120.0  # reported for silence; below the noise of any converter
CLIPPING = MAX_INT16 / FULL_SCALE
FRAME_S = 0.5  # resolves the lowest third octave, 5.8 Hz wide, within 0.2 dB
LOWEST_THIRD, HIGHEST_THIRD = -16, 13  # 25 Hz to 20 kHz
NOMINAL = (1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0)


class Meter:
    """Measure level, peak, clipping, level per second and band levels of one channel.

    The spectrum is summed over half-overlapping frames with a sine window. Since sin^2 + cos^2 = 1, every
    sample counts once and the bands add up to the power of the signal.

    Parameters
    ----------
    rate : int
        Hz.

    Attributes
    ----------
    samples : int
        Number of samples measured.
    peak : float
        Largest magnitude.
    clipped : int
        Number of samples at or beyond the end of the 16-bit scale.

    Examples
    --------
    >>> meter = Meter(rate=16_000)
    >>> meter.add(0.5 * np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000))
    >>> float(round(meter.mean_square, 3))
    0.125
    >>> meter.dbfs_by_second.round(1).tolist()
    [-9.0]
    """

    def __init__(self, rate: int) -> None:
        self.rate = validation.check_int("rate", rate, 1, 1_000_000)
        self.samples = 0
        self.peak = 0.0
        self.clipped = 0
        self._sum = 0.0
        self._seconds: list[float] = []  # energy per second, the last one incomplete
        half = 2 ** round(np.log2(rate * FRAME_S)) // 2
        self._energy: Signal = np.zeros(half + 1, DOUBLE)
        self._tail: Signal = np.zeros(half, np.float32)  # samples not yet covered by both of their frames

    def add(self, samples: ArrayLike) -> None:
        """Measure the next samples, (n,), full scale 1. Raises ValueError if empty or not finite."""
        block = validation.check_signal("samples", samples, np.dtype(np.float32))
        magnitude = np.abs(block)
        self.peak = max(self.peak, float(magnitude.max()))
        self.clipped += int(np.count_nonzero(magnitude >= CLIPPING))
        self._sum += float(block.sum(dtype=DOUBLE))
        # The first piece, often empty, completes the current second.
        pieces = np.split(block, range(-self.samples % self.rate, block.size, self.rate))
        energies = [float(np.sum(np.square(piece, dtype=DOUBLE))) for piece in pieces]
        if pieces[0].size:
            self._seconds[-1] += energies[0]
        self._seconds += energies[1:]
        self.samples += block.size
        stream = np.concatenate([self._tail, block])
        energy, used = self._frames(stream)
        self._energy += energy
        self._tail = stream[used:].copy()

    @property
    def mean_square(self) -> float:
        """Mean power; 0 before the first sample."""
        return sum(self._seconds) / max(self.samples, 1)

    @property
    def mean(self) -> float:
        """DC offset."""
        return self._sum / max(self.samples, 1)

    @property
    def energy_by_second(self) -> Signal:
        """Energy of each second of the stream, (seconds,); the last one may be shorter."""
        return np.array(self._seconds, DOUBLE)

    @property
    def dbfs_by_second(self) -> Signal:
        """RMS level of each second, (seconds,), in dBFS.

        The level of a last piece of less than a quarter of a second includes the second before: alone it may
        lie between two periods or impulses, and would look like a drop.
        """
        energy = self.energy_by_second
        n = np.full(len(energy), self.rate)
        n[-1:] = self.samples - self.rate * (len(energy) - 1)
        if len(energy) > 1 and n[-1] < self.rate / 4:
            energy[-1] += energy[-2]
            n[-1] += self.rate
        return power_to_dbfs(energy / n)

    def power(self) -> tuple[Signal, Signal]:
        """Return frequencies in Hz and mean power at each, both (bins,); the sum is `mean_square`."""
        half = self._energy.size - 1
        rest, _ = self._frames(np.concatenate([self._tail, np.zeros(2 * half, np.float32)]))
        return np.arange(half + 1) * self.rate / (2 * half), (self._energy + rest) / max(self.samples, 1)

    def a_weighted_power(self) -> float:
        """Return the A-weighted mean power."""
        f, power = self.power()
        return float(10 ** (a_weighting_db(f) / 10) @ power)

    def third_octaves(self) -> dict[float, float]:
        """Return mean power by third-octave centre in Hz, from 25 Hz to the last band below rate / 2."""
        f, power = self.power()
        spacing = f[1]
        bands = {}
        for k in range(LOWEST_THIRD, HIGHEST_THIRD + 1):
            low, high = 1000 * 10 ** ((k - 0.5) / 10), 1000 * 10 ** ((k + 0.5) / 10)
            # A bin that spans a band edge is split between both bands.
            overlap = np.minimum(f + spacing / 2, high) - np.maximum(f - spacing / 2, low)
            if high <= self.rate / 2:
                bands[nominal_centre_hz(k)] = float(np.maximum(overlap, 0) / spacing @ power)
        return bands

    def octaves(self) -> dict[float, float]:
        """Return mean power by octave centre in Hz, from 31.5 Hz to the last band below rate / 2."""
        thirds = list(self.third_octaves().items())
        threes = [thirds[i : i + 3] for i in range(0, len(thirds), 3)]
        return {three[1][0]: sum(power for _, power in three) for three in threes if len(three) == 3}

    def _frames(self, stream: Signal) -> tuple[Signal, int]:
        """Return the energy, (bins,), of the complete frames in `stream`, and the samples consumed."""
        half = self._energy.size - 1
        count = stream.size // half - 1
        if count < 1:
            return np.zeros(half + 1, DOUBLE), 0
        window = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half)).astype(np.float32)
        spectra = np.fft.rfft(window * sliding_window_view(stream, 2 * half)[: count * half : half])
        energy: Signal = np.square(spectra.real) + np.square(spectra.imag)
        energy = energy.sum(axis=0, dtype=DOUBLE) / half
        energy[[0, -1]] /= 2  # these two have no mirror image at negative frequencies
        return energy, count * half

    def state(self) -> bytes:
        """Return the complete state as bytes; `from_state` continues bit for bit."""
        numbers = (self.rate, self.samples, self.peak, self.clipped, self._sum)
        return pack(KIND, numbers, (self.energy_by_second, self._energy, self._tail))

    @classmethod
    def from_state(cls, state: bytes) -> Self:
        """Restore a meter from `state()`. Raises ValueError for damaged bytes or another kind of state."""
        (rate, samples, peak, clipped, total), (seconds, energy, tail) = unpack(KIND, state)
        meter = cls(int(rate))
        meter.samples, meter.peak, meter.clipped, meter._sum = int(samples), peak, int(clipped), total
        meter._seconds, meter._energy, meter._tail = seconds.tolist(), energy, tail
        return meter


def power_to_dbfs(power: ArrayLike) -> Signal:
    """Return powers, any shape, in dBFS; -120 for silence."""
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DBFS / 10)))


def nominal_centre_hz(k: int) -> float:
    """Return the nominal centre in Hz of the third octave around 1000 * 10^(k/10) Hz."""
    return NOMINAL[k % 10] * 1000 * 10.0 ** (k // 10)

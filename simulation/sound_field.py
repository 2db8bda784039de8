"""Sound from many directions, in which reference microphone and ear are not fully coherent.

That limits a feedforward headset. Each source is the noise with a delay of its own. The delays are further
apart than a control filter is long, so that no such filter can use the correlation between two sources: for
the filter, they are independent. A pure tone from several sources stays coherent, as it does in a room.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iot.fir import Signal
from simulation.acoustic_plant import SPEED_OF_SOUND, AcousticPlant, PlantParameters, impulse_response, jw

SOURCES = 16
ARRIVAL_GAPS_S = 0.033, 0.045  # between the delays of sources; 512 taps at 16 kHz are 0.032 s
BASE_DELAY_S = 5e-4  # of both microphones, so that sound can reach the ear before the reference microphone
GRID = 13  # leads with an impulse response; a source between two of them uses both
RELATIVE_SPEEDS = 0.7, 1.3  # of moving sources
MAX_CHUNK = 2048  # samples processed at once, to limit memory
MAX_DIRECT = 16  # samples up to which direct convolution is faster than an FFT

Array = NDArray[np.float32]


def evenly_spread(sources: int) -> tuple[float, ...]:
    """Return the leads of sources that are spread evenly over a sphere: uniform between 1 and -1."""
    return tuple(1 - (2 * k + 1) / sources for k in range(sources))


@dataclass(frozen=True)
class SoundField:
    """Sources around the head, all with the same spectrum.

    Attributes
    ----------
    leads : tuple of float, -1 to 1
        Lead of the reference microphone over the ear for each source, relative to the distance between them:
        1 for a source in front of the reference microphone, -1 for a source on the other side of the head,
        whose sound reaches the ear first. Many evenly spread sources are a diffuse field, with the coherence
        of `simulation.coherence.diffuse_coherence`.
    shadow_db : float
        How much weaker sound with lead -1 is than sound with lead 1, at both microphones.
    transmission_db : float
        How much less of it passes the cup.
    period_s : float or None
        Mean time in which a source moves once around the head; None for sources that stand still.
    """

    leads: tuple[float, ...] = evenly_spread(SOURCES)
    shadow_db: float = 3.0
    transmission_db: float = 2.0
    period_s: float | None = None


DIFFUSE_FIELD = SoundField()


class SoundFieldPlant(AcousticPlant):
    """An acoustic plant with sound from several directions.

    Parameters
    ----------
    seed : int
        Selects the head, as in `AcousticPlant`, and the order, delays and speeds of the sources.
    rate : int
        Sample rate of the control filter in Hz.
    parameters : PlantParameters, optional
        Default: random, from `seed`. Their reflection is not used.
    path_mismatch : float
        As in `AcousticPlant`.
    field : SoundField
    """

    def __init__(
        self,
        seed: int = 0,
        rate: int = 16_000,
        parameters: PlantParameters | None = None,
        path_mismatch: float = 0.0,
        field: SoundField = DIFFUSE_FIELD,
    ) -> None:
        super().__init__(seed, rate, parameters, path_mismatch)
        self._field = field
        rng = np.random.default_rng([seed, len(field.leads)])
        gaps = rng.uniform(*ARRIVAL_GAPS_S, len(field.leads)) * rate
        delays = (np.cumsum(gaps) - gaps[0]).astype(int)
        motion = _Motion(field, rate, rng)
        self._at_reference = _Arrivals(delays + round(BASE_DELAY_S * rate), motion)
        self._at_ear = _Arrivals(delays, motion)
        self._bank = _FirBank(self._primary_paths())

    def _noise_at_reference(self, noise: Signal) -> Signal:
        return np.concatenate([self._at_reference.read(part)[0].sum(axis=0) for part in _chunks(noise)])

    def _noise_at_ear(self, noise: Signal) -> Signal:
        parts = (_interpolated(*self._at_ear.read(part)) for part in _chunks(noise))
        return np.concatenate([self._bank.process(part) for part in parts])

    def _fade_primary(self, samples: int) -> None:
        self._bank.fade_to(self._primary_paths(), samples)

    def _primary_paths(self) -> NDArray[np.float64]:
        """Return the response from the reference microphone to the ear for each lead, (GRID, taps)."""
        base = round(BASE_DELAY_S * self.rate) / self.rate
        leads = np.linspace(-1.0, 1.0, GRID)[:, None]
        delays = base + leads * self.parameters.reference_to_ear_m / SPEED_OF_SOUND
        gains = 10 ** (-self._field.transmission_db * (1 - leads) / 40)
        responses = self._primary_response(lead=0.0) * gains * np.exp(-jw(self.rate) * delays)
        paths = impulse_response(responses, self.rate)
        return np.stack([np.convolve(path, self._primary_mismatch)[: path.size] for path in paths])


class _Motion:
    """Lead and gain of each source over time."""

    def __init__(self, field: SoundField, rate: int, rng: np.random.Generator) -> None:
        sources = len(field.leads)
        self._shadow_db = field.shadow_db
        self._moving = field.period_s is not None
        self._start = np.arccos(rng.permutation(field.leads))[:, None]
        speeds = rng.uniform(*RELATIVE_SPEEDS, (sources, 1)) * rng.choice([-1, 1], (sources, 1))
        self._step = 2 * np.pi * speeds / ((field.period_s or np.inf) * rate)
        self._scale = 1.0
        self._scale = 1 / np.sqrt(np.square(self.at(0, 1)[1]).sum())

    def at(self, first: int, n: int) -> tuple[Array, Array]:
        """Return leads and gains from sample `first` on, (sources, n), or (sources, 1) without motion."""
        sample = np.arange(first, first + n) if self._moving else np.zeros(1)
        leads = np.cos(self._start + self._step * sample)
        gains = self._scale * 10 ** (-self._shadow_db * (1 - leads) / 40)
        return leads.astype(np.float32), gains.astype(np.float32)


class _Arrivals:
    """The noise as it arrives from each source, block by block."""

    def __init__(self, delays: NDArray[np.int64], motion: _Motion) -> None:
        self._delays = delays[:, None]
        self._motion = motion
        self._history = np.zeros(int(delays.max()), np.float32)
        self._first = 0

    def read(self, noise: Signal) -> tuple[Array, Array]:
        """Return the signal of each source, (sources, n), and the leads, (sources, n or 1)."""
        padded = np.concatenate([self._history, noise])
        delayed = padded[self._history.size - self._delays + np.arange(noise.size)]
        self._history = padded[noise.size :]
        leads, gains = self._motion.at(self._first, noise.size)
        self._first += noise.size
        return gains * delayed, leads


class _FirBank:
    """Filter several streams, each with its own impulse response, and add them; compare `iot.fir.Fir`."""

    def __init__(self, h: NDArray[np.float64]) -> None:
        self._h = self._previous = h.astype(np.float32)
        self._history = np.zeros((h.shape[0], h.shape[1] - 1), np.float32)
        self._fade = self._faded = 0

    def fade_to(self, h: NDArray[np.float64], samples: int) -> None:
        """Change linearly to other responses of the same shape, over so many samples from the next one."""
        weight = np.float32(self._faded / self._fade if self._fade else 1.0)
        self._previous = (1 - weight) * self._previous + weight * self._h
        self._h = h.astype(np.float32)
        self._fade, self._faded = samples, 0

    def process(self, streams: Array) -> Signal:
        """Return the sum of the filtered streams, (n,). The block length does not change it."""
        padded = np.concatenate([self._history, streams], axis=1)
        n = streams.shape[1]
        self._history = padded[:, n:]
        y = _filtered_sum(padded, self._h, n)
        if self._faded == self._fade:
            return y
        rise = np.minimum(np.arange(self._faded + 1, self._faded + n + 1) / self._fade, 1.0)
        self._faded = min(self._faded + n, self._fade)
        rise = rise.astype(np.float32)
        return rise * y + (1 - rise) * _filtered_sum(padded, self._previous, n)


def _filtered_sum(padded: Array, h: Array, n: int) -> Array:
    """Return the last n samples of each row convolved with its response, summed over the rows."""
    taps = h.shape[1]
    if n <= MAX_DIRECT:
        reverse = h[:, ::-1]
        sums = [np.einsum("lt,lt->", padded[:, k : k + taps], reverse) for k in range(n)]
        return np.array(sums, np.float32)
    size = -(-padded.shape[1] // 64) * 64  # the circular part of the convolution is not returned
    spectrum = (np.fft.rfft(padded, size) * np.fft.rfft(h, size)).sum(axis=0)
    return np.fft.irfft(spectrum, size)[taps - 1 : taps - 1 + n].astype(np.float32)


def _interpolated(signals: Array, leads: Array) -> Array:
    """Return the sum of the sources' signals at each lead of the grid, (GRID, n), by linear interpolation."""
    grid = np.arange(GRID, dtype=np.float32)[:, None, None]
    weights = np.maximum(1 - np.abs((leads + 1) * (GRID - 1) / 2 - grid), 0)  # (GRID, sources, n or 1)
    if leads.shape[1] < signals.shape[1]:
        return np.asarray(weights[..., 0] @ signals, np.float32)
    return np.asarray(np.einsum("lkn,kn->ln", weights, signals), np.float32)


def _chunks(noise: Signal) -> Iterator[Signal]:
    return (noise[at : at + MAX_CHUNK] for at in range(0, max(noise.size, 1), MAX_CHUNK))

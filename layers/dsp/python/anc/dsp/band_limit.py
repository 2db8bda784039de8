"""Limit the amplification of a control filter in every third octave.

The least residual energy overall does not prevent a filter from amplifying bands that carry little of the
noise, for example above the frequency at which the reference is no longer coherent with the noise at the ear.
A penalty on the anti-noise in these bands, raised until their residual is below the limit, costs little
attenuation.

Reference: Rafaely & Elliott, "H2/H-infinity active control of sound in a headrest", IEEE Trans. Control
Systems Technology 7(1), 1999, for the problem; the iterated penalty is simpler.
"""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp import validation
from anc.dsp.convolution import fft_filter
from anc.dsp.statistics import DOUBLE, Statistics, tukey_window
from anc.dsp.toeplitz import toeplitz_solve
from anc.dsp.validation import Signal

MAX_AMPLIFICATION_DB = 2.0  # on the design's own sound
MAX_LATER_AMPLIFICATION_DB = 3.0  # on later sound
LOWEST_EDGE_HZ = 112.2  # of the 125 Hz band; a filter of 512 taps at 16 kHz cannot shape narrower bands
INAUDIBLE_DB = -55.0  # level of a band relative to the strongest one, below which it does not count
FIRST_PENALTY = 0.3  # relative to the anti-noise in the band
PENALTY_STEP = 2.0
MAX_STEPS = 14


class BandLimit:
    """Measure how much a control filter amplifies each third octave of a sound.

    Parameters
    ----------
    v : (paths, n) ndarray
        Filtered reference, for each path.
    d : (n,) ndarray
        Noise at the error microphone without control.
    rate : float
        Hz.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(8000)
    >>> limit = BandLimit.measure(x, d=x, secondary=[1.0], rate=16_000)
    >>> limit.amplification_db(np.array([-1.0])).round(1)[[0, -1]].tolist()
    [6.0, 6.0]
    """

    def __init__(self, v: Signal, d: Signal, rate: float) -> None:
        self._v, self._d, self.rate = v, d, rate
        self.edges_hz = band_edges_hz(rate)
        self._noise = len(v) * band_energies(d, rate)
        self._counts = self._noise > 10 ** (INAUDIBLE_DB / 10) * self._noise.max()

    @classmethod
    def measure(cls, x: ArrayLike, d: ArrayLike, secondary: ArrayLike, rate: float) -> Self:
        """Return the limit for a snapshot; parameters as for `design_control_filter`."""
        x, d = validation.check_pair(x, d, DOUBLE)
        paths = np.atleast_2d(np.asarray(secondary, DOUBLE))
        return cls(np.array([fft_filter(path, x) for path in paths]), d, rate)

    def amplification_db(self, w: Signal) -> Signal:
        """Return the level of the residual relative to the noise, (bands,); negative where it is attenuated.

        Bands without sound are 0.
        """
        residual = sum(band_energies(self._d - fft_filter(w, v), self.rate) for v in self._v)
        ratio = np.divide(residual, self._noise, out=np.ones_like(self._noise), where=self._counts)
        return np.asarray(10 * np.log10(np.maximum(ratio, 1e-12)))

    def excess_db(self, w: Signal) -> float:
        """Return by how much the most amplified third octave exceeds 3 dB; 0 if none does."""
        return max(float(self.amplification_db(w).max()) - MAX_LATER_AMPLIFICATION_DB, 0.0)

    def apply(self, w: Signal, statistics: Statistics, regularisation: float) -> Signal:
        """Return a filter that stays below `MAX_AMPLIFICATION_DB` where possible, near `w`.

        Parameters
        ----------
        w : (taps,) ndarray
            The filter designed on `statistics` with `regularisation`.

        Returns
        -------
        (taps,) ndarray
            `w` itself if it already stays below.
        """
        taps = w.size
        r, p = statistics.autocorrelation[:taps], statistics.crosscorrelation[:taps]
        size = 8 * taps
        hann = 0.5 + 0.5 * np.cos(np.pi * np.arange(taps) / taps)
        spectrum = np.maximum(np.fft.hfft(hann * r, size), 0.0)[: size // 2 + 1]
        hz = np.fft.rfftfreq(size, 1 / self.rate)
        band = np.searchsorted(self.edges_hz, hz, "right") - 1
        penalty = np.zeros(self.edges_hz.size)
        for _ in range(MAX_STEPS):
            loud = self.amplification_db(w) > MAX_AMPLIFICATION_DB
            if not loud.any():
                break
            penalty[loud] = np.maximum(FIRST_PENALTY, PENALTY_STEP * penalty[loud])
            penalised = r + np.fft.irfft(spectrum * penalty[band], size)[:taps]
            penalised[0] += regularisation * r[0]
            w = toeplitz_solve(penalised[None], p[None])[0]
        return w


def band_energies(signal: Signal, rate: float) -> Signal:
    """Return the energies, (bands,), of a signal in the bands of `band_edges_hz`, unscaled."""
    size = 1 << (signal.size - 1).bit_length()
    power = np.square(np.abs(np.fft.rfft(tukey_window(signal.size) * signal, size)))
    first_bins = np.searchsorted(np.fft.rfftfreq(size, 1 / rate), band_edges_hz(rate))
    return np.asarray(np.add.reduceat(power, first_bins))


def band_edges_hz(rate: float) -> Signal:
    """Return the lower edges of all bands: one below `LOWEST_EDGE_HZ`, then third octaves.

    >>> band_edges_hz(1_000).round().tolist()
    [0.0, 112.0, 141.0, 178.0, 224.0, 282.0, 355.0, 447.0]
    """
    count = max(int(np.floor(10 * np.log10(rate / 2 / LOWEST_EDGE_HZ))) + 1, 0)
    return np.concatenate([[0.0], LOWEST_EDGE_HZ * 10 ** (np.arange(count) / 10)])

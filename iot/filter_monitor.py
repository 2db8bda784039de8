"""Evaluate the active filter at the error microphone, against the previous filter and against none."""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from anc.dsp.band_limit import band_energies
from iot.controller import NO_FILTER, ActiveFilter, Block
from iot.fir import Fir, Signal

WINDOW_S = 0.25
ALERT_WINDOW_S = 0.08  # window of the early evaluation
MARGIN_DB = 1.0  # of a louder residual: tolerance for errors of the model of S
MAX_RISE_DB = 3.0  # rise at the error microphone that counts as worse at an unchanged reference level
SAME_LEVEL_DB = 2.0  # change of the reference level that counts as unchanged
LOUD_BAND_DB = 6.0  # below the strongest band of the noise; weaker ones are not worth losing the filter
MAX_BAND_RISE_DB = 3.0  # of such a band
MIN_POWER = 10 ** (-65 / 10)  # below it, the microphone's own noise dominates


class Evaluation(NamedTuple):
    """Result of one window.

    Attributes
    ----------
    attenuation_db : float
        Attenuation by the active filter.
    replacement : ActiveFilter or None
        The previous filter or `NO_FILTER`, if it would have left less noise in this window; None to keep the
        active filter.
    """

    attenuation_db: float
    replacement: ActiveFilter | None


class FilterMonitor:
    """Compare the residual with the residuals of the previous filter and of no filter, on the same samples.

    With a model S of the secondary path, the noise without control is d = e + S * y, and a filter w' would
    have left d - S * (w' * x). Since S may be wrong, a first filter also counts as worse when the error
    microphone gets louder while the level at the reference microphone stays the same. A filter that amplifies
    a loud third octave is removed, too.

    Parameters
    ----------
    secondary : (m,) array_like
        Model S, as measured at enrolment.
    rate : int
        Hz.

    Attributes
    ----------
    d : (n,) ndarray
        The noise without control during the latest block.
    """

    d: Signal

    def __init__(self, secondary: ArrayLike, rate: int) -> None:
        self._rate = rate
        self._window, self._alert_window = int(WINDOW_S * rate), int(ALERT_WINDOW_S * rate)
        self._secondary = secondary
        self._secondary_path = Fir(secondary)
        self._active = self._previous = NO_FILTER
        self._comparison: tuple[Fir, Fir] | None = None
        self._last: tuple[float, float] | None = None
        self._energy = np.zeros(4)
        self._samples = 0
        self._signals: list[tuple[Signal, Signal]] = []  # residual and noise of the window
        self._recent: deque[tuple[int, np.ndarray]] = deque()  # samples and energies of recent blocks

    def process(self, block: Block) -> Evaluation | None:
        """Process a block; return an evaluation at the end of each window without a cross-fade.

        A residual that is louder than the noise is evaluated after 80 ms.
        """
        d = self.d = block.e + self._secondary_path.process(block.y)
        if block.active is not self._active:
            self._set_active(block.active)
        alternative = self._alternative_residual(block.x, d)
        if not block.steady:
            self._start_window()
            return None
        energy = np.array([np.vdot(signal, signal) for signal in (block.x, block.e, d, alternative)])
        self._energy += energy
        self._samples += block.x.size
        self._signals.append((block.e, d))
        if self._samples < self._window:
            return self._alert(block.x.size, energy)
        evaluation = self._evaluate(self._energy / self._samples, check_bands=True)
        self._start_window()
        return evaluation

    def _alert(self, n: int, energy: np.ndarray) -> Evaluation | None:
        """Return an early evaluation if the residual was louder than the noise for 80 ms, else None."""
        self._recent.append((n, energy))
        samples = sum(size for size, _ in self._recent)
        if samples < self._alert_window:
            return None
        power = np.sum([energies for _, energies in self._recent], axis=0) / samples
        while samples - self._recent[0][0] >= self._alert_window:
            samples -= self._recent.popleft()[0]
        _, e, d, _ = power
        if self._active.gain == 0 or d < MIN_POWER or e <= 10 ** (MARGIN_DB / 10) * d:
            return None
        evaluation = self._evaluate(power)
        self._start_window()
        return evaluation

    def _set_active(self, active: ActiveFilter) -> None:
        self._previous, self._active = self._active, active
        self._comparison = None
        # With the same filter id only the intensity has changed: nothing to compare.
        if active.gain > 0 and active.filter_id != self._previous.filter_id:
            self._comparison = (Fir(self._previous.gain * self._previous.w), Fir(self._secondary))

    def _alternative_residual(self, x: Signal, d: Signal) -> Signal:
        if self._comparison is None:
            return d
        w, secondary = self._comparison
        return d - secondary.process(w.process(x))

    def _start_window(self) -> None:
        self._energy = np.zeros(4)
        self._samples = 0
        self._signals.clear()
        self._recent.clear()

    def _evaluate(self, power: np.ndarray, *, check_bands: bool = False) -> Evaluation:
        x, e, d, alternative = np.maximum(power, 1e-15)
        attenuation_db = float(10 * np.log10(d / e))
        replacement = None
        if d > MIN_POWER and self._active.gain > 0:
            margin = 10 ** (MARGIN_DB / 10)
            if self._comparison and e > margin * alternative and alternative <= d:
                replacement = self._previous
            elif e > margin * d or self._is_louder(x, e) or (check_bands and self._amplifies_a_loud_band()):
                replacement = NO_FILTER
        self._comparison = None
        self._last = (x, e)
        return Evaluation(attenuation_db, replacement)

    def _amplifies_a_loud_band(self) -> bool:
        residual, noise = (
            band_energies(np.concatenate(signals), self._rate) for signals in zip(*self._signals, strict=True)
        )
        loud = noise > 10 ** (-LOUD_BAND_DB / 10) * noise.max()
        limit = 10 ** ((MAX_BAND_RISE_DB + MARGIN_DB) / 10)
        return bool((residual > limit * noise)[loud].any())

    def _is_louder(self, x: float, e: float) -> bool:
        if self._comparison is None or self._last is None or self._previous.gain > 0:
            return False
        last_x, last_e = self._last
        same = abs(10 * np.log10(x / last_x)) < SAME_LEVEL_DB
        return bool(same and 10 * np.log10(e / last_e) > MAX_RISE_DB)

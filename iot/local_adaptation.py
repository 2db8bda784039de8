"""Local adaptation: adapt the filter from the cloud on the headset while it plays.

Normalised filtered-x LMS, updated once per block along the correlation of the residual e with the filtered
reference v = S * x. The weights stay near a base, the latest design: a leak pulls them back, their
distance is limited, and they return to the base when it would have left less noise.

References: Elliott, Signal Processing for Active Control, 2001, section 3.4; Kuo & Morgan,
"Active noise control: a tutorial review", Proc. IEEE 87(6), 1999.
"""

import numpy as np
from numpy.typing import ArrayLike

from iot.fir import Fir, Signal

STEP_SIZE = 0.01  # of the normalised update, per sample
REFINED_STEP_SIZE = 0.005  # around a design of the headset, which is nearer to the best filter
LEAK_S = 20.0  # time constant of the leak towards the base
MAX_DISTANCE = 0.5  # of the weights from the base, relative to the norm of the base
FADE_S = 0.05  # to a design of the headset
WINDOW_S = 0.25  # between comparisons with the base
MIN_POWER = 10 ** (-65 / 10)  # of the reference; below it the microphone's own noise dominates
CLIPPED = 0.99  # amplitude at which a block counts as clipped
MAX_SUDDEN_RISE = 4.0  # of the residual power over its average; more is speech or a touch
MAX_RISE = 1.26  # of residual over reference energy since the weights left the base: 1 dB
MAX_RISE_COUNT = 3  # rises after which the base stays until the next filter
AVERAGE_S = 0.5  # time constant of that average


class LocalAdaptation:
    """Adapt the weights of the active filter block by block. Only the audio thread may call it.

    The base is the filter from the cloud, or one that the headset designed since (`refine`).

    Update and comparison take 3 m + 2 taps multiply-adds per sample, for a path of m taps: three convolutions
    (S twice, filter and S together) and one correlation of the filter's length.

    Parameters
    ----------
    secondary : (m,) array_like
        Model S of the secondary path, tap 0 first.
    rate : int
        Hz.

    Attributes
    ----------
    w : (taps,) float32 ndarray
        Adapted weights.
    """

    def __init__(self, secondary: ArrayLike, rate: int) -> None:
        self._rate = rate
        self._secondary = np.asarray(secondary, np.float32)
        self._filtered, self._played = Fir(self._secondary), Fir(self._secondary)
        self._residual_power = 0.0
        self.start(np.zeros(1, np.float32), 0.0)

    def start(self, base: Signal, gain: float) -> None:
        """Start from a filter from the cloud, the base, played at `gain`; 0 stops the adaptation."""
        self.w = self._sent = base
        self._gain = gain
        self._history = np.zeros(base.size - 1, np.float32)
        self._step_size = STEP_SIZE
        self._rise_count = 0
        self._first_ratio: float | None = None  # of residual to reference energy in the first window
        self._fading = 0  # samples until the weights have moved to the base
        self._set_base(base)

    def refine(self, w: Signal) -> None:
        """Move within `FADE_S` to a filter that the headset designed, (taps,), the new base.

        Nothing happens after `MAX_RISE_COUNT` rises of the residual: the model S is probably wrong.
        """
        if self._rise_count < MAX_RISE_COUNT:
            self._set_base(w)
            self._step_size = REFINED_STEP_SIZE
            self._fading = int(FADE_S * self._rate)

    def _set_base(self, base: Signal) -> None:
        self._base = base
        self._limit = MAX_DISTANCE * float(np.linalg.norm(base))
        self._with_base = Fir(np.convolve(base, self._secondary)) if self._gain else None
        self._compared = np.zeros(4)  # samples, energies of reference, residual and residual with the base

    def process(self, x: Signal, e: Signal, y: Signal, steady: bool) -> None:
        """Adapt to a block of reference, error microphone and driver, each (n,).

        The weights are frozen during a cross-fade (`steady` is False), in clipped or quiet blocks, and when
        the residual suddenly exceeds its average by 6 dB.
        """
        v, d = self._filtered.process(x), e + self._played.process(y)
        padded = np.concatenate([self._history, v])
        self._history = padded[v.size :]
        if self._with_base is None:
            return
        with_base = d - self._gain * self._with_base.process(x)
        is_noise = self._is_noise(x, e, y)
        if self._fading:
            self.w = self.w + (self._base - self.w) * np.float32(min(x.size / self._fading, 1.0))
            self._fading = max(self._fading - x.size, 0)
        elif steady and self._rise_count < MAX_RISE_COUNT and is_noise:
            self._update(padded, e)
            self._compare(x, e, with_base)

    def _is_noise(self, x: Signal, e: Signal, y: Signal) -> bool:
        power = float(np.vdot(e, e)) / e.size
        average = self._residual_power
        weight = min(e.size / (AVERAGE_S * self._rate), 1.0)
        # The average follows a rise slowly and a fall at once, so that speech hardly changes it.
        rising = power >= average > 0.0
        self._residual_power = average + weight * (power - average) if rising else power
        clipped = max(float(np.abs(s).max()) for s in (x, e, y)) >= CLIPPED
        audible = np.vdot(x, x) > MIN_POWER * x.size
        return bool(audible and not clipped and 0.0 < power <= MAX_SUDDEN_RISE * average)

    def _update(self, padded: Signal, e: Signal) -> None:
        taps = self._base.size
        energy = float(np.vdot(padded, padded)) * taps / padded.size
        gradient = np.correlate(padded, e, "valid")[::-1]
        keep = 1.0 - e.size / (LEAK_S * self._rate)
        change = keep * (self.w - self._base) + self._step_size * gradient / max(energy, 1e-12)
        distance = float(np.linalg.norm(change))
        if distance > self._limit:
            change *= self._limit / distance
        self.w = (self._base + change).astype(np.float32)

    def _compare(self, x: Signal, e: Signal, with_base: Signal) -> None:
        """At the end of a window, return to the base if it would have left less noise.

        A wrong model S makes this comparison wrong, too. The weights therefore also return when the residual,
        relative to the reference, has risen since they left the base.
        """
        self._compared += np.array([e.size, np.vdot(x, x), np.vdot(e, e), np.vdot(with_base, with_base)])
        samples, reference, adapted, base = self._compared
        if samples < WINDOW_S * self._rate:
            return
        ratio = adapted / reference
        rose = ratio > MAX_RISE * (self._first_ratio or ratio)
        self._rise_count += int(rose)
        if self._rise_count == MAX_RISE_COUNT:
            self._set_base(self._sent)
        if adapted > base or rose:
            self.w, self._first_ratio = self._base, None
        elif self._first_ratio is None:
            self._first_ratio = ratio
        self._compared = np.zeros(4)

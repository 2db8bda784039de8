"""Local adaptation: the headset keeps the cloud's filter optimal while it plays.

A filtered-x LMS update, normalised, once a block: the weights move along the correlation of the residual e
with the filtered reference v = S * x. They stay near the cloud's filter: a leak pulls them back, their
distance is limited, and they return to it as soon as it would have left less noise.

References: Elliott, Signal Processing for Active Control, 2001, section 3.4; Kuo & Morgan,
"Active noise control: a tutorial review", Proc. IEEE 87(6), 1999.
"""

import numpy as np
from numpy.typing import ArrayLike

from iot.fir import Fir, Signal

STEP = 0.01  # of the normalised update, per sample
LEAK_S = 20.0  # time constant of the return to the cloud's filter
MAX_DISTANCE = 0.5  # of the weights from the cloud's filter, relative to its norm
WINDOW_S = 0.25  # between comparisons with the cloud's filter
MIN_POWER = 10 ** (-65 / 10)  # of the reference; below it the microphone's own noise dominates
FULL_SCALE = 0.99  # amplitude from which on a block counts as clipped
SUDDEN = 4.0  # rise of the residual's power over its average that is not the noise: speech, a touch
MAX_RISE = 1.26  # of the residual over the reference since the weights left the cloud's filter: 1 dB
MAX_RISES = 3  # until the next filter
AVERAGE_S = 0.5  # time constant of that average


class LocalAdaptation:
    """Adapt the weights of the active filter block by block. Only the audio thread may call it.

    Per sample, the update and the comparison take 3 convolutions (the model S twice, filter and S together)
    and one correlation of the filter's length: 3 m + 2 taps multiply-adds for a path of m taps.

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
        """Start from a filter of the cloud, at the gain that it plays at; 0 stops the adaptation."""
        self.w = self._base = base
        self._gain = gain
        self._limit = MAX_DISTANCE * float(np.linalg.norm(base))
        self._with_base = Fir(np.convolve(base, self._secondary)) if gain else None
        self._history = np.zeros(base.size - 1, np.float32)
        self._compared = np.zeros(4)  # samples, energies of reference, residual and residual with the base
        self._rises = 0
        self._share: float | None = None  # residual over reference in the first window

    def process(self, x: Signal, e: Signal, y: Signal, steady: bool) -> None:
        """Adapt to a block of reference, error microphone and driver, each (n,).

        Nothing is learned during a cross-fade, from clipped or quiet blocks, or when the residual rises by
        more than 6 dB over its average at once.
        """
        v, d = self._filtered.process(x), e + self._played.process(y)
        padded = np.concatenate([self._history, v])
        self._history = padded[v.size :]
        if self._with_base is None:
            return
        with_base = d - self._gain * self._with_base.process(x)
        if steady and self._rises < MAX_RISES and self._is_noise(x, e, y):
            self._update(padded, e)
            self._compare(x, e, with_base)

    def _is_noise(self, x: Signal, e: Signal, y: Signal) -> bool:
        power = float(np.vdot(e, e)) / e.size
        usual = self._residual_power
        weight = min(e.size / (AVERAGE_S * self._rate), 1.0)
        # The average follows a rise slowly and a fall at once, so that speech hardly moves it.
        self._residual_power = power if power < usual or usual == 0.0 else usual + weight * (power - usual)
        clipped = max(float(np.abs(s).max()) for s in (x, e, y)) >= FULL_SCALE
        return bool(not clipped and np.vdot(x, x) > MIN_POWER * x.size and 0.0 < power <= SUDDEN * usual)

    def _update(self, padded: Signal, e: Signal) -> None:
        taps = self._base.size
        energy = float(np.vdot(padded, padded)) * taps / padded.size
        gradient = np.correlate(padded, e, "valid")[::-1]
        keep = 1.0 - e.size / (LEAK_S * self._rate)
        change = keep * (self.w - self._base) + STEP * gradient / max(energy, 1e-12)
        distance = float(np.linalg.norm(change))
        if distance > self._limit:
            change *= self._limit / distance
        self.w = (self._base + change).astype(np.float32)

    def _compare(self, x: Signal, e: Signal, with_base: Signal) -> None:
        """Return to the cloud's filter when it would have left less in the window.

        A wrong model S is wrong about that, too: the weights also return when the residual, relative to the
        reference, has risen since they left, and stay for good when that happens again and again.
        """
        self._compared += np.array([e.size, np.vdot(x, x), np.vdot(e, e), np.vdot(with_base, with_base)])
        samples, reference, adapted, base = self._compared
        if samples < WINDOW_S * self._rate:
            return
        share = adapted / reference
        rose = share > MAX_RISE * (self._share or share)
        self._rises += int(rose)
        if adapted > base or rose:
            self.w, self._share = self._base, None
        elif self._share is None:
            self._share = share
        self._compared = np.zeros(4)

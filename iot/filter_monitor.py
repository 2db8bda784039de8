"""What the error microphone says of the filter that plays: does it help, and more than the one before?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from iot.controller import NO_FILTER, ActiveFilter, Block
from iot.fir import Fir, Signal

WINDOW_S = 0.25
MARGIN_DB = 1.0  # a filter is worse when it is so by more than the model of S may be wrong
LOUDER_DB = 3.0  # at the error microphone, while the reference microphone hears what it heard before
SAME_LEVEL_DB = 2.0
FAINT = 10 ** (-65 / 10)  # power at which a microphone hears little but itself


class Evaluation(NamedTuple):
    """On one window.

    Attributes
    ----------
    attenuation_db : float
        Of the filter that plays.
    better : Voice or None
        What would have left less noise in this window: the voice before, or silence. None: this is best.
    """

    attenuation_db: float
    better: ActiveFilter | None


class FilterMonitor:
    """Compares, over the same samples, what is left with what would have been left.

    The headset knows x, e and the y that it plays, and has a model S of its secondary path. So it knows the
    noise without control as e + S * y, and what another filter would have left of it as that less S times
    what the other would have played. Since S may be wrong altogether, a first filter after which the error
    microphone simply is louder counts as worse too, as long as the reference microphone hears no change.

    Parameters
    ----------
    secondary : (m,) array_like
        S, as measured at enrolment.
    rate : int
        Hz.
    """

    def __init__(self, secondary: ArrayLike, rate: int) -> None:
        self._window = int(WINDOW_S * rate)
        self._secondary = secondary
        self._played = Fir(secondary)
        self._active = self._before = NO_FILTER
        self._on_trial: tuple[Fir, Fir] | None = None
        self._last: tuple[float, float] | None = None
        self._energy = np.zeros(4)
        self._n = 0

    def process(self, block: Block) -> Evaluation | None:
        """Take a block; a verdict at the end of each window during which one voice played alone."""
        d = block.e + self._played.process(block.y)
        if block.active is not self._active:
            self._change(block.active)
        before = self._would_have_left(block.x, d)
        if not block.steady:
            self._start_window()
            return None
        self._energy += [np.vdot(signal, signal) for signal in (block.x, block.e, d, before)]
        self._n += block.x.size
        if self._n < self._window:
            return None
        evaluation = self._decide(self._energy / self._n)
        self._start_window()
        return evaluation

    def _change(self, active: ActiveFilter) -> None:
        self._before, self._active = self._active, active
        self._on_trial = None
        if (
            active.gain > 0 and active.filter_id != self._before.filter_id
        ):  # else only the listener's wish changed
            self._on_trial = (Fir(self._before.gain * self._before.w), Fir(self._secondary))

    def _would_have_left(self, x: Signal, d: Signal) -> Signal:
        if self._on_trial is None:
            return d
        w, secondary = self._on_trial
        return d - secondary.process(w.process(x))

    def _start_window(self) -> None:
        self._energy = np.zeros(4)
        self._n = 0

    def _decide(self, power: np.ndarray) -> Evaluation:
        x, e, d, before = np.maximum(power, 1e-15)
        attenuation_db = float(10 * np.log10(d / e))
        better = None
        if d > FAINT and self._active.gain > 0:
            margin = 10 ** (MARGIN_DB / 10)
            if self._on_trial and e > margin * before and before <= d:
                better = self._before
            elif e > margin * d or self._is_louder(x, e):
                better = NO_FILTER
        self._on_trial = None
        self._last = (x, e)
        return Evaluation(attenuation_db, better)

    def _is_louder(self, x: float, e: float) -> bool:
        if self._on_trial is None or self._last is None or self._before.gain > 0:
            return False
        x_before, e_before = self._last
        same = abs(10 * np.log10(x / x_before)) < SAME_LEVEL_DB
        return bool(same and 10 * np.log10(e / e_before) > LOUDER_DB)

"""Bounds on what the design of a new filter every half second can reach after a change of noise.

Unlike the platform, these designs have no delay, know the true secondary path, and get the noise at the ear
without the noise of a microphone. What they lose against the best fixed filter in hindsight is the price of
not knowing the future, of the limits of amplification that the platform's designs keep, and of a driver that
clips at full scale, as that of the simulated head does.
"""

from collections.abc import Mapping

import numpy as np

from anc.dsp import attenuation_db, design_control_filter
from anc.dsp.convolution import fft_filter
from iot.fir import Signal
from simulation.oracle import best_fixed_filter
from tools.evaluation.baselines import TAPS, BaselineSignals
from tools.evaluation.dataset import RATE

CLIPPED_ORACLE = "in hindsight without limits (the oracle), and the driver clips"
HINDSIGHT = "in hindsight"
# Duration of the sound before each design, in seconds; all since the change, if there is less.
MEMORIES_S = {
    "every half second on all since the change": np.inf,
    "every half second on the last second": 1.0,
}
INTERVAL = RATE // 2


def redesign_db(signals: BaselineSignals, change: int, start: int) -> Mapping[str, float]:
    """Return the attenuation from `start` on in dB, by name of the design.

    Parameters
    ----------
    signals : BaselineSignals
    change : int
        Sample at which the noise changes; the repeated designs do not use sound before it.
    start : int
        First sample that counts, at least `2 * TAPS + 2` after the change.
    """
    end = signals.d.size
    oracle = best_fixed_filter(signals.x, signals.d, signals.path, slice(start, end))
    residuals = {
        CLIPPED_ORACLE: _residual(signals, oracle, start, end),
        HINDSIGHT: _residual(signals, _design(signals, start, end), start, end),
    }
    residuals |= {name: redesigned(signals, change, start, memory) for name, memory in MEMORIES_S.items()}
    return {name: attenuation_db(signals.d[start:], residual) for name, residual in residuals.items()}


def redesigned(signals: BaselineSignals, change: int, start: int, memory_s: float) -> Signal:
    """Return the residual from `start` on, (n,), of filters that are each designed on the sound before it."""
    residuals = []
    for now in range(start, signals.d.size, INTERVAL):
        first = max(change, now - int(min(memory_s * RATE, now)))
        end = min(now + INTERVAL, signals.d.size)
        residuals.append(_residual(signals, _design(signals, first, now), now, end))
    return np.concatenate(residuals)


def _design(signals: BaselineSignals, first: int, last: int) -> Signal:
    x, d = signals.x[first:last], signals.d[first:last]
    return design_control_filter(x, d, signals.path, TAPS, rate=RATE).taps


def _residual(signals: BaselineSignals, w: Signal, first: int, last: int) -> Signal:
    """Return the residual of a filter from sample `first` to `last`."""
    before = max(0, first - w.size - signals.path.size)
    driven = np.clip(fft_filter(w, signals.x[before:last]), -1.0, 1.0)
    antinoise = fft_filter(signals.path, driven)[first - before :]
    return np.asarray(signals.d[first:last] - antinoise)

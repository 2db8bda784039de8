"""Baselines: methods that a headset can run without the platform.

All baselines get the same reference signal and the true secondary path. Where a method has to choose a filter
or a step size, it gets the best choice (oracle), which makes it better than its published version.

References: Shi, Gan, Lam & Wen, "Feedforward selective fixed-filter active noise control", IEEE/ACM Trans.
ASLP 28, 2020; Luo, Shi & Gan, "A hybrid SFANC-FxNLMS algorithm", IEEE SPL 29, 2022; Luo, Shi, Shen, Ji & Gan,
"Deep generative fixed-filter active noise control", ICASSP 2023.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anc.dsp import FxNLMS, Statistics, design_from_statistics
from anc.dsp.design import total
from anc.dsp.toeplitz import toeplitz_times
from iot.fir import Signal
from simulation.acoustic_plant import AcousticPlant
from tools.evaluation.dataset import PART_S, RATE, Clip

TAPS = 512
STEP_SIZES = (0.003, 0.01, 0.03, 0.1, 0.3)
BANK_SIZE = 15
CLUSTER_ROUNDS = 6
FRAME = RATE  # update interval of SFANC and GFANC in samples: one second, as published
LOWEST_HZ = 40.0


class BaselineSignals(NamedTuple):
    """The signals of a head without control, and its secondary paths.

    Attributes
    ----------
    x, d, e : (n,) ndarray
        Reference microphone, true noise at the ear, error microphone.
    measured, path : (m,) ndarray
        Secondary path as measured at enrolment, and the true one.
    """

    x: Signal
    d: Signal
    e: Signal
    measured: Signal
    path: Signal

    def residual(self, w: Callable[[int], Signal]) -> Signal:
        """Return the residual at the ear with control filter `w(frame)` in each frame."""
        y = np.zeros(self.x.size)
        for frame, first in enumerate(range(0, self.x.size, FRAME)):
            last = min(first + FRAME, self.x.size)
            taps = w(frame)
            x = self.x[max(0, first - taps.size + 1) : last]
            y[first:last] = np.convolve(x, taps)[x.size - (last - first) :][: last - first]
        return self.d - np.convolve(y, self.path)[: self.d.size]

    def frames(self) -> Iterator[Statistics]:
        """Yield the true statistics of each complete frame."""
        for first in range(0, self.x.size - FRAME + 1, FRAME):
            span = slice(first, first + FRAME)
            yield Statistics.measure(self.x[span], self.d[span], self.path, TAPS, RATE)


def baseline_signals(head: AcousticPlant, noise: Signal) -> BaselineSignals:
    """Return the signals of a head in a noise without control."""
    x, ear = head.reference(noise), head.ear(noise, np.zeros_like(noise))
    return BaselineSignals(x, ear.d, ear.e, head.measured_secondary(), head.true_secondary())


@dataclass(frozen=True)
class TrainedBaselines:
    """Filters designed from the training noises and heads.

    Attributes
    ----------
    universal : (taps,) ndarray
        The best single filter.
    bank : (15, taps) ndarray
        The best filter for each of 15 clusters of noises (Lloyd's algorithm).
    bands : (15, taps) ndarray
        The universal filter, split into frequency bands.
    """

    universal: Signal
    bank: NDArray[np.float64]
    bands: NDArray[np.float64]


def train(clips: Sequence[Clip], heads: Sequence[AcousticPlant]) -> TrainedBaselines:
    """Design the baseline filters with the true paths of the heads."""
    statistics = [_clip_statistics(clip, heads) for clip in clips]
    universal = design_from_statistics(_grouped(statistics)).taps
    return TrainedBaselines(universal, _bank(statistics, universal), _bands(universal))


def universal(signals: BaselineSignals, trained: TrainedBaselines) -> Signal:
    """Return the residual of the universal filter."""
    return signals.residual(lambda _: trained.universal)


def sfanc(signals: BaselineSignals, trained: TrainedBaselines) -> Signal:
    """Return the residual of SFANC, which selects a filter of the bank every second.

    It gets the best filter for the previous second; the published network can only estimate it.
    """
    chosen = [trained.universal]
    chosen += [min(trained.bank, key=frame.residual) for frame in signals.frames()]
    return signals.residual(lambda frame: chosen[frame])


def gfanc(signals: BaselineSignals, trained: TrainedBaselines) -> Signal:
    """Return the residual of GFANC, which combines the bands of the universal filter every second.

    It gets the best real weights for the previous second; the published network estimates weights of 0 or 1.
    """
    chosen = [trained.universal]
    for statistics in signals.frames():
        autocorrelation = np.tile(statistics.autocorrelation, (BANK_SIZE, 1))
        matrix = toeplitz_times(autocorrelation, trained.bands) @ trained.bands.T
        matrix.flat[:: BANK_SIZE + 1] += 1e-6 * np.trace(matrix) / BANK_SIZE
        weights = np.linalg.solve(matrix, trained.bands @ statistics.crosscorrelation)
        chosen.append(weights @ trained.bands)
    return signals.residual(lambda frame: chosen[frame])


def own_fxnlms(signals: BaselineSignals, span: slice) -> tuple[Signal, float]:
    """Return the residual of FxNLMS on the headset, and its step size, which is the best over `span`.

    It uses the secondary path measured at enrolment. Step sizes that diverge are excluded.
    """
    microphone_noise = signals.e - signals.d
    best: tuple[Signal, float] = (signals.d, 0.0)
    for mu in STEP_SIZES:
        f = FxNLMS(TAPS, mu, signals.measured, path=signals.path)
        with np.errstate(all="ignore"):
            try:
                _, e = f.process(signals.x, signals.e)
            except ArithmeticError:
                continue
            residual = e - microphone_noise
            if np.sum(np.square(residual[span])) < np.sum(np.square(best[0][span])):
                best = residual, mu
    return best


def _clip_statistics(clip: Clip, heads: Sequence[AcousticPlant]) -> Statistics:
    noise = clip.read().read(int(PART_S * RATE))
    head_signals = [baseline_signals(head, noise) for head in heads]
    measured = [Statistics.measure(one.x, one.d, one.path, TAPS, RATE) for one in head_signals]
    return total([_normalised(one) for one in measured], None)


def _normalised(one: Statistics) -> Statistics:
    r, p = one.autocorrelation / one.energy, one.crosscorrelation / one.energy
    return replace(one, autocorrelation=r, crosscorrelation=p, energy=1.0)


def _grouped(statistics: Sequence[Statistics], groups: int = 4) -> list[Statistics]:
    return [total(statistics[k::groups], None) for k in range(min(groups, len(statistics)))]


def _bank(statistics: Sequence[Statistics], first: Signal) -> NDArray[np.float64]:
    filters = [first]
    while len(filters) < min(BANK_SIZE, len(statistics)):
        worst = min(statistics, key=lambda one: max(one.attenuation_db(w) for w in filters))
        filters.append(design_from_statistics([worst]).taps)
    for _ in range(CLUSTER_ROUNDS):
        nearest = [int(np.argmax([one.attenuation_db(w) for w in filters])) for one in statistics]
        for k in set(nearest):
            cluster = [one for one, chosen in zip(statistics, nearest, strict=True) if chosen == k]
            filters[k] = design_from_statistics([total(cluster, None)]).taps
    return np.array(filters, float)


def _bands(w: Signal) -> NDArray[np.float64]:
    hz = np.fft.rfftfreq(2 * w.size, 1 / RATE)
    edges = np.concatenate([[0.0], np.geomspace(LOWEST_HZ, RATE / 2, BANK_SIZE)])
    band = np.clip(np.searchsorted(edges, hz, "right") - 1, 0, BANK_SIZE - 1)
    spectrum = np.fft.rfft(w, 2 * w.size)
    whole = np.array([np.fft.irfft(np.where(band == k, spectrum, 0)) for k in range(BANK_SIZE)])
    return whole[:, : w.size]  # the remainders of all bands cancel

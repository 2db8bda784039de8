"""What a headset could do without the platform. Each is given more than it could have.

Every rival gets the same reference signal and plays through the same true path. What is chosen, is chosen
from what sounded before; only where it says so is a choice made in hindsight, in the rival's favour.

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
STEPS = (0.003, 0.01, 0.03, 0.1, 0.3)
BANK = 15
ROUNDS = 6
FRAME = RATE  # on which SFANC and GFANC choose, in samples: one second, as published
LOWEST_HZ = 40.0


class BaselineSignals(NamedTuple):
    """What a head hears without control, and all that a rival may be given.

    Attributes
    ----------
    x, d, e : (n,) ndarray
        Reference microphone, true noise at the ear, error microphone.
    measured, path : (m,) ndarray
        Secondary path as it was measured at enrolment, and as it is.
    """

    x: Signal
    d: Signal
    e: Signal
    measured: Signal
    path: Signal

    def left_by(self, w: Callable[[int], Signal]) -> Signal:
        """Return the residual when the filter `w(frame)` plays in each frame."""
        y = np.zeros(self.x.size)
        for frame, first in enumerate(range(0, self.x.size, FRAME)):
            last = min(first + FRAME, self.x.size)
            taps = w(frame)
            heard = self.x[max(0, first - taps.size + 1) : last]
            y[first:last] = np.convolve(heard, taps)[heard.size - (last - first) :][: last - first]
        return self.d - np.convolve(y, self.path)[: self.d.size]

    def frames(self) -> Iterator[Statistics]:
        """Yield what was true of each whole frame, once it is over."""
        for first in range(0, self.x.size - FRAME + 1, FRAME):
            span = slice(first, first + FRAME)
            yield Statistics.measure(self.x[span], self.d[span], self.path, TAPS, RATE)


def baseline_signals(head: AcousticPlant, noise: Signal) -> BaselineSignals:
    """Put a head into a noise without control."""
    x, ear = head.reference(noise), head.ear(noise, np.zeros_like(noise))
    return BaselineSignals(x, ear.d, ear.e, head.measured_secondary(), head.true_secondary())


@dataclass(frozen=True)
class Trained:
    """What a maker ships, made from noises and heads that nobody is judged on.

    Attributes
    ----------
    universal : (taps,) ndarray
        The one filter that is best for all of them.
    bank : (15, taps) ndarray
        Each the best for a cluster of the noises, the clusters by which filter suits them best (Lloyd).
    parts : (15, taps) ndarray
        The universal filter in bands; they add up to it.
    """

    universal: Signal
    bank: NDArray[np.float64]
    parts: NDArray[np.float64]


def train(clips: Sequence[Clip], heads: Sequence[AcousticPlant]) -> Trained:
    """Make what a maker ships; the laboratory knows its heads' true paths."""
    lessons = [_lesson(clip, heads) for clip in clips]
    universal = design_from_statistics(_in_groups(lessons)).taps
    return Trained(universal, _bank(lessons, universal), _bands(universal))


def universal(sitting: BaselineSignals, trained: Trained) -> Signal:
    """One filter for everybody and everything."""
    return sitting.left_by(lambda _: trained.universal)


def sfanc(sitting: BaselineSignals, trained: Trained) -> Signal:
    """A filter of the bank each second: the one that truly was best for this ear in the second before.

    The published network guesses it from the sound; it can do no better than this.
    """
    chosen = [trained.universal]
    chosen += [min(trained.bank, key=known.residual) for known in sitting.frames()]
    return sitting.left_by(lambda frame: chosen[frame])


def gfanc(sitting: BaselineSignals, trained: Trained) -> Signal:
    """Sub-filters combined each second by the weights that truly were best in the second before.

    The published network guesses weights of 0 and 1; here they are free.
    """
    chosen = [trained.universal]
    for known in sitting.frames():
        matrix = toeplitz_times(np.tile(known.autocorrelation, (BANK, 1)), trained.parts) @ trained.parts.T
        matrix.flat[:: BANK + 1] += 1e-6 * np.trace(matrix) / BANK
        weights = np.linalg.solve(matrix, trained.parts @ known.crosscorrelation)
        chosen.append(weights @ trained.parts)
    return sitting.left_by(lambda frame: chosen[frame])


def own_fxnlms(sitting: BaselineSignals, judged: slice) -> tuple[Signal, float]:
    """The device's own FxNLMS at the step that was best over `judged`, known only afterwards.

    Its model of the secondary path is the one measured at enrolment. A step at which it diverges is out.
    """
    own_noise = sitting.e - sitting.d
    best: tuple[Signal, float] = (sitting.d, 0.0)
    for mu in STEPS:
        f = FxNLMS(TAPS, mu, sitting.measured, path=sitting.path)
        with np.errstate(all="ignore"):
            try:
                _, e = f.process(sitting.x, sitting.e)
            except ArithmeticError:
                continue
            residual = e - own_noise
            if np.sum(np.square(residual[judged])) < np.sum(np.square(best[0][judged])):
                best = residual, mu
    return best


def _lesson(clip: Clip, heads: Sequence[AcousticPlant]) -> Statistics:
    noise = clip.read().read(int(PART_S * RATE))
    sittings = [baseline_signals(head, noise) for head in heads]
    measured = [Statistics.measure(one.x, one.d, one.path, TAPS, RATE) for one in sittings]
    return total([_equally_loud(one) for one in measured], None)


def _equally_loud(one: Statistics) -> Statistics:
    r, p = one.autocorrelation / one.energy, one.crosscorrelation / one.energy
    return replace(one, autocorrelation=r, crosscorrelation=p, energy=1.0)


def _in_groups(lessons: Sequence[Statistics], groups: int = 4) -> list[Statistics]:
    return [total(lessons[k::groups], None) for k in range(min(groups, len(lessons)))]


def _bank(lessons: Sequence[Statistics], first: Signal) -> NDArray[np.float64]:
    filters = [first]
    while len(filters) < min(BANK, len(lessons)):
        worst = min(lessons, key=lambda lesson: max(lesson.attenuation_db(w) for w in filters))
        filters.append(design_from_statistics([worst]).taps)
    for _ in range(ROUNDS):
        nearest = [int(np.argmax([lesson.attenuation_db(w) for w in filters])) for lesson in lessons]
        for k in set(nearest):
            own = [lesson for lesson, chosen in zip(lessons, nearest, strict=True) if chosen == k]
            filters[k] = design_from_statistics([total(own, None)]).taps
    return np.array(filters, float)


def _bands(w: Signal) -> NDArray[np.float64]:
    hz = np.fft.rfftfreq(2 * w.size, 1 / RATE)
    edges = np.concatenate([[0.0], np.geomspace(LOWEST_HZ, RATE / 2, BANK)])
    band = np.clip(np.searchsorted(edges, hz, "right") - 1, 0, BANK - 1)
    spectrum = np.fft.rfft(w, 2 * w.size)
    whole = np.array([np.fft.irfft(np.where(band == k, spectrum, 0)) for k in range(BANK)])
    return whole[:, : w.size]  # what lies behind adds up to nothing

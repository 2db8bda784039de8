"""Figures of what arrived at the ear. All of them are of the noise alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from anc.dsp import attenuation_db
from iot.fir import Signal
from simulation.playback import BLOCK_S
from tools.evaluation.dataset import PART_S, RATE

BLOCK = int(BLOCK_S * RATE)
DEADLINE_S = 1.2  # by when a first filter is to play: what comes later is judged
FINAL_S = 2.0
WINDOW_S, STEP_S = 0.25, 0.05  # over which attenuation is told, and how often
BLOCKS_TOGETHER = 5  # 80 ms: in less, noise is louder and fainter by chance
FAINT = 1e-8  # energy a sample: 80 dB below full scale, where nobody hears a difference


class Figures(NamedTuple):
    """Of one way to control noise, after one change of noise.

    Attributes
    ----------
    settled_db : float
        Attenuation from `DEADLINE_S` after the change to the end.
    whole_db : float
        From the change to the end.
    to_90_percent_s : float or None
        From the change until attenuation, over the last quarter second, first is 90 % of what it is in the
        end, over the last two seconds; in dB. None where in the end there is none.
    worse_s : float
        The longest time in which the noise was louder than without control, whenever that was.
    course_db : list of float
        Attenuation over the last quarter second, every 50 ms from the change on.
    """

    settled_db: float
    whole_db: float
    to_90_percent_s: float | None
    worse_s: float
    course_db: list[float]


def figures(d: Signal, residual: Signal, change: int) -> Figures:
    """Measure a whole run in which the noise became another one at sample `change`."""
    end = change + int(PART_S * RATE)
    deadline, final = change + int(DEADLINE_S * RATE), end - int(FINAL_S * RATE)
    course = _course(d[:end], residual[:end], change)
    last = attenuation_db(d[final:end], residual[final:end])
    reached = np.flatnonzero(np.array(course) >= 0.9 * last)
    return Figures(
        settled_db=attenuation_db(d[deadline:end], residual[deadline:end]),
        whole_db=attenuation_db(d[change:end], residual[change:end]),
        to_90_percent_s=float(reached[0] * STEP_S) if reached.size and last > 1.0 else None,
        worse_s=longest_worse_s(d, residual),
        course_db=course,
    )


def longest_worse_s(d: Signal, residual: Signal) -> float:
    """Return the longest time in which more noise was left than there was, over 80 ms each."""
    worse = _together(residual) > np.maximum(_together(d), FAINT * BLOCK * BLOCKS_TOGETHER)
    longest = current = 0
    for one in worse:
        current = current + 1 if one else 0
        longest = max(longest, current)
    return round(longest * BLOCK_S, 3)


def first_filter_s(played: Sequence[str], change: int) -> float | None:
    """Return after how long the first filter that is not the old one played in full."""
    first = -(-change // BLOCK)
    old = next((name for name in reversed(played[:first]) if name), "")
    for k in range(first, len(played)):
        if played[k] not in ("", old):
            return k * BLOCK_S - change / RATE
    return None


def _together(signal: Signal) -> np.ndarray:
    energy = np.square(signal[: signal.size // BLOCK * BLOCK].astype(float)).reshape(-1, BLOCK).sum(axis=1)
    return np.convolve(energy, np.ones(BLOCKS_TOGETHER), "valid")


def _course(d: Signal, residual: Signal, change: int) -> list[float]:
    window = int(WINDOW_S * RATE)
    ends = np.arange(change, d.size + 1, int(STEP_S * RATE))
    before, after = (np.concatenate([[0.0], np.cumsum(np.square(s.astype(float)))]) for s in (d, residual))
    power = [total[ends] - total[ends - window] for total in (before, after)]
    return np.round(10 * np.log10(np.maximum(power[0], 1e-12) / np.maximum(power[1], 1e-12)), 2).tolist()

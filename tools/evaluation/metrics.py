"""Metrics of the noise at the ear, without other signals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from anc.dsp import attenuation_db
from iot.fir import Signal
from simulation.coherence import third_octave_levels_db
from simulation.playback import BLOCK_S
from tools.evaluation.dataset import PART_S, RATE

BLOCK = int(BLOCK_S * RATE)
DEADLINE_S = 1.2  # a new filter is due by then; `settled_db` starts there
FINAL_S = 2.0
WINDOW_S, STEP_S = 0.25, 0.05  # averaging window and step of `trace_db`
LOUDER_BLOCKS = 5  # 80 ms: the level of noise fluctuates over shorter windows
INAUDIBLE_POWER = 1e-8  # per sample: -80 dBFS
INAUDIBLE_BAND_DB = -50.0  # level of a third octave relative to the strongest one


class Metrics(NamedTuple):
    """The metrics of one method after one change of noise.

    Attributes
    ----------
    settled_db : float
        Attenuation from `DEADLINE_S` after the change to the end.
    whole_db : float
        Attenuation from the change to the end.
    to_90_percent_s : float or None
        Time from the change until the attenuation in dB over the previous 0.25 s first reaches 90 % of that
        over the last 2 s. None without attenuation at the end.
    louder_s : float
        The longest time in which the noise was louder than without control, over the whole run.
    trace_db : list of float
        Attenuation over the previous 0.25 s, every 50 ms from the change on.
    """

    settled_db: float
    whole_db: float
    to_90_percent_s: float | None
    louder_s: float
    trace_db: list[float]


def measure(d: Signal, residual: Signal, change: int) -> Metrics:
    """Return the metrics of a run in which the noise changes at sample `change`."""
    end = change + int(PART_S * RATE)
    deadline, final = change + int(DEADLINE_S * RATE), end - int(FINAL_S * RATE)
    trace = _trace(d[:end], residual[:end], change)
    last = attenuation_db(d[final:end], residual[final:end])
    reached = np.flatnonzero(np.array(trace) >= 0.9 * last)
    return Metrics(
        settled_db=attenuation_db(d[deadline:end], residual[deadline:end]),
        whole_db=attenuation_db(d[change:end], residual[change:end]),
        to_90_percent_s=float(reached[0] * STEP_S) if reached.size and last > 1.0 else None,
        louder_s=longest_louder_s(d, residual),
        trace_db=trace,
    )


def longest_louder_s(d: Signal, residual: Signal) -> float:
    """Return the longest time in which the residual was louder than the noise, over windows of 80 ms."""
    inaudible = INAUDIBLE_POWER * BLOCK * LOUDER_BLOCKS
    louder = _window_energy(residual) > np.maximum(_window_energy(d), inaudible)
    longest = current = 0
    for is_louder in louder:
        current = current + 1 if is_louder else 0
        longest = max(longest, current)
    return round(longest * BLOCK_S, 3)


def band_attenuation_db(d: Signal, residual: Signal) -> list[float | None]:
    """Return the attenuation in dB in each of `THIRD_OCTAVES_HZ`, (bands,), over the shorter signal."""
    n = min(d.size, residual.size)
    levels = [third_octave_levels_db(signal[:n], RATE) for signal in (d, residual)]
    return where_audible(d, levels[0] - levels[1])


def where_audible(d: Signal, bands_db: np.ndarray) -> list[float | None]:
    """Return values of third octaves, (bands,), with None where d has no sound."""
    level = third_octave_levels_db(d, RATE)
    audible = level > level.max() + INAUDIBLE_BAND_DB
    return [round(float(value), 2) if heard else None for value, heard in zip(bands_db, audible, strict=True)]


def first_filter_s(played: Sequence[str], change: int) -> float | None:
    """Return the time from the change until a new filter is faded in, or None."""
    first = -(-change // BLOCK)
    previous = next((name for name in reversed(played[:first]) if name), "")
    for k in range(first, len(played)):
        if played[k] not in ("", previous):
            return k * BLOCK_S - change / RATE
    return None


def _window_energy(signal: Signal) -> np.ndarray:
    energy = np.square(signal[: signal.size // BLOCK * BLOCK].astype(float)).reshape(-1, BLOCK).sum(axis=1)
    return np.convolve(energy, np.ones(LOUDER_BLOCKS), "valid")


def _trace(d: Signal, residual: Signal, change: int) -> list[float]:
    window = int(WINDOW_S * RATE)
    ends = np.arange(change, d.size + 1, int(STEP_S * RATE))
    before, after = (np.concatenate([[0.0], np.cumsum(np.square(s.astype(float)))]) for s in (d, residual))
    power = [total[ends] - total[ends - window] for total in (before, after)]
    return np.round(10 * np.log10(np.maximum(power[0], 1e-12) / np.maximum(power[1], 1e-12)), 2).tolist()

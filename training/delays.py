"""Measure detection delays of every kind of alarm in cabin noise, at five levels."""

from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from anc.noise import Classifier, StreamingClassifier
from training.everyday import cabin
from training.synthesis import ALARMS, HORNS, RATE, SIRENS, Signal, distort_and_reverberate

LEVELS_DB = (-5, 0, 5, 10, 20)  # of the alarm over the noise
BEFORE_S, AFTER_S = 2.0, 6.0
NOISE_DBFS = -30
SEED = 77_000  # not used in training

Report = dict[str, dict[str, Any]]


def delay_table(classifier: Classifier, trials: int = 12) -> Report:
    """Return the share detected within six seconds and the delay from onset, by kind and level.

    Parameters
    ----------
    classifier : Classifier
    trials : int
        Different sounds of each kind at each level.

    Returns
    -------
    dict
        ``report[kind][level] = {"heard": share, "median_s": ..., "p90_s": ...}``; a missed alarm has
        an infinite delay, shown as None. ``report["cabin noise alone"]`` counts false alarms.
    """
    makers = SIRENS | HORNS | ALARMS
    report: Report = {}
    for i, (name, maker) in enumerate(track(makers.items(), "measuring", console=Console(stderr=True))):
        for level in LEVELS_DB:
            delays = []
            for trial in range(trials):
                rng = np.random.default_rng([SEED, i, level + 100, trial])
                alarm = distort_and_reverberate(maker(int(AFTER_S * RATE), rng), rng)
                noise = cabin(int((BEFORE_S + AFTER_S) * RATE), rng)
                delays.append(delay(classifier, mixture(alarm, noise, level)))
            report.setdefault(name, {})[str(level)] = summary(delays)
    alone = [cabin(20 * RATE, np.random.default_rng([SEED, 999, trial])) for trial in range(trials)]
    false = [StreamingClassifier(classifier, RATE).process(_normalised(noise)) for noise in alone]
    fired = [prediction.emergency for predictions in false for prediction in predictions]
    report["cabin noise alone"] = {"decisions": len(fired), "fired": int(sum(fired))}
    return report


class Mixture(NamedTuple):
    """An alarm in noise: samples, (n,) at `RATE`, and the index of the alarm's first audible sample."""

    samples: Signal
    onset: int


def mixture(alarm: Signal, noise: Signal, level_db: float) -> Mixture:
    """Mix an alarm into the end of a longer noise and clip the sum to [-1, 1].

    Parameters
    ----------
    alarm : (n,) float64
        Peak 0.5.
    noise : (m,) float64, m > n
        Scaled to `NOISE_DBFS`.
    level_db : float
        Level of the alarm over the noise, without the pauses of the alarm.
    """
    onset = int(np.flatnonzero(np.abs(alarm) > 0.05)[0])
    start = len(noise) - len(alarm)
    mixed = _normalised(noise)
    envelope = np.sqrt(np.convolve(np.square(alarm), np.ones(800) / 800, mode="same"))
    loudness = np.sqrt(np.mean(np.square(alarm[envelope > 0.1 * envelope.max()])))  # pauses left out
    mixed[start:] += alarm * 10 ** ((NOISE_DBFS + level_db) / 20) / loudness
    return Mixture(np.clip(mixed, -1, 1), start + onset)


def _normalised(noise: Signal) -> Signal:
    return noise * 10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(np.square(noise)))


def delay(classifier: Classifier, mixed: Mixture) -> float:
    """Return the seconds from the onset of an alarm to its detection; infinite if missed or too early."""
    classifier_stream, step = StreamingClassifier(classifier, RATE), RATE // 50
    for i in range(0, len(mixed.samples), step):
        if any(prediction.emergency for prediction in classifier_stream.process(mixed.samples[i : i + step])):
            late_s = (i + step - mixed.onset) / RATE
            return late_s if late_s > 0 else float("inf")
    return float("inf")


def summary(delays: list[float]) -> dict[str, float | None]:
    """Return the share of finite delays, the median and the 90th percentile; None if infinite."""
    median, p90 = np.quantile(delays, [0.5, 0.9], method="higher")
    return {
        "heard": round(float(np.mean(np.isfinite(delays))), 3),
        "median_s": round(float(median), 2) if np.isfinite(median) else None,
        "p90_s": round(float(p90), 2) if np.isfinite(p90) else None,
    }

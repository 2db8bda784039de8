"""How soon an alarm is heard: every kind of alarm in cabin noise, at five levels."""

from typing import Any

import numpy as np
from numpy.random import Generator
from rich.console import Console
from rich.progress import track

from anc.noise import Classifier, Listener
from training.everyday import cabin
from training.synthesis import ALARMS, HORNS, RATE, SIRENS, Maker, Signal, heard_from_afar

LEVELS_DB = (-5, 0, 5, 10, 20)  # of the alarm over the noise
BEFORE_S, AFTER_S = 2.0, 6.0
NOISE_DBFS = -30
SEED = 77_000  # far from those of training: these very sounds were never learnt

Report = dict[str, dict[str, Any]]


def delay_table(classifier: Classifier, trials: int = 12) -> Report:
    """Share heard within six seconds, median and 90th percentile of the delay from onset, by kind and level.

    Parameters
    ----------
    classifier : Classifier
    trials : int
        Different sounds of each kind at each level.

    Returns
    -------
    dict
        ``report[kind][level] = {"heard": share, "median_s": ..., "p90_s": ...}``; a missed alarm counts as
        infinitely late, so a percentile may be None. ``report["cabin noise alone"]`` counts false ones.
    """
    makers = SIRENS | HORNS | ALARMS
    report: Report = {}
    for i, (name, maker) in enumerate(track(makers.items(), "listening", console=Console(stderr=True))):
        for level in LEVELS_DB:
            delays = [
                delay(classifier, maker, level, np.random.default_rng([SEED, i, level + 100, trial]))
                for trial in range(trials)
            ]
            report.setdefault(name, {})[str(level)] = _summary(delays)
    false = [
        Listener(classifier, RATE).hear(_noise(20 * RATE, np.random.default_rng([SEED, 999, trial])))
        for trial in range(trials)
    ]
    fired = [hearing.emergency for hearings in false for hearing in hearings]
    report["cabin noise alone"] = {"decisions": len(fired), "fired": int(sum(fired))}
    return report


def delay(classifier: Classifier, maker: Maker, level_db: float, rng: Generator) -> float:
    """Seconds from the first sound of an alarm to the emergency; infinite when missed, or fired before."""
    alarm = heard_from_afar(maker(int(AFTER_S * RATE), rng), rng)
    audible = np.flatnonzero(np.abs(alarm) > 0.05)
    onset = int(audible[0])
    noise = _noise(int((BEFORE_S + AFTER_S) * RATE), rng)
    envelope = np.sqrt(np.convolve(np.square(alarm), np.ones(800) / 800, mode="same"))
    loudness = np.sqrt(np.mean(np.square(alarm[envelope > 0.1 * envelope.max()])))  # pauses left out
    alarm *= 10 ** ((NOISE_DBFS + level_db) / 20) / loudness
    start = int(BEFORE_S * RATE)
    noise[start:] += alarm
    listener, step = Listener(classifier, RATE), RATE // 50
    for i in range(0, len(noise), step):
        if any(hearing.emergency for hearing in listener.hear(np.clip(noise[i : i + step], -1, 1))):
            heard = (i + step - start - onset) / RATE
            return heard if heard > 0 else float("inf")
    return float("inf")


def _noise(n: int, rng: Generator) -> Signal:
    noise = cabin(n, rng)
    return noise * 10 ** (NOISE_DBFS / 20) / np.sqrt(np.mean(np.square(noise)))


def _summary(delays: list[float]) -> dict[str, float | None]:
    median, p90 = np.quantile(delays, [0.5, 0.9], method="higher")
    return {
        "heard": round(float(np.mean(np.isfinite(delays))), 3),
        "median_s": round(float(median), 2) if np.isfinite(median) else None,
        "p90_s": round(float(p90), 2) if np.isfinite(p90) else None,
    }

"""Search for signals that a guarded filter makes louder: `python -m benchmarks.never_louder --signals 20000`.

Each signal is drawn at random: what the reference hears, what of it reaches the ear, who talks meanwhile, how
often either pauses, rate, block, filter and step size. A violation is a second whose residual has more than
twice the energy (3 dB) of the input, or an exception.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from anc.dsp.validation import Signal
from anc.services.sound.adaptive_filters import AdaptiveFilter, new_filter

MAX_EXCESS = 2.0  # of energy, in a second: 3 dB
INAUDIBLE = 2e-9  # mean square below the last bit of a 16-bit sample
SECONDS = 4
RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
FDAF_BLOCK = 128


class Trial(NamedTuple):
    """A filter, the signals it is given, and the length of its blocks."""

    about: str
    filter: AdaptiveFilter
    x: Signal
    d: Signal
    rate: int
    block: int


def tone(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """A sine of any frequency."""
    return np.sin(2 * np.pi * rng.uniform(20, 0.45 * rate) * np.arange(n) / rate)


def harmonics(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Hum or an engine: a fundamental and its harmonics, falling."""
    hz = rng.uniform(25, 1_000)
    orders = np.arange(1, min(20, int(0.45 * rate / hz)) + 1)
    phases = rng.uniform(0, 2 * np.pi, orders.size)
    t = np.arange(n) / rate
    parts = [np.sin(2 * np.pi * k * hz * t + p) / k for k, p in zip(orders, phases, strict=True)]
    return np.sum(parts, axis=0)


def chirp(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """A tone that glides from one frequency to another."""
    hz = np.linspace(*rng.uniform(20, 0.4 * rate, 2), n)
    return np.sin(2 * np.pi * np.cumsum(hz) / rate)


def offset(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """A constant."""
    return np.full(n, rng.choice([-1.0, 1.0]))


def coloured(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Noise whose spectrum falls by up to 12 dB an octave above a corner."""
    f = np.fft.rfftfreq(n, 1 / rate)
    gain = (1 + f / rng.uniform(20, 2_000)) ** -rng.uniform(0, 2)
    return np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)


def impulses(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Clicks, few or many."""
    return rng.standard_normal(n) * (rng.random(n) < 10 ** rng.uniform(-4, -1))


def modulated(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Any of the others, louder and softer several times a second."""
    slow = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.3, 30) * np.arange(n) / rate)
    return slow ** rng.uniform(1, 8) * KINDS[int(rng.integers(len(KINDS) - 1))](n, rate, rng)


KINDS: tuple[Callable[[int, int, np.random.Generator], Signal], ...] = (
    tone, harmonics, chirp, offset, coloured, impulses, modulated
)  # fmt: skip


def sound(n: int, rate: int, rng: np.random.Generator) -> tuple[str, Signal]:
    """A signal of any kind and level, at times clipped, at times interrupted."""
    kind = KINDS[int(rng.integers(len(KINDS)))]
    s = kind(n, rate, rng)
    s *= 10 ** (rng.uniform(-80, 0) / 20) / max(float(np.abs(s).max()), 1e-9)
    if rng.random() < 0.2:
        s = np.clip(3 * s, -np.abs(s).max(), np.abs(s).max())
    if rng.random() < 0.5:
        begin, end = np.sort(rng.integers(0, n, 2))
        s[begin:end] *= rng.choice([0.0, 1e-3, 1e-2])
    return kind.__name__, s


def draw(rng: np.random.Generator, seconds: float = SECONDS) -> Trial:
    """Draw a trial."""
    rate = int(rng.choice(RATES))
    n = int(seconds * rate)
    taps = int(rng.choice([16, 64, 256, 512]))
    name, noise = sound(n, rate, rng)
    other, talk = sound(n, rate, rng)
    path = rng.standard_normal(int(rng.integers(1, 200)))
    path *= np.exp(-np.arange(path.size) / 20)
    d = np.convolve(noise, path)[:n] * rng.choice([0.0, 0.1, 1.0], p=[0.1, 0.4, 0.5])
    d += talk * rng.choice([0.0, 1.0])
    x = noise + talk * rng.choice([0.0, 0.01, 0.5], p=[0.6, 0.2, 0.2])
    floor = 10 ** (rng.uniform(-120, -40) / 20)
    x, d = (np.clip(s + floor * rng.standard_normal(n), -1, 1).astype(np.float32) for s in (x, d))
    algorithm = ("nlms", "fdaf", "predict")[int(rng.integers(3))]
    mu = float(rng.choice([0.05, 0.1, 0.5, 1.0, 1.9]))
    block = int(rng.choice([128, 512, 1024, 4096])) if algorithm == "fdaf" else int(rng.integers(32, 4096))
    about = f"{algorithm} mu {mu} taps {taps} rate {rate} block {block}: {name} and {other}"
    filter_ = new_filter(
        "predict" if algorithm == "predict" else "cancel",
        "fdaf" if algorithm == "fdaf" else "nlms",
        taps,
        mu,
        rate=rate,
        horizon=int(rng.integers(1, 500)),
        fdaf_block=FDAF_BLOCK,
    )
    return Trial(about, filter_, d if algorithm == "predict" else x, d, rate, block)


def excess_db(trial: Trial) -> float:
    """Return by how much the loudest second is louder than its input, dB; audible seconds only."""
    n = trial.d.size // trial.block * trial.block
    e = np.empty(n, np.float32)
    for start in range(0, n, trial.block):
        part = slice(start, start + trial.block)
        e[part] = trial.filter.process(trial.x[part], trial.d[part])[1]
    seconds = max(n // trial.rate, 1)
    size = min(trial.rate, n)
    shape = (seconds, size)
    before = np.square(trial.d[: seconds * size].reshape(shape), dtype=np.float64).mean(1)
    after = np.square(e[: seconds * size].reshape(shape), dtype=np.float64).mean(1)
    return float(10 * np.log10((after / np.maximum(before, INAUDIBLE / 2)).max() + 1e-12))


def search(signals: int, seed: int, progress: Callable[[int], None] = lambda done: None) -> list[str]:
    """Return what was violated, one line each: the trial's seed, what it is, and by how much."""
    violations = []
    for k in range(signals):
        trial = draw(np.random.default_rng([seed, k]))
        try:
            excess = excess_db(trial)
        except Exception as fault:  # noqa: BLE001  an exception is what is looked for
            violations.append(f"{seed}/{k} {trial.about}: {fault!r}")
        else:
            if excess > 10 * math.log10(MAX_EXCESS):
                violations.append(f"{seed}/{k} {trial.about}: {excess:.1f} dB louder")
        progress(k + 1)
    return violations


def main() -> None:
    """Search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--signals", type=int, default=20_000, help="How many signals to try.")
    parser.add_argument("--seed", type=int, default=1, help="Random seed.")
    given = parser.parse_args()
    begun = time.perf_counter()

    def progress(done: int) -> None:
        if done % 500 == 0:
            print(f"{done:6} signals, {time.perf_counter() - begun:.0f} s", flush=True)

    violations = search(given.signals, given.seed, progress)
    print(*violations, sep="\n")
    print(f"{len(violations)} violations in {given.signals} signals of {SECONDS} s, seed {given.seed}")


if __name__ == "__main__":
    main()

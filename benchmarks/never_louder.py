"""Search for signals that a guarded filter makes louder: `python -m benchmarks.never_louder --signals 20000`.

Noise, path to the ear, speech, pauses, sample rate, block, filter and step size are random. A violation is an
exception, or a second whose residual has more than twice the energy (3 dB) of the input.
"""

import argparse
import math
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from anc.dsp import FDAF, NLMS
from anc.dsp.guarded import GuardedFilter
from anc.dsp.validation import Signal
from anc.services.sound.adaptive_filters import AdaptiveFilter, new_filter
from benchmarks.speed import interleaved

MAX_EXCESS = 2.0  # of energy, in a second: 3 dB
INAUDIBLE = 2e-9  # mean square below one bit of 16-bit audio
SECONDS = 4
RATES = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000)
FDAF_BLOCK = 128
COST_BLOCK = 1536  # 96 ms at 16 kHz


class Trial(NamedTuple):
    """A filter, its input signals, their rate in Hz, and the length of a block."""

    about: str
    filter: AdaptiveFilter
    x: Signal
    d: Signal
    rate: int
    block: int


def tone(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return a sine of random frequency."""
    return np.sin(2 * np.pi * rng.uniform(20, 0.45 * rate) * np.arange(n) / rate)


def harmonics(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return a fundamental and up to 20 harmonics with falling amplitudes, like hum or an engine."""
    hz = rng.uniform(25, 1_000)
    orders = np.arange(1, min(20, int(0.45 * rate / hz)) + 1)
    phases = rng.uniform(0, 2 * np.pi, orders.size)
    t = np.arange(n) / rate
    parts = [np.sin(2 * np.pi * k * hz * t + p) / k for k, p in zip(orders, phases, strict=True)]
    return np.sum(parts, axis=0)


def chirp(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return a tone that glides from one frequency to another."""
    hz = np.linspace(*rng.uniform(20, 0.4 * rate, 2), n)
    return np.sin(2 * np.pi * np.cumsum(hz) / rate)


def offset(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return a constant."""
    return np.full(n, rng.choice([-1.0, 1.0]))


def coloured(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return noise whose spectrum falls by up to 12 dB per octave above a random frequency."""
    f = np.fft.rfftfreq(n, 1 / rate)
    gain = (1 + f / rng.uniform(20, 2_000)) ** -rng.uniform(0, 2)
    return np.fft.irfft(gain * np.fft.rfft(rng.standard_normal(n)), n)


def impulses(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return impulses at a random rate."""
    return rng.standard_normal(n) * (rng.random(n) < 10 ** rng.uniform(-4, -1))


def modulated(n: int, rate: int, rng: np.random.Generator) -> Signal:
    """Return one of the other sounds with a periodic amplitude modulation."""
    slow = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.3, 30) * np.arange(n) / rate)
    return slow ** rng.uniform(1, 8) * KINDS[int(rng.integers(len(KINDS) - 1))](n, rate, rng)


KINDS: tuple[Callable[[int, int, np.random.Generator], Signal], ...] = (
    tone, harmonics, chirp, offset, coloured, impulses, modulated
)  # fmt: skip


def sound(n: int, rate: int, rng: np.random.Generator) -> tuple[str, Signal]:
    """Return kind and samples of a random sound, sometimes clipped, sometimes interrupted."""
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
    """Return a random trial."""
    rate = int(rng.choice(RATES))
    n = int(seconds * rate)
    taps = int(rng.choice([16, 64, 256, 512]))
    noise_kind, noise = sound(n, rate, rng)
    speech_kind, speech = sound(n, rate, rng)
    path = rng.standard_normal(int(rng.integers(1, 200)))
    path *= np.exp(-np.arange(path.size) / 20)
    d = np.convolve(noise, path)[:n] * rng.choice([0.0, 0.1, 1.0], p=[0.1, 0.4, 0.5])
    d += speech * rng.choice([0.0, 1.0])
    x = noise + speech * rng.choice([0.0, 0.01, 0.5], p=[0.6, 0.2, 0.2])
    floor = 10 ** (rng.uniform(-120, -40) / 20)
    x, d = (np.clip(s + floor * rng.standard_normal(n), -1, 1).astype(np.float32) for s in (x, d))
    algorithm = ("nlms", "fdaf", "predict")[int(rng.integers(3))]
    mu = float(rng.choice([0.05, 0.1, 0.5, 1.0, 1.9]))
    block = int(rng.choice([128, 512, 1024, 4096])) if algorithm == "fdaf" else int(rng.integers(32, 4096))
    about = f"{algorithm} mu {mu} taps {taps} rate {rate} block {block}: {noise_kind} and {speech_kind}"
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
    """Return the largest excess of the residual over the input in any audible second, dB."""
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
    """Return one line per violation: the seed and description of the trial, and the excess."""
    violations = []
    for k in range(signals):
        trial = draw(np.random.default_rng([seed, k]))
        try:
            excess = excess_db(trial)
        except Exception as fault:  # noqa: BLE001  any exception is a violation
            violations.append(f"{seed}/{k} {trial.about}: {fault!r}")
        else:
            if excess > 10 * math.log10(MAX_EXCESS):
                violations.append(f"{seed}/{k} {trial.about}: {excess:.1f} dB louder")
        progress(k + 1)
    return violations


def cost(rounds: int = 30, blocks: int = 20) -> dict[str, float]:
    """Return the CPU time of guarded filters relative to bare ones, by filter and signal."""
    rng = np.random.default_rng(0)
    x, unrelated = 0.1 * rng.standard_normal((2, blocks * COST_BLOCK)).astype(np.float32)
    related = np.convolve(x, 0.2 * rng.standard_normal(60))[: x.size].astype(np.float32)
    cases: dict[str, tuple[Callable[[], NLMS | FDAF], Signal]] = {
        "NLMS, steady noise": (lambda: NLMS(512), related),
        "FDAF, steady noise": (lambda: FDAF(512, block=FDAF_BLOCK), related),
        "NLMS, unrelated signals, mu 1.9": (lambda: NLMS(512, 1.9), unrelated),
    }
    ratios = {}
    for name, (create, d) in cases.items():

        def run(filter_: NLMS | FDAF | GuardedFilter, d: Signal = d) -> None:
            for k in range(0, d.size, COST_BLOCK):
                filter_.process(x[k : k + COST_BLOCK], d[k : k + COST_BLOCK])

        both = [lambda: run(create()), lambda: run(GuardedFilter(create(), 16_000))]  # noqa: B023  run at once
        bare, guarded = interleaved(both, rounds).T
        ratios[name] = float(np.median(guarded / bare))
    return ratios


def main() -> None:
    """Search and print the violations, or print the cost of the guard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", action="store_true", help="Measure the CPU time of the guard instead.")
    parser.add_argument("--signals", type=int, default=20_000, help="Number of signals.")
    parser.add_argument("--seed", type=int, default=1, help="Random seed.")
    args = parser.parse_args()
    if args.cost:
        for name, ratio in cost().items():
            print(f"{name:32} {ratio:.2f} times the bare filter")
        return
    started = time.perf_counter()

    def progress(done: int) -> None:
        if done % 500 == 0:
            print(f"{done:6} signals, {time.perf_counter() - started:.0f} s", flush=True)

    violations = search(args.signals, args.seed, progress)
    print(*violations, sep="\n")
    print(f"{len(violations)} violations in {args.signals} signals of {SECONDS} s, seed {args.seed}")


if __name__ == "__main__":
    main()

"""Synthesise sirens, horns and alarms.

All makers return (n,) float64 at `RATE` with a peak of about 1; `rng` determines all parameters.
"""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from anc.dsp.convolution import fft_filter

RATE = 16_000  # Hz
Signal = NDArray[np.float64]


def harmonics(frequency: Signal, rolloff: float, rng: Generator, max_harmonics: int = 24) -> Signal:
    """Return a tone of `frequency`, Hz per sample, whose k-th harmonic has amplitude ``k ** -rolloff``."""
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    out = np.zeros(len(frequency))
    for k in range(1, max_harmonics + 1):
        if k * frequency.min() > RATE / 2:
            break
        audible = k * frequency < RATE / 2 * 0.95
        out += k**-rolloff * rng.uniform(0.4, 1.0) * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) * audible
    return out / np.max(np.abs(out) + 1e-9)


def _time(n: int) -> Signal:
    return np.arange(n) / RATE


def _alternate(n: int, periods: list[float], values: list[float], rng: Generator) -> Signal:
    """Return a periodic sequence of `values`, each for its period in seconds, from a random phase."""
    ends = np.cumsum(periods)
    t = (_time(n) + rng.uniform(0, ends[-1])) % ends[-1]
    return np.array(values)[np.searchsorted(ends, t, side="right").clip(0, len(values) - 1)]


def smooth(x: Signal, seconds: float) -> Signal:
    """Return the moving average of x over `seconds`."""
    width = max(int(seconds * RATE), 1)
    return np.convolve(np.pad(x, width, mode="edge"), np.ones(width) / width, mode="same")[width:-width]


def doppler(frequency: Signal, rng: Generator) -> Signal:
    """Return `frequency` with the Doppler shift of a source that passes at up to 30 m/s."""
    t = _time(len(frequency))
    speed, nearest, passes = rng.uniform(0, 30), rng.uniform(3, 40), rng.uniform(-3, t[-1] + 3)
    along = speed * (t - passes)
    return frequency / (1 + speed / 343 * along / np.hypot(along, nearest))


def wail(n: int, rng: Generator, period: tuple[float, float] = (1.5, 9.0)) -> Signal:
    """Return an electronic siren: slow sweeps between about 600 and 1500 Hz."""
    low, high = rng.uniform(350, 900), rng.uniform(1000, 1900)
    rise = rng.uniform(0.25, 0.75)
    cycle = (_time(n) / rng.uniform(*period) + rng.uniform()) % 1
    up = np.where(cycle < rise, cycle / rise, (1 - cycle) / (1 - rise))
    if rng.uniform() < 0.5:
        up = 0.5 - 0.5 * np.cos(np.pi * up)
    return harmonics(doppler(low * (high / low) ** up, rng), rng.uniform(0.5, 2.2), rng)


def yelp(n: int, rng: Generator) -> Signal:
    """Return an electronic siren with two to five sweeps per second."""
    return wail(n, rng, (0.18, 0.5))


def phaser(n: int, rng: Generator) -> Signal:
    """Return an electronic siren with 10 to 25 sweeps per second."""
    return wail(n, rng, (0.04, 0.1))


def hi_lo(n: int, rng: Generator) -> Signal:
    """Return a European two-tone siren, electronic or pneumatic."""
    low = rng.uniform(350, 850)
    ratio, each = rng.uniform(1.12, 1.6), rng.uniform(0.3, 1.1)
    frequency = _alternate(n, [each, each * rng.uniform(0.7, 1.3)], [low, low * ratio], rng)
    return harmonics(doppler(smooth(frequency, rng.uniform(0.002, 0.05)), rng), rng.uniform(0.2, 2.0), rng)


def mechanical(n: int, rng: Generator) -> Signal:
    """Return a motor siren: rising and falling pitch with strong harmonics."""
    top, wind, coast = rng.uniform(350, 1100), rng.uniform(1.5, 5), rng.uniform(3, 12)
    t = (_time(n) + rng.uniform(0, wind + coast)) % (wind + coast)
    up = np.where(t < wind, 1 - np.exp(-3 * t / wind), np.exp(-(t - wind) / coast * 1.5))
    return harmonics(doppler(top * (0.25 + 0.75 * up), rng), rng.uniform(0.2, 1.2), rng)


def air_horns(n: int, rng: Generator) -> Signal:
    """Return blasts of two to five pneumatic horns, as on fire trucks, lorries and trains."""
    base = rng.uniform(130, 420)
    notes = base * np.array([1, 1.19, 1.26, 1.5, 1.68, 2.0])[: rng.integers(2, 6)] * rng.uniform(0.98, 1.02)
    chord = np.zeros(n)
    for note in notes:
        drift = 1 + 0.004 * np.sin(2 * np.pi * rng.uniform(3, 9) * _time(n) + rng.uniform(0, 6))
        chord += harmonics(doppler(note * drift, rng), rng.uniform(0.0, 1.0), rng, max_harmonics=40)
    return chord * blasts(n, rng, (0.3, 3.0), (0.1, 1.2)) / len(notes)


def car_horn(n: int, rng: Generator) -> Signal:
    """Return blasts of a car horn with one tone or two about a third apart."""
    low = rng.uniform(300, 520)
    pair = [low, low * rng.uniform(1.15, 1.35)] if rng.uniform() < 0.8 else [low]
    tone = sum((harmonics(np.full(n, note), rng.uniform(0.0, 0.9), rng, 20) for note in pair), np.zeros(n))
    return tone * blasts(n, rng, (0.08, 2.0), (0.08, 1.0)) / len(pair)


def blasts(n: int, rng: Generator, on: tuple[float, float], off: tuple[float, float]) -> Signal:
    """Return an envelope of blasts of random length `on` and gaps of random length `off`, in seconds."""
    envelope, i = np.zeros(n), -int(rng.uniform(0, on[1]) * RATE)
    while i < n:
        length = int(rng.uniform(*on) * RATE)
        envelope[max(i, 0) : max(i + length, 0)] = rng.uniform(0.6, 1)
        i += length + int(rng.uniform(*off) * RATE)
    return smooth(envelope, rng.uniform(0.005, 0.04))


def fire_truck(n: int, rng: Generator) -> Signal:
    """Return air horns over a weaker siren, which is difficult to detect."""
    siren = mechanical if rng.uniform() < 0.6 else wail
    return air_horns(n, rng) + 10 ** (-rng.uniform(0, 15) / 20) * siren(n, rng)


def _sounder(frequency: Signal, rng: Generator) -> Signal:
    return harmonics(frequency, rng.choice([0.7, 1.0, 2.0, 4.0]), rng, max_harmonics=15)


def alarm_t3(n: int, rng: Generator, tone: float | None = None) -> Signal:
    """Return an ISO 8201 evacuation signal (T3): three tones of half a second and a pause."""
    tone = tone or rng.choice([520.0, rng.uniform(2700, 3500), rng.uniform(800, 2500)])
    on = rng.uniform(0.4, 0.6)
    gate = _alternate(n, [on, 0.5, on, 0.5, on, rng.uniform(1.2, 1.7)], [1, 0, 1, 0, 1, 0], rng)
    return _sounder(np.full(n, tone), rng) * smooth(gate, 0.004)


def alarm_t4(n: int, rng: Generator, tone: float | None = None) -> Signal:
    """Return a carbon monoxide alarm (T4): four short tones and a pause, at most 2.5 s instead of 5."""
    tone = tone or rng.choice([520.0, rng.uniform(2700, 3500)])
    on = rng.uniform(0.08, 0.13)
    pause = rng.uniform(0.3, 2.5)
    gate = _alternate(n, [on, 0.1, on, 0.1, on, 0.1, on, pause], [1, 0] * 4, rng)
    return _sounder(np.full(n, tone), rng) * smooth(gate, 0.003)


def beeper(n: int, rng: Generator) -> Signal:
    """Return regular beeps, as of reversing vehicles and simple sounders."""
    on = rng.uniform(0.08, 0.6)
    gate = _alternate(n, [on, on * rng.uniform(0.7, 1.3)], [1, 0], rng)
    return _sounder(np.full(n, rng.uniform(700, 3600)), rng) * smooth(gate, 0.005)


def alternating_alarm(n: int, rng: Generator) -> Signal:
    """Return two alternating tones, as of building sounders."""
    low, each = rng.uniform(600, 2700), rng.uniform(0.1, 0.5)
    frequency = _alternate(n, [each, each], [low, low * rng.uniform(1.08, 1.35)], rng)
    return _sounder(frequency, rng)


def sweeping_alarm(n: int, rng: Generator) -> Signal:
    """Return rising sweeps, slow (whoop) or fast."""
    low, high = rng.uniform(400, 1800), rng.uniform(1.2, 2.4)
    cycle = (_time(n) / rng.choice([rng.uniform(0.1, 0.4), rng.uniform(0.8, 4.0)]) + rng.uniform()) % 1
    return _sounder(np.minimum(low * high**cycle, 3800), rng)


Maker = Callable[[int, Generator], Signal]
SIRENS: dict[str, Maker] = {
    "wail": wail,
    "yelp": yelp,
    "phaser": phaser,
    "hi_lo": hi_lo,
    "mechanical": mechanical,
    "fire_truck": fire_truck,
}
HORNS: dict[str, Maker] = {"car_horn": car_horn, "air_horns": air_horns}
ALARMS: dict[str, Maker] = {
    "t3": alarm_t3,
    "t4": alarm_t4,
    "beeper": beeper,
    "alternating": alternating_alarm,
    "sweeping": sweeping_alarm,
}


def distort_and_reverberate(dry: Signal, rng: Generator) -> Signal:
    """Return a sound with loudspeaker distortion and reverberation, peak 0.5."""
    drive = rng.choice([0.0, rng.uniform(1, 6)])
    out = np.tanh(drive * dry) if drive else dry
    if rng.uniform() < 0.7:
        decay = rng.uniform(0.05, 0.9)  # seconds to -60 dB
        t = _time(int(decay * RATE))
        echoes = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
        echoes[0] = np.sqrt(np.sum(echoes**2)) * 10 ** (
            rng.uniform(-6, 12) / 20
        )  # direct-to-reverberant ratio
        out = fft_filter(echoes, out)
    return 0.5 * out / np.max(np.abs(out) + 1e-9)

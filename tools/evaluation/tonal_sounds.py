"""Tonal everyday sounds made by formula. None of them is an alarm.

All makers return (n,) float64 at `RATE` with a peak of about 1; `rng` varies pitch, tempo and timbre.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

RATE = 16_000  # Hz
SECONDS = 8.0
N = int(SECONDS * RATE)
Signal = NDArray[np.float64]
Maker = Callable[[Generator], Signal]

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11, 12])
DTMF_ROWS, DTMF_COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477)


def tone(frequency: Signal | float, amplitudes: Sequence[float] = (1.0,), n: int = N) -> Signal:
    """Return a tone of `frequency`, Hz for each sample, with harmonics of these amplitudes."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(frequency, n)) / RATE
    return np.asarray(sum(a * np.sin((k + 1) * phase) for k, a in enumerate(amplitudes))) / sum(amplitudes)


def hiss(rng: Generator, level: float, smoothing: int = 1) -> Signal:
    """Return noise, low-passed by a moving average over `smoothing` samples."""
    noise = rng.standard_normal(N + smoothing - 1)
    return level * np.convolve(noise, np.ones(smoothing), "valid") / np.sqrt(smoothing)


def seconds() -> Signal:
    """Return the time of each sample."""
    return np.arange(N) / RATE


def notes(rng: Generator, pitches: Signal, length_s: float, amplitudes: Sequence[float]) -> Signal:
    """Return a melody of `pitches`, Hz, each for `length_s` with soft edges."""
    n = int(length_s * RATE)
    edge = int(0.02 * RATE)
    envelope = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / edge)
    vibrato = 1 + rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(4, 6.5) * np.arange(n) / RATE)
    count = -(-N // n)
    melody = [envelope * tone(pitches[i % len(pitches)] * vibrato, amplitudes, n) for i in range(count)]
    return np.concatenate(melody)[:N]


def tune(rng: Generator, low: float, high: float) -> Signal:
    """Return the pitches of a random tune in a major key, Hz."""
    steps = np.cumsum(rng.integers(-2, 3, 16)) % len(MAJOR)
    return np.asarray(rng.uniform(low, high) * 2 ** (MAJOR[steps] / 12))


def whistled_tune(rng: Generator) -> Signal:
    """Return a person whistling a tune."""
    return notes(rng, tune(rng, 800, 1300), rng.uniform(0.2, 0.5), (1, 0.05)) + hiss(rng, 0.01)


def synthesiser(rng: Generator) -> Signal:
    """Return a synthesiser lead whose notes glide into each other."""
    pitches = np.repeat(tune(rng, 220, 440), int(rng.uniform(0.25, 0.5) * RATE))
    glide = np.exp(-np.arange(RATE // 4) / (rng.uniform(0.01, 0.06) * RATE))
    smooth = np.convolve(np.resize(np.log(pitches), N), glide / glide.sum(), "same")
    return tone(np.exp(smooth), (1, 0.5, 0.33, 0.25, 0.2))


def kettle(rng: Generator) -> Signal:
    """Return a whistling kettle: a pitch that rises and stays, with flutter and steam."""
    rise = 1 - np.exp(-seconds() / rng.uniform(0.6, 2))
    flutter = 12 * np.sin(2 * np.pi * rng.uniform(5, 8) * seconds())
    return rise * tone(rng.uniform(1500, 2200) + rng.uniform(400, 1000) * rise + flutter) + hiss(rng, 0.1)


def steady_tone(rng: Generator) -> Signal:
    """Return a calibrator, a pistonphone or a tuning fork."""
    return tone(float(rng.choice([250, 440, 1000])), (1, 0.01))


def mains_hum(rng: Generator) -> Signal:
    """Return the hum of a transformer."""
    return tone(float(rng.choice([50, 60])), (0.4, 1, 0.2, 0.6, 0.1, 0.3)) + hiss(rng, 0.02)


def tram_brakes(rng: Generator) -> Signal:
    """Return an electric brake whose pitch falls to a stop, over rumble."""
    t = seconds()
    pitch = rng.uniform(1300, 2200) - rng.uniform(900, 1200) * np.minimum(1, t / rng.uniform(4, 7))
    return tone(pitch, (1, 0.6, 0.4)) + hiss(rng, 0.4, 16)


def electric_car(rng: Generator) -> Signal:
    """Return an inverter that whines while a car accelerates, then keeps its speed."""
    speed = np.minimum(1, seconds() / rng.uniform(3, 6))
    return tone(rng.uniform(200, 400) + rng.uniform(900, 1800) * speed, (1, 0.5, 0.3)) + hiss(rng, 0.4, 16)


def vacuum_cleaner(rng: Generator) -> Signal:
    """Return a vacuum cleaner that starts and runs on."""
    speed = 1 - np.exp(-seconds() / rng.uniform(0.4, 1.2))
    whine = tone(rng.uniform(150, 250) + rng.uniform(350, 600) * speed, (1, 0.6, 0.5, 0.4, 0.3))
    return whine + hiss(rng, 0.4, 3) * speed


def hair_dryer(rng: Generator) -> Signal:
    """Return a hair dryer: a steady whine in broadband noise."""
    return 0.3 * tone(rng.uniform(350, 650), (1, 0.5, 0.3)) + hiss(rng, 0.5, 2)


def dentist_drill(rng: Generator) -> Signal:
    """Return a turbine whose pitch sags when it touches."""
    load = np.clip(np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * seconds()), 0, 1)
    return tone(rng.uniform(4800, 6200) * (1 - 0.12 * load), (1, 0.4)) + hiss(rng, 0.1)


def keypad(rng: Generator) -> Signal:
    """Return a telephone number dialled in DTMF."""
    out = np.zeros(N)
    on, off = int(rng.uniform(0.08, 0.15) * RATE), int(rng.uniform(0.06, 0.2) * RATE)
    for start in range(0, N - on, on + off):
        row, column = float(rng.choice(DTMF_ROWS)), float(rng.choice(DTMF_COLUMNS))
        out[start : start + on] = (tone(row, n=on) + tone(column, n=on)) / 2
    return out


def ringing_tone(rng: Generator) -> Signal:
    """Return the tone of a telephone that rings at the other end."""
    pair = [(440, 480), (425, 425), (400, 450)][rng.integers(3)]
    on_s, period_s = rng.uniform(1, 2), rng.uniform(4, 6)
    sounding = (seconds() + rng.uniform(0, 2)) % period_s < on_s
    return sounding * (tone(float(pair[0])) + tone(float(pair[1]))) / 2


def seat_belt_chime(rng: Generator) -> Signal:
    """Return a chime whose strokes ring out."""
    stroke = int(rng.uniform(0.7, 1.2) * RATE)
    decay = np.exp(-np.arange(stroke) / RATE * rng.uniform(3, 6))
    return np.resize(decay * tone(rng.uniform(700, 1200), (1, 0.4), stroke), N)


def morse(rng: Generator) -> Signal:
    """Return Morse code."""
    dot = int(rng.uniform(0.05, 0.1) * RATE)
    lengths = np.stack([rng.choice([1, 3], 120), rng.choice([1, 1, 3], 120)], axis=1).ravel()  # mark, space
    keyed = np.repeat(np.arange(len(lengths)) % 2 == 0, lengths * dot)
    return np.resize(keyed, N) * tone(rng.uniform(500, 900))


def theremin(rng: Generator) -> Signal:
    """Return a theremin or a singing saw: slow glides with vibrato."""
    targets = np.log(tune(rng, 300, 600))
    path = np.interp(np.arange(N), np.linspace(0, N, len(targets)), targets)
    vibrato = 1 + rng.uniform(0.01, 0.03) * np.sin(2 * np.pi * rng.uniform(5, 7) * seconds())
    return tone(np.exp(path) * vibrato, (1, 0.3, 0.1))


def piano(rng: Generator) -> Signal:
    """Return chords that ring out."""
    length = int(rng.uniform(0.4, 0.9) * RATE)
    decay = np.exp(-np.arange(length) / RATE * rng.uniform(1.5, 4))
    roots = tune(rng, 130, 260)
    chords = [
        decay * sum(tone(root * ratio, (1, 0.5, 0.3, 0.2), length) for ratio in (1, 5 / 4, 3 / 2))
        for root in roots
    ]
    return np.resize(np.concatenate(chords) / 3, N)


def birds(rng: Generator) -> Signal:
    """Return birds that chirp on different pitches."""
    t, out = seconds(), np.zeros(N)
    for k in range(4):
        warble = 700 * np.sin(2 * np.pi * (3 + k) * t * rng.uniform(0.7, 1.4))
        singing = np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t + k) > 0.3
        out += 0.25 * tone(rng.uniform(2800, 3600) + 900 * k + warble) * singing
    return out + hiss(rng, 0.02)


def cicadas(rng: Generator) -> Signal:
    """Return cicadas: a carrier with fast amplitude modulation."""
    pulses = 1 + np.sin(2 * np.pi * rng.uniform(60, 110) * seconds())
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.6) * seconds())
    return 0.5 * tone(rng.uniform(3800, 5200)) * pulses * swell + hiss(rng, 0.05)


def modem(rng: Generator) -> Signal:
    """Return a fax machine: a carrier that is keyed between two pitches."""
    bits = np.repeat(rng.choice([-1.0, 1.0], N // 50 + 1), 50)[:N]
    return tone(rng.uniform(1500, 1900) + 200 * bits)


def measurement_sweep(rng: Generator) -> Signal:
    """Return one slow sweep through all frequencies, as for measuring a room."""
    return tone(20 * (7900 / 20) ** (seconds() / SECONDS)) + hiss(rng, 0.005)


SOUNDS: dict[str, Maker] = {
    "whistled tune": whistled_tune,
    "synthesiser with glides": synthesiser,
    "kettle": kettle,
    "calibrator, pistonphone, tuning fork": steady_tone,
    "mains hum": mains_hum,
    "tram brakes": tram_brakes,
    "electric car accelerating": electric_car,
    "vacuum cleaner starting": vacuum_cleaner,
    "hair dryer": hair_dryer,
    "dentist's drill": dentist_drill,
    "DTMF keypad": keypad,
    "telephone ringing tone": ringing_tone,
    "seat belt chime": seat_belt_chime,
    "Morse code": morse,
    "theremin": theremin,
    "piano chords": piano,
    "birds": birds,
    "cicadas": cicadas,
    "fax machine": modem,
    "measurement sweep": measurement_sweep,
}

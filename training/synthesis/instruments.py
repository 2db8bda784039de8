"""Synthesise music: tunes, chords and arpeggios of eight kinds of instrument, with drums.

A model learns recorded music by heart; of this there is any amount. Tunes have at least three pitches,
because two in turn are a siren.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from training.synthesis.signals import RATE, Signal, coloured_noise, smooth

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10), (0, 2, 4, 7, 9))  # semitones
LENGTHS = (0.5, 1.0, 1.0, 1.5, 2.0, 4.0)  # of notes, in beats
HIGHEST = 7600.0  # Hz


class Notes(NamedTuple):
    """One voice: for each sample its pitch in Hz, and the seconds since the note began and until it ends."""

    pitch: Signal
    since: Signal
    left: Signal


Instrument = Callable[[Notes, Generator], Signal]


def voice(n: int, pitches: Iterable[float], lengths: Signal, legato: float, glide_s: float) -> Notes:
    """Return a voice that plays `pitches`, Hz, of `lengths`, seconds, each for a share of its time."""
    ends = np.cumsum(np.maximum((lengths * RATE).astype(int), 1))
    note = np.searchsorted(ends, np.arange(n), side="right").clip(0, len(ends) - 1)
    starts = np.concatenate([[0], ends[:-1]])
    sounding = (ends - starts) * legato
    since = np.arange(n) - starts[note]
    pitch = smooth(np.array([*pitches])[note], glide_s)
    return Notes(pitch, since / RATE, (sounding[note] - since) / RATE)


def envelope(notes: Notes, attack_s: float, release_s: float) -> Signal:
    """Return the amplitude of every note: a linear attack and release."""
    return np.clip(np.minimum(notes.since / attack_s, notes.left / release_s), 0, 1)


def vibrato(notes: Notes, depth: float, rng: Generator) -> Signal:
    """Return a factor of the pitch; in long notes the vibrato begins late."""
    rate, delay = rng.uniform(4, 7), rng.uniform(0, 0.4)
    t = np.arange(len(notes.pitch)) / RATE
    return 1 + depth * np.clip((notes.since - delay) / 0.3, 0, 1) * np.sin(2 * np.pi * rate * t)


def partials(
    pitch: Signal, gains: Iterable[float | Signal], ratios: Iterable[float], rng: Generator
) -> Signal:
    """Return the sum of partials: `ratios` of the pitch, with a gain each."""
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    out = np.zeros(len(pitch))
    for gain, ratio in zip(gains, ratios, strict=True):
        if ratio * pitch.min() < HIGHEST:
            audible = ratio * pitch < HIGHEST
            out += gain * np.sin(ratio * phase + rng.uniform(0, 2 * np.pi)) * audible
    return out


def brass(notes: Notes, rng: Generator) -> Signal:
    """Return a trumpet, horn or trombone, which is brighter the louder it is."""
    swell = envelope(notes, rng.uniform(0.02, 0.12), rng.uniform(0.03, 0.12))
    swell = swell * (1 - rng.uniform(0, 0.4) * np.clip(notes.since / rng.uniform(0.3, 2), 0, 1))
    pitch = notes.pitch * vibrato(notes, rng.uniform(0, 0.008), rng)
    order, steep = np.arange(1, 17), rng.uniform(0.1, 0.5)
    rolloff = rng.uniform(0.3, 1.4)
    gains = [k**-rolloff * rng.uniform(0.5, 1) * swell ** (1 + steep * k) for k in order]
    return partials(pitch, gains, order, rng)


def organ(notes: Notes, rng: Generator) -> Signal:
    """Return an organ: drawbars or pipes, which begin at once and do not decay, perhaps with a tremulant."""
    ratios = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8)
    gains = rng.uniform(0, 1, len(ratios)) ** 2 * np.array([0.6, 1, 0.7, 0.8, 0.6, 0.5, 0.3, 0.3, 0.3])
    t = np.arange(len(notes.pitch)) / RATE
    tremulant = np.sin(2 * np.pi * rng.uniform(4.5, 7.5) * t) * rng.choice([0, 1])
    pitch = notes.pitch * (1 + rng.uniform(0, 0.006) * tremulant)
    tone = partials(pitch, [*gains], ratios, rng) * (1 + rng.uniform(0, 0.3) * tremulant)
    return tone * envelope(notes, rng.uniform(0.003, 0.05), rng.uniform(0.01, 0.1))


def strings(notes: Notes, rng: Generator) -> Signal:
    """Return one to four bowed strings, which beat against each other."""
    order, rolloff = np.arange(1, 15), rng.uniform(0.8, 1.6)
    body = rng.uniform(0.3, 1.2, len(order))
    out = np.zeros(len(notes.pitch))
    for _ in range(rng.integers(1, 5)):
        pitch = notes.pitch * rng.uniform(0.996, 1.004) * vibrato(notes, rng.uniform(0, 0.015), rng)
        out += partials(pitch, [*(body * order**-rolloff)], order, rng)
    return out * envelope(notes, rng.uniform(0.03, 0.3), rng.uniform(0.05, 0.2))


def reed(notes: Notes, rng: Generator) -> Signal:
    """Return a clarinet, saxophone, accordion or mouth organ."""
    order = np.arange(1, 19)
    even = rng.uniform(0, 1)
    gains = np.where(order % 2, 1.0, even) * order ** -rng.uniform(0.4, 1.4) * rng.uniform(0.4, 1, len(order))
    pitch = notes.pitch * vibrato(notes, rng.uniform(0, 0.01), rng)
    tone = partials(pitch, [*gains], order, rng)
    if rng.uniform() < 0.3:  # a second, detuned reed
        tone = tone + partials(pitch * rng.uniform(1.002, 1.01), [*gains], order, rng)
    return (tone + rng.uniform(0, 0.1) * rng.standard_normal(len(tone))) * envelope(notes, 0.03, 0.05)


def flute(notes: Notes, rng: Generator) -> Signal:
    """Return a flute or recorder: few harmonics, and breath."""
    gains = np.array([1, rng.uniform(0, 0.6), rng.uniform(0, 0.3), rng.uniform(0, 0.1)])
    pitch = notes.pitch * vibrato(notes, rng.uniform(0, 0.012), rng)
    breath = rng.uniform(0, 0.2) * np.diff(rng.standard_normal(len(pitch) + 1))
    tone = partials(pitch, [*gains], (1, 2, 3, 4), rng)
    return (tone + breath) * envelope(notes, rng.uniform(0.01, 0.08), rng.uniform(0.02, 0.1))


def synthesiser(notes: Notes, rng: Generator) -> Signal:
    """Return a saw or pulse wave through a filter that opens or closes during every note."""
    order, width = np.arange(1, 25), rng.uniform(0.1, 0.5)
    wave = 1 / order if rng.uniform() < 0.5 else np.abs(np.sin(np.pi * order * width)) / order
    cutoff = rng.uniform(300, 1500) * (1 + rng.uniform(0, 8) * np.exp(-notes.since / rng.uniform(0.05, 0.6)))
    steep = rng.uniform(2, 6)
    gains = [w / (1 + (k * notes.pitch / cutoff) ** steep) for k, w in zip(order, wave, strict=True)]
    detune = rng.uniform(1.001, 1.012)
    tone = partials(notes.pitch, gains, order, rng)
    if rng.uniform() < 0.5:
        tone = tone + partials(notes.pitch * detune, gains, order, rng)
    return tone * envelope(notes, rng.uniform(0.002, 0.05), rng.uniform(0.01, 0.2))


def plucked(notes: Notes, rng: Generator) -> Signal:
    """Return a guitar, piano, harpsichord, marimba or music box: notes that ring out."""
    order = np.arange(1, 13)
    stretch = rng.choice([0.0, rng.uniform(0, 0.002)])
    ratios = order * np.sqrt(1 + stretch * order**2)
    slow, rolloff = rng.uniform(0.5, 6), rng.uniform(0.4, 2)
    gains = [k**-rolloff * np.exp(-notes.since * slow * k**0.5) for k in order]
    return partials(notes.pitch, gains, ratios, rng) * envelope(notes, 0.003, 0.08)


def sung(notes: Notes, rng: Generator) -> Signal:
    """Return a voice that sings vowels or hums."""
    hums = rng.uniform() < 0.4
    formants = (rng.uniform(200, 350), 0, 0) if hums else rng.uniform((300, 800, 2300), (900, 2200, 3300))
    pitch = notes.pitch * vibrato(notes, rng.uniform(0, 0.02), rng)
    gains = []
    order = np.arange(1, 25)
    for k in order:
        peaks = [
            10 ** (-6 * i / 20) / (1 + ((k * pitch - f) / 130) ** 2) for i, f in enumerate(formants) if f
        ]
        gains.append((sum(peaks) + 0.02) * k**-0.3)
    tone = partials(pitch, gains, order, rng)
    breath = rng.uniform(0, 0.03) * rng.standard_normal(len(pitch))
    return (tone + breath) * envelope(notes, rng.uniform(0.03, 0.15), rng.uniform(0.05, 0.2))


INSTRUMENTS: dict[str, Instrument] = {
    "brass": brass,
    "organ": organ,
    "strings": strings,
    "reed": reed,
    "flute": flute,
    "synthesiser": synthesiser,
    "plucked": plucked,
    "sung": sung,
}
# The lowest and highest root of a tune, Hz.
RANGES = {"flute": (260, 900), "sung": (90, 400), "plucked": (80, 600), "brass": (100, 500)}


def _rhythm(n: int, beat: float, rng: Generator) -> Signal:
    """Return lengths of notes in seconds that fill `n` samples."""
    count = int(n / RATE / beat * 2) + 3
    if rng.uniform() < 0.35:
        return np.full(count, beat)
    return beat * rng.choice(LENGTHS, count)


def _tune(count: int, root: float, rng: Generator) -> Signal:
    """Return pitches of a tune: mostly steps, sometimes leaps, with at least three different notes."""
    scale = np.array(SCALES[rng.integers(len(SCALES))])
    moves = rng.choice([-4, -2, -1, -1, 0, 1, 1, 2, 4], count)
    degrees = 7 - np.abs(7 - np.cumsum(moves) % 14)  # turns back at both ends of an octave and more
    degrees[: min(3, count)] = np.array([0, 2, 4])[: min(3, count)]
    degrees = np.roll(degrees, rng.integers(count))
    return root * 2 ** (degrees // len(scale) + scale[degrees % len(scale)] / 12)


def _choose(names: Sequence[str], rng: Generator) -> str:
    return names[int(rng.integers(len(names)))]


def _line(n: int, name: str, root: float, beat: float, rng: Generator) -> Signal:
    """Return a tune that one instrument plays."""
    lengths = _rhythm(n, beat, rng)
    slides = rng.choice([0.002, 0.02, rng.uniform(0.02, 0.12)])
    legato = rng.choice([1.0, 0.98, rng.uniform(0.4, 1)])
    return INSTRUMENTS[name](voice(n, _tune(len(lengths), root, rng), lengths, legato, slides), rng)


def _chords(n: int, name: str, root: float, length_s: float, arpeggio: bool, rng: Generator) -> Signal:
    """Return a progression of chords, or the notes of each one after another."""
    count = int(n / RATE / length_s) + 2
    roots = root * 2 ** (rng.choice([0, 2, 3, 5, 7, 9, -3, -5], count) / 12)
    roots[1::3] = roots[::3][: len(roots[1::3])] * 2 ** (5 / 12)  # never the same chord throughout
    third = 2 ** (rng.choice([3, 4], count) / 12)
    tones = [roots, roots * third, roots * 2 ** (7 / 12), roots * 2]
    if arpeggio:
        steps = int(rng.choice([3, 4, 6, 8]))
        order = rng.permutation(4)[np.arange(steps) % 4] if rng.uniform() < 0.5 else np.arange(steps) % 4
        pitches = np.array(tones)[order].T.ravel()
        return INSTRUMENTS[name](voice(n, pitches, np.full(len(pitches), length_s / steps), 0.95, 0.002), rng)
    lengths, state = np.full(count, length_s), rng.integers(1 << 31)
    parts = [
        INSTRUMENTS[name](voice(n, tone, lengths, 0.97, 0.002), np.random.default_rng(state))
        for tone in tones[: rng.integers(2, 5)]
    ]
    return np.asarray(sum(parts)) / 2


def drums(n: int, beat: float, rng: Generator) -> Signal:
    """Return a beat: a bass drum, a snare drum and a hi-hat."""
    t = np.arange(n) / RATE
    kick, snare, hat = t % beat, (t + beat / 2) % beat, t % (beat / 2)
    fall = 40 * np.exp(-kick * 30)
    out = np.sin(2 * np.pi * (rng.uniform(45, 80) + fall) * kick) * np.exp(-kick * rng.uniform(5, 20))
    out += rng.uniform(0, 0.8) * rng.standard_normal(n) * np.exp(-snare * rng.uniform(10, 30))
    bright = np.diff(rng.standard_normal(n + 1))
    return out + rng.uniform(0, 0.4) * bright * np.exp(-hat * rng.uniform(20, 80))


def _levelled(sound: Signal) -> Signal:
    return sound / (np.sqrt(np.mean(sound**2)) + 1e-9)


def solo(n: int, rng: Generator, names: Sequence[str] = tuple(INSTRUMENTS)) -> Signal:
    """Return a tune, chords or an arpeggio of one instrument, in any register and tempo."""
    name, beat = _choose(names, rng), np.exp(rng.uniform(np.log(0.1), np.log(0.8)))
    low, high = RANGES.get(name, (100, 700))
    root = np.exp(rng.uniform(np.log(low), np.log(high)))
    style = rng.uniform()
    if style < 0.6:
        out = _line(n, name, root, beat, rng)
    else:
        out = _chords(n, name, root, rng.uniform(0.4, 2.0), style < 0.8, rng)
    return out / np.max(np.abs(out) + 1e-9)


def ensemble(n: int, rng: Generator, names: Sequence[str] = tuple(INSTRUMENTS)) -> Signal:
    """Return a tune over chords or an arpeggio, often with a bass and drums, as of a band or an orchestra."""
    beat, root = rng.uniform(0.2, 0.7), np.exp(rng.uniform(np.log(110), np.log(260)))
    tune = _choose(names, rng)
    high = root * rng.choice([1, 2, 2, 4] if RANGES.get(tune, (0, 700))[1] > 450 else [1, 1, 2])
    out = rng.uniform(0.3, 1.5) * _levelled(_line(n, tune, high, beat * rng.choice([0.5, 1, 1]), rng))
    bar = beat * int(rng.choice([2, 4]))
    out += _levelled(_chords(n, _choose(names, rng), root, bar, rng.uniform() < 0.4, rng))
    if rng.uniform() < 0.5:
        out += rng.uniform(0.2, 1) * _levelled(_chords(n, _choose(names, rng), root / 2, bar, True, rng))
    if rng.uniform() < 0.7:
        out += rng.uniform(0.2, 2) * _levelled(drums(n, beat, rng))
    if rng.uniform() < 0.3:
        out += rng.uniform(0, 0.2) * _levelled(coloured_noise(n, rng.uniform(0, 4), rng))
    return out / np.max(np.abs(out) + 1e-9)

"""Synthetic music has tunes, chords that change, and instruments that differ."""

import numpy as np
import pytest

from training.synthesis import RATE
from training.synthesis.instruments import INSTRUMENTS, brass, drums, ensemble, organ, plucked, solo, voice


def held(n: int, hertz: float = 220.0) -> np.ndarray:
    """Return one voice that holds a note."""
    return voice(n, [hertz], np.array([n / RATE]), 1.0, 0.002)


def brightness(x: np.ndarray) -> float:
    """Return the mean frequency of a sound, Hz."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)))) ** 2
    return float(power @ np.fft.rfftfreq(len(x), 1 / RATE) / power.sum())


def pitch_classes(x: np.ndarray, every: int) -> set[int]:
    """Return the semitones of the octave that are loudest in at least two parts of `every` samples."""
    frames = x[: len(x) // every * every].reshape(-1, every) * np.hanning(every)
    loudest = np.argmax(np.abs(np.fft.rfft(frames)), axis=1) * RATE / every
    steps = np.rint(12 * np.log2(np.maximum(loudest, 30) / 440)).astype(int) % 12
    found, counts = np.unique(steps, return_counts=True)
    return set(found[counts >= 2].tolist())


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_what_an_instrument_plays_alone_has_at_least_three_pitches(name: str) -> None:
    for seed in range(2):
        x = solo(8 * RATE, np.random.default_rng(seed), [name])
        assert len(pitch_classes(x, RATE // 8)) >= 3, seed


def test_a_voice_plays_each_note_for_its_length() -> None:
    notes = voice(RATE, [200.0, 300.0, 400.0], np.array([0.25, 0.5, 0.5]), 1.0, 1e-4)
    assert notes.pitch[[10, RATE // 2, RATE - 10]] == pytest.approx([200.0, 300.0, 400.0])
    assert notes.since[RATE // 2] == pytest.approx(0.25)
    assert notes.left[RATE // 2] == pytest.approx(0.25)


def test_brass_is_brighter_while_it_is_loud() -> None:
    for seed in range(5):
        x = brass(held(RATE // 2), np.random.default_rng(seed))
        attack, full = x[: RATE // 100], x[RATE // 5 : RATE // 5 + 1600]
        assert brightness(full) > 220
        assert np.mean(attack**2) < np.mean(full**2)
        assert brightness(full) > brightness(x[-RATE // 50 :]), seed


def test_an_organ_holds_its_level_and_a_string_that_is_plucked_does_not() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        early, late = slice(RATE // 5, RATE // 2), slice(3 * RATE // 2, 9 * RATE // 5)
        pipe, string = organ(held(2 * RATE), rng), plucked(held(2 * RATE), rng)
        assert np.mean(pipe[late] ** 2) > 0.5 * np.mean(pipe[early] ** 2)
        assert np.mean(string[late] ** 2) < 0.5 * np.mean(string[early] ** 2)


def test_drums_beat_in_time() -> None:
    level = np.abs(drums(4 * RATE, 0.5, np.random.default_rng(0))).reshape(-1, RATE // 100).max(axis=1)
    on, off = level.reshape(-1, 50)[:, :2].max(axis=1), level.reshape(-1, 50)[:, 20:24].max(axis=1)
    assert np.all(on > off)


def test_an_ensemble_is_more_than_its_soloist() -> None:
    for seed in range(2):
        x = ensemble(8 * RATE, np.random.default_rng(seed), ["plucked"])
        assert len(pitch_classes(x, RATE // 8)) >= 3, seed

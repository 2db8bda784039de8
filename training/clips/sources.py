"""Sounds to train on, in memory: recordings, and synthetic sounds of every maker."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from training.recordings import Recording, load_sound
from training.synthesis import ALARMS, EVERYDAY, HORNS, RATE, SIRENS, TONAL, VEHICLES, Maker
from training.taxonomy import STREET, UNDECIDED, UNNAMED, kind_of, noise_class

SYNTHETIC_SECONDS = 4.0
TRIM_DB = 60  # what lies further below the peak at both ends is padding
Pcm = NDArray[np.int16]

# Kinds of every synthetic maker, and how often it is drawn relative to the others of its side.
MAKERS: dict[str, tuple[Maker, tuple[str, ...], float]] = {
    **{name: (maker, ("siren",), 1.0) for name, maker in SIRENS.items()},
    "fire_truck": (SIRENS["fire_truck"], ("siren", "horn"), 2.5),
    "car_horn": (HORNS["car_horn"], ("horn",), 1.5),
    "air_horns": (HORNS["air_horns"], ("horn",), 2.5),
    **{name: (maker, ("alarm",), 0.9) for name, maker in ALARMS.items()},
    **{name: (maker, (), 1.0) for name, maker in EVERYDAY.items()},
    **{name: (maker, (), 1.0) for name, maker in VEHICLES.items()},
    "sweeping": (ALARMS["sweeping"], ("alarm",), 1.8),
    **{name: (maker, (), 1.2) for name, maker in TONAL.items()},
    "engine": (TONAL["engine"], (), 3.0),
    "inverter": (TONAL["inverter"], (), 3.0),
    "melody": (TONAL["melody"], (), 3.0),
    "solo": (TONAL["solo"], (), 4.0),
    "ensemble": (TONAL["ensemble"], (), 3.0),
}
# Synthetic sounds that have a noise class.
SYNTHETIC_CLASSES = {
    "speech": "speech",
    "music": "music",
    "lead_synthesiser": "music",
    "cabin": "cabin",
    "engine": "engine",
    "traffic": "traffic",
    "motor_start": "motor",
    "whistled_melody": "whistling",
    "melody": "music",
    "solo": "music",
    "ensemble": "music",
    **dict.fromkeys(SIRENS, "siren"),
    "fire_truck": "siren",
    "car_horn": "car_horn",
    "air_horns": "car_horn",
    **dict.fromkeys(ALARMS, "alarm"),
}


@dataclass(frozen=True)
class Source:
    """A sound at 16 kHz with what is known about it.

    Attributes
    ----------
    pcm : (n,) int16
    group : str
        Noise class of a recording or name of a maker; groups are drawn first, then a source of the group.
    noise : str or None
        Noise class to learn, if certain.
    kinds : tuple of str or None
        Kinds of emergency; None if undecided.
    street : bool
        Whether a horn or siren may occur unmentioned.
    fold : int
        Fold of a recording; 0 for synthetic sounds.
    """

    pcm: Pcm
    group: str
    noise: str | None
    kinds: tuple[str, ...] | None
    street: bool
    fold: int


def read_sources(recordings: Sequence[Recording], folds: NDArray[np.int64], pool: Executor) -> list[Source]:
    """Return the recordings, resampled and without padding, with their folds."""
    sounds = pool.map(_read, recordings, chunksize=32)
    return [_source(r, pcm, int(fold)) for r, pcm, fold in zip(recordings, sounds, folds, strict=True)]


def _source(recording: Recording, pcm: Pcm, fold: int) -> Source:
    name = recording.name
    kind = kind_of(name)
    kinds = None if name in UNDECIDED else (kind,) if kind else ()
    noise = None if name in UNNAMED else noise_class(name)
    return Source(pcm, noise_class(name), noise, kinds, name in STREET, fold)


def _read(recording: Recording) -> Pcm:
    samples, rate = load_sound(recording.path)
    if rate != RATE:
        samples = soxr.resample(samples, rate, RATE, quality="HQ")
    return to_pcm(trim(samples))


def trim(samples: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return a sound without padding at its ends; a silent sound is returned whole."""
    loud = np.flatnonzero(np.abs(samples) > np.max(np.abs(samples), initial=0) * 10 ** (-TRIM_DB / 20))
    return samples[loud[0] : loud[-1] + 1] if len(loud) else samples


def to_pcm(samples: NDArray[np.floating]) -> Pcm:
    """Return a sound with a peak of 0.9 as 16-bit samples."""
    return np.rint(samples / (np.max(np.abs(samples), initial=0) + 1e-9) * 29_490).astype(np.int16)


def synthesise(each: int, seed: int, pool: Executor) -> list[Source]:
    """Return `each` synthetic sounds of every maker, reproducible by seed."""
    jobs = [(name, seed, i) for name in MAKERS for i in range(each)]
    return list(pool.map(_synthetic, *zip(*jobs, strict=True), chunksize=16))


def _synthetic(name: str, seed: int, number: int) -> Source:
    return synthetic_source(name, np.random.default_rng([seed, list(MAKERS).index(name), number]))


def synthetic_source(name: str, rng: Generator) -> Source:
    """Return a synthetic sound of a maker."""
    maker, kinds, _ = MAKERS[name]
    pcm = to_pcm(maker(int(SYNTHETIC_SECONDS * RATE), rng))
    return Source(pcm, name, SYNTHETIC_CLASSES.get(name), kinds, False, 0)

"""Assemble hours of everyday sound from folders of recordings, for measuring false alarms."""

import csv
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from anc.audio.reader import open_path
from simulation.scenes import Scene

logger = logging.getLogger(__name__)

RATE = 16_000  # Hz
LEVELS_DBFS = (-45.0, -20.0)  # RMS of a recording at the microphone
PEAK = 0.95
SPEED = 0.04  # largest change of speed when a recording is repeated
CABIN_DBFS = -32.0  # of the aircraft in the hour of the cabin
MIN_RMS = 1e-4

# Regular expressions of classes, separated by spaces. Sirens, horns, alarms, beepers and music with a
# synthesised siren are in none.
HOURS = {
    "music": "music(?!_synth_siren).*",
    "speech": "speech_.* laugh.* crowd human_other cough.* sneez.* breathing clapping",
    "household": "baby_cry crying_baby adult_cry scream snoring whistling dog dog_bark cat bird phone_ring "
    "notification_tone doorbell bell_other vacuum.* motor drill_tool washing_machine steam squeak water.* "
    "pouring_water toilet_flush glass_breaking keyboard_typing mouse_click can_opening clock_tick door_.* "
    "brushing_teeth drinking_sipping crackling_fire fire_crackling footsteps",
    "traffic": "traffic.* engine.* construction.* (dog|speech|music)_street train train_pass train_brake "
    "rain wind thunderstorm church_bells? bell_bicycle crow chirping_birds insect.* chainsaw ambience "
    "fireworks",
    "cabin": "aircraft helicopter airplane train_interior speech_en crowd baby_cry crying_baby "
    "notification_tone laugh.* cough.* snoring",
}


@dataclass(frozen=True)
class Clip:
    """A recording: its file, class, collection, and whether its licence permits training on it."""

    path: Path
    name: str
    collection: str
    trainable: bool


def read_clips(folder: Path) -> list[Clip]:
    """Return the recordings of a folder with `clips.csv`, or of all its subfolders that have one.

    Raises
    ------
    ValueError
        If there is none.
    """
    tables = [folder / "clips.csv", *sorted(folder.glob("*/clips.csv"))]
    clips = [clip for table in tables if table.is_file() for clip in _clips(table)]
    if not clips:
        raise ValueError(f"{folder}: must contain clips.csv, or folders that do")
    return clips


def _clips(table: Path) -> Iterator[Clip]:
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row.get("class") or row.get("esc50_class") or row.get("esc10_class") or ""
            yield Clip(
                path=table.parent / row["path"],
                name=re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"),
                collection=row.get("dataset") or row.get("source") or "",
                trainable=row.get("use", "train") == "train",
            )


def of_hour(clips: Sequence[Clip], hour: str) -> list[Clip]:
    """Return the recordings that belong to one of `HOURS`."""
    classes = HOURS[hour].replace(" ", "|")
    return [clip for clip in clips if re.fullmatch(classes, clip.name)]


def stream(
    clips: Sequence[Clip], hour: str, seconds: float, rng: Generator
) -> Iterator[tuple[Clip, NDArray[np.float32]]]:
    """Yield recordings with their samples at `RATE`, in random order, until `seconds` of sound are complete.

    Each class has the same share of the time, whatever the number of its recordings. Levels are random; a
    recording that is repeated has another level and speed. The cabin is heard under all sounds of its hour.

    Parameters
    ----------
    clips : sequence of Clip
        At least one.
    hour : str
        One of `HOURS`.
    """
    cabin = Scene.built_in("cabin", RATE, int(rng.integers(1000))) if hour == "cabin" else None
    waiting: dict[str, list[Clip]] = {}
    played: set[Path] = set()
    spent = dict.fromkeys(sorted({clip.name for clip in clips}), 0)
    while sum(spent.values()) < seconds * RATE:
        name = min(spent, key=lambda each: (spent[each], each))
        if not waiting.get(name):
            waiting[name] = [clip for clip in clips if clip.name == name]
            rng.shuffle(waiting[name])
        clip = waiting[name].pop()
        speed = 1 + rng.uniform(-SPEED, SPEED) if clip.path in played else 1.0
        played.add(clip.path)
        sound = _levelled(_load(clip.path), speed, rng)
        if cabin is not None:
            sound = sound + cabin.read(sound.size) * 10 ** ((CABIN_DBFS + 22.0) / 20)
        spent[name] += max(sound.size, 1)
        yield clip, np.clip(sound, -1, 1).astype(np.float32)


@lru_cache(maxsize=4096)
def _load(path: Path) -> NDArray[np.float32]:
    with open_path(path) as source:
        sound = source.read_loudest()
        if source.note:
            logger.warning("%s: %s", path, source.note)
        return np.asarray(soxr.resample(sound, source.rate, RATE) if source.rate != RATE else sound)


def _levelled(sound: NDArray[np.float32], speed: float, rng: Generator) -> NDArray[np.float32]:
    if speed != 1.0:
        at = np.arange(int(sound.size / speed)) * speed
        sound = np.interp(at, np.arange(sound.size), sound).astype(np.float32)
    rms = np.sqrt(np.mean(np.square(sound), dtype=np.float64)) if sound.size else 0.0
    level = 10 ** (rng.uniform(*LEVELS_DBFS) / 20)
    gain = level / max(rms, MIN_RMS)
    return sound * min(gain, PEAK / max(float(np.abs(sound).max(initial=0.0)), MIN_RMS))

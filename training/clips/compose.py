"""Compose training clips of three seconds from sounds, with the targets of every window."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soxr
from numpy.random import Generator
from numpy.typing import NDArray

from anc.noise.classifier import KINDS
from anc.noise.features import COLUMNS_PER_SECOND, HOP, WINDOW, log_mel, quantise
from training.clips.degradation import distance, record, reverberate
from training.clips.sources import MAKERS, Source, synthetic_source
from training.synthesis import RATE, TONAL, Signal
from training.teacher import CLASSES, EMERGENCIES, LENGTH, Teacher

WINDOWS = 9  # of one second, every quarter second
COLUMNS = WINDOW + (WINDOWS - 1) * HOP
SAMPLES = (COLUMNS + 2) * RATE // COLUMNS_PER_SECOND
TAUGHT = range(0, WINDOWS, 2)  # windows that the teacher judges
HOP_SAMPLES = HOP * RATE // COLUMNS_PER_SECOND
AUDIBLE_DB = 25  # below its loudest column, an alarm pauses
ENOUGH_COLUMNS = 8  # columns with an alarm that make a window positive
FAINT_DB = -12  # of an alarm in the noise: below, a window is neither positive nor negative
SUSPICIOUS = 0.3  # the teacher's score of a horn or siren that a street recording does not mention
# Recordings that resemble alarms are drawn more often than others.
HARD = {
    "music": 5.0,
    **dict.fromkeys(
        (
            "bell",
            "cat",
            "chirping_birds",
            "church_bells",
            "crowd",
            "crying_baby",
            "doorbell",
            "laughing",
            "rooster",
            "scream",
            "telephone",
            "whistling",
        ),
        2.0,
    ),
}
STEADY = ("cabin", "traffic", "engine", "whine")  # synthetic backgrounds


@dataclass(frozen=True)
class Clip:
    """Three seconds with targets.

    Attributes
    ----------
    spectrogram : (COLUMNS, BANDS) uint8
    noise : (2,) int
        Noise classes of foreground and background, -1 if unknown.
    share : (WINDOWS,) float
        Share of the foreground in the amplitude of each window.
    kinds : (WINDOWS, 3) float
        1 for a kind of emergency that sounds in the window, 0 for one that does not, NaN if undecided.
    taught : (len(TAUGHT), CLASSES) float
        The teacher's scores; NaN without a teacher.
    fold : int
        Fold of all recordings in the clip; 0 if all is synthetic.
    """

    spectrogram: NDArray[np.uint8]
    noise: NDArray[np.int16]
    share: NDArray[np.float16]
    kinds: NDArray[np.float16]
    taught: NDArray[np.float16]
    fold: int


class Groups:
    """Sources of one side (alarms, others, backgrounds), drawn by group and then by source."""

    def __init__(self, sources: Sequence[Source], weights: dict[str, float]) -> None:
        by_group: dict[str, list[Source]] = {}
        for source in sources:
            by_group.setdefault(source.group, []).append(source)
        self._groups = list(by_group.values())
        self._weights = np.array([weights[name] for name in by_group])

    def __bool__(self) -> bool:
        return bool(self._groups)

    def draw(self, rng: Generator) -> Source:
        """Return a random source."""
        group = self._groups[rng.choice(len(self._groups), p=self._weights / self._weights.sum())]
        return group[rng.integers(len(group))]


def recorded(sources: Sequence[Source]) -> Groups:
    """Group recordings, weighted by the square root of their number and more if they resemble alarms."""
    sizes: dict[str, int] = {}
    for source in sources:
        sizes[source.group] = sizes.get(source.group, 0) + 1
    return Groups(sources, {name: n**0.5 * HARD.get(name, 1.0) for name, n in sizes.items()})


def synthetic(sources: Sequence[Source]) -> Groups:
    """Group synthetic sounds, weighted as in `MAKERS`."""
    return Groups(sources, {name: weight for name, (_, _, weight) in MAKERS.items()})


def _either(recorded: Groups, made: Groups, share: float, rng: Generator) -> Source:
    """Return a recording, if there are any, with a probability of `share`, else a synthetic sound."""
    return (recorded if recorded and rng.uniform() < share else made).draw(rng)


@dataclass(frozen=True)
class Composer:
    """Composes clips; clip `i` of a seed is always the same.

    Attributes
    ----------
    sources : sequence of Source
    classes : list of str
        Noise classes, in the order of their numbers.
    responses : sequence of (n,) float
        Measured impulse responses of rooms.
    teacher : Teacher or None
    """

    sources: Sequence[Source]
    classes: list[str]
    responses: Sequence[Signal]
    teacher: Teacher | None

    @cached_property
    def _made(self) -> tuple[Groups, Groups, Groups]:
        made = [s for s in self.sources if s.fold == 0]
        return (
            synthetic([s for s in made if s.kinds]),
            synthetic([s for s in made if s.kinds == ()]),
            synthetic([s for s in made if s.group in STEADY]),
        )

    @cached_property
    def _recorded(self) -> dict[int, tuple[Groups, Groups, Groups]]:
        folds = sorted({s.fold for s in self.sources} - {0})
        parts = {fold: [s for s in self.sources if s.fold == fold] for fold in folds}
        return {
            fold: (
                recorded([s for s in part if s.kinds]),
                recorded([s for s in part if not s.kinds]),
                recorded([s for s in part if s.kinds == ()]),
            )
            for fold, part in parts.items()
        }

    @cached_property
    def _fold_odds(self) -> NDArray[np.float64]:
        sizes = np.array([sum(s.fold == fold for s in self.sources) for fold in self._recorded], float)
        return sizes / sizes.sum()

    def compose(self, seed: int, number: int) -> Clip:
        """Return one clip."""
        rng = np.random.default_rng([seed, number])
        folds = list(self._recorded)
        fold = int(rng.choice(folds, p=self._fold_odds)) if folds and rng.uniform() < 0.9 else 0
        alarms, others, backgrounds = self._recorded.get(fold, self._made)
        alarmed = rng.uniform() < 0.42
        if alarmed:
            foreground = _either(alarms, self._made[0], 0.4, rng)
        else:
            foreground = _either(others, self._made[1], 0.75, rng)
        background = None
        if rng.uniform() < (0.75 if alarmed else 0.5):
            background = _either(backgrounds, self._made[2], 0.75, rng)
        return self._mix(foreground, background, fold, rng)

    def compose_tonal(self, seed: int, number: int) -> Clip:
        """Return a clip of a tonal sound that is no alarm: of those, synthesis makes any number."""
        rng = np.random.default_rng([seed, number, 1])
        odds = np.array([MAKERS[name][2] for name in TONAL])
        name = str(rng.choice(list(TONAL), p=odds / odds.sum()))
        foreground = synthetic_source(name, rng)
        folds = list(self._recorded)
        fold, background = 0, None
        if folds and rng.uniform() < 0.5:
            fold = int(rng.choice(folds, p=self._fold_odds))
            background = self._recorded[fold][2].draw(rng)
        return self._mix(foreground, background, fold, rng)

    def _mix(self, foreground: Source, background: Source | None, fold: int, rng: Generator) -> Clip:
        front = self._treat(excerpt(foreground, rng), rng, moves="siren" in (foreground.kinds or ()))
        front = begin_within(front, rng) if rng.uniform() < 0.45 else front
        back = np.zeros(SAMPLES)
        ratio_db = 60.0
        if background:
            ratio_db = rng.uniform(-8, 30) if foreground.kinds else rng.uniform(-18, 18)
            back = self._treat(excerpt(background, rng), rng, moves=False)
            back *= loudness(front) / (loudness(back) + 1e-9) * 10 ** (-ratio_db / 20)
        mixed = record(front + back, rng)
        taught, alarming = self._teach(mixed)
        noise = [
            -1 if s is None or s.noise is None else self.classes.index(s.noise)
            for s in (foreground, background)
        ]
        share = window_levels(front) / (window_levels(front) + window_levels(back) + 1e-12)
        kinds = kind_targets(foreground, front, back)
        undecided = [s for s in (foreground, background) if s is not None and s.kinds is None]
        unsure = any(s is not None and s.street for s in (foreground, background))
        if undecided or (unsure and not foreground.kinds and alarming > SUSPICIOUS):
            kinds[kinds == 0] = np.nan
        return Clip(
            log_mel(quantise(mixed, RATE), RATE)[:COLUMNS],
            np.array(noise, np.int16),
            share.astype(np.float16),
            kinds.astype(np.float16),
            taught.astype(np.float16),
            fold,
        )

    def _treat(self, sound: Signal, rng: Generator, moves: bool) -> Signal:
        if moves and rng.uniform() < 0.4:
            sound = distance(sound, rng)
        return reverberate(sound, rng, self.responses) if rng.uniform() < 0.3 else sound

    def _teach(self, mixed: Signal) -> tuple[NDArray[np.floating], float]:
        if self.teacher is None:
            return np.full((len(TAUGHT), CLASSES), np.nan), 0.0
        offset = (RATE - LENGTH) // 2 + RATE // COLUMNS_PER_SECOND // 2
        starts = [i * HOP_SAMPLES + offset for i in TAUGHT]
        scores = np.array([self.teacher(mixed[start : start + LENGTH]) for start in starts])
        return scores, float(scores[:, EMERGENCIES].max())


def excerpt(source: Source, rng: Generator) -> Signal:
    """Return a random part of a sound, in half of all cases faster or slower by up to 25 %."""
    speed = np.exp(rng.uniform(-0.22, 0.22)) if rng.uniform() < 0.5 else 1.0
    needed = int(SAMPLES * speed) + 1
    pcm = source.pcm
    if len(pcm) > needed:
        start = rng.integers(len(pcm) - needed)
        pcm = pcm[start : start + needed]
    samples = pcm.astype(np.float64) / 32768
    if speed != 1.0:
        samples = soxr.resample(samples, RATE * speed, RATE, quality="LQ")
    if len(samples) >= SAMPLES:
        return samples[:SAMPLES]
    if rng.uniform() < 0.6:
        return np.resize(samples, SAMPLES)
    out = np.zeros(SAMPLES)
    start = rng.integers(SAMPLES - len(samples) + 1)
    out[start : start + len(samples)] = samples
    return out


def begin_within(sound: Signal, rng: Generator) -> Signal:
    """Return a sound that begins, or more rarely ends, within the clip."""
    edge = int(rng.uniform(0.1, 0.75) * SAMPLES)
    t = (np.arange(SAMPLES) - edge) / RATE / rng.uniform(0.003, 0.1)
    gate = np.clip(t, 0, 1)
    return sound * (gate if rng.uniform() < 0.75 else 1 - gate)


def columns_power(sound: Signal) -> Signal:
    """Return the power of each column of the spectrogram."""
    step = RATE / COLUMNS_PER_SECOND
    edges = np.rint(np.arange(COLUMNS + 1) * step).astype(int)
    sums = np.concatenate([[0], np.cumsum(np.square(sound))])
    return np.diff(sums[edges]) / step


def window_levels(sound: Signal) -> Signal:
    """Return the effective amplitude of each window, (WINDOWS,)."""
    views = np.lib.stride_tricks.sliding_window_view(columns_power(sound), WINDOW)[::HOP]
    return np.sqrt(views.mean(axis=1))


def loudness(sound: Signal) -> float:
    """Return the effective amplitude of a sound without its pauses."""
    power = columns_power(sound)
    loud = power > power.max(initial=0) * 10 ** (-AUDIBLE_DB / 10)
    return float(np.sqrt(power[loud].mean())) if loud.any() else 0.0


def kind_targets(foreground: Source, front: Signal, back: Signal) -> NDArray[np.float64]:
    """Return the targets of `KINDS` of each window, (WINDOWS, 3)."""
    targets = np.zeros((WINDOWS, len(KINDS)))
    if not foreground.kinds:
        return targets
    power = columns_power(front)
    sounding = power > power.max() * 10 ** (-AUDIBLE_DB / 10)
    noise = np.convolve(columns_power(back), np.ones(12) / 12, mode="same")
    clear = sounding & (power > noise * 10 ** (FAINT_DB / 10))
    for i in range(WINDOWS):
        window = slice(i * HOP, i * HOP + WINDOW)
        value = 1.0 if clear[window].sum() >= ENOUGH_COLUMNS else np.nan if sounding[window].any() else 0.0
        targets[i, [KINDS.index(kind) for kind in foreground.kinds]] = value
        if np.isnan(value):
            targets[i] = np.nan
    return targets

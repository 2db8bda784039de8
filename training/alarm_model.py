"""Train the network that detects sirens, horns and alarms."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import Progress, track

from anc.noise.classifier import KINDS
from anc.noise.features import WINDOW, network_input
from anc.noise.handcrafted import handcrafted_features
from anc.noise.network import Ensemble, emergency_log_odds, sigmoid
from training.augmentation import POWER_OF_BYTE, augment, mix
from training.evaluation import Outputs
from training.everyday import EVERYDAY
from training.fit import OUTPUTS, Arrays, Batch, Draw, Recipe, fit
from training.spectrograms import Sound, Windows, synthesise
from training.synthesis import ALARMS, HORNS, SIRENS, Maker
from training.taxonomy import KIND_OF, UNDECIDED, label_of

RECIPE = Recipe(channels=(16, 32, 48, 64, 96), steps=2000, exclusive=False, members=2)
BATCH = 32
# Classes that resemble alarms are trained as extra outputs, which the exported model does not have.
DECOYS = ("voices", "animal", "music", "church_bells", "machine")
TONAL = (
    "crying_baby",
    "cat",
    "church_bells",
    "chirping_birds",
    "rooster",
    "crow",
    "laughing",
    "cow",
    "dog",
    "sheep",
)


@dataclass
class AlarmDataset:
    """Training sounds with targets of 0 or 1 for `KINDS` and `DECOYS`, and their sampling probabilities."""

    alarms: list[tuple[Sound, NDArray[np.float32]]] = field(default_factory=list)
    others: list[tuple[Sound, NDArray[np.float32]]] = field(default_factory=list)
    alarm_probability: list[float] = field(default_factory=list)
    other_probability: list[float] = field(default_factory=list)

    def add(self, sound: Sound, name: str, kinds: Sequence[str], probability: float) -> None:
        """Add a sound; `probability` is relative to the other sounds with, or without, an alarm."""
        target = np.array(
            [kind in kinds for kind in KINDS] + [decoy in (name, label_of(name)) for decoy in DECOYS],
            np.float32,
        )
        (self.alarms if kinds else self.others).append((sound, target))
        (self.alarm_probability if kinds else self.other_probability).append(probability)


def synthetic_sounds(each: int, seed: int) -> list[tuple[Sound, str, tuple[str, ...], float]]:
    """Return `each` synthetic sounds of every maker, with name, kinds and sampling probability."""
    rows: list[tuple[Sound, str, tuple[str, ...], float]] = []
    plan: list[tuple[str, Maker, tuple[str, ...], float]] = []
    plan += [(name, maker, ("siren",), 0.36 / len(SIRENS)) for name, maker in SIRENS.items()]
    plan += [(name, maker, ("horn",), 0.14 / len(HORNS)) for name, maker in HORNS.items()]
    plan += [(name, maker, ("alarm",), 0.25 / len(ALARMS)) for name, maker in ALARMS.items()]
    plan += [(name, maker, (), 0.25 / len(EVERYDAY)) for name, maker in EVERYDAY.items()]
    for i, (name, maker, kinds, probability) in enumerate(track(plan, "synthesising", transient=True)):
        both = ("siren", "horn") if name == "fire_truck" else kinds
        rows += [(sound, name, both, probability / each) for sound in synthesise(maker, each, seed * 100 + i)]
    return rows


def collect(
    sounds: Sequence[Sound],
    names: Sequence[str],
    synthetic: Sequence[tuple[Sound, str, tuple[str, ...], float]],
) -> AlarmDataset:
    """Combine recordings and synthetic sounds: 30 % of the alarms and 75 % of the rest are recordings."""
    dataset = AlarmDataset()
    for row in synthetic:
        dataset.add(*row)
    real = {kind: sum(KIND_OF.get(name) == kind for name in names) for kind in KINDS}
    share = {"siren": 0.20, "horn": 0.12}
    weights = [3.0 if name in TONAL else 1.0 for name in names]
    total = sum(w for w, name in zip(weights, names, strict=True) if name not in KIND_OF)
    for sound, name, weight in zip(sounds, names, weights, strict=True):
        if name in UNDECIDED:
            continue
        kind = KIND_OF.get(name)
        if kind:
            dataset.add(sound, name, (kind,), share[kind] / real[kind])
        else:
            dataset.add(sound, name, (), 0.75 * weight / total)
    return dataset


def draw_from(dataset: AlarmDataset) -> Draw:
    """Return a function that draws batches: half of the sounds contain an alarm, mixed at -5 to 30 dB."""
    alarm_probability = np.array(dataset.alarm_probability) / sum(dataset.alarm_probability)
    other_probability = np.array(dataset.other_probability) / sum(dataset.other_probability)

    def draw(rng: Generator) -> Batch:
        alarmed = rng.uniform(size=BATCH) < 0.5
        alarm = rng.choice(len(alarm_probability), BATCH, p=alarm_probability)
        other, second = rng.choice(len(other_probability), (2, BATCH), p=other_probability)
        foregrounds = [
            dataset.alarms[i] if yes else dataset.others[j]
            for yes, i, j in zip(alarmed, alarm, other, strict=True)
        ]
        backgrounds = [dataset.others[i] for i in second]
        a = POWER_OF_BYTE[np.stack([sound.window(rng) for sound, _ in foregrounds])]
        b = POWER_OF_BYTE[np.stack([sound.window(rng) for sound, _ in backgrounds])]
        # A third of all sounds start within the window, so that alarms are detected soon after their onset
        # and an onset by itself is not.
        onset = np.where(rng.uniform(size=BATCH) < 0.35, rng.integers(0, 28, BATCH), 0)
        a *= (np.arange(WINDOW) >= onset[:, None])[:, :, None]
        ratio_db = np.where(rng.uniform(size=BATCH) < 0.75, rng.uniform(-5, 30, BATCH), 60.0)
        targets = np.stack([target for _, target in foregrounds])
        background = np.stack([target for _, target in backgrounds])
        # The background counts as present only if it is clearly audible, and never as an alarm.
        targets = np.maximum(targets, background * (ratio_db < 5)[:, None]).astype(np.float32)
        return network_input(augment(mix(a, b, ratio_db), rng)), targets

    return draw


def fit_alarm(dataset: AlarmDataset, seed: int, progress: Progress, recipe: Recipe = RECIPE) -> Arrays:
    """Fit the network and remove its outputs for decoys."""
    arrays = fit(recipe, draw_from(dataset), "alarm", seed, progress)
    return {
        key: array[..., : len(KINDS)] if key.endswith(OUTPUTS) else array for key, array in arrays.items()
    }


def alarm_logits(arrays: Arrays, views: Windows) -> NDArray[np.floating]:
    """Return the logits of `KINDS` for each window, (n, 3), without the noise model."""
    x = network_input(views)
    return Ensemble(arrays, "alarm")(x, handcrafted_features(x))


def alarm_scores(alarm: Outputs, noise: Outputs, classes: Sequence[str]) -> Outputs:
    """Return raw scores of `KINDS` for each window of each recording, from the logits of both models."""
    emergency_classes = np.array([classes.index(name) for name in emergency_classes_of(classes)])
    return [sigmoid(a + emergency_log_odds(n, emergency_classes)) for a, n in zip(alarm, noise, strict=True)]


def emergency_classes_of(classes: Sequence[str]) -> list[str]:
    """Return the noise classes that are emergencies."""
    return [name for name in classes if name in KIND_OF]

"""The network that notices sirens, horns and alarms."""

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
from training.augmentation import POWER_OF_BYTE, disturb, mix
from training.evaluation import Outputs
from training.everyday import EVERYDAY
from training.fit import OUTPUTS, Arrays, Batch, Draw, Recipe, fit
from training.spectrograms import Sound, Windows, synthesise
from training.synthesis import ALARMS, HORNS, SIRENS, Maker
from training.taxonomy import KIND_OF, UNDECIDED, label_of

RECIPE = Recipe(channels=(16, 32, 48, 64, 96), steps=2000, exclusive=False, members=2)
BATCH = 32
# What sounds like an alarm and is none is learnt beside the kinds, and left out when the model is used.
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
    """Sounds by what they are, each with its targets: `KINDS` and then `DECOYS`, 0 or 1."""

    alarms: list[tuple[Sound, NDArray[np.float32]]] = field(default_factory=list)
    others: list[tuple[Sound, NDArray[np.float32]]] = field(default_factory=list)
    alarm_chance: list[float] = field(default_factory=list)
    other_chance: list[float] = field(default_factory=list)

    def add(self, sound: Sound, name: str, kinds: Sequence[str], chance: float) -> None:
        """File a sound; `chance` is how likely it is drawn, relative to others of its side."""
        target = np.array(
            [kind in kinds for kind in KINDS] + [decoy in (name, label_of(name)) for decoy in DECOYS],
            np.float32,
        )
        (self.alarms if kinds else self.others).append((sound, target))
        (self.alarm_chance if kinds else self.other_chance).append(chance)


def synthetic_material(each: int, seed: int) -> list[tuple[Sound, str, tuple[str, ...], float]]:
    """Sounds from formulas with name, kinds and chance: `each` of every maker."""
    rows: list[tuple[Sound, str, tuple[str, ...], float]] = []
    plan: list[tuple[str, Maker, tuple[str, ...], float]] = []
    plan += [(name, maker, ("siren",), 0.36 / len(SIRENS)) for name, maker in SIRENS.items()]
    plan += [(name, maker, ("horn",), 0.14 / len(HORNS)) for name, maker in HORNS.items()]
    plan += [(name, maker, ("alarm",), 0.25 / len(ALARMS)) for name, maker in ALARMS.items()]
    plan += [(name, maker, (), 0.25 / len(EVERYDAY)) for name, maker in EVERYDAY.items()]
    for i, (name, maker, kinds, chance) in enumerate(track(plan, "synthesising", transient=True)):
        both = ("siren", "horn") if name == "fire_truck" else kinds
        rows += [(sound, name, both, chance / each) for sound in synthesise(maker, each, seed * 100 + i)]
    return rows


def collect(
    sounds: Sequence[Sound],
    names: Sequence[str],
    synthetic: Sequence[tuple[Sound, str, tuple[str, ...], float]],
) -> AlarmDataset:
    """Put recordings and synthetic sounds together: of the alarms 3 in 10 are real, of the rest 3 in 4."""
    material = AlarmDataset()
    for row in synthetic:
        material.add(*row)
    real = {kind: sum(KIND_OF.get(name) == kind for name in names) for kind in KINDS}
    share = {"siren": 0.20, "horn": 0.12}
    weights = [3.0 if name in TONAL else 1.0 for name in names]
    total = sum(w for w, name in zip(weights, names, strict=True) if name not in KIND_OF)
    for sound, name, weight in zip(sounds, names, weights, strict=True):
        if name in UNDECIDED:
            continue
        kind = KIND_OF.get(name)
        if kind:
            material.add(sound, name, (kind,), share[kind] / real[kind])
        else:
            material.add(sound, name, (), 0.75 * weight / total)
    return material


def draw_from(material: AlarmDataset) -> Draw:
    """Batches of which half hold an alarm, mixed into other sounds at -5 to 30 dB."""
    alarm_chance = np.array(material.alarm_chance) / sum(material.alarm_chance)
    other_chance = np.array(material.other_chance) / sum(material.other_chance)

    def draw(rng: Generator) -> Batch:
        alarmed = rng.uniform(size=BATCH) < 0.5
        alarm = rng.choice(len(alarm_chance), BATCH, p=alarm_chance)
        other, second = rng.choice(len(other_chance), (2, BATCH), p=other_chance)
        fronts = [
            material.alarms[i] if yes else material.others[j]
            for yes, i, j in zip(alarmed, alarm, other, strict=True)
        ]
        backs = [material.others[i] for i in second]
        a = POWER_OF_BYTE[np.stack([sound.window(rng) for sound, _ in fronts])]
        b = POWER_OF_BYTE[np.stack([sound.window(rng) for sound, _ in backs])]
        # A third begin within the window, so that alarms are learnt soon after their onset; other sounds as
        # well, or beginning would itself be taken for an alarm.
        onset = np.where(rng.uniform(size=BATCH) < 0.35, rng.integers(0, 28, BATCH), 0)
        a *= (np.arange(WINDOW) >= onset[:, None])[:, :, None]
        ratio_db = np.where(rng.uniform(size=BATCH) < 0.75, rng.uniform(-5, 30, BATCH), 60.0)
        targets = np.stack([target for _, target in fronts])
        behind = np.stack([target for _, target in backs])
        # The one behind counts as present only where it is clearly heard, and never turns a kind on.
        targets = np.maximum(targets, behind * (ratio_db < 5)[:, None]).astype(np.float32)
        return network_input(disturb(mix(a, b, ratio_db), rng)), targets

    return draw


def fit_alarm(material: AlarmDataset, seed: int, progress: Progress, recipe: Recipe = RECIPE) -> Arrays:
    """Fit the network and leave the decoys' outputs out of it."""
    arrays = fit(recipe, draw_from(material), "alarm", seed, progress)
    return {
        key: array[..., : len(KINDS)] if key.endswith(OUTPUTS) else array for key, array in arrays.items()
    }


def alarm_logits(arrays: Arrays, views: Windows) -> NDArray[np.floating]:
    """Logit of each of `KINDS` in each window, (n, 3), before the noise model has spoken for or against."""
    x = network_input(views)
    return Ensemble(arrays, "alarm")(x, handcrafted_features(x))


def alarm_scores(alarm: Outputs, noise: Outputs, classes: Sequence[str]) -> Outputs:
    """Raw score of each of `KINDS` in each window of each recording, both models' logits taken together."""
    witnesses = np.array([classes.index(name) for name in witnesses_of(classes)])
    return [sigmoid(a + emergency_log_odds(n, witnesses)) for a, n in zip(alarm, noise, strict=True)]


def witnesses_of(classes: Sequence[str]) -> list[str]:
    """Those of the noise model's classes that are emergencies."""
    return [name for name in classes if name in KIND_OF]

"""Train the network that classifies noise."""

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.features import network_input
from anc.noise.handcrafted import handcrafted_features
from anc.noise.network import Ensemble
from training.augmentation import POWER_OF_BYTE, augment, mix
from training.fit import Arrays, Batch, Draw, Recipe, fit
from training.spectrograms import Sound, Windows

RECIPE = Recipe(channels=(16, 32, 64, 96, 128), steps=2000, exclusive=True, members=2)
BATCH = 32
SMOOTHING = 0.1


def draw_from(sounds: Sequence[Sound], classes: NDArray[np.int64], count: int) -> Draw:
    """Return a function that draws batches, with classes weighted by the square root of their size.

    Half of the sounds are mixtures of two, labelled with the share of each, which improves the separation of
    classes (Tokozume et al., Learning from Between-class Examples, 2018).

    Parameters
    ----------
    sounds : sequence of Sound
    classes : (len(sounds),) int
    count : int
        Number of classes.
    """
    sizes = np.bincount(classes, minlength=count)
    probability = sizes[classes] ** -0.5
    probability /= probability.sum()

    def draw(rng: Generator) -> Batch:
        first, second = rng.choice(len(sounds), (2, BATCH), p=probability)
        a = POWER_OF_BYTE[np.stack([sounds[i].window(rng) for i in first])]
        b = POWER_OF_BYTE[np.stack([sounds[i].window(rng) for i in second])]
        share = np.where(rng.uniform(size=BATCH) < 0.5, rng.uniform(0.02, 0.98, BATCH), 1.0)
        ratio_db = np.where(share < 1, 20 * np.log10(share / (1.0001 - share)), 99.0)
        x = network_input(augment(mix(a, b, ratio_db), rng))
        truth = np.eye(count)
        targets = share[:, None] * truth[classes[first]] + (1 - share[:, None]) * truth[classes[second]]
        return x, (targets * (1 - SMOOTHING) + SMOOTHING / count).astype(np.float32)

    return draw


def fit_noise(
    sounds: Sequence[Sound],
    classes: NDArray[np.int64],
    count: int,
    seed: int,
    progress: Progress,
    recipe: Recipe = RECIPE,
) -> Arrays:
    """Fit the ensemble on `sounds` with `classes` 0 to `count` - 1."""
    return fit(recipe, draw_from(sounds, classes, count), "noise", seed, progress)


def noise_logits(arrays: Arrays, views: Windows) -> NDArray[np.floating]:
    """Return the mean logits of all members, (n, classes)."""
    x = network_input(views)
    return Ensemble(arrays, "noise")(x, handcrafted_features(x))

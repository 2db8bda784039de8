"""Fit `training.candidate.network.Network` with JAX on the CPU."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.classifier import KINDS
from anc.noise.features import BANDS, HOP, WINDOW, network_input
from training.augmentation import POWER_OF_BYTE, Powers, coloured_noise, mask, microphone_response, mix
from training.candidate.clips import TAUGHT
from training.candidate.dataset import Dataset
from training.candidate.teacher import AUXILIARY

Arrays = dict[str, NDArray[np.float32]]
Tree = dict[str, jax.Array]
AVERAGING = 0.995  # decay of the exponential moving average of the weights
SMOOTHING = 0.1  # of the noise classes
KINDS_WEIGHT, TEACHER_WEIGHT = 2.0, 0.3  # of the losses, relative to that of the noise classes


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of the network.

    Attributes
    ----------
    channels : tuple of int
        Channels of each convolution.
    steps, batch : int
        Number of batches, and windows in each.
    memory_steps : int
        Number of batches for the memory.
    rate, decay, dropout : float
        Peak learning rate and weight decay of AdamW; dropout rate of pooled features.
    """

    channels: tuple[int, ...] = (16, 32, 64, 96, 128)
    steps: int = 12_000
    batch: int = 64
    memory_steps: int = 1500
    rate: float = 3e-3
    decay: float = 0.02
    dropout: float = 0.2


@dataclass(frozen=True)
class Batch:
    """Windows with targets: inputs, noise classes, kinds and the teacher's scores; NaN where unknown."""

    x: jax.Array
    noise: jax.Array
    kinds: jax.Array
    taught: jax.Array


jax.tree_util.register_dataclass(Batch, ["x", "noise", "kinds", "taught"], [])


def augment(x: Powers, rng: Generator) -> NDArray[np.uint8]:
    """Add noise at 5 to 45 dB to a third, add a microphone response, and mask random parts."""
    noisy = np.flatnonzero(rng.uniform(size=len(x)) < 0.35)
    x = x.copy()
    x[noisy] = mix(x[noisy], coloured_noise(len(noisy), rng), rng.uniform(5, 45, len(noisy)))
    level = 10 * np.log10(x + 1e-3)
    level += microphone_response(len(x), rng)[:, None, :]
    mask(level, rng)
    return np.rint(np.clip(level, 0, 255)).astype(np.uint8)


def draw(dataset: Dataset, size: int, rng: Generator) -> Batch:
    """Return random augmented windows of a dataset."""
    clip = rng.integers(len(dataset.spectrograms), size=size)
    taught = rng.integers(len(TAUGHT), size=size)
    window = np.array(TAUGHT)[taught]
    columns = window[:, None] * HOP + np.arange(WINDOW)
    views = dataset.spectrograms[clip[:, None], columns]
    x = network_input(augment(POWER_OF_BYTE[views], rng))
    noise = noise_targets(dataset, clip, window)
    kinds = dataset.kinds[clip, window].astype(np.float32)
    scores = dataset.taught[clip, taught].astype(np.float32)
    return Batch(*(jnp.asarray(array) for array in (x, noise, kinds, scores)))


def noise_targets(
    dataset: Dataset, clip: NDArray[np.int64], window: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the share of each noise class, (n, classes); NaN if something else is audible.

    Half-way mixtures improve the separation of classes (Tokozume et al., Learning from Between-class
    Examples, 2018).
    """
    share = dataset.share[clip, window].astype(np.float32)
    targets = np.zeros((len(clip), len(dataset.classes)), np.float32)
    for number, part in zip(dataset.noise[clip].T, (share, 1 - share), strict=True):
        known = number >= 0
        targets[known, number[known]] += part[known]
    total = targets.sum(axis=1, keepdims=True)
    targets = targets / np.maximum(total, 1e-3) * (1 - SMOOTHING) + SMOOTHING / len(dataset.classes)
    targets[total[:, 0] < 0.8] = np.nan
    return targets


def fit(recipe: Recipe, dataset: Dataset, seed: int, progress: Progress) -> Arrays:
    """Fit the network and fold the batch norm into the weights.

    Parameters
    ----------
    recipe : Recipe
    dataset : Dataset
    seed : int
        Random seed; results are reproducible on the same kind of machine.

    Returns
    -------
    dict of str to arrays
        For `training.candidate.network.Network`.
    """
    rng = np.random.default_rng(seed)
    parameters = _initial_parameters(recipe, len(dataset.classes), rng)
    schedule = optax.warmup_cosine_decay_schedule(0, recipe.rate, recipe.steps // 30, recipe.steps)
    optimiser = optax.adamw(schedule, weight_decay=recipe.decay, mask=_weight_decay_mask(parameters))
    optimiser_state = optimiser.init(parameters)
    average = parameters

    @jax.jit
    def step(parameters, optimiser_state, average, n, batch, key):  # type: ignore[no-untyped-def]
        gradient = jax.grad(partial(_loss, recipe=recipe, batch=batch, key=key))(parameters)
        change, optimiser_state = optimiser.update(gradient, optimiser_state, parameters)
        parameters = optax.apply_updates(parameters, change)
        keep = jnp.minimum(AVERAGING, (1 + n) / (10 + n))  # lower at the start, to forget the initial weights
        average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, parameters)
        return parameters, optimiser_state, average

    key = jax.random.PRNGKey(seed)
    task = progress.add_task("fitting", total=recipe.steps)
    for n in range(recipe.steps):
        key, now = jax.random.split(key)
        batch = draw(dataset, recipe.batch, rng)
        parameters, optimiser_state, average = step(parameters, optimiser_state, average, n, batch, now)
        progress.advance(task)
    progress.remove_task(task)
    # Batch statistics of the averaged weights were not collected during training.
    pooled = jax.jit(partial(_pooled, depth=len(recipe.channels)))
    several = [pooled(average, draw(dataset, recipe.batch, rng).x)[1] for _ in range(30)]
    statistics = {key: np.stack([seen[key] for seen in several]).mean(axis=0) for key in several[0]}
    return _fold_batch_norm(recipe, average, statistics)


def _initial_parameters(recipe: Recipe, classes: int, rng: Generator) -> Tree:
    parameters: Tree = {}
    inputs = 2
    for i, outputs in enumerate(recipe.channels):
        weight = rng.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        parameters |= {f"conv{i}": jnp.asarray(weight, jnp.float32)}
        parameters |= {f"gamma{i}": jnp.ones(outputs), f"beta{i}": jnp.zeros(outputs)}
        inputs = outputs
    pooled = inputs * (pooled_bands(len(recipe.channels)) + 1)
    for name, size in (("noise", classes), ("kinds", len(KINDS)), ("taught", len(AUXILIARY))):
        weight = rng.standard_normal((pooled, size)) * np.sqrt(1 / pooled)
        parameters |= {f"{name}.weight": jnp.asarray(weight, jnp.float32), f"{name}.bias": jnp.zeros(size)}
    return parameters


def pooled_bands(depth: int) -> int:
    """Return the number of bands that the strides and poolings of `depth` convolutions leave."""
    bands = BANDS // 2
    for _ in range(depth - 2):
        bands //= 2
    return bands


def _weight_decay_mask(parameters: Tree) -> dict[str, bool]:
    return {name: name.startswith("conv") or name.endswith(".weight") for name in parameters}


def _loss(parameters: Tree, *, recipe: Recipe, batch: Batch, key: jax.Array) -> jax.Array:
    keep = 1 - recipe.dropout
    pooled, _ = _pooled(parameters, batch.x, len(recipe.channels))
    pooled *= jax.random.bernoulli(key, keep, pooled.shape) / keep
    noise, kinds, taught = (
        pooled @ parameters[f"{name}.weight"] + parameters[f"{name}.bias"]
        for name in ("noise", "kinds", "taught")
    )
    entropy = -(jnp.nan_to_num(batch.noise) * jax.nn.log_softmax(noise)).sum(axis=1)
    return (
        entropy.mean()
        + KINDS_WEIGHT * binary_loss(kinds, batch.kinds)
        + TEACHER_WEIGHT * binary_loss(taught, batch.taught)
    )


def binary_loss(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean cross entropy of independent outputs, without those whose target is NaN."""
    loss = optax.sigmoid_binary_cross_entropy(logits, jnp.nan_to_num(targets))
    return jnp.where(jnp.isnan(targets), 0, loss).sum(axis=1).mean()


def _pooled(parameters: Tree, x: jax.Array, depth: int) -> tuple[jax.Array, Tree]:
    seen: Tree = {}
    for i in range(depth):
        x = _convolve(x, parameters[f"conv{i}"], stride=2 if i == 0 else 1)
        if 0 < i < depth - 1:
            x = jnp.maximum(x[:, ::2], x[:, 1::2])
            x = jnp.maximum(x[:, :, ::2], x[:, :, 1::2])
        mean = x.mean((0, 1, 2))
        variance = jnp.square(x).mean((0, 1, 2)) - jnp.square(mean)
        seen |= {f"mean{i}": mean, f"variance{i}": variance}
        # With a non-negative gain, pooling first gives the same result at a quarter of the cost.
        gain = jnp.abs(parameters[f"gamma{i}"]) * jax.lax.rsqrt(variance + 1e-5)
        x = jax.nn.relu((x - mean) * gain + parameters[f"beta{i}"])
    bands = x.mean(2).reshape(len(x), -1)  # separate, because pitch matters
    return jnp.concatenate([bands, x.mean(1).max(1)], axis=1), seen


def _convolve(x: jax.Array, weight: jax.Array, stride: int) -> jax.Array:
    if stride == 1:
        return jax.lax.conv_general_dilated(
            x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    # With two channels, XLA's convolution takes twice as long as this on a CPU.
    _, height, width, channels = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1) @ weight.reshape(9 * channels, -1)


def _fold_batch_norm(recipe: Recipe, parameters: Tree, statistics: Arrays) -> Arrays:
    arrays: Arrays = {}
    p = {key: np.asarray(value) for key, value in parameters.items()}
    for i in range(len(recipe.channels)):
        gain = np.abs(p[f"gamma{i}"]) / np.sqrt(statistics[f"variance{i}"] + np.float32(1e-5))
        arrays[f"conv{i}.weight"] = p[f"conv{i}"] * gain
        arrays[f"conv{i}.bias"] = p[f"beta{i}"] - statistics[f"mean{i}"] * gain
    return arrays | {key: p[key] for key in p if "." in key}

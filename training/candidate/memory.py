"""Fit `training.candidate.network.Memory`, which judges a window together with the two seconds before it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.classifier import KINDS
from anc.noise.features import HOP, WINDOW, network_input
from training.candidate.clips import WINDOWS
from training.candidate.dataset import Dataset
from training.candidate.fit import Arrays, Tree, binary_loss
from training.candidate.network import Network

FEATURES, HIDDEN = 16, 48
BATCH, RATE, DECAY, DROPOUT = 256, 2e-3, 0.05, 0.3


def fit_memory(network: Arrays, dataset: Dataset, steps: int, seed: int, progress: Progress) -> Arrays:
    """Fit the memory on a fitted network.

    Parameters
    ----------
    network : dict of str to arrays
        From `training.candidate.fit.fit`; it is not changed.
    dataset : Dataset
    steps : int
        Number of batches.
    seed : int

    Returns
    -------
    dict of str to arrays
        The arrays ``features`` and ``memory`` of the model.
    """
    rng = np.random.default_rng(seed)
    pooled = pooled_windows(network, dataset, progress)
    parameters = _initial_parameters(pooled.shape[2], rng)
    schedule = optax.cosine_decay_schedule(RATE, steps)
    optimiser = optax.adamw(schedule, weight_decay=DECAY)
    state = optimiser.init(parameters)
    kinds = {name: jnp.asarray(network[f"kinds.{name}"]) for name in ("weight", "bias")}

    @jax.jit
    def step(parameters, state, x, seen, targets, key):  # type: ignore[no-untyped-def]
        loss = partial(_loss, kinds=kinds, x=x, seen=seen, targets=targets, key=key)
        change, state = optimiser.update(jax.grad(loss)(parameters), state, parameters)
        return optax.apply_updates(parameters, change), state

    key = jax.random.PRNGKey(seed)
    task = progress.add_task("fitting memory", total=steps)
    for _ in range(steps):
        key, now = jax.random.split(key)
        parameters, state = step(parameters, state, *_draw(pooled, dataset.kinds, rng), now)
        progress.advance(task)
    progress.remove_task(task)
    return {name: np.asarray(value) for name, value in parameters.items()}


def pooled_windows(network: Arrays, dataset: Dataset, progress: Progress) -> NDArray[np.float16]:
    """Return what the heads see of every window of every clip, (clips, WINDOWS, size)."""
    heads = {f"features.{name}": network[f"kinds.{name}"] for name in ("weight", "bias")}
    numpy_network = Network(network | heads)
    columns = np.arange(WINDOWS)[:, None] * HOP + np.arange(WINDOW)
    task = progress.add_task("looking back", total=len(dataset.spectrograms))
    rows = []
    for spectrogram in dataset.spectrograms:
        rows.append(numpy_network.pooled(network_input(spectrogram[columns])).astype(np.float16))
        progress.advance(task)
    progress.remove_task(task)
    return np.array(rows)


def _initial_parameters(size: int, rng: Generator) -> Tree:
    def normal(*shape: int, inputs: int) -> jax.Array:
        return jnp.asarray(rng.standard_normal(shape) * np.sqrt(1 / inputs), jnp.float32)

    evidence = len(KINDS) + FEATURES + 1
    return {
        "features.weight": normal(size, FEATURES, inputs=size),
        "features.bias": jnp.zeros(FEATURES),
        "memory.weight": normal(WINDOWS, evidence, HIDDEN, inputs=4 * WINDOWS * evidence),
        "memory.bias": jnp.zeros(HIDDEN),
        "memory.out.weight": normal(HIDDEN, len(KINDS), inputs=10 * HIDDEN),
        "memory.out.bias": jnp.zeros(len(KINDS)),
    }


def _draw(
    pooled: NDArray[np.float16], kinds: NDArray[np.float16], rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the windows up to a random one, whether each was seen, and the targets of the last.

    Half of the sounds have a past of random length, as at the start of a stream and in snapshots.
    """
    clip, last = rng.integers(len(pooled), size=BATCH), rng.integers(WINDOWS, size=BATCH)
    length = np.where(rng.uniform(size=BATCH) < 0.5, WINDOWS, rng.integers(1, WINDOWS + 1, BATCH))
    window = last[:, None] + np.arange(1 - WINDOWS, 1)
    seen = (window >= 0) & (np.arange(WINDOWS) >= WINDOWS - length[:, None])
    x = pooled[clip[:, None], np.maximum(window, 0)].astype(np.float32)
    return x, seen.astype(np.float32), kinds[clip, last].astype(np.float32)


def _loss(
    parameters: Tree, *, kinds: Tree, x: jax.Array, seen: jax.Array, targets: jax.Array, key: jax.Array
) -> jax.Array:
    kept = jax.random.bernoulli(key, 1 - DROPOUT, x.shape) / (1 - DROPOUT)
    return binary_loss(judged(parameters, kinds, x * kept, seen), targets)


def judged(parameters: Tree, kinds: Tree, x: jax.Array, seen: jax.Array) -> jax.Array:
    """Return the logits of `KINDS` for the last of several windows, as `Memory` does.

    Parameters
    ----------
    kinds : dict
        Weight and bias of the network's head for `KINDS`.
    x : (n, WINDOWS, size)
        What the heads see of each window.
    seen : (n, WINDOWS)
        1 for windows that exist.
    """
    features = jax.nn.relu(x @ parameters["features.weight"] + parameters["features.bias"])
    logits = x @ kinds["weight"] + kinds["bias"]
    evidence = jnp.concatenate([logits, features, jnp.ones((*seen.shape, 1))], axis=-1) * seen[..., None]
    hidden = jnp.einsum("nwe,weh->nh", evidence, parameters["memory.weight"]) + parameters["memory.bias"]
    change = jax.nn.relu(hidden) @ parameters["memory.out.weight"] + parameters["memory.out.bias"]
    return logits[:, -1] + change

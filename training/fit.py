"""Fit the networks of `anc.noise` with JAX on the CPU."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.random import Generator
from numpy.typing import NDArray
from rich.progress import Progress

from anc.noise.handcrafted import handcrafted_features

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]  # inputs (n, BANDS, WINDOW, 2), targets (n, classes)
Draw = Callable[[Generator], Batch]
Arrays = dict[str, NDArray[np.float32]]
Tree = dict[str, jax.Array]
BIASES = (".dense.bias", ".hand.bias1")  # of the last layers
OUTPUTS = (".dense.weight", ".hand.weight1", *BIASES)
AVERAGING = 0.995  # decay of the exponential moving average of the weights
HIDDEN_UNITS = 192  # of the perceptron on handcrafted features


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a network.

    Attributes
    ----------
    channels : tuple of int
        Channels of each convolution.
    steps : int
        Number of batches.
    exclusive : bool
        True if exactly one class applies (softmax), false for any number (sigmoid).
    members : int
        Number of networks in the ensemble, fitted independently. A small perceptron on handcrafted features
        is fitted with the first one.
    rate, decay, dropout : float
        Peak learning rate and weight decay of AdamW; dropout rate of pooled features.
    """

    channels: tuple[int, ...]
    steps: int
    exclusive: bool
    members: int = 1
    rate: float = 3e-3
    decay: float = 0.02
    dropout: float = 0.3


def fit(recipe: Recipe, draw: Draw, name: str, seed: int, progress: Progress) -> Arrays:
    """Fit the networks and the perceptron of an ensemble and fold the batch norm into the weights.

    Parameters
    ----------
    recipe : Recipe
    draw : callable
        Returns a new augmented batch of inputs and targets.
    name : str
        Prefix of the arrays, as in `anc.noise.network.Ensemble`.
    seed : int
        Random seed; results are reproducible on the same kind of machine.
    """
    arrays: Arrays = {}
    for member in range(recipe.members):
        own = f"{name}.{member}"
        fitted = _fit_one(recipe, draw, own, 1000 * member + seed, progress, hand=member == 0)
        arrays |= {key.replace(f"{own}.hand", f"{name}.hand"): value for key, value in fitted.items()}
    return arrays


def _fit_one(recipe: Recipe, draw: Draw, name: str, seed: int, progress: Progress, hand: bool) -> Arrays:
    rng = np.random.default_rng(seed)
    x, targets = draw(rng)
    no_features = np.zeros((len(x), 0), np.float32)
    samples = np.concatenate([handcrafted_features(draw(rng)[0]) for _ in range(20)]) if hand else no_features
    centre, scale = samples.mean(axis=0), samples.std(axis=0) + 1e-3
    parameters = _initial_parameters(recipe, targets.shape[1], len(scale), rng)
    schedule = optax.warmup_cosine_decay_schedule(0, recipe.rate, recipe.steps // 50, recipe.steps)
    optimiser = optax.adamw(schedule, weight_decay=recipe.decay, mask=_weight_decay_mask(parameters))
    optimiser_state = optimiser.init(parameters)
    average = parameters

    @jax.jit
    def step(parameters, optimiser_state, average, n, x, features, targets, key):  # type: ignore[no-untyped-def]
        loss = partial(_loss, recipe=recipe, x=x, features=features, targets=targets, key=key)
        gradient = jax.grad(loss)(parameters)
        change, optimiser_state = optimiser.update(gradient, optimiser_state, parameters)
        parameters = optax.apply_updates(parameters, change)
        keep = jnp.minimum(AVERAGING, (1 + n) / (10 + n))  # lower at the start, to forget the initial weights
        average = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, parameters)
        return parameters, optimiser_state, average

    key = jax.random.PRNGKey(seed)
    task = progress.add_task(f"fitting {name}", total=recipe.steps)
    for n in range(recipe.steps):
        x, targets = draw(rng)
        features = (handcrafted_features(x) - centre) / scale if hand else no_features
        key, now = jax.random.split(key)
        parameters, optimiser_state, average = step(
            parameters, optimiser_state, average, n, x, features, targets, now
        )
        progress.advance(task)
    progress.remove_task(task)
    # Batch statistics of the averaged weights were not collected during training.
    pooled = jax.jit(partial(_pooled, depth=len(recipe.channels)))
    several = [pooled(average, draw(rng)[0])[1] for _ in range(30)]
    statistics = {key: np.stack([seen[key] for seen in several]).mean(axis=0) for key in several[0]}
    return _fold_batch_norm(recipe, average, statistics, name, centre, scale)


def _initial_parameters(recipe: Recipe, classes: int, hand: int, rng: Generator) -> Tree:
    parameters: Tree = {}
    inputs = 2
    for i, outputs in enumerate(recipe.channels):
        weight = rng.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        parameters |= {f"weight{i}": jnp.asarray(weight, jnp.float32)}
        parameters |= {f"gamma{i}": jnp.ones(outputs), f"beta{i}": jnp.zeros(outputs)}
        inputs = outputs
    dense = rng.standard_normal((2 * inputs, classes)) * np.sqrt(1 / (2 * inputs))
    parameters |= {"dense": jnp.asarray(dense, jnp.float32), "bias": jnp.zeros(classes)}
    if hand:
        first = rng.standard_normal((hand, HIDDEN_UNITS)) * np.sqrt(1 / hand)
        second = rng.standard_normal((HIDDEN_UNITS, classes)) * np.sqrt(1 / HIDDEN_UNITS)
        parameters |= {"hand0": jnp.asarray(first, jnp.float32), "hand_bias0": jnp.zeros(HIDDEN_UNITS)}
        parameters |= {"hand1": jnp.asarray(second, jnp.float32), "hand_bias1": jnp.zeros(classes)}
    return parameters


def _weight_decay_mask(parameters: Tree) -> dict[str, bool]:
    return {name: "bias" not in name and name.startswith(("weight", "dense", "hand")) for name in parameters}


def _loss(
    parameters: Tree, *, recipe: Recipe, x: jax.Array, features: jax.Array, targets: jax.Array, key: jax.Array
) -> jax.Array:
    keep = 1 - recipe.dropout
    pooled, _ = _pooled(parameters, x, len(recipe.channels))
    kept = jax.random.bernoulli(key, keep, pooled.shape) / keep
    logits = [pooled * kept @ parameters["dense"] + parameters["bias"]]
    if features.shape[-1]:
        hidden = jax.nn.relu(features @ parameters["hand0"] + parameters["hand_bias0"])
        kept = jax.random.bernoulli(key, keep, hidden.shape) / keep
        logits.append(hidden * kept @ parameters["hand1"] + parameters["hand_bias1"])
    entropy = optax.softmax_cross_entropy if recipe.exclusive else _sigmoid_cross_entropy
    return jnp.sum(jnp.stack([entropy(some, targets).mean() for some in logits]))


def _sigmoid_cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(axis=-1)


def _pooled(parameters: Tree, x: jax.Array, depth: int) -> tuple[jax.Array, Tree]:
    seen: Tree = {}
    for i in range(depth):
        x = _convolve(x, parameters[f"weight{i}"])
        if i < depth - 1:
            x = jnp.maximum(x[:, ::2], x[:, 1::2])
            x = jnp.maximum(x[:, :, ::2], x[:, :, 1::2])
        mean = x.mean((0, 1, 2))
        variance = jnp.square(x).mean((0, 1, 2)) - jnp.square(mean)
        seen |= {f"mean{i}": mean, f"variance{i}": variance}
        # With a non-negative gain, pooling first gives the same result at a quarter of the cost.
        gain = jnp.abs(parameters[f"gamma{i}"]) * jax.lax.rsqrt(variance + 1e-5)
        x = jax.nn.relu((x - mean) * gain + parameters[f"beta{i}"])
    x = x.mean(1)
    return jnp.concatenate([x.mean(1), x.max(1)], axis=1), seen


def _convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
    if x.shape[-1] > 2:
        return jax.lax.conv_general_dilated(
            x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    # With two channels, XLA's convolution takes twice as long as this on a CPU.
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    shifted = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return jnp.concatenate(shifted, axis=-1) @ weight.reshape(18, -1)


def _fold_batch_norm(
    recipe: Recipe,
    parameters: Tree,
    statistics: Arrays,
    name: str,
    centre: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> Arrays:
    arrays: Arrays = {}
    p = {key: np.asarray(value) for key, value in parameters.items()}
    for i in range(len(recipe.channels)):
        gain = np.abs(p[f"gamma{i}"]) / np.sqrt(statistics[f"variance{i}"] + np.float32(1e-5))
        arrays[f"{name}.conv{i}.weight"] = p[f"weight{i}"] * gain
        arrays[f"{name}.conv{i}.bias"] = p[f"beta{i}"] - statistics[f"mean{i}"] * gain
    arrays[f"{name}.dense.weight"], arrays[f"{name}.dense.bias"] = p["dense"], p["bias"]
    if len(scale):
        weight = np.asarray(p["hand0"] / scale[:, None], np.float32)
        arrays |= {f"{name}.hand.weight0": weight, f"{name}.hand.bias0": p["hand_bias0"] - centre @ weight}
        arrays |= {f"{name}.hand.weight1": p["hand1"], f"{name}.hand.bias1": p["hand_bias1"]}
    return arrays

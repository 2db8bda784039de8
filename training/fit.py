"""Fit the networks of `anc.noise` with JAX, on the processor."""

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

from anc.noise.hand import hand_features

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]  # inputs (n, BANDS, WINDOW, 2), targets (n, classes)
Draw = Callable[[Generator], Batch]
Arrays = dict[str, NDArray[np.float32]]
Tree = dict[str, jax.Array]
KEEP = 0.995  # of the averaged weights and statistics at each step


@dataclass(frozen=True)
class Recipe:
    """How one network is fitted.

    Attributes
    ----------
    channels : tuple of int
        Of each convolution.
    steps : int
        Batches.
    exclusive : bool
        Whether exactly one class is true (softmax), or any number (sigmoid).
    hand : bool
        Whether a linear model on the hand features is fitted beside the network, on the same batches.
    rate, decay, dropout : float
        Peak learning rate and weight decay of AdamW; share of pooled features dropped.
    """

    channels: tuple[int, ...]
    steps: int
    exclusive: bool
    hand: bool = False
    rate: float = 3e-3
    decay: float = 0.02
    dropout: float = 0.3


def fit(recipe: Recipe, draw: Draw, name: str, seed: int, progress: Progress) -> Arrays:
    """Fit a network and fold its batch norm.

    Parameters
    ----------
    recipe : Recipe
    draw : callable
        Gives a new augmented batch of inputs and targets.
    name : str
        Prefix of the arrays: ``{name}.conv0.weight`` and so on, as `anc.noise.network.ConvNet` wants them;
        with `recipe.hand` also ``hand.weight`` and ``hand.bias``.
    seed : int
        Equal seeds give equal networks on equal machines.
    """
    rng = np.random.default_rng(seed)
    x, targets = draw(rng)
    samples = np.concatenate([hand_features(draw(rng)[0]) for _ in range(20)]) if recipe.hand else None
    centre, scale = (samples.mean(0), samples.std(0) + 1e-3) if samples is not None else (None, None)
    parameters, statistics = _initial(recipe, targets.shape[1], None if scale is None else len(scale), rng)
    schedule = optax.warmup_cosine_decay_schedule(0, recipe.rate, recipe.steps // 50, recipe.steps)
    optimiser = optax.adamw(schedule, weight_decay=recipe.decay, mask=_decays(parameters))
    memory = optimiser.init(parameters)
    average = parameters

    @jax.jit
    def step(parameters, memory, average, statistics, x, hand, targets, key):  # type: ignore[no-untyped-def]
        loss = partial(_loss, recipe=recipe, x=x, hand=hand, targets=targets, key=key)
        slope, seen = jax.grad(loss, has_aux=True)(parameters)
        change, memory = optimiser.update(slope, memory, parameters)
        parameters = optax.apply_updates(parameters, change)
        drift = partial(jax.tree.map, lambda old, new: KEEP * old + (1 - KEEP) * new)
        return parameters, memory, drift(average, parameters), drift(statistics, seen)

    key = jax.random.PRNGKey(seed)
    task = progress.add_task(f"fitting {name}", total=recipe.steps)
    for _ in range(recipe.steps):
        x, targets = draw(rng)
        hand = (hand_features(x) - centre) / scale if recipe.hand else np.zeros((len(x), 0), np.float32)
        key, now = jax.random.split(key)
        parameters, memory, average, statistics = step(
            parameters, memory, average, statistics, x, hand, targets, now
        )
        progress.advance(task)
    progress.remove_task(task)
    return _folded(recipe, average, statistics, name, centre, scale)


def _initial(recipe: Recipe, classes: int, hand: int | None, rng: Generator) -> tuple[Tree, Tree]:
    parameters: Tree = {}
    statistics: Tree = {}
    inputs = 2
    for i, outputs in enumerate(recipe.channels):
        weight = rng.standard_normal((3, 3, inputs, outputs)) * np.sqrt(2 / (9 * inputs))
        parameters |= {f"weight{i}": jnp.asarray(weight, jnp.float32)}
        parameters |= {f"gamma{i}": jnp.ones(outputs), f"beta{i}": jnp.zeros(outputs)}
        statistics |= {f"mean{i}": jnp.zeros(outputs), f"variance{i}": jnp.ones(outputs)}
        inputs = outputs
    dense = rng.standard_normal((2 * inputs, classes)) * np.sqrt(1 / (2 * inputs))
    parameters |= {"dense": jnp.asarray(dense, jnp.float32), "bias": jnp.zeros(classes)}
    if hand:
        parameters |= {"hand": jnp.zeros((hand, classes)), "hand_bias": jnp.zeros(classes)}
    return parameters, statistics


def _decays(parameters: Tree) -> dict[str, bool]:
    return {name: name.startswith(("weight", "dense", "hand")) and name != "hand_bias" for name in parameters}


def _loss(
    parameters: Tree, *, recipe: Recipe, x: jax.Array, hand: jax.Array, targets: jax.Array, key: jax.Array
) -> tuple[jax.Array, Tree]:
    pooled, seen = _pooled(parameters, x, len(recipe.channels))
    kept = jax.random.bernoulli(key, 1 - recipe.dropout, pooled.shape)
    logits = [pooled * kept / (1 - recipe.dropout) @ parameters["dense"] + parameters["bias"]]
    if recipe.hand:
        logits.append(hand @ parameters["hand"] + parameters["hand_bias"])
    entropy = optax.softmax_cross_entropy if recipe.exclusive else _each
    return jnp.sum(jnp.stack([entropy(some, targets).mean() for some in logits])), seen


def _each(logits: jax.Array, targets: jax.Array) -> jax.Array:
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(axis=-1)


def _pooled(parameters: Tree, x: jax.Array, depth: int) -> tuple[jax.Array, Tree]:
    seen: Tree = {}
    for i in range(depth):
        x = jax.lax.conv_general_dilated(
            x, parameters[f"weight{i}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        mean = x.mean((0, 1, 2))
        variance = jnp.square(x).mean((0, 1, 2)) - jnp.square(mean)
        seen |= {f"mean{i}": mean, f"variance{i}": variance}
        x = (x - mean) * jax.lax.rsqrt(variance + 1e-5) * parameters[f"gamma{i}"] + parameters[f"beta{i}"]
        x = jax.nn.relu(x)
        if i < depth - 1:
            x = jnp.maximum(x[:, ::2], x[:, 1::2])
            x = jnp.maximum(x[:, :, ::2], x[:, :, 1::2])
    x = x.mean(1)
    return jnp.concatenate([x.mean(1), x.max(1)], axis=1), seen


def _folded(
    recipe: Recipe,
    parameters: Tree,
    statistics: Tree,
    name: str,
    centre: NDArray[np.float32] | None,
    scale: NDArray[np.float32] | None,
) -> Arrays:
    arrays: Arrays = {}
    p = {key: np.asarray(value) for key, value in parameters.items()}
    s = {key: np.asarray(value) for key, value in statistics.items()}
    for i in range(len(recipe.channels)):
        gain = p[f"gamma{i}"] / np.sqrt(s[f"variance{i}"] + 1e-5)
        arrays[f"{name}.conv{i}.weight"] = p[f"weight{i}"] * gain
        arrays[f"{name}.conv{i}.bias"] = p[f"beta{i}"] - s[f"mean{i}"] * gain
    arrays |= {f"{name}.dense.weight": p["dense"], f"{name}.dense.bias": p["bias"]}
    if centre is not None and scale is not None:
        weight = p["hand"] / scale[:, None]
        arrays |= {"hand.weight": weight, "hand.bias": p["hand_bias"] - centre @ weight}
    return {key: value.astype(np.float32) for key, value in arrays.items()}

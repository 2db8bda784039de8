"""Fit `anc.noise.network.Memory`, which judges a window together with the two seconds before it."""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from anc.noise.classifier import KINDS
from anc.noise.features import HOP, WINDOW, network_input
from anc.noise.network import Network
from training.clips.compose import WINDOWS
from training.clips.dataset import Dataset
from training.fit import Arrays, binary_loss

FEATURES, HIDDEN = 16, 48
CLIPS = 20_000  # at most, of the dataset: more take long and add little
BATCH, RATE, DECAY, DROPOUT = 256, 2e-3, 0.05, 0.3


def fit_memory(network: Arrays, dataset: Dataset, steps: int, seed: int) -> Arrays:
    """Fit the memory on a fitted network.

    Parameters
    ----------
    network : dict of str to arrays
        From `training.fit.fit`; it is not changed.
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
    torch.manual_seed(seed)
    rows = np.sort(rng.permutation(len(dataset.spectrograms))[:CLIPS])
    pooled, kinds = pooled_windows(network, dataset.spectrograms[rows]), dataset.kinds[rows]
    judge = Judge(network)
    optimiser = torch.optim.AdamW(
        [p for p in judge.parameters() if p.requires_grad], RATE, weight_decay=DECAY
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        x, seen, targets = _draw(pooled, kinds, rng)
        optimiser.zero_grad()
        binary_loss(judge(functional.dropout(x, DROPOUT), seen), targets).backward()
        optimiser.step()
        schedule.step()
    return judge.exported()


def pooled_windows(network: Arrays, spectrograms: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return what the heads see of every window of every clip, (clips, WINDOWS, size)."""
    heads = {f"features.{name}": network[f"kinds.{name}"] for name in ("weight", "bias")}
    numpy_network = Network(network | heads)
    columns = np.arange(WINDOWS)[:, None] * HOP + np.arange(WINDOW)
    rows = (numpy_network.pooled(network_input(one[columns])) for one in spectrograms)
    return np.array([row.astype(np.float16) for row in rows])


class Judge(nn.Module):
    """Judge a window together with those before it, as `Memory` does.

    Parameters
    ----------
    network : dict of str to arrays
        The head ``kinds`` of the network, which is not fitted further.
    """

    def __init__(self, network: Arrays) -> None:
        super().__init__()
        weight = torch.from_numpy(network["kinds.weight"])
        self.kinds = nn.Linear(*weight.shape)
        self.kinds.weight.data, self.kinds.bias.data = weight.T, torch.from_numpy(network["kinds.bias"])
        self.kinds.requires_grad_(False)
        self.features = nn.Linear(len(weight), FEATURES)
        self.memory = nn.Linear(WINDOWS * (len(KINDS) + FEATURES + 1), HIDDEN)
        self.out = nn.Linear(HIDDEN, len(KINDS))
        for layer, shrink in ((self.features, 1), (self.memory, 4), (self.out, 10)):
            nn.init.normal_(layer.weight, std=(shrink * layer.in_features) ** -0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Return the logits of `KINDS` for the last of several windows.

        Parameters
        ----------
        x : (n, WINDOWS, size)
            What the heads see of each window.
        seen : (n, WINDOWS)
            1 for windows that exist.
        """
        logits = self.kinds(x)
        evidence = torch.cat([logits, functional.relu(self.features(x)), torch.ones_like(x[..., :1])], dim=2)
        hidden = functional.relu(self.memory((evidence * seen[..., None]).flatten(1)))
        return logits[:, -1] + self.out(hidden)

    def exported(self) -> Arrays:
        """Return the arrays ``features`` and ``memory`` of the model."""
        layers = {"features": self.features, "memory": self.memory, "memory.out": self.out}
        arrays = {f"{name}.weight": layer.weight.detach().numpy().T.copy() for name, layer in layers.items()}
        arrays["memory.weight"] = arrays["memory.weight"].reshape(WINDOWS, -1, HIDDEN)
        return arrays | {f"{name}.bias": layer.bias.detach().numpy().copy() for name, layer in layers.items()}


def _draw(
    pooled: NDArray[np.float16], kinds: NDArray[np.float16], rng: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the windows up to a random one, whether each was seen, and the targets of the last.

    Half of the sounds have a past of random length, as at the start of a stream and in snapshots.
    """
    clip, last = rng.integers(len(pooled), size=BATCH), rng.integers(WINDOWS, size=BATCH)
    length = np.where(rng.uniform(size=BATCH) < 0.5, WINDOWS, rng.integers(1, WINDOWS + 1, BATCH))
    window = last[:, None] + np.arange(1 - WINDOWS, 1)
    seen = (window >= 0) & (np.arange(WINDOWS) >= WINDOWS - length[:, None])
    x = pooled[clip[:, None], np.maximum(window, 0)].astype(np.float32)
    targets = kinds[clip, last].astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(seen.astype(np.float32)), torch.from_numpy(targets)

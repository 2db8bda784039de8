"""Fit `anc.noise.network.Network` with PyTorch on the CPU."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from anc.noise.classifier import KINDS
from anc.noise.features import BANDS, HOP, WINDOW, network_input
from training.clips.augmentation import POWER_OF_BYTE, augment
from training.clips.compose import TAUGHT
from training.clips.dataset import Dataset
from training.teacher import CLASSES

Arrays = dict[str, NDArray[np.float32]]
Parameters = tuple[Tensor, ...] | list[Tensor]
AVERAGING = 0.998  # decay of the exponential moving average of the weights; less in the first steps
SMOOTHING = 0.1  # of the noise classes
KINDS_WEIGHT, TEACHER_WEIGHT = 2.0, 5.0  # of the losses, relative to that of the noise classes
ADJUSTMENT = 0.5  # of the noise classes to their share in training; 1 makes all equally likely
LOWEST_SCORE = 1e-4  # of the teacher: what lies below says nothing
BFLOAT16 = ("amx_bf16", "avx512_bf16")  # instructions for matrix products
LOGIT_SCALE = 3.0  # typical deviation of the teacher's logits


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
    steps: int = 18_000
    batch: int = 64
    memory_steps: int = 2500
    rate: float = 3e-3
    decay: float = 0.02
    dropout: float = 0.2


@dataclass(frozen=True)
class Batch:
    """Windows with targets: inputs, noise classes, kinds and the teacher's scores; NaN where unknown."""

    x: Tensor
    noise: Tensor
    kinds: Tensor
    taught: Tensor


class Block(nn.Module):
    """A 3x3 convolution, pooling, batch norm with a non-negative gain, and ReLU.

    With a non-negative gain, pooling before the batch norm gives the same result at a quarter of the cost.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, pool: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.pool = pool
        nn.init.kaiming_normal_(self.convolution.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return the output for a batch, (n, inputs, bands, columns)."""
        x = self.convolution(x)
        if self.pool:
            x = functional.max_pool2d(x, 2)
        norm = self.norm
        if self.training:
            norm.num_batches_tracked.add_(1)
        momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        x = functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight.abs(), norm.bias, self.training, momentum
        )
        return functional.relu(x)

    def folded(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return weight, (3, 3, inputs, outputs), and bias of the convolution with its batch norm."""
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        gain = norm.weight.abs() / torch.sqrt(norm.running_var + norm.eps)
        weight = self.convolution.weight * gain[:, None, None, None]
        bias = norm.bias - norm.running_mean * gain
        return weight.detach().permute(2, 3, 1, 0).numpy(), bias.detach().numpy()


class Student(nn.Module):
    """The network, with a head for the teacher's scores.

    Parameters
    ----------
    recipe : Recipe
    classes : int
        Number of noise classes.
    """

    def __init__(self, recipe: Recipe, classes: int) -> None:
        super().__init__()
        last = len(recipe.channels) - 1
        sizes = zip((2, *recipe.channels), recipe.channels, strict=False)
        self.blocks = nn.Sequential(
            *(Block(a, b, stride=1 if i else 2, pool=0 < i < last) for i, (a, b) in enumerate(sizes))
        )
        size = recipe.channels[-1] * ((BANDS >> last) + 1)
        self.dropout = nn.Dropout(recipe.dropout)
        self.heads = nn.ModuleDict(
            {
                "noise": nn.Linear(size, classes),
                "kinds": nn.Linear(size, len(KINDS)),
                "taught": nn.Linear(size, CLASSES),
            }
        )
        for head in self.heads.values():
            nn.init.normal_(head.weight, std=size**-0.5)
            nn.init.zeros_(head.bias)

    def pooled(self, x: Tensor) -> Tensor:
        """Return what the heads see of inputs, (n, bands, columns, 2), in the order of `Network.pooled`."""
        x = self.blocks(x.permute(0, 3, 1, 2))
        bands = x.mean(3).permute(0, 2, 1).flatten(1)  # separate, because pitch matters
        return torch.cat([bands, x.mean(2).amax(2)], dim=1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the logits of every head."""
        pooled = self.dropout(self.pooled(x))
        return {name: head(pooled) for name, head in self.heads.items()}

    def exported(self) -> Arrays:
        """Return the arrays of `anc.noise.network.Network`, without the teacher's head."""
        arrays: Arrays = {}
        for i, block in enumerate(self.blocks):
            arrays[f"conv{i}.weight"], arrays[f"conv{i}.bias"] = block.folded()
        for name in ("noise", "kinds"):
            head = self.heads[name]
            arrays[f"{name}.weight"] = head.weight.detach().numpy().T.copy()
            arrays[f"{name}.bias"] = head.bias.detach().numpy().copy()
        return arrays


def fit(recipe: Recipe, dataset: Dataset, seed: int) -> Arrays:
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
        For `anc.noise.network.Network`.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    student = Student(recipe, len(dataset.classes)).to(memory_format=torch.channels_last)
    average = AveragedModel(student, multi_avg_fn=_average)
    optimiser = torch.optim.AdamW(_parameter_groups(student, recipe.decay), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=recipe.steps, pct_start=1 / 30, cycle_momentum=False
    )
    student.train()
    for _ in range(recipe.steps):
        batch = draw(dataset, recipe.batch, rng)
        optimiser.zero_grad()
        with _fast_precision():
            outputs = student(batch.x)
        _loss({name: logits.float() for name, logits in outputs.items()}, batch).backward()
        optimiser.step()
        schedule.step()
        average.update_parameters(student)
    with torch.no_grad():  # batch statistics of the averaged weights were not collected during training
        update_bn((draw(dataset, recipe.batch, rng).x for _ in range(60)), average)
    arrays: Arrays = average.module.exported()
    # Menon et al., Long-tail learning via logit adjustment, 2021
    arrays["noise.bias"] -= (ADJUSTMENT * np.log(dataset.prior)).astype(np.float32)
    return arrays


def _fast_precision() -> torch.autocast:
    """Convolve in bfloat16 where the processor has instructions for it, which takes less time."""
    has = torch.cpu.get_capabilities()
    return torch.autocast("cpu", torch.bfloat16, enabled=any(has.get(name) for name in BFLOAT16))


def _average(averaged: Parameters, current: Parameters, count: Tensor | int) -> None:
    """Update the averaged weights, which forget the initial weights soon."""
    number = int(count)
    get_ema_multi_avg_fn(min(AVERAGING, (1 + number) / (10 + number)))(averaged, current, count)


def _parameter_groups(student: Student, decay: float) -> list[dict[str, object]]:
    """Only weights of convolutions and heads decay."""
    weights = [p for p in student.parameters() if p.ndim > 1]
    others = [p for p in student.parameters() if p.ndim == 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _loss(outputs: dict[str, Tensor], batch: Batch) -> Tensor:
    known = ~torch.isnan(batch.noise[:, 0])
    entropy = -(batch.noise[known] * functional.log_softmax(outputs["noise"][known], dim=1)).sum()
    return (
        entropy / len(batch.x)
        + KINDS_WEIGHT * binary_loss(outputs["kinds"], batch.kinds)
        + TEACHER_WEIGHT * teacher_loss(outputs["taught"], batch.taught)
    )


def binary_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy of independent outputs, without those whose target is NaN."""
    known = ~torch.isnan(targets)
    loss = functional.binary_cross_entropy_with_logits(logits, torch.nan_to_num(targets), reduction="none")
    return (loss * known).sum() / len(logits)


def teacher_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Return the mean squared difference from the teacher's logits; 0 without a teacher."""
    known = ~torch.isnan(scores)
    wanted = torch.logit(torch.nan_to_num(scores), LOWEST_SCORE)
    return (((logits - wanted) / LOGIT_SCALE).square() * known).sum() / logits.numel()


def draw(dataset: Dataset, size: int, rng: Generator) -> Batch:
    """Return random augmented windows of a dataset."""
    clip = rng.choice(len(dataset.odds), size, p=dataset.odds)
    taught = rng.integers(len(TAUGHT), size=size)
    window = np.array(TAUGHT)[taught]
    columns = window[:, None] * HOP + np.arange(WINDOW)
    views = dataset.spectrograms[clip[:, None], columns]
    x = network_input(augment(POWER_OF_BYTE[views], rng))
    targets = (
        noise_targets(dataset, clip, window),
        dataset.kinds[clip, window].astype(np.float32),
        dataset.taught[clip, taught].astype(np.float32),
    )
    return Batch(torch.from_numpy(x), *(torch.from_numpy(array) for array in targets))


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

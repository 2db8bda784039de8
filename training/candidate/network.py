"""The candidate in numpy: a network with several heads, and a memory of the windows before."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anc.noise.network import _max_pool

Array = NDArray[np.float32]
Weights = Mapping[str, NDArray[np.floating]]


class Outputs(NamedTuple):
    """Outputs of the network for n windows.

    Attributes
    ----------
    noise : (n, classes) float32
        Logits of the noise classes.
    evidence : (n, size) float32
        What `Memory` keeps of a window: the logits of siren, horn and alarm, then features.
    """

    noise: Array
    evidence: Array


class Network:
    """3x3 convolutions with ReLU, pooling over time, and dense heads.

    The first convolution has stride 2; all others but the last are followed by 2x2 max pooling. The heads see
    the mean over time of each band that is left, and the maximum over time of the mean of all bands.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``conv{i}.weight`` of shape (3, 3, in, out) and ``conv{i}.bias`` of shape (out,); for the heads
        ``noise``, ``kinds`` and ``features`` ``{head}.weight`` of shape ((bands left + 1) * out, size) and
        ``{head}.bias`` of shape (size,).

    Raises
    ------
    KeyError, ValueError
        If an array is missing or does not match the previous layer.
    """

    def __init__(self, arrays: Weights) -> None:
        depth = sum(key.startswith("conv") and key.endswith(".weight") for key in arrays)
        self._convolutions: list[tuple[Array, Array]] = []
        channels = 2
        for i in range(depth):
            weight, bias = _layer(arrays, f"conv{i}")
            if weight.shape != (3, 3, channels, len(bias)):
                raise ValueError(f"conv{i}: {weight.shape} does not match {channels} input channels")
            channels = len(bias)
            self._convolutions.append((weight.reshape(3, -1, channels), bias))
        heads = [_layer(arrays, name) for name in ("noise", "kinds", "features")]
        for weight, bias in heads:
            if weight.shape != (len(heads[0][0]), len(bias)) or len(weight) % channels:
                raise ValueError(f"heads: {weight.shape} does not match {channels} input channels")
        self._classes, self._kinds = len(heads[0][1]), len(heads[1][1])
        self._weight = np.concatenate([weight for weight, _ in heads], axis=1)
        self._bias = np.concatenate([bias for _, bias in heads])

    def pooled(self, x: Array) -> Array:
        """Return what the heads see, (n, (bands left + 1) * out), of inputs, (n, bands, columns, 2)."""
        for i, (weight, bias) in enumerate(self._convolutions):
            x = _convolve(x, weight, stride=2 if i == 0 else 1)
            if 0 < i < len(self._convolutions) - 1:
                x = _max_pool(x)  # bias and ReLU are monotonic, so pooling first gives the same result
            x += bias
            np.maximum(x, 0, out=x)
        bands = x.mean(axis=2).reshape(len(x), -1)  # separate, because pitch matters
        return np.concatenate([bands, x.mean(axis=1).max(axis=1)], axis=1)

    def __call__(self, x: Array) -> Outputs:
        """Return the outputs for inputs, (n, bands, columns, 2)."""
        outputs = self.pooled(x) @ self._weight + self._bias
        evidence = outputs[:, self._classes :]
        np.maximum(evidence[:, self._kinds :], 0, out=evidence[:, self._kinds :])
        return Outputs(outputs[:, : self._classes], evidence)


class Memory:
    """Judge a window together with the windows before it, so that a tone that does not move is no alarm.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``memory.weight`` of shape (windows, size + 1, hidden), ``memory.bias`` of shape (hidden,),
        ``memory.out.weight`` of shape (hidden, kinds), ``memory.out.bias`` of shape (kinds,). The last input
        of a window is 1, and 0 if there was no window.

    Raises
    ------
    KeyError, ValueError
        If an array is missing or does not match the others.

    Attributes
    ----------
    windows, size : int
        Number of windows that are judged together, and length of the evidence of each.
    """

    def __init__(self, arrays: Weights) -> None:
        self._weight, self._bias = _layer(arrays, "memory")
        self._out, self._out_bias = _layer(arrays, "memory.out")
        if self._weight.ndim != 3 or not self._weight.size or self._weight.shape[2:] != self._bias.shape:
            raise ValueError(f"memory: shapes {self._weight.shape} and {self._bias.shape} do not match")
        if self._out.shape != (len(self._bias), len(self._out_bias)):
            raise ValueError(f"memory.out: {self._out.shape} does not match {len(self._bias)} hidden units")
        self.windows, self.size = self._weight.shape[0], self._weight.shape[1] - 1

    def __call__(self, evidence: Array) -> NDArray[np.float32]:
        """Return logits of siren, horn and alarm, (n, kinds), for n successive windows, (n, size)."""
        n, before = len(evidence), self.windows - 1
        padded = np.zeros((n + before, self.size + 1), np.float32)
        padded[before:, :-1] = evidence
        padded[before:, -1] = 1
        hidden = self._bias + sum(padded[i : i + n] @ weight for i, weight in enumerate(self._weight))
        kinds = len(self._out_bias)
        return np.asarray(evidence[:, :kinds] + np.maximum(hidden, 0) @ self._out + self._out_bias)


def _layer(arrays: Weights, name: str) -> tuple[Array, Array]:
    return tuple(np.asarray(arrays[f"{name}.{part}"], np.float32) for part in ("weight", "bias"))  # type: ignore[return-value]


def _convolve(x: Array, weight: Array, stride: int) -> Array:
    """Return the 3x3 convolution with `weight`, (3, 3 * in, out), as one matrix product for each row."""
    n, height, width, channels = x.shape
    padded = np.zeros((n, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    across = np.concatenate([padded[:, :, j : j + width : stride] for j in range(3)], axis=-1)
    rows, columns = -(-height // stride), -(-width // stride)
    out = across[:, 0:height:stride].reshape(-1, 3 * channels) @ weight[0]
    for i in (1, 2):
        out += across[:, i : i + height : stride].reshape(-1, 3 * channels) @ weight[i]
    return out.reshape(n, rows, columns, -1)

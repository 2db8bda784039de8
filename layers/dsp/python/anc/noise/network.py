"""Neural networks in numpy, for inference only. The exporter folds batch norm into the weights."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Weights = Mapping[str, NDArray[np.floating]]
MAX_MEMORY = 32  # windows; a stream stores the evidence of all but one


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

    Attributes
    ----------
    classes, kinds, size : int
        Number of noise classes, number of kinds of emergency, and length of the evidence.
    """

    def __init__(self, arrays: Weights) -> None:
        depth = sum(key.startswith("conv") and key.endswith(".weight") for key in arrays)
        self._convolutions: list[tuple[Array, Array]] = []
        channels = 2
        for i in range(max(depth, 1)):
            weight, bias = _layer(arrays, f"conv{i}")
            if weight.shape != (3, 3, channels, len(bias)):
                raise ValueError(f"conv{i}: {weight.shape} does not match {channels} input channels")
            channels = len(bias)
            self._convolutions.append((weight.reshape(3, -1, channels), bias))
        heads = [_layer(arrays, name) for name in ("noise", "kinds", "features")]
        for weight, bias in heads:
            if weight.shape != (len(heads[0][0]), len(bias)) or len(weight) % channels:
                raise ValueError(f"heads: {weight.shape} does not match {channels} input channels")
        self.classes, self.kinds, features = (len(bias) for _, bias in heads)
        self.size = self.kinds + features
        self._weight = np.concatenate([weight for weight, _ in heads], axis=1)
        self._bias = np.concatenate([bias for _, bias in heads])

    def pooled(self, x: Array) -> Array:
        """Return what the heads see, (n, (bands left + 1) * out), of inputs, (n, bands, columns, 2)."""
        (weight, bias), *others = self._convolutions
        x = _convolve_first(x, weight)
        x += bias
        np.maximum(x, 0, out=x)
        for i, (weight, bias) in enumerate(others, start=1):
            x = _convolve(x, weight)
            if i < len(others):
                x = _max_pool(x)  # bias and ReLU are monotonic, so pooling first gives the same result
            x += bias
            np.maximum(x, 0, out=x)
        bands = x.mean(axis=2).swapaxes(0, 1).reshape(x.shape[1], -1)  # separate, because pitch matters
        return np.concatenate([bands, x.mean(axis=0).max(axis=1)], axis=1)

    def __call__(self, x: Array) -> Outputs:
        """Return the outputs for inputs, (n, bands, columns, 2)."""
        outputs = self.pooled(x) @ self._weight + self._bias
        evidence = outputs[:, self.classes :]
        np.maximum(evidence[:, self.kinds :], 0, out=evidence[:, self.kinds :])
        return Outputs(outputs[:, : self.classes], evidence)


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
    windows, size, kinds : int
        Number of windows that are judged together, length of the evidence of each, and number of kinds of
        emergency.
    """

    def __init__(self, arrays: Weights) -> None:
        weight, self._bias = _layer(arrays, "memory")
        self._out, self._out_bias = _layer(arrays, "memory.out")
        if weight.ndim != 3 or not weight.size or weight.shape[2:] != self._bias.shape:
            raise ValueError(f"memory: shapes {weight.shape} and {self._bias.shape} do not match")
        if self._out.shape != (len(self._bias), len(self._out_bias)):
            raise ValueError(f"memory.out: {self._out.shape} does not match {len(self._bias)} hidden units")
        if len(weight) > MAX_MEMORY:
            raise ValueError(f"memory: must judge at most {MAX_MEMORY} windows (got {len(weight)})")
        self.windows, self.size, self.kinds = len(weight), weight.shape[1] - 1, len(self._out_bias)
        self._weight = weight.reshape(-1, len(self._bias))
        self._offsets = np.arange(self.windows)

    @property
    def empty(self) -> Array:
        """The evidence before the first window, (0, size)."""
        return np.zeros((0, self.size), np.float32)

    def keep(self, evidence: Array) -> Array:
        """Return the last rows of evidence, (n, size): those that matter for the next window."""
        return evidence[max(len(evidence) - self.windows + 1, 0) :]

    def __call__(self, evidence: Array, before: Array | None = None) -> Array:
        """Return logits of siren, horn and alarm, (n, kinds), for successive windows of one sound.

        Parameters
        ----------
        evidence : (n, size) float32
            From `Network`.
        before : (k, size) float32, optional
            Evidence of the windows directly before them. Default: none, the sound begins with the first.
        """
        before = self.keep(self.empty if before is None else before)
        padded = np.zeros((self.windows - 1 + len(evidence), self.size + 1), np.float32)
        known = padded[self.windows - 1 - len(before) :]
        known[:, :-1] = np.concatenate([before, evidence])
        known[:, -1] = 1
        together = padded[np.arange(len(evidence))[:, None] + self._offsets]
        hidden = together.reshape(len(evidence), len(self._weight)) @ self._weight + self._bias
        return evidence[:, : self.kinds] + np.maximum(hidden, 0) @ self._out + self._out_bias


def _layer(arrays: Weights, name: str) -> tuple[Array, Array]:
    return tuple(np.asarray(arrays[f"{name}.{part}"], np.float32) for part in ("weight", "bias"))  # type: ignore[return-value]


def _convolve_first(x: Array, weight: Array) -> Array:
    """Return the 3x3 convolution of stride 2 with `weight`, (3, 3 * in, out), for few input channels.

    Parameters
    ----------
    x : (n, height, width, in)

    Returns
    -------
    (height / 2, n, width / 2, out), rounded up
        As `_convolve` expects it.
    """
    n, height, width, channels = x.shape
    padded = np.zeros((channels, n, height + 2, width + 2), np.float32)
    padded[:, :, 1:-1, 1:-1] = x.transpose(3, 0, 1, 2)
    cells = np.empty((3, 3, channels, -(-height // 2), n, -(-width // 2)), np.float32)
    for i in range(3):
        for j in range(3):
            cell = padded[:, :, i : i + height : 2, j : j + width : 2]
            cells[i, j] = cell.swapaxes(1, 2)
    out = cells.reshape(9 * channels, -1).T @ weight.reshape(9 * channels, -1)
    return out.reshape(*cells.shape[3:], -1)


def _convolve(x: Array, weight: Array) -> Array:
    """Return the 3x3 convolution with `weight`, (3, 3 * in, out), as one matrix product for each row.

    A third of the copies of one product over all nine cells; the result differs by rounding only.

    Parameters
    ----------
    x : (height, n, width, in)
        The windows are inside of the rows, so that the operands of the products are contiguous.

    Returns
    -------
    (height, n, width, out)
    """
    height, n, width, channels = x.shape
    across = np.zeros((height + 2, n, width, 3, channels), np.float32)
    across[1:-1, :, 1:, 0] = x[:, :, :-1]
    across[1:-1, :, :, 1] = x
    across[1:-1, :, :-1, 2] = x[:, :, 1:]
    rows = across.reshape(height + 2, -1, 3 * channels)
    out = rows[:height].reshape(-1, 3 * channels) @ weight[0]
    for i in (1, 2):
        out += rows[i : i + height].reshape(-1, 3 * channels) @ weight[i]
    return out.reshape(height, n, width, -1)


def _max_pool(x: Array) -> Array:
    """Return the maximum of 2x2 cells of (height, n, width, channels)."""
    x = x[: x.shape[0] // 2 * 2, :, : x.shape[2] // 2 * 2]
    rows = np.maximum(x[::2], x[1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax of logits along the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logistic function of each logit."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60))))

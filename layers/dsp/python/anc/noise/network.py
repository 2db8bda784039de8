"""Neural networks in numpy, for inference only. The exporter folds batch norm into the weights."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MAX_LOG_ODDS = 3.0  # odds of 20 to 1


class ConvNet:
    """3x3 convolutions with ReLU, 2x2 max pooling after all but the last, mean and max over time, dense.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``{name}.conv{i}.weight`` of shape (3, 3, in, out), ``{name}.conv{i}.bias`` of shape (out,),
        ``{name}.dense.weight`` of shape (2 * out, classes), ``{name}.dense.bias`` of shape (classes,).
    name : str
        Prefix of the network in `arrays`.

    Raises
    ------
    KeyError, ValueError
        If an array is missing or does not match the previous layer.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        depth = sum(key.startswith(f"{name}.conv") and key.endswith(".weight") for key in arrays)
        self._convolutions: list[tuple[Array, Array]] = []
        channels = 2
        for i in range(depth):
            weight = np.asarray(arrays[f"{name}.conv{i}.weight"], np.float32)
            bias = np.asarray(arrays[f"{name}.conv{i}.bias"], np.float32)
            if weight.shape != (3, 3, channels, len(bias)):
                raise ValueError(f"{name}.conv{i}: {weight.shape} does not match {channels} input channels")
            channels = len(bias)
            self._convolutions.append((weight.reshape(3, -1, channels), bias))
        self._weight = np.asarray(arrays[f"{name}.dense.weight"], np.float32)
        self._bias = np.asarray(arrays[f"{name}.dense.bias"], np.float32)
        if self._weight.shape != (2 * channels, len(self._bias)):
            raise ValueError(f"{name}.dense: {self._weight.shape} does not match {channels} input channels")

    def __call__(self, x: Array) -> Array:
        """Return logits, (n, classes), of inputs, (n, bands, columns, 2)."""
        for i, (weight, bias) in enumerate(self._convolutions):
            x = _convolve(x, weight)
            if i < len(self._convolutions) - 1:
                x = _max_pool(x)  # bias and ReLU are monotonic, so pooling first gives the same result
            x = np.maximum(x + bias, 0)
        over_bands = x.mean(axis=1)
        pooled = np.concatenate([over_bands.mean(axis=1), over_bands.max(axis=1)], axis=1)
        return pooled @ self._weight + self._bias


class Perceptron:
    """Perceptron with one hidden layer and ReLU.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``{name}.weight0`` of shape (features, hidden), ``{name}.weight1`` of shape (hidden, classes); biases.
    name : str

    Raises
    ------
    KeyError, ValueError
        If an array is missing or does not match the previous layer.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        self._weights = [np.asarray(arrays[f"{name}.weight{i}"], np.float32) for i in (0, 1)]
        self._biases = [np.asarray(arrays[f"{name}.bias{i}"], np.float32) for i in (0, 1)]
        shapes = [weight.shape for weight in self._weights]
        if [len(b) for b in self._biases] != [shapes[0][1], shapes[1][1]] or shapes[0][1] != shapes[1][0]:
            raise ValueError(f"{name}: layers of shapes {shapes} do not match each other")

    def __call__(self, features: Array) -> Array:
        """Return logits, (n, classes), of inputs, (n, features)."""
        hidden = np.maximum(features @ self._weights[0] + self._biases[0], 0)
        return hidden @ self._weights[1] + self._biases[1]


class Ensemble:
    """Mean logits of several networks and a perceptron on handcrafted features.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        `ConvNet` ``{name}.0``, ``{name}.1`` and so on, and `Perceptron` ``{name}.hand``.
    name : str

    Raises
    ------
    KeyError, ValueError
        If an array is missing or does not match the previous layer.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        count = sum(key.startswith(f"{name}.") and key.endswith(".dense.bias") for key in arrays)
        self._networks = [ConvNet(arrays, f"{name}.{i}") for i in range(max(count, 1))]
        self._perceptron = Perceptron(arrays, f"{name}.hand")

    def __call__(self, x: Array, features: Array) -> Array:
        """Return logits, (n, classes), of inputs, (n, bands, columns, 2), and their handcrafted features."""
        logits = [network(x) for network in self._networks] + [self._perceptron(features)]
        return np.asarray(np.mean(logits, axis=0))


def _convolve(x: Array, weight: Array) -> Array:
    """Return the 3x3 convolution with `weight`, (3, 3 * in, out), as one matrix product for each row.

    A third of the copies of one product over all nine cells; the result differs by rounding only.
    """
    n, height, width, channels = x.shape
    padded = np.zeros((n, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    across = np.concatenate([padded[:, :, j : j + width] for j in range(3)], axis=-1)
    out = across[:, :height].reshape(-1, 3 * channels) @ weight[0]
    for i in (1, 2):
        out += across[:, i : i + height].reshape(-1, 3 * channels) @ weight[i]
    return out.reshape(n, height, width, -1)


def _max_pool(x: Array) -> Array:
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def emergency_log_odds(
    logits: NDArray[np.floating], emergency_classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the log odds of an emergency according to the noise classifier.

    Parameters
    ----------
    logits : (n, classes) float
    emergency_classes : (k,) int
        Indices of the classes that are emergencies.

    Returns
    -------
    (n, 1) float64
        To be added to the logits of the alarm detector as independent evidence. Limited to +-`MAX_LOG_ODDS`,
        so that the noise classifier cannot overrule the detector.
    """
    probability = np.clip(softmax(logits)[:, emergency_classes].sum(axis=1, keepdims=True), 1e-6, 1 - 1e-6)
    return np.asarray(np.clip(np.log(probability / (1 - probability)), -MAX_LOG_ODDS, MAX_LOG_ODDS))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the softmax of logits along the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logistic function of each logit."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60))))

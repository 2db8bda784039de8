"""Convolutional networks in numpy: inference only, batch norm folded into the weights by the exporter."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
MOST_EVIDENCE = 3.0  # odds of 20 to 1


class ConvNet:
    """3x3 convolutions, ReLU, 2x2 maximum after all but the last, mean and maximum over time, dense.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``{name}.conv{i}.weight`` of shape (3, 3, in, out), ``{name}.conv{i}.bias`` of shape (out,),
        ``{name}.dense.weight`` of shape (2 * out, classes), ``{name}.dense.bias`` of shape (classes,).
    name : str
        Which of the networks in `arrays`.

    Raises
    ------
    KeyError, ValueError
        When an array is missing or does not fit the one before it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        depth = sum(key.startswith(f"{name}.conv") and key.endswith(".weight") for key in arrays)
        self._convolutions: list[tuple[Array, Array]] = []
        channels = 2
        for i in range(depth):
            weight = np.asarray(arrays[f"{name}.conv{i}.weight"], np.float32)
            bias = np.asarray(arrays[f"{name}.conv{i}.bias"], np.float32)
            if weight.shape != (3, 3, channels, len(bias)):
                raise ValueError(f"{name}.conv{i}: {weight.shape} does not follow {channels} channels")
            channels = len(bias)
            self._convolutions.append((weight.reshape(-1, channels), bias))
        self._weight = np.asarray(arrays[f"{name}.dense.weight"], np.float32)
        self._bias = np.asarray(arrays[f"{name}.dense.bias"], np.float32)
        if self._weight.shape != (2 * channels, len(self._bias)):
            raise ValueError(f"{name}.dense: {self._weight.shape} does not follow {channels} channels")

    def __call__(self, x: Array) -> Array:
        """Logits, shape (n, classes), of inputs of shape (n, bands, columns, 2)."""
        for i, (weight, bias) in enumerate(self._convolutions):
            x = _convolve(x, weight)
            if i < len(self._convolutions) - 1:
                x = _maximum_of_four(x)  # before bias and ReLU, which do not change what is largest
            x = np.maximum(x + bias, 0)
        over_bands = x.mean(axis=1)
        pooled = np.concatenate([over_bands.mean(axis=1), over_bands.max(axis=1)], axis=1)
        return pooled @ self._weight + self._bias


class Perceptron:
    """One hidden layer with ReLU.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        ``{name}.weight0`` of shape (features, hidden), ``{name}.weight1`` of shape (hidden, classes); biases.
    name : str

    Raises
    ------
    KeyError, ValueError
        When an array is missing or does not fit the one before it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        self._weights = [np.asarray(arrays[f"{name}.weight{i}"], np.float32) for i in (0, 1)]
        self._biases = [np.asarray(arrays[f"{name}.bias{i}"], np.float32) for i in (0, 1)]
        shapes = [weight.shape for weight in self._weights]
        if [len(b) for b in self._biases] != [shapes[0][1], shapes[1][1]] or shapes[0][1] != shapes[1][0]:
            raise ValueError(f"{name}: layers of shapes {shapes} do not follow each other")

    def __call__(self, features: Array) -> Array:
        """Logits, shape (n, classes), of inputs of shape (n, features)."""
        hidden = np.maximum(features @ self._weights[0] + self._biases[0], 0)
        return hidden @ self._weights[1] + self._biases[1]


class Ensemble:
    """Several networks and a perceptron on hand features, which err differently: the mean of their logits.

    Parameters
    ----------
    arrays : mapping of str to (...) float arrays
        `ConvNet` ``{name}.0``, ``{name}.1`` and so on, and `Perceptron` ``{name}.hand``.
    name : str

    Raises
    ------
    KeyError, ValueError
        When an array is missing or does not fit the one before it.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.floating]], name: str) -> None:
        count = sum(key.startswith(f"{name}.") and key.endswith(".dense.bias") for key in arrays)
        self._networks = [ConvNet(arrays, f"{name}.{i}") for i in range(max(count, 1))]
        self._perceptron = Perceptron(arrays, f"{name}.hand")

    def __call__(self, x: Array, features: Array) -> Array:
        """Logits, (n, classes), of inputs (n, bands, columns, 2) and their `hand_features`."""
        logits = [network(x) for network in self._networks] + [self._perceptron(features)]
        return np.asarray(np.mean(logits, axis=0))


def _convolve(x: Array, weight: Array) -> Array:
    n, height, width, channels = x.shape
    padded = np.zeros((n, height + 2, width + 2, channels), np.float32)
    padded[:, 1:-1, 1:-1] = x
    patches = np.concatenate(
        [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=-1
    )
    return (patches.reshape(-1, 9 * channels) @ weight).reshape(n, height, width, -1)


def _maximum_of_four(x: Array) -> Array:
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    rows = np.maximum(x[:, ::2], x[:, 1::2])
    return np.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def evidence(logits: NDArray[np.floating], witnesses: NDArray[np.int64]) -> NDArray[np.float64]:
    """How much the network that names noises speaks for an emergency: log odds of some of its classes.

    Parameters
    ----------
    logits : (n, classes) float
    witnesses : (k,) int
        The classes that are emergencies.

    Returns
    -------
    (n, 1) float64
        To be added to the logits of the network that hears emergencies, as independent opinions are; at most
        `MOST_EVIDENCE` either way, since the one must not silence the other.
    """
    share = np.clip(softmax(logits)[:, witnesses].sum(axis=1, keepdims=True), 1e-6, 1 - 1e-6)
    return np.asarray(np.clip(np.log(share / (1 - share)), -MOST_EVIDENCE, MOST_EVIDENCE))


def softmax(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probabilities along the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Probability of each output by itself."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60))))

"""Run a user-provided embedding network with a classification head from `training.backbone`."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anc.noise import KINDS, model_file
from anc.noise.classifier import vote
from anc.noise.model_file import ModelError
from anc.noise.network import sigmoid, softmax

Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (samples,) to (size,)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_network(path: Path, tensor: str) -> Embed:
    """Load an embedding network.

    Parameters
    ----------
    path : Path
        ``.tflite`` (runs on ai-edge-litert) or ``.onnx`` (runs on onnxruntime); one input of samples.
    tensor : str
        Tensor number (TFLite) or output name (ONNX) of the embedding.

    Raises
    ------
    ModelError
        If the format is not supported, the file cannot be loaded or its library is not installed.
    """
    loaders = {".tflite": _load_tflite, ".onnx": _load_onnx}
    if path.suffix not in loaders:
        raise ModelError(f"{path}: must be a .tflite or .onnx file")
    try:
        return loaders[path.suffix](path, tensor)
    except ImportError as error:
        raise ModelError(f"{path}: {error.name} is not installed") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: cannot be loaded: {error}") from error


def _load_tflite(path: Path, tensor: str) -> Embed:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  only installed with a backbone

    network = Interpreter(str(path), num_threads=1, experimental_preserve_all_tensors=True)
    network.allocate_tensors()
    input_index = network.get_input_details()[0]["index"]
    shape = network.get_input_details()[0]["shape"]

    def embed(samples: NDArray[np.float32]) -> NDArray[np.float32]:
        network.set_tensor(input_index, samples.reshape(shape))
        network.invoke()
        return network.get_tensor(int(tensor)).ravel().copy()

    return embed


def _load_onnx(path: Path, tensor: str) -> Embed:
    from onnxruntime import InferenceSession  # noqa: PLC0415  only installed with a backbone

    network = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    first_input = network.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in first_input.shape[:-1]] + [-1]
    return lambda samples: network.run([tensor], {first_input.name: samples.reshape(shape)})[0].ravel()


def frames(samples: NDArray[np.float32], rate: int, wanted: int, length: int) -> NDArray[np.float32]:
    """Split a sound into frames, (n, length), every quarter second, at the `wanted` rate.

    A shorter sound is repeated to fill one frame.
    """
    if rate != wanted:
        import soxr  # noqa: PLC0415  not needed for most headsets

        samples = soxr.resample(samples, rate, wanted)
    if len(samples) < length:
        samples = np.resize(samples, length)
    return np.lib.stride_tricks.sliding_window_view(samples, length)[:: wanted // 4]


class BackbonePrediction(NamedTuple):
    """Probability of each label, and emergency scores by kind; no kinds if the head detects none."""

    probabilities: dict[str, float]
    kinds: dict[str, float]


class Backbone:
    """Embedding network and head.

    Parameters
    ----------
    network : Path
    head : Path
        An .npz in the format of `anc.noise.model_file`: standardisation and weights, and in its description
        the network's file hash, tensor, rate, input length and the labels. With ``alarm_weight`` (size, 3)
        and ``alarm_bias`` (3,), it detects emergencies; the scores are scaled to the layer's threshold.

    Raises
    ------
    ModelError
        If either cannot be loaded, or the head was fitted to another network.
    """

    def __init__(self, network: Path, head: Path) -> None:
        self._head = model_file.load(head)
        about: dict[str, Any] = self._head.about
        if about.get("network") != file_hash(network):
            raise ModelError(f"{head}: fitted to another network than {network}")
        self.name = str(about["name"])
        self.sha256 = self._head.sha256
        self._labels: list[str] = about["classes"]
        self._rate, self._length = int(about["rate"]), int(about["length"])
        self._embed = load_network(network, str(about["tensor"]))

    @classmethod
    def find(cls, folder: Path) -> "Backbone | None":
        """Load ``backbone.tflite`` or ``backbone.onnx`` with ``head.npz`` from a folder, if there is one."""
        found = [path for path in (folder / "backbone.tflite", folder / "backbone.onnx") if path.is_file()]
        return cls(found[0], folder / "head.npz") if found else None

    def predict(self, samples: NDArray[np.float32], rate: int) -> BackbonePrediction:
        """Classify one channel, (n,).

        The probability of a label is the geometric mean over windows. An emergency needs two of three
        neighbouring windows, as in the layer.
        """
        pieces = frames(samples, rate, self._rate, self._length)
        embeddings = np.array([self._embed(piece) for piece in pieces])
        arrays = {key: np.asarray(value, np.float64) for key, value in self._head.arrays.items()}
        x = (embeddings - arrays["mean"]) / arrays["scale"]
        logits = x @ arrays["weight"] + arrays["bias"]
        probabilities = dict(zip(self._labels, softmax(logits.mean(axis=0)).tolist(), strict=True))
        kinds: dict[str, float] = {}
        if "alarm_weight" in arrays:
            scores = sigmoid(x @ arrays["alarm_weight"] + arrays["alarm_bias"])
            kinds = dict(zip(KINDS, vote(scores).tolist(), strict=True))
        return BackbonePrediction(probabilities, kinds)

"""Train a classification head on a given embedding network: `python -m training.backbone FILE DATA...`.

The network is not changed; a logistic regression on its embeddings is fitted in seconds.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from sklearn.linear_model import LogisticRegression

from anc.noise import KINDS, model_file
from anc.noise.classifier import OPERATING_POINT, vote
from anc.noise.network import softmax
from training.calibration import temperature_of
from training.evaluation import Outputs, noise_report
from training.recordings import Recording, assign_folds, load_sound, read_recordings
from training.taxonomy import UNDECIDED, UNNAMED, is_negative, kind_of, label_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "sagemaker"))
from backbone import Embed, file_hash, frames, load_network

Head = dict[str, NDArray[np.float64]]
RATE, LENGTH = 16_000, 15_600  # Hz, samples of YAMNet's input
FALSE_ALARMS = 0.02  # share of recordings without an emergency in which a kind is detected
NEVER = -20.0  # logit of a kind that is not detected
SILENCE_BELOW_PEAK_DB = 40  # windows this far below the loudest one are padding


def embeddings(recordings: Sequence[Recording], embed: Embed) -> Outputs:
    """Return for each recording the embeddings of its windows that are not silent, (windows, size)."""
    outputs: Outputs = []
    for recording in track(recordings, "embedding", console=Console(stderr=True), transient=True):
        pieces = frames(*load_sound(recording.path), RATE, LENGTH)
        level = 10 * np.log10(np.mean(np.square(pieces), axis=1) + 1e-12)
        loud = pieces[level >= max(level.max() - SILENCE_BELOW_PEAK_DB, -100)]
        outputs.append(np.array([embed(piece) for piece in loud]))
    return outputs


def fit_head(inputs: Outputs, truth: NDArray[np.int64], folds: NDArray[np.int64]) -> Head:
    """Fit a logistic regression on windows and calibrate it on whole recordings.

    The temperature is chosen on the last fold, with a head fitted on the other folds.

    Parameters
    ----------
    inputs : list of (windows, size)
    truth, folds : (recordings,) int
    """
    rest, held_out = np.flatnonzero(folds != folds.max()), np.flatnonzero(folds == folds.max())
    trial = _regression([inputs[i] for i in rest], truth[rest])
    logits = np.array([logits_of(trial, inputs[i]).mean(axis=0) for i in held_out])
    head = _regression(inputs, truth)
    temperature = temperature_of(logits, truth[held_out], np.eye(logits.shape[1]))
    return head | {"weight": head["weight"] / temperature, "bias": head["bias"] / temperature}


def _regression(inputs: Outputs, truth: NDArray[np.int64]) -> Head:
    x = np.concatenate(inputs)
    y = np.repeat(truth, [len(one) for one in inputs])
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3
    model = LogisticRegression(C=3e-4, max_iter=300, class_weight="balanced").fit((x - mean) / scale, y)
    return {"mean": mean, "scale": scale, "weight": model.coef_.T, "bias": model.intercept_}


def fit_alarms(
    head: Head, inputs: Outputs, names: Sequence[str], folds: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Fit a detector of each kind of emergency on the standardised embeddings.

    A kind without recordings is never detected. Scores are scaled so that `FALSE_ALARMS` of the recordings
    without an emergency reach the operating point of the layer; the scale is chosen on the last fold, with a
    detector fitted on the other folds.

    Parameters
    ----------
    head : dict of str to array
        `mean` and `scale` of the embeddings.
    inputs : list of (windows, size)
    names : sequence of str
        Classes of the recordings.
    folds : (recordings,) int

    Returns
    -------
    dict of str to array
        `alarm_weight`, (size, kinds), and `alarm_bias`, (kinds,).
    """
    used = [i for i, name in enumerate(names) if name not in UNDECIDED]
    rest = [i for i in used if folds[i] != folds.max()]
    held_out = [i for i in used if folds[i] == folds.max() and is_negative(names[i])]
    x = [(one - head["mean"]) / head["scale"] for one in inputs]
    weights, biases = np.zeros((x[0].shape[1], len(KINDS))), np.full(len(KINDS), NEVER)
    for k, kind in enumerate(KINDS):
        truth = np.array([kind_of(name) == kind for name in names])
        if not truth[rest].any():
            continue
        weight, bias = _detector([x[i] for i in rest], truth[rest])
        logits = [vote((x[i] @ weight + bias)[:, None]).item() for i in held_out]
        threshold = np.quantile(logits, 1 - FALSE_ALARMS)
        weight, bias = _detector([x[i] for i in used], truth[used])
        weights[:, k] = weight
        biases[k] = bias - threshold + np.log(OPERATING_POINT / (1 - OPERATING_POINT))
    return {"alarm_weight": weights, "alarm_bias": biases}


def _detector(inputs: Outputs, truth: NDArray[np.bool_]) -> tuple[NDArray[np.float64], float]:
    y = np.repeat(truth, [len(one) for one in inputs])
    model = LogisticRegression(C=3e-4, max_iter=300, class_weight="balanced").fit(np.concatenate(inputs), y)
    return model.coef_[0], float(model.intercept_[0])


def logits_of(head: Head, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logits of windows, (n, classes)."""
    return (x - head["mean"]) / head["scale"] @ head["weight"] + head["bias"]


def evaluate_esc10(network: Path, tensor: str, data: Sequence[Path]) -> dict[str, Any]:
    """Return the report of a five-fold cross-validation of the head on ESC-10."""
    recordings = [r for r in read_recordings(*data) if r.collection == "esc10"]
    classes = sorted({r.name for r in recordings})
    truth = np.array([classes.index(r.name) for r in recordings])
    folds = assign_folds(recordings)
    inputs = embeddings(recordings, load_network(network, tensor))
    probabilities: Outputs = [np.empty(0)] * len(inputs)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds != fold)
        head = fit_head([inputs[i] for i in rows], truth[rows], folds[rows])
        for i in np.flatnonzero(folds == fold):
            probabilities[i] = softmax(logits_of(head, inputs[i]))
    return noise_report(probabilities, truth, classes, folds, recordings)


def write_head(network: Path, tensor: str, data: Sequence[Path], target: Path) -> model_file.ModelFile:
    """Fit the head for the endpoint on all recordings in `data` that may be trained on.

    It has noise labels, learned from recordings with one, and kinds of emergency.
    """
    recordings = [r for r in read_recordings(*data) if r.trains]
    inputs, folds = embeddings(recordings, load_network(network, tensor)), assign_folds(recordings)
    named = [i for i, r in enumerate(recordings) if r.name not in UNNAMED]
    labels = sorted({label_of(recordings[i].name) for i in named})
    truth = np.array([labels.index(label_of(recordings[i].name)) for i in named])
    head = fit_head([inputs[i] for i in named], truth, folds[named])
    head |= fit_alarms(head, inputs, [r.name for r in recordings], folds)
    about = {
        "name": network.stem,
        "network": file_hash(network),
        "tensor": tensor,
        "rate": RATE,
        "length": LENGTH,
        "classes": labels,
    }
    return model_file.save(target, {key: value.astype(np.float32) for key, value in head.items()}, about)


def main() -> None:
    """Run the command line: fit or cross-validate a head."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "network", type=Path, help="Network with an input of 15,600 samples at 16 kHz, .tflite or .onnx."
    )
    parser.add_argument("data", type=Path, nargs="+", help="Folders of recordings.")
    parser.add_argument("--tensor", default="112", help="Tensor or output of the embedding (YAMNet: 112).")
    parser.add_argument("--out", type=Path, help="Head to write (.npz). Default: cross-validate on ESC-10.")
    arguments = parser.parse_args()
    if arguments.out:
        print(write_head(arguments.network, arguments.tensor, arguments.data, arguments.out).sha256)
    else:
        print(json.dumps(evaluate_esc10(arguments.network, arguments.tensor, arguments.data)))


if __name__ == "__main__":
    main()

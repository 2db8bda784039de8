"""Inference code of the SageMaker endpoint: the four functions that SageMaker's containers call.

The artifact contains ``model.npz``, optionally a backbone with its head, this code and `anc.noise`. Nothing
is pickled, so it does not depend on library versions.
"""

import base64
import binascii
import io
import json
import wave
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from backbone import Backbone
from numpy.typing import NDArray

from anc.noise import Classifier, Prediction, classify_channels
from anc.noise.channels import MAX_CHANNELS, distinct
from anc.pcm import bytes_to_int16, int16_to_float

MAX_BODY_BYTES = 4 << 20  # limit of serverless endpoints
MAX_LENGTH_S = 60


@dataclass(frozen=True)
class Sound:
    """A decoded request: ``samples`` (n, channels) float32 at ``rate`` Hz, or a privacy-mode ``summary``."""

    samples: NDArray[np.float32]
    rate: int
    summary: bytes = b""


@dataclass(frozen=True)
class Model:
    """The classifier of the layer and, optionally, the backbone."""

    classifier: Classifier
    backbone: Backbone | None


def model_fn(model_dir: str) -> Model:
    """Load the models in `model_dir`. Raises ModelError if a file is damaged."""
    folder = Path(model_dir)
    return Model(Classifier.load(folder / "model.npz"), Backbone.find(folder))


def input_fn(body: bytes | str, content_type: str) -> Sound:
    """Decode a request.

    Parameters
    ----------
    body : bytes or str
        With ``application/json`` an object ``{"rate": 16000, "pcm": "<base64 of little-endian int16>"}``, or
        ``{"summary": "<base64>"}``; with ``audio/wav`` a file of 16-bit PCM with up to eight channels.
    content_type : str

    Raises
    ------
    ValueError
        If the request is invalid; the message names the field and the limit.
    """
    raw = body.encode() if isinstance(body, str) else body
    if len(raw) > MAX_BODY_BYTES:
        raise ValueError(f"body: must be at most {MAX_BODY_BYTES:,} bytes (got {len(raw):,})")
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "audio/wav":
        return _wave(raw)
    if kind == "application/json":
        return _json(raw)
    raise ValueError(f"content type: must be application/json or audio/wav (got {content_type!r})")


def _wave(raw: bytes) -> Sound:
    try:
        with wave.open(io.BytesIO(raw)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(MAX_LENGTH_S * rate + 1)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"body: not a WAV file: {error}") from None
    if width != 2:
        raise ValueError(f"body: must be 16-bit PCM (got {8 * width} bits)")
    return _checked(int16_to_float(bytes_to_int16(pcm, channels)), rate)


def _json(raw: bytes) -> Sound:
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"body: not JSON: {error}") from None
    if not isinstance(message, dict) or not {"pcm", "summary"} & message.keys():
        raise ValueError('body: must be an object with "pcm" and "rate", or with "summary"')
    if "summary" in message:
        return Sound(np.zeros((0, 1), np.float32), 0, _decoded(message, "summary"))
    rate = message.get("rate")
    if not isinstance(rate, int):
        raise ValueError("rate: must be an integer in Hz")
    pcm = _decoded(message, "pcm")
    return _checked(int16_to_float(bytes_to_int16(pcm[: len(pcm) // 2 * 2], channels=1)), rate)


def _decoded(message: dict[str, Any], field: str) -> bytes:
    try:
        return base64.b64decode(message[field], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError(f"{field}: must be base64") from None


def _checked(samples: NDArray[np.floating], rate: int) -> Sound:
    if samples.shape[1] > MAX_CHANNELS:
        raise ValueError(f"sound: must have at most {MAX_CHANNELS} channels (got {samples.shape[1]})")
    if len(samples) > MAX_LENGTH_S * rate:
        raise ValueError(f"sound: must be at most {MAX_LENGTH_S} s long")
    return Sound(samples.astype(np.float32), rate)


def predict_fn(sound: Sound, model: Model) -> dict[str, Any]:
    """Classify a sound.

    The noise label comes from the backbone, if there is one and the request is not a summary. An emergency is
    detected if the classifier of the layer or the backbone detects one, in any channel.
    """
    if sound.summary:
        return _named(model.classifier.classify_summary(sound.summary), model.classifier)
    prediction = classify_channels(model.classifier, sound.samples, sound.rate)
    answer = _named(prediction, model.classifier)
    if model.backbone and prediction.label != "quiet":
        found = [model.backbone.predict(sound.samples[:, i], sound.rate) for i in distinct(sound.samples)]
        probabilities = _mean([one.probabilities for one in found])
        label = max(probabilities, key=probabilities.__getitem__)
        answer |= {"label": label, "confidence": probabilities[label], "probabilities": probabilities}
        answer |= {"model": model.backbone.name, "sha256": model.backbone.sha256}
        answer |= _with_emergencies(prediction, [one.kinds for one in found], model.classifier.threshold)
    return answer


def _named(prediction: Prediction, classifier: Classifier) -> dict[str, Any]:
    return asdict(prediction) | {"model": classifier.name, "sha256": classifier.sha256}


def _mean(probabilities: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean over channels."""
    return {name: sum(one[name] for one in probabilities) / len(probabilities) for name in probabilities[0]}


def _with_emergencies(
    prediction: Prediction, found: list[dict[str, float]], threshold: float
) -> dict[str, Any]:
    """Return the emergency fields: the largest score by kind, so that no model silences the other."""
    kinds = {
        kind: max([score, *(one.get(kind, 0.0) for one in found)]) for kind, score in prediction.kinds.items()
    }
    score = max(kinds.values())
    emergency = prediction.emergency or score >= threshold
    return {"kinds": kinds, "emergency_score": score, "emergency": emergency}


def output_fn(prediction: dict[str, Any], accept: str) -> tuple[str, str]:
    """Encode a prediction as JSON. Raises ValueError if the client does not accept it."""
    kinds = {part.split(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if not kinds & {"application/json", "application/*", "*/*"}:
        raise ValueError(f"accept: must allow application/json (got {accept!r})")
    return json.dumps(prediction), "application/json"

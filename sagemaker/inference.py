"""What the endpoint runs: the four functions that SageMaker's containers call.

The artifact holds ``model.npz``, optionally a large backbone with the head fitted to it, and this code with
`anc.noise` beside it. No library version is baked in: nothing is pickled.
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

from anc.noise import Classifier, Prediction
from anc.pcm import bytes_to_int16, int16_to_float

LARGEST = 4 << 20  # bytes: what a serverless endpoint takes
LONGEST_S = 60


@dataclass(frozen=True)
class Sound:
    """A decoded request: ``samples`` (n,) float32 at ``rate`` Hz, or the ``summary`` of a private headset."""

    samples: NDArray[np.float32]
    rate: int
    summary: bytes = b""


@dataclass(frozen=True)
class Model:
    """The classifier that also ships in the layer, and the backbone, where there is one."""

    classifier: Classifier
    backbone: Backbone | None


def model_fn(model_dir: str) -> Model:
    """Load what lies in `model_dir`; raises when any of it is damaged, so that nothing serves."""
    folder = Path(model_dir)
    return Model(Classifier.load(folder / "model.npz"), Backbone.find(folder))


def input_fn(body: bytes | str, content_type: str) -> Sound:
    """Decode a request.

    Parameters
    ----------
    body : bytes or str
        With ``application/json`` an object ``{"rate": 16000, "pcm": "<base64 of little-endian int16>"}``, or
        ``{"summary": "<base64>"}``; with ``audio/wav`` a file of 16-bit PCM, whose channels are averaged.
    content_type : str

    Raises
    ------
    ValueError
        Naming the field, what was wrong, and what is allowed.
    """
    raw = body.encode() if isinstance(body, str) else body
    if len(raw) > LARGEST:
        raise ValueError(f"body: {len(raw):,} bytes, at most {LARGEST:,}")
    kind = content_type.split(";", maxsplit=1)[0].strip().lower()
    if kind == "audio/wav":
        return _wave(raw)
    if kind == "application/json":
        return _json(raw)
    raise ValueError(f"content type: {content_type!r}, allowed are application/json and audio/wav")


def _wave(raw: bytes) -> Sound:
    try:
        with wave.open(io.BytesIO(raw)) as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            pcm = file.readframes(LONGEST_S * rate + 1)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"body: no WAV file: {error}") from None
    if width != 2:
        raise ValueError(f"body: {8 * width}-bit samples, 16-bit PCM is needed")
    return _checked(int16_to_float(bytes_to_int16(pcm, channels)).mean(axis=1, dtype=np.float64), rate)


def _json(raw: bytes) -> Sound:
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"body: no JSON: {error}") from None
    if not isinstance(message, dict) or not {"pcm", "summary"} & message.keys():
        raise ValueError('body: an object with "pcm" and "rate", or with "summary", is needed')
    if "summary" in message:
        return Sound(np.zeros(0, np.float32), 0, _decoded(message, "summary"))
    rate = message.get("rate")
    if not isinstance(rate, int):
        raise ValueError("rate: a whole number of Hz is needed")
    pcm = _decoded(message, "pcm")
    return _checked(int16_to_float(bytes_to_int16(pcm[: len(pcm) // 2 * 2], channels=1)[:, 0]), rate)


def _decoded(message: dict[str, Any], field: str) -> bytes:
    try:
        return base64.b64decode(message[field], validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise ValueError(f"{field}: base64 is needed") from None


def _checked(samples: NDArray[np.floating], rate: int) -> Sound:
    if len(samples) > LONGEST_S * rate:
        raise ValueError(f"sound: over {LONGEST_S} s; send a part of it")
    return Sound(samples.astype(np.float32), rate)


def predict_fn(sound: Sound, model: Model) -> dict[str, Any]:
    """Hear a sound.

    With a backbone, the noise type is its word; the emergency is always the shipped detector's, since its
    thresholds were measured. A summary is no sound, so the backbone cannot hear it.
    """
    if sound.summary:
        hearing: Prediction = model.classifier.classify_summary(sound.summary)
    else:
        hearing = model.classifier.classify(sound.samples, sound.rate)
    answer = asdict(hearing) | {"model": model.classifier.name, "sha256": model.classifier.sha256}
    if model.backbone and not sound.summary and hearing.label != "quiet":
        probabilities = model.backbone.classify(sound.samples, sound.rate)
        label = max(probabilities, key=probabilities.__getitem__)
        answer |= {"label": label, "confidence": probabilities[label], "probabilities": probabilities}
        answer |= {"model": model.backbone.name, "sha256": model.backbone.sha256}
    return answer


def output_fn(prediction: dict[str, Any], accept: str) -> tuple[str, str]:
    """Encode an answer as JSON, the only thing there is to accept."""
    kinds = {part.split(";")[0].strip().lower() for part in (accept or "*/*").split(",")}
    if not kinds & {"application/json", "application/*", "*/*"}:
        raise ValueError(f"accept: {accept!r}, only application/json is given")
    return json.dumps(prediction), "application/json"

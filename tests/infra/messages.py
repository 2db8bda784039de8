"""Messages and sounds of the scenarios, as AWS passes them to the functions."""

import base64
import json
from typing import Any

import numpy as np

from anc.pcm import float_to_int16
from anc.schemas.snapshot import Snapshot

RATE = 16_000


def siren(seconds: float) -> np.ndarray:
    """Return a wail between 500 and 1400 Hz with overtones and a period of three seconds."""
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(950 + 450 * np.sin(2 * np.pi * t / 3)) / RATE
    return np.asarray(0.3 * sum(0.4 / k * np.sin(k * phase) for k in (1, 2, 3)))


def published(kind: str, payload: str) -> dict[str, Any]:
    """Return what an IoT rule forwards."""
    return {"kind": kind, "thing": "left", "at": 1_800_000_000_000, "payload": payload}


def snapshot(seq: int, x: np.ndarray) -> dict[str, Any]:
    """Return what the IoT rule forwards for a snapshot."""
    pcm = float_to_int16(np.stack([x, np.concatenate([np.zeros(3), 0.6 * x[:-3]])], axis=1))
    data = Snapshot(seq, RATE, len(x), "", pcm=pcm).encode()
    return published("snapshot", base64.b64encode(data).decode())


def noise(seq: int) -> np.ndarray:
    """Return half a second of white noise."""
    return 0.05 * np.random.default_rng(seq).standard_normal(RATE // 2)


def iot_event(**event: Any) -> str:
    """Return what an IoT rule forwards for an event of AWS IoT."""
    return base64.b64encode(json.dumps(event).encode()).decode()


def upload_notification(job: str) -> dict[str, Any]:
    """Return the S3 notification of an upload."""
    return {"Records": [{"s3": {"object": {"key": f"uploads/{job}"}}}]}

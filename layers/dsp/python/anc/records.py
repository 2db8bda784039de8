"""What the platform keeps, one class per kind. Every record is immutable: a change is a new version.

A record names the version it was read at, and a table takes it only if that is still the stored one, so
two writers never both win (optimistic locking).
"""

import hashlib
from typing import Literal, Self

import msgspec
import numpy as np

Mode = Literal["cancel", "transparency", "bypass"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every record has.

    Attributes
    ----------
    key : str
        Unique in its table.
    group : str
        What the record is listed under: its owner, or the device it belongs to.
    version : int
        How often it was written; 0 for one that was never stored.
    expires : float or None
        Seconds since the epoch from which on it is as good as gone.
    """

    key: str
    group: str = ""
    version: int = 0
    expires: float | None = None

    def but(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class Stream(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A live session: key is its id, group its owner. `seq` is the last block done, -1 before the first.

    `waiting` is the reference's last `horizon` samples (int16): a prediction may not use them yet.
    """

    mode: Literal["cancel", "predict", "bypass"]
    algorithm: Literal["nlms", "fdaf"] = "nlms"
    rate: int
    channels: int
    taps: int
    mu: float
    horizon: int = 0
    enabled: bool = True
    intensity: float = 1.0
    created: float
    seq: int = -1
    filter: bytes = b""
    waiting: bytes = b""
    hearing: bytes = b""
    answer: bytes = b""
    emergency_until: float = 0.0
    blocks: int = 0
    samples: int = 0
    gaps: int = 0
    energy_before: float = 0.0
    energy_after: float = 0.0


class Connection(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An open WebSocket: key is the connection id, group its user."""

    role: str
    watching: tuple[str, ...] = ()


class Watch(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A socket that is told what happens to a device: group is the device."""

    connection: str


class Device(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A registered headset: key is its thing name, group its owner.

    `secondary` is its measured secondary path S, float32 little-endian, at `rate` Hz.
    """

    model: str
    rate: int
    taps: int
    secondary: bytes
    certificate: str = ""
    created: float


class SentFilter(msgspec.Struct, frozen=True):
    """A control filter that a device was sent: taps as float16 little-endian, tap 0 first."""

    id: str
    seq: int
    rate: int
    taps: bytes
    predicted_gain_db: float

    @classmethod
    def of(cls, taps: bytes, seq: int, rate: int, predicted_gain_db: float) -> Self:
        """Name a filter by the hash of its taps, as it travels in the shadow."""
        return cls(hashlib.sha256(taps).hexdigest()[:16], seq, rate, taps, predicted_gain_db)

    def decode(self) -> np.ndarray:
        """Return the (taps,) float32 filter, exactly as the headset plays it."""
        return np.frombuffer(self.taps, "<f2").astype(np.float32)


class Control(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the cloud knows of one headset's noise and wants of it: key is the thing name.

    `filters` holds the newest first: a snapshot may still have been taken with one of the older ones.
    """

    seq: int = -1
    mode: Mode = "cancel"
    intensity: float = 1.0
    filters: tuple[SentFilter, ...] = ()
    statistics: bytes = b""
    noise: str = ""
    confidence: float = 0.0
    reason: str = ""
    emergency_until: float = 0.0


class Emergency(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm that opened a headset or a session: key sorts by time, group is its owner.

    `source` is the device or session, `kind` what was heard: siren, horn or alarm.
    """

    source: str
    kind: str
    score: float
    at: float

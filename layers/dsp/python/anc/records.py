"""Stored records about sessions, recordings and users, and their base class. Records are immutable.

A record contains the version that it was read at. A table stores it only if that version is still the
current one, so that of two concurrent writers one fails (optimistic locking).
"""

import secrets
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import Meta

FIRST_VERSION_BITS = 48
Role = Literal["listener", "operator", "admin"]  # each includes the permissions of those before it


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base class of the records.

    Attributes
    ----------
    key : str
        Unique in its table.
    group : str
        The owner or the device that the record is listed by.
    version : int
        Starts at a random number and increases with every write; 0 if never stored. The random start
        prevents a writer from overwriting a record that was deleted and created again.
    expires : float or None
        Time from which on the record counts as deleted, in seconds since the epoch.
    """

    key: str
    group: str = ""
    version: int = 0
    expires: float | None = None

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def next_version(self) -> Self:
        """Return the record as a table stores it."""
        return self.replace(
            version=self.version + 1 if self.version else secrets.randbits(FIRST_VERSION_BITS) + 1
        )


class Alarm(msgspec.Struct, frozen=True, omit_defaults=True):
    """A detected emergency sound.

    Attributes
    ----------
    kind : str
        siren, horn or alarm.
    at, received_at : float
        When it was detected, and when the platform received the sound, in seconds since the epoch. The second
        is 0 in records of earlier versions.
    """

    kind: str
    score: float
    at: float
    received_at: float = 0.0


class Stream(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A live session: key is its id, group its owner. `seq` is the last processed block, -1 before the first.

    `pending_emergency` is a detection that may not have been stored and announced yet.
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
    classifier_state: bytes = msgspec.field(default=b"", name="hearing")
    answer: bytes = b""
    emergency_until: float = 0.0
    pending_emergency: Alarm | None = msgspec.field(default=None, name="untold")
    blocks: int = 0
    samples: int = 0
    gaps: int = 0
    filter_resets: int = 0
    energy_before: float = 0.0
    energy_after: float = 0.0


class QuotaItem(msgspec.Struct, frozen=True, array_like=True):
    """One item of a quota: its bytes, and the time it was added in seconds since the epoch."""

    bytes: int
    at: float


class Usage(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Items in one quota of a user, by their key; the record's key is `quota#user`."""

    items: dict[str, QuotaItem] = msgspec.field(default_factory=dict, name="held")


class SocketConnection(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An open WebSocket: key is the connection id, group its user.

    `api_key` is the id of the API key that opened it, "" for a user who signed in.
    """

    role: Role
    api_key: str = ""
    watching: tuple[str, ...] = ()
    notify_jobs: bool = msgspec.field(default=True, name="hears_jobs")


class Watch(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A socket that receives the updates of a device: group is the device.

    `registered` is the time of the device's registration: a watch ends with the registration. None in
    watches stored by an earlier version.
    """

    connection: str
    registered: float | None = None


class ApiKey(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An API key: group is the user that it acts for.

    Only the SHA-256 of its secret is stored. Without scopes it has all permissions of its role. A `revoked`
    key is invalid; it is deleted as soon as its sockets are closed.
    """

    name: str
    role: Role
    sha256: bytes
    created: float
    scopes: tuple[str, ...] = ()
    revoked: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user who can sign in: `user` is the id in tokens, `name` the sign-in name."""

    user: str
    name: str
    role: Role
    created: float


class Emergency(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An emergency in a headset or session: key sorts by time, group is its owner.

    Attributes
    ----------
    source : str
        The device or session.
    kind : str
        siren, horn or alarm.
    at : float
        Seconds since the epoch.
    acknowledged_by, commented_by : str
        User id, or "" if it did not happen. Times are in seconds since the epoch.
    comment : str
        One or several lines.
    """

    source: str
    kind: str
    score: float
    at: float
    acknowledged_by: str = ""
    acknowledged_at: float | None = None
    comment: str = ""
    commented_by: str = ""
    commented_at: float | None = None


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Processing options of a recording.

    Attributes
    ----------
    mode : str or None
        `cancel` needs two channels (reference, primary) and removes from the second what correlates with the
        first; `predict` needs one and removes what its past predicts; `classify` only classifies the noise.
        None: `cancel` for two channels, `classify` for one.
    algorithm : str
    taps : int
    mu : float, 0 < mu < 2, or None
        Step size. None: 0.5, or 0.1 for `predict`.
    horizon : int
        Prediction horizon of `predict`, in samples.
    """

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: Annotated[int, Meta(ge=1, le=4096)] = 512
    mu: Annotated[float, Meta(gt=0.0, lt=2.0)] | None = None
    horizon: Annotated[int, Meta(ge=1, le=4096)] = 1


class Job(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A recording to upload and process: key is its id, group its owner.

    `blocks` is the number of committed blocks; the checkpoint with this number continues at sample `frames`.

    Attributes
    ----------
    size : int
        Announced size of the file in bytes.
    upload : str
        Id of the multipart upload, "" for a file in one part.
    part_bytes : int
        Size of its parts.
    source : str
        Version of the content that the first block was read from.
    result : str
        Id of the multipart upload of the result.
    before : str
        Id of the multipart upload of the channel as it was before filtering; "" for jobs of earlier versions.
    attempts : int
        Number of attempts at the next block.
    progress : float, 0 to 1
    failure : str
        Reason of the state `failed`, as text for the user.
    summary : dict
        Main figures of the report.
    """

    state: Literal["uploading", "waiting", "running", "done", "failed"] = "uploading"
    options: Options = Options()
    name: str = ""
    size: int
    created: float
    upload: str = ""
    part_bytes: int = 0
    source: str = ""
    result: str = ""
    before: str = ""
    blocks: int = 0
    frames: int = 0
    attempts: int = 0
    progress: float = 0.0
    failure: str = ""
    summary: dict[str, Any] = {}

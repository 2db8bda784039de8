"""What the platform keeps, one class per kind. Every record is immutable: a change is a new version.

A record names the version it was read at, and a table takes it only if that is still the stored one, so
two writers never both win (optimistic locking).
"""

import secrets
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
import numpy as np
from msgspec import Meta

from anc.filter_taps import decode_taps, filter_id

HeadsetMode = Literal["cancel", "transparency", "bypass"]
FIRST_VERSION_BITS = 48
Role = Literal["listener", "operator", "admin"]  # each may do what those before it may


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every record has.

    Attributes
    ----------
    key : str
        Unique in its table.
    group : str
        What the record is listed under: its owner, or the device it belongs to.
    version : int
        One higher with every write, from a random number on; 0 for one that was never stored. A writer that
        read a record which was deleted and created anew since then therefore never writes over the new one.
    expires : float or None
        Seconds since the epoch from which on it is as good as gone.
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


class Alarm(msgspec.Struct, frozen=True):
    """An alarm that was heard: `kind` is siren, horn or alarm; `at` is in seconds since the epoch."""

    kind: str
    score: float
    at: float


class Stream(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A live session: key is its id, group its owner. `seq` is the last block done, -1 before the first.

    `pending_emergency` is an alarm that may not have been written down and told yet.
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
    """One thing that counts against a quota: its bytes, and since when in seconds since the epoch."""

    bytes: int
    at: float


class Usage(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What counts against one quota of a person, by key: the record's key is `quota#user`."""

    items: dict[str, QuotaItem] = msgspec.field(default_factory=dict, name="held")


class SocketConnection(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An open WebSocket: key is the connection id, group its user.

    `api_key` is the id of the API key that opened it, "" for somebody who signed in.
    """

    role: Role
    api_key: str = ""
    watching: tuple[str, ...] = ()
    notify_jobs: bool = msgspec.field(default=True, name="hears_jobs")


class Watch(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A socket that is told what happens to a device: group is the device.

    `registered` is when the device was, so that a watch ends with the registration; None of a watch that was
    stored by an earlier version.
    """

    connection: str
    registered: float | None = None


class Device(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A registered headset: key is its thing name, group its owner.

    `secondary` is its measured secondary path S, float32 little-endian, at `rate` Hz; `max_gain_db` the most
    that a control filter may boost. `claimable` says that it may come for its certificate itself, with the
    factory's claim, and `claimed_by` is the SHA-256 of the key that it came with. `path_seq` numbers the
    latest path that it measured itself; -1 for none.

    `certificate` is the one that works or is about to, `replaced` those before it that may not be revoked
    yet. What was published before `credentials_at` was published with a certificate that was revoked since,
    or by an earlier owner of the name. A device that is `removed` only waits for its certificates to be
    revoked: nobody may use it, and nobody may have its name.
    """

    model: str
    rate: int
    taps: int
    secondary: bytes
    max_gain_db: float = 40.0
    certificate: str = ""
    replaced: tuple[str, ...] = ()
    credentials_at: float = 0.0
    removed: bool = False
    claimable: bool = False
    claimed_by: str = ""
    path_seq: int = -1
    created: float


class DeviceModel(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A kind of headset: key is its name; `secondary` its nominal path, as a headset's.

    `serial_prefix` is how the serial numbers of its headsets begin, "" when that is not known.
    """

    rate: int
    taps: int
    secondary: bytes
    max_gain_db: float
    serial_prefix: str = ""


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
        return cls(filter_id(taps), seq, rate, taps, predicted_gain_db)

    def decode(self) -> np.ndarray:
        """Return the (taps,) float32 filter, exactly as the headset plays it."""
        return decode_taps(self.taps)


class DesiredFirmware(msgspec.Struct, frozen=True):
    """The firmware that a headset is to install; see `anc.schemas.shadow.Firmware`.

    Requests and headsets check the fields. A record does not, so that it stays readable when checks change.
    """

    version: str
    url: str
    sha256: str
    size: int


class DesiredConfiguration(msgspec.Struct, frozen=True, omit_defaults=True):
    """The configuration desired of a headset; see `anc.schemas.shadow.Configuration`. None: not set."""

    snapshot_interval_s: float | None = None
    telemetry_interval_s: float | None = None
    private: bool | None = None


class Control(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The state of one headset's control, and what is desired of the headset: key is the thing name.

    Attributes
    ----------
    seq : int
        Of the latest snapshot processed; -1 before the first.
    filters : tuple of SentFilter
        Newest first: a snapshot may have been taken with one of the older ones.
    statistics : bytes
        `anc.dsp.Statistics` of the present noise.
    reclassified_from : str
        Label of the layer's classifier that the endpoint replaced with `noise`, or "".
    shared : dict of str to float
        By noise, when the headset last contributed to its fleet, in seconds since the epoch.
    without_control : int
        Number of the latest snapshot that was taken with an unknown filter, which requests one without
        control; -1 for none.
    firmware, config
        Desired of the headset itself.
    pending_emergency : Alarm or None
        As a stream's.
    """

    seq: int = -1
    mode: HeadsetMode = "cancel"
    intensity: float = 1.0
    filters: tuple[SentFilter, ...] = ()
    statistics: bytes = b""
    noise: str = ""
    confidence: float = 0.0
    reclassified_from: str = msgspec.field(default="", name="doubted")
    reason: str = ""
    emergency_until: float = 0.0
    pending_emergency: Alarm | None = msgspec.field(default=None, name="untold")
    shared: dict[str, float] = {}
    without_control: int = -1
    firmware: DesiredFirmware | None = None
    config: DesiredConfiguration = DesiredConfiguration()


class Contribution(msgspec.Struct, frozen=True):
    """What one headset knows of a noise: `statistics` of `anc.dsp`, and the filter, float16, for them."""

    device: str
    owner: str
    at: float
    statistics: bytes
    taps: bytes


class Fleet(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What headsets of one model know of one noise: key names both, group the model; one entry a headset."""

    contributions: tuple[Contribution, ...] = ()


class ReceivedReports(msgspec.Struct, frozen=True):
    """Which lines of a headset's telemetry were taken, of the `run` since it is on; `newest` is the last.

    Bit k of `seen` tells of the line k before the newest. What is older than `SPAN` counts as taken.
    """

    SPAN: ClassVar[int] = 64

    run: int
    newest: int
    seen: int = 1

    def holds(self, run: int, line: int) -> bool:
        """Return whether this line was taken."""
        back = self.newest - line
        return run == self.run and back >= 0 and (back >= self.SPAN or bool(self.seen >> back & 1))

    def adding(self, run: int, line: int) -> "ReceivedReports":
        """Return what is taken with this line, which was not."""
        ahead = line - self.newest
        if run != self.run or ahead >= self.SPAN:
            return ReceivedReports(run, line)
        if ahead <= 0:
            return ReceivedReports(run, self.newest, self.seen | 1 << -ahead)
        return ReceivedReports(run, line, (self.seen << ahead | 1) & (1 << self.SPAN) - 1)


class Telemetry(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a headset said of itself, and when; `report` is JSON.

    Of the last word, key is the thing name, and `received` tells what came already; in the history, it is
    the group, and the key ends with the time.
    """

    at: float
    report: bytes
    received: ReceivedReports | None = msgspec.field(default=None, name="lines")


class RecordedRefusal(msgspec.Struct, frozen=True):
    """What of a headset was refused: snapshot, telemetry, shadow, path, claim or connection; why; when."""

    what: str
    code: str
    message: str
    at: float


class Status(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What the platform noticed of a headset: key is the thing name.

    `online` is None before it ever connected; `session` names the connection, as long as the broker does.
    `claim` is the last refused claim to its name, which is not the headset's own doing.
    """

    online: bool | None = None
    since: float = 0.0
    session: str = ""
    refused: int = 0
    refusal: RecordedRefusal | None = None
    claim: RecordedRefusal | None = None


class ApiKey(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A key with which a machine calls in a person's name: group is the person.

    Only the SHA-256 of its secret is kept. Without scopes it may do all that its role may. One that is
    `revoked` opens nothing; it is deleted as soon as its sockets are closed.
    """

    name: str
    role: Role
    sha256: bytes
    created: float
    scopes: tuple[str, ...] = ()
    revoked: bool = False


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in: `user` is what tokens call them, `name` what they sign in with."""

    user: str
    name: str
    role: Role
    created: float


class Emergency(Record, frozen=True, kw_only=True, omit_defaults=True):
    """An alarm that opened a headset or a session: key sorts by time, group is its owner.

    `source` is the device or session, `kind` what was heard: siren, horn or alarm.
    """

    source: str
    kind: str
    score: float
    at: float


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What shall be done with a recording.

    Attributes
    ----------
    mode : str or None
        `cancel` needs two channels (reference, primary) and removes from the second what the first explains;
        `predict` needs one and removes what its own past explains; `classify` names the noise. None: `cancel`
        for two channels, `classify` for one.
    algorithm : str
    taps : int
    mu : float, 0 < mu < 2, or None
        Step size. None: 0.5, or 0.1 for `predict`.
    horizon : int
        For `predict`: how many samples ahead.
    """

    mode: Literal["cancel", "predict", "classify"] | None = None
    algorithm: Literal["fdaf", "nlms"] = "fdaf"
    taps: Annotated[int, Meta(ge=1, le=4096)] = 512
    mu: Annotated[float, Meta(gt=0.0, lt=2.0)] | None = None
    horizon: Annotated[int, Meta(ge=1, le=4096)] = 1


class Job(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A recording that is uploaded and processed: key is its id, group its owner.

    `blocks` counts what is committed: the checkpoint of that number goes on from sample `frames`.

    Attributes
    ----------
    size : int
        Bytes of the file, as announced.
    upload : str
        Of a file sent in parts, what the parts belong to.
    source : str
        Names the very content that the first block was read from.
    result : str
        What the parts of the result belong to.
    attempts : int
        How often the next block was begun.
    progress : float, 0 to 1
    failure : str
        For people: why the state is `failed`.
    summary : dict
        The report's main figures.
    """

    state: Literal["uploading", "waiting", "running", "done", "failed"] = "uploading"
    options: Options = Options()
    name: str = ""
    size: int
    created: float
    upload: str = ""
    source: str = ""
    result: str = ""
    blocks: int = 0
    frames: int = 0
    attempts: int = 0
    progress: float = 0.0
    failure: str = ""
    summary: dict[str, Any] = {}

"""Records about headsets: their registration, control, filters, telemetry and status."""

from typing import ClassVar, Literal, Self

import msgspec
import numpy as np

from anc.filter_taps import decode_taps, filter_id
from anc.records import Alarm, Record

HeadsetMode = Literal["cancel", "transparency", "bypass"]


class Device(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A registered headset: key is its thing name, group its owner.

    Attributes
    ----------
    name : str
        Display name, "" for none.
    tags : tuple of str
        Given by operators, in alphabetical order.
    secondary : bytes
        Measured secondary path S, float32 little-endian, at `rate` Hz.
    max_gain_db : float
        Maximum gain of a control filter.
    lower_limit_hz : float
        Lowest frequency at which its driver works.
    certificate : str
        Id of the current certificate. `replaced` lists earlier ones that may not be revoked yet.
    credentials_at : float
        Messages published earlier than this are ignored: they used a certificate that was revoked, or came
        from an earlier owner of the name.
    removed : bool
        The headset is deleted, but its certificates are not revoked yet; the name stays reserved.
    claimable : bool
        Whether it may get its certificate with the factory's claim. `claimed_by` is the SHA-256 of the key
        that it used.
    path_seq : int
        Sequence number of the latest path that it measured itself; -1 for none.
    """

    name: str = ""
    tags: tuple[str, ...] = ()
    model: str
    rate: int
    taps: int
    secondary: bytes
    max_gain_db: float = 40.0
    lower_limit_hz: float = 20.0
    certificate: str = ""
    replaced: tuple[str, ...] = ()
    credentials_at: float = 0.0
    removed: bool = False
    claimable: bool = False
    claimed_by: str = ""
    path_seq: int = -1
    created: float

    @property
    def has_thing(self) -> bool:
        """Whether the thing of its name is this deployment's: on AWS, it may not be before its claim."""
        return not self.claimable or bool(self.claimed_by)


class DeviceModel(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A model of headset: key is its name, `secondary` its nominal secondary path.

    `serial_prefix` is the common prefix of its serial numbers, "" if unknown.
    """

    rate: int
    taps: int
    secondary: bytes
    max_gain_db: float
    lower_limit_hz: float = 20.0
    serial_prefix: str = ""


class SentFilter(msgspec.Struct, frozen=True):
    """A control filter that was sent to a device: taps as float16 little-endian, tap 0 first."""

    id: str
    seq: int
    rate: int
    taps: bytes
    predicted_gain_db: float

    @classmethod
    def of(cls, taps: bytes, seq: int, rate: int, predicted_gain_db: float) -> Self:
        """Return the record of a filter; its id is the hash of the encoded taps, as in the shadow."""
        return cls(filter_id(taps), seq, rate, taps, predicted_gain_db)

    def decode(self) -> np.ndarray:
        """Return the (taps,) float32 filter, with the rounding that the headset sees."""
        return decode_taps(self.taps)


class DesiredFirmware(msgspec.Struct, frozen=True):
    """Firmware to install on a headset; see `anc.schemas.shadow.Firmware`.

    Requests and headsets check the fields. A record does not, so that it stays readable when checks change.
    """

    version: str
    url: str
    sha256: str
    size: int


class DesiredConfiguration(msgspec.Struct, frozen=True, omit_defaults=True):
    """Desired configuration of a headset; see `anc.schemas.shadow.Configuration`. None: not set."""

    snapshot_interval_s: float | None = None
    telemetry_interval_s: float | None = None
    private: bool | None = None


class Control(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The control state and the desired state of one headset: key is the thing name.

    Attributes
    ----------
    seq : int
        Sequence number of the latest processed snapshot; -1 before the first.
    filters : tuple of SentFilter
        Newest first: a snapshot may have been taken with one of the older ones.
    memory : bytes
        Encoded `anc.dsp.Statistics` of the current noise, compressed. In records of earlier versions they are
        in `statistics`, and those versions ignore `memory`.
    label_evidence : bytes
        Encoded `anc.noise.labels.LabelEvidence` of the recent snapshots.
    classified_at : float
        When the latest of them was classified, in seconds since the epoch.
    reclassified_from : str
        Label of the included classifier that the endpoint replaced with `noise`, or "".
    shared : dict of str to float
        Time of the last contribution to the fleet by noise, in seconds since the epoch.
    without_control : int
        Sequence number of the latest snapshot taken with an unknown filter, after which a snapshot without
        control is requested; -1 for none.
    firmware, config
        Desired firmware and configuration.
    emergency_until, opened_until : float
        When the hold of the latest alarm ends, and the end of the latest hold that the shadow received, in
        seconds since the epoch.
    pending_emergency : Alarm or None
        A detection that may not have been stored and announced yet.
    """

    seq: int = -1
    mode: HeadsetMode = "cancel"
    intensity: float = 1.0
    filters: tuple[SentFilter, ...] = ()
    statistics: bytes = b""
    memory: bytes = b""
    noise: str = ""
    confidence: float = 0.0
    label_evidence: bytes = b""
    classified_at: float = 0.0
    reclassified_from: str = msgspec.field(default="", name="doubted")
    reason: str = ""
    emergency_until: float = 0.0
    opened_until: float = 0.0
    pending_emergency: Alarm | None = msgspec.field(default=None, name="untold")
    shared: dict[str, float] = msgspec.field(default_factory=dict)
    without_control: int = -1
    firmware: DesiredFirmware | None = None
    config: DesiredConfiguration = DesiredConfiguration()


class Contribution(msgspec.Struct, frozen=True):
    """Encoded `anc.dsp.Statistics` of one headset in one noise, and its filter taps as float16."""

    device: str
    owner: str
    at: float
    statistics: bytes
    taps: bytes


class Fleet(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One contribution of a headset of a model for a noise: group names both, key also the slot.

    Records of earlier versions hold all contributions: their key names model and noise, group is the model.
    """

    contributions: tuple[Contribution, ...] = ()


class ReceivedReports(msgspec.Struct, frozen=True):
    """Which telemetry reports of a headset were received since its start `run`; `newest` is the latest.

    Bit k of `seen` is set if the report k before `newest` was received. Older ones than `SPAN` count as
    received.
    """

    SPAN: ClassVar[int] = 64

    run: int
    newest: int
    seen: int = 1

    def holds(self, run: int, report: int) -> bool:
        """Return whether a report was received."""
        back = self.newest - report
        return run == self.run and back >= 0 and (back >= self.SPAN or bool(self.seen >> back & 1))

    def adding(self, run: int, report: int) -> "ReceivedReports":
        """Return a copy with a report added, which was not received before."""
        ahead = report - self.newest
        if run != self.run or ahead >= self.SPAN:
            return ReceivedReports(run, report)
        if ahead <= 0:
            return ReceivedReports(run, self.newest, self.seen | 1 << -ahead)
        return ReceivedReports(run, report, (self.seen << ahead | 1) & (1 << self.SPAN) - 1)


class Telemetry(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A telemetry report, as JSON, and its time.

    In the latest report the key is the thing name, and `received` identifies earlier reports; in the history
    the group is the thing name, the key ends with the time, and several reports are zlib-compressed JSON.
    """

    at: float
    report: bytes
    received: ReceivedReports | None = msgspec.field(default=None, name="lines")


class RecordedRefusal(msgspec.Struct, frozen=True):
    """A refused message of a headset: `what` is snapshot, telemetry, shadow, path, claim or connection."""

    what: str
    code: str
    message: str
    at: float


class Status(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Connection state and refused messages of a headset: key is the thing name.

    `online` is None before the first connection; `session` is the broker's id of the connection.
    `claim` is the last refused claim to its name, which may come from another device.
    """

    online: bool | None = None
    since: float = 0.0
    session: str = ""
    refused: int = 0
    refusal: RecordedRefusal | None = None
    claim: RecordedRefusal | None = None

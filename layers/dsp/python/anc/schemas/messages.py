"""Queue messages: a tagged union of structs, with one `encode` and one `decode`.

The field `kind` identifies the struct. Each consumer names the kinds that it handles; `decode` rejects all
others, and the queue moves such a message to its dead-letter queue after the last attempt.

Two formats have no `kind`: S3's event notifications, and messages of earlier versions that wait in a queue
during an upgrade.
"""

from typing import Any, get_args
from urllib.parse import unquote_plus

import msgspec

from anc.schemas.endpoint import EndpointRequest


class MalformedMessage(ValueError):
    """The message is not JSON, is of a kind that the consumer does not handle, or has a wrong field."""


class DeviceMessage(msgspec.Struct, frozen=True, tag_field="kind"):
    """What an IoT rule forwards; `functions.routes.Rule.sql` selects these fields.

    Attributes
    ----------
    thing : str
    payload : bytes
        The MQTT payload, base64 in JSON.
    at : int or None
        When AWS IoT received it, in ms since the epoch. None in messages of rules that did not select it.
    """

    thing: str
    payload: bytes
    at: int | None = None

    @property
    def published_at(self) -> float | None:
        """Seconds since the epoch, or None."""
        return None if self.at is None else self.at / 1000


class SnapshotPublished(DeviceMessage, frozen=True, tag="snapshot"):
    """A snapshot (`anc.schemas.snapshot`)."""


class TelemetryPublished(DeviceMessage, frozen=True, tag="telemetry"):
    """Telemetry reports (`anc.schemas.telemetry`)."""

    at: int


class PathPublished(DeviceMessage, frozen=True, tag="path"):
    """A secondary path that a headset measured (`anc.schemas.path`)."""


class PresenceChanged(DeviceMessage, frozen=True, tag="presence"):
    """A lifecycle event of AWS IoT: a headset connected or disconnected."""


class ShadowRejected(DeviceMessage, frozen=True, tag="shadow_rejected"):
    """AWS IoT rejected a headset's update of its shadow."""


class FilesArrived(msgspec.Struct, frozen=True, tag_field="kind", tag="files_arrived"):
    """Files were uploaded. S3 announces them as an event notification; its `s3:TestEvent` names no file."""

    keys: tuple[str, ...]


class RecordingWaiting(msgspec.Struct, frozen=True, tag_field="kind", tag="recording_waiting"):
    """A recording has blocks left to process. Recordings of different owners take turns."""

    job: str
    owner: str = ""


class RecordingFinished(msgspec.Struct, frozen=True, tag_field="kind", tag="recording_finished"):
    """A recording was processed, or failed; its owner is to be notified."""

    job: str


class ControlChanged(msgspec.Struct, frozen=True, tag_field="kind", tag="control_changed"):
    """The desired state of a headset changed, or an emergency hold ends: bring its shadow up to date.

    Attributes
    ----------
    thing : str
    at : float
        When the snapshot was received that caused the change, in seconds since the epoch; 0 for other causes
        and in messages of earlier versions.
    ends : float
        The end of the hold that the message was queued for, in seconds since the epoch; 0 for other causes.
    """

    thing: str
    at: float = 0.0
    ends: float = 0.0


class ReclassificationRequest(msgspec.Struct, frozen=True, tag_field="kind", tag="reclassification"):
    """A snapshot to be classified by the endpoint: its label is uncertain, or it may contain an alarm.

    Attributes
    ----------
    thing : str
    seq : int
        Of the snapshot.
    label : str
        As the layer's classifier predicted it.
    question : EndpointRequest
        The sound of the microphone in which an alarm is most evident.
    uncertain : bool
        Whether the label is to be replaced.
    suspect : bool
        Whether an alarm is possible.
    at : float
        When the snapshot was processed, in seconds since the epoch; 0 in messages of earlier versions.
    """

    thing: str
    seq: int
    label: str
    question: EndpointRequest
    uncertain: bool = True
    suspect: bool = False
    at: float = 0.0


ProcessorMessage = SnapshotPublished | TelemetryPublished | PathPublished | PresenceChanged | ShadowRejected
RecordingMessage = FilesArrived | RecordingWaiting
SenderMessage = ControlChanged | RecordingFinished
Message = ProcessorMessage | RecordingMessage | SenderMessage | ReclassificationRequest

_FORMER_PAYLOADS = {  # the field that held the payload before messages had a kind
    "data": "snapshot",
    "report": "telemetry",
    "path": "path",
    "rejected": "shadow_rejected",
}


class _Kind(msgspec.Struct):
    kind: str | None = None


class _S3Object(msgspec.Struct):
    key: str


class _S3Entity(msgspec.Struct):
    object: _S3Object


class _S3Record(msgspec.Struct):
    s3: _S3Entity


def encode(message: Message) -> str:
    """Return a message as JSON."""
    return msgspec.json.encode(message).decode()


def decode(text: str | bytes, kinds: Any) -> Any:
    """Read a message.

    Parameters
    ----------
    text : str or bytes
        JSON.
    kinds : type
        The struct, or the union of structs, that the consumer handles, such as `ProcessorMessage`.

    Raises
    ------
    MalformedMessage
    """
    try:
        if msgspec.json.decode(text, type=_Kind).kind is not None:
            return msgspec.json.decode(text, type=kinds)
        return msgspec.convert(_with_kind(msgspec.json.decode(text, type=dict[str, Any]), kinds), kinds)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise MalformedMessage(f"queue message: {fault}") from fault


def _with_kind(document: dict[str, Any], kinds: Any) -> dict[str, Any]:
    """Return a document of S3 or of an earlier version in the present format."""
    if document.get("Event") == "s3:TestEvent":  # sent once, when the notification is configured
        document = {"Records": ()}
    if "Records" in document:
        records = msgspec.convert(document["Records"], list[_S3Record])
        return {"kind": "files_arrived", "keys": [unquote_plus(each.s3.object.key) for each in records]}
    return _former(document, kinds)


def _former(document: dict[str, Any], kinds: Any) -> dict[str, Any]:
    if "job" in document:
        finished = RecordingFinished in get_args(kinds)
        return {"kind": "recording_finished" if finished else "recording_waiting", **document}
    if "question" in document:
        return {"kind": "reclassification", **document}
    if "presence" in document:
        return {"kind": "presence", "thing": "", "payload": document["presence"], **document}
    for field, kind in _FORMER_PAYLOADS.items():
        if field in document:
            return {"kind": kind, "payload": document[field], **document}
    return {"kind": "control_changed", **document} if "thing" in document else document

"""The AsyncAPI document of the WebSocket and MQTT messages, generated from their types.

`python -m anc.schemas.asyncapi > docs/asyncapi.json` writes it.

References
----------
AsyncAPI Initiative, AsyncAPI Specification 3.0.0.
"""

import inspect
import json
from typing import Any, Literal, NamedTuple

import msgspec

from anc import __version__
from anc.schemas import claim, job, path, shadow, snapshot, telemetry, websocket
from anc.schemas.topics import ingest_topic, jobs_topic, snapshot_topic

SCHEMAS = "#/components/schemas/{name}"
# Each request of a client, and its response if it is not `Error`.
ANSWERS: dict[type[msgspec.Struct], type[msgspec.Struct]] = {
    websocket.Start: websocket.Started,
    websocket.Audio: websocket.FilteredBlock,
    websocket.Set: websocket.SetDone,
    websocket.Stop: websocket.Stopped,
    websocket.Watch: websocket.Watching,
    websocket.Ping: websocket.Pong,
}
PUSHED: tuple[type[msgspec.Struct], ...] = (websocket.DeviceUpdate, websocket.JobUpdate)
FRAMES: list[type[msgspec.Struct]] = [*ANSWERS, *ANSWERS.values(), *PUSHED, websocket.Error]


class ShadowUpdateMessage(msgspec.Struct, frozen=True):
    """The state that a headset reports."""

    state: "ReportedState"


class ReportedState(msgspec.Struct, frozen=True):
    """The part of the shadow that the headset writes."""

    reported: shadow.Reported


def _changes_of(kind: type[msgspec.Struct]) -> Any:
    """Return a struct with the same fields, each of which may be absent."""
    fields = [(each.name, each.type | None, None) for each in msgspec.structs.fields(kind)]
    namespace = {"__doc__": f"Fields of {kind.__name__} that differ."}
    return msgspec.defstruct(
        f"{kind.__name__}Changes", fields, namespace=namespace, frozen=True, omit_defaults=True
    )


FilterChanges = _changes_of(shadow.FilterDocument)
NoiseChanges = _changes_of(shadow.Noise)
FirmwareChanges = _changes_of(shadow.Firmware)


class DesiredChanges(shadow.Desired, frozen=True, omit_defaults=True):
    """Fields of the desired state that differ, also within `filter`, `noise`, `firmware` and `config`."""

    filter: FilterChanges | None = None  # type: ignore[valid-type]
    noise: NoiseChanges | None = None  # type: ignore[valid-type]
    firmware: FirmwareChanges | None = None  # type: ignore[valid-type]


class ShadowDelta(msgspec.Struct, frozen=True):
    """The part of the desired state that differs from the reported state."""

    state: DesiredChanges
    version: int


class ShadowState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Both parts of the shadow. A part that was never written is absent."""

    desired: shadow.Desired | None = None
    reported: shadow.Reported | None = None


class ShadowDocument(msgspec.Struct, frozen=True):
    """The whole shadow."""

    state: ShadowState
    version: int


class ShadowAccepted(msgspec.Struct, frozen=True):
    """An accepted update of the shadow."""

    state: ReportedState
    version: int


class ShadowRejected(msgspec.Struct, frozen=True):
    """Why the shadow cannot be read or updated; `code` is an HTTP status, 404 if there is none yet."""

    code: int
    message: str = ""


class GetRequest(msgspec.Struct, frozen=True):
    """Request for the whole shadow; an empty object."""


class JobDocument(job.JobDocument, frozen=True, omit_defaults=True):
    """What a headset is to do: install firmware, or change its configuration."""


class StartedJob(job.StartedJob, frozen=True, rename="camel"):
    """The job in progress, or else the oldest one queued, which is in progress now."""

    job_document: JobDocument  # type: ignore[assignment]


class StartNextResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next job; `execution` is absent if no job is pending."""

    execution: StartedJob | None = None


class JobRejected(msgspec.Struct, frozen=True):
    """Why a request about a job was rejected, for example `InvalidStateTransition`: it has ended."""

    code: str
    message: str = ""


class Topic(NamedTuple):
    """An MQTT topic: the action is that of the platform, as in the whole document."""

    name: str
    address: str
    action: Literal["receive", "send"]
    message: type[msgspec.Struct]


PARAMETERS = {
    "thing": {"description": "Name of the headset, to which its certificate is bound."},
    "job": {"description": "Name of the job, from `start-next/accepted`."},
}
_SHADOW = "$aws/things/{thing}/shadow/name/anc"
TOPICS = (
    Topic("shadowGet", f"{_SHADOW}/get", "receive", GetRequest),
    Topic("shadowGetAccepted", f"{_SHADOW}/get/accepted", "send", ShadowDocument),
    Topic("shadowGetRejected", f"{_SHADOW}/get/rejected", "send", ShadowRejected),
    Topic("shadowUpdate", f"{_SHADOW}/update", "receive", ShadowUpdateMessage),
    Topic("shadowUpdateAccepted", f"{_SHADOW}/update/accepted", "send", ShadowAccepted),
    Topic("shadowUpdateRejected", f"{_SHADOW}/update/rejected", "send", ShadowRejected),
    Topic("shadowDelta", f"{_SHADOW}/update/delta", "send", ShadowDelta),
    Topic("jobStartNext", jobs_topic("{thing}", "start-next"), "receive", job.JobRequest),
    Topic("jobStartNextAccepted", jobs_topic("{thing}", "start-next/accepted"), "send", StartNextResponse),
    Topic("jobStartNextRejected", jobs_topic("{thing}", "start-next/rejected"), "send", JobRejected),
    Topic("jobUpdate", jobs_topic("{thing}", "{job}/update"), "receive", job.ExecutionUpdate),
    Topic("jobNotifyNext", jobs_topic("{thing}", "notify-next"), "send", job.NextJob),
    Topic("telemetry", "anc/{thing}/telemetry", "receive", telemetry.TelemetryReport),
    Topic("path", "anc/{thing}/path", "receive", path.MeasuredPath),
    Topic("claimSign", claim.SIGN_TOPIC, "receive", claim.SigningRequest),
    Topic("claimSignAccepted", f"{claim.SIGN_TOPIC}/accepted", "send", claim.Signed),
    Topic("claimSignRejected", f"{claim.SIGN_TOPIC}/rejected", "send", claim.Rejected),
    Topic("claimProvision", claim.provision_topic(), "receive", claim.Registration),
    Topic("claimProvisionAccepted", f"{claim.provision_topic()}/accepted", "send", claim.Provisioned),
    Topic("claimProvisionRejected", f"{claim.provision_topic()}/rejected", "send", claim.Rejected),
)
# Further topics: binary, reserved, or another way for a message above. A rule's name carries the environment.
OTHER_TOPICS = (
    ("snapshot", snapshot_topic("{thing}"), "Snapshot"),
    ("snapshotWithoutIngest", "anc/{thing}/snapshot", "Snapshot"),
    ("telemetryIngest", ingest_topic("anc_telemetry", "anc/{thing}/telemetry"), "TelemetryReport"),
    ("pathIngest", ingest_topic("anc_path", "anc/{thing}/path"), "MeasuredPath"),
    ("event", "anc/{thing}/event", "Event"),
)


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document."""
    channels: dict[str, Any] = {"socket": _socket()}
    operations = _socket_operations()
    for name, address, action, message in TOPICS:
        channels[name] = _topic(address, message.__name__)
        operations[name] = {"action": action, "channel": _ref("channels", name)}
    for name, address, kind in OTHER_TOPICS:
        channels[name] = _topic(address, kind)
        operations[name] = {"action": "receive", "channel": _ref("channels", name)}
    structs = list(dict.fromkeys([*FRAMES, *(topic.message for topic in TOPICS)]))
    _, schemas = msgspec.json.schema_components(structs, ref_template=SCHEMAS)
    for schema in schemas.values():
        if "description" in schema:  # a docstring; only Python 3.13 and later store it without indentation
            schema["description"] = inspect.cleandoc(schema["description"])
    messages = {struct.__name__: _message(struct) for struct in structs}
    messages["Snapshot"] = {
        "contentType": "application/octet-stream",
        "summary": "A snapshot of the noise at a headset.",
        "description": inspect.getdoc(snapshot),
        "payload": {"type": "string", "format": "binary", "maxLength": snapshot.MQTT_PAYLOAD_LIMIT},
    }
    report = messages["TelemetryReport"]["payload"]
    batch = {"type": "array", "items": report, "maxItems": telemetry.MAX_REPORTS}
    messages["TelemetryReport"]["payload"] = {"oneOf": [report, batch]}
    messages["Event"] = {"summary": "Reserved: accepted, but not processed.", "payload": {}}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ANC Platform",
            "version": __version__,
            "description": "Live sessions over WebSocket, headsets over MQTT 3.1.1 or 5 with mutual TLS.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def _socket() -> dict[str, Any]:
    return {
        "address": "/ws",
        "description": (
            f"Text frames of JSON, at most {websocket.FRAME_LIMIT:,} bytes each. Offer the subprotocols "
            f"`{websocket.SUBPROTOCOL}` and the token, or send the token in `Authorization`."
        ),
        "messages": {struct.__name__: _ref("components/messages", struct.__name__) for struct in FRAMES},
    }


def _socket_operations() -> dict[str, Any]:
    def message(struct: type[msgspec.Struct]) -> dict[str, str]:
        return _ref("channels/socket/messages", struct.__name__)

    channel = _ref("channels", "socket")
    operations: dict[str, Any] = {
        request.__name__.lower(): {
            "action": "receive",
            "channel": channel,
            "messages": [message(request)],
            "reply": {"channel": channel, "messages": [message(answer), message(websocket.Error)]},
        }
        for request, answer in ANSWERS.items()
    }
    operations["news"] = {
        "action": "send",
        "channel": channel,
        "messages": [message(each) for each in PUSHED],
    }
    return operations


def _topic(address: str, message: str) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "messages": {message: _ref("components/messages", message)},
    }
    parameters = {name: about for name, about in PARAMETERS.items() if f"{{{name}}}" in address}
    return channel | {"parameters": parameters} if parameters else channel


def _message(struct: type[msgspec.Struct]) -> dict[str, Any]:
    summary, _, more = (inspect.getdoc(struct) or "").partition("\n\n")
    message: dict[str, Any] = {"summary": summary, "payload": _ref("components/schemas", struct.__name__)}
    return {**message, "description": more} if more else message


def _ref(where: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{where}/{name}"}


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

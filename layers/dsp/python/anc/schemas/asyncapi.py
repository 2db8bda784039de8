"""The AsyncAPI document of the WebSocket and MQTT messages, generated from their types.

`python -m anc.schemas.asyncapi > docs/asyncapi.json` writes it.

References
----------
AsyncAPI Initiative, AsyncAPI Specification 3.0.0.
"""

import inspect
import json
from typing import Any

import msgspec

from anc import __version__
from anc.schemas import path, shadow, snapshot, telemetry, websocket

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


class ShadowDelta(msgspec.Struct, frozen=True):
    """The desired state that differs from the reported state."""

    state: shadow.Desired
    version: int


def document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document."""
    channels: dict[str, Any] = {"socket": _socket()}
    operations = _socket_operations()
    for name, address, action, kind in (
        ("shadowUpdate", "$aws/things/{thing}/shadow/name/anc/update", "receive", ShadowUpdateMessage),
        ("shadowDelta", "$aws/things/{thing}/shadow/name/anc/update/delta", "send", ShadowDelta),
        ("telemetry", "anc/{thing}/telemetry", "receive", telemetry.TelemetryReport),
        ("path", "anc/{thing}/path", "receive", path.MeasuredPath),
    ):
        channels[name] = _topic(address, kind.__name__)
        operations[name] = {"action": action, "channel": _ref("channels", name)}
    channels["snapshot"] = _topic("$aws/rules/anc_snapshot/anc/{thing}/snapshot", "Snapshot")
    operations["snapshot"] = {"action": "receive", "channel": _ref("channels", "snapshot")}
    structs: list[type[msgspec.Struct]] = [
        *FRAMES,
        ShadowUpdateMessage,
        ShadowDelta,
        telemetry.TelemetryReport,
        path.MeasuredPath,
    ]
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
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "ANC Platform",
            "version": __version__,
            "description": "Live sessions over WebSocket, headsets over MQTT 3.1.1 with mutual TLS.",
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
    return {
        "address": address,
        "parameters": {"thing": {"description": "Name of the headset, to which its certificate is bound."}},
        "messages": {message: _ref("components/messages", message)},
    }


def _message(struct: type[msgspec.Struct]) -> dict[str, Any]:
    summary, _, more = (inspect.getdoc(struct) or "").partition("\n\n")
    message: dict[str, Any] = {"summary": summary, "payload": _ref("components/schemas", struct.__name__)}
    return {**message, "description": more} if more else message


def _ref(where: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{where}/{name}"}


if __name__ == "__main__":
    print(json.dumps(document(), indent=1))

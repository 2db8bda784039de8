"""The REST API: decode the request, call a service, encode the answer; refusals become problem documents."""

import base64
import re
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from anc.aws.events import caller_of
from anc.aws.world import world as aws_world
from anc.ports import World
from anc.records import Device, Stream
from anc.services import devices, sessions
from anc.services.devices import Registration
from anc.services.identity import Caller
from anc.wire.refusal import Refused, parse_json
from anc.wire.websocket import Set, Start

logger = Logger()
metrics = Metrics()
app = APIGatewayRestResolver()

STATUS = {
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "unknown_session": HTTPStatus.NOT_FOUND,
    "unknown_device": HTTPStatus.NOT_FOUND,
    "not_found": HTTPStatus.NOT_FOUND,
    "exists": HTTPStatus.CONFLICT,
    "in_flight": HTTPStatus.CONFLICT,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "too_many": HTTPStatus.TOO_MANY_REQUESTS,
}


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: LambdaContext, world: World | None = None) -> dict[str, Any]:
    """Answer a request that API Gateway let through."""
    app.append_context(world=world or aws_world())
    return app.resolve(event, context)


@app.exception_handler(Refused)
def problem(refusal: Refused) -> Response[str]:
    """Say no as RFC 9457 has it."""
    status = STATUS.get(refusal.code, HTTPStatus.BAD_REQUEST)
    _world().count(f"refused_{refusal.code}")
    document = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": refusal.code,
        "detail": refusal.message,
    }
    return Response(status.value, "application/problem+json", msgspec.json.encode(document).decode())


@app.not_found
def nowhere(_: Exception) -> Response[str]:
    """Say that there is nothing at this path."""
    return problem(Refused("not_found", f"path: there is nothing at {app.current_event.path}"))


@app.get("/health")
def health() -> dict[str, Any]:
    """Tell whether the platform answers, and what it stores in answers too."""
    _world().streams.get("health")
    return {"status": "ok"}


@app.post("/api/sessions")
def open_session() -> tuple[dict[str, Any], int]:
    """Open a live session; its blocks go over the WebSocket."""
    stream = sessions.open_session(parse_json(_body(), Start), _caller(), _world())
    return _session(stream), HTTPStatus.CREATED


@app.get("/api/sessions")
def list_sessions() -> dict[str, Any]:
    """List the caller's sessions, a page at a time."""
    return {"sessions": [_session(stream) for stream in sessions.list_own(_caller(), _world(), *_page())]}


@app.get("/api/sessions/<session>")
def get_session(session: str) -> dict[str, Any]:
    """Return a session."""
    return _session(sessions.find(session, _caller(), _world()))


@app.patch("/api/sessions/<session>")
def change_session(session: str) -> dict[str, Any]:
    """Switch a session on or off, or set its intensity."""
    fields = parse_json(_body(), dict[str, Any]) | {"action": "set", "session": session}
    return _session(sessions.change(parse_json(msgspec.json.encode(fields), Set), _caller(), _world()))


@app.delete("/api/sessions/<session>")
def end_session(session: str) -> dict[str, Any]:
    """End a session and sum it up."""
    return _builtins(sessions.end(session, _caller(), _world()))


@app.get("/api/sessions/<session>/stats")
def session_stats(session: str) -> dict[str, Any]:
    """Sum up a session so far."""
    return _builtins(sessions.summary(sessions.find(session, _caller(), _world())))


@app.post("/api/devices")
def register_device() -> tuple[dict[str, Any], int]:
    """Register a headset. Its private key is in this answer and nowhere else."""
    device, credentials = devices.register(parse_json(_body(), Registration), _caller(), _world())
    return {**_device(device), "credentials": credentials._asdict()}, HTTPStatus.CREATED


@app.get("/api/devices")
def list_devices() -> dict[str, Any]:
    """List the caller's headsets, a page at a time."""
    return {"devices": [_device(device) for device in devices.list_own(_caller(), _world(), *_page())]}


@app.get("/api/devices/<thing>")
def get_device(thing: str) -> dict[str, Any]:
    """Return a headset."""
    return _device(devices.find(thing, _caller(), _world()))


@app.delete("/api/devices/<thing>")
def remove_device(thing: str) -> tuple[dict[str, Any], int]:
    """Revoke a headset's certificate and forget it."""
    devices.remove(thing, _caller(), _world())
    return {}, HTTPStatus.NO_CONTENT


@app.get("/api/devices/<thing>/shadow")
def device_shadow(thing: str) -> dict[str, Any]:
    """Return the shadow document of a headset."""
    return devices.shadow(thing, _caller(), _world())


def _world() -> World:
    world: World = app.context["world"]
    return world


def _caller() -> Caller:
    return caller_of(app.current_event.raw_event)


def _body() -> bytes:
    body = app.current_event.get("body") or ""
    try:
        return base64.b64decode(body) if app.current_event.is_base64_encoded else body.encode()
    except ValueError as fault:
        raise Refused("bad_json", "body: not base64") from fault


def _page() -> tuple[int, str]:
    given = app.current_event.query_string_parameters or {}
    limit = given.get("limit", "100")
    if not re.fullmatch("[1-9][0-9]?|100", limit):
        raise Refused("bad_field", f"limit: {limit[:20]}, allowed are 1 to 100")
    return int(limit), given.get("after", "")


def _session(stream: Stream) -> dict[str, Any]:
    return {
        "session": stream.key,
        "mode": stream.mode,
        "algorithm": stream.algorithm,
        "rate": stream.rate,
        "channels": stream.channels,
        "taps": stream.taps,
        "mu": stream.mu,
        "enabled": stream.enabled,
        "intensity": stream.intensity,
        "next_seq": stream.seq + 1,
        "created": stream.created,
        "expires": stream.expires,
    }


def _device(device: Device) -> dict[str, Any]:
    return {
        "thing": device.key,
        "model": device.model,
        "rate": device.rate,
        "taps": device.taps,
        "secondary_taps": np.frombuffer(device.secondary, "<f4").size,
        "created": device.created,
    }


def _builtins(struct: msgspec.Struct) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(struct)
    return document

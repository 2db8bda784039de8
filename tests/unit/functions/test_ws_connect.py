"""`$connect` and `$disconnect`: sockets are stored, get their subprotocol, and are deleted."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from anc.headset_records import Device
from anc.services.connections import MAX_WATCHES_PER_CONNECTION, RECORD_LIFETIME_S
from anc.services.sound import job_processing, jobs
from functions.ws_connect.handler import handler as ws_connect
from functions.ws_disconnect.handler import handler as ws_disconnect
from local.lambda_context import LocalContext
from local.lambda_events import socket_event
from tests.fakes import FakePlatform
from tests.recordings import uploaded

Say = Callable[..., dict[str, Any]]
TOKEN = ".".join(("eyJhbGciOiJSUzI1NiJ9", "eyJzdWIiOiJhbGljZSJ9", "c2lnbmF0dXJl"))  # like a JWT
WHO = {"principalId": "alice", "user": "alice", "role": "operator"}


def connect(
    platform: FakePlatform, headers: dict[str, str] | None = None, connection: str = "socket-1"
) -> Any:
    event = socket_event("CONNECT", "$connect", connection, platform.clock.now, WHO, headers or {})
    return ws_connect(event, LocalContext("ws_connect"), platform.deps)


def disconnect(platform: FakePlatform, connection: str = "socket-1") -> Any:
    event = socket_event("DISCONNECT", "$disconnect", connection, platform.clock.now, WHO)
    return ws_disconnect(event, LocalContext("ws_disconnect"), platform.deps)


def own(platform: FakePlatform, *names: str) -> None:
    for name in names:
        platform.deps.devices.put(
            Device(key=name, group="alice", model="m", rate=16_000, taps=64, secondary=b"", created=0.0)
        )


@pytest.mark.parametrize("offer", [f"anc.v1, {TOKEN}", f"{TOKEN}, anc.v1", f"anc.v1,{TOKEN}", "anc.v1"])
@pytest.mark.parametrize("header", ["Sec-WebSocket-Protocol", "sec-websocket-protocol"])
def test_only_the_known_subprotocol_is_echoed_and_never_the_token(
    platform: FakePlatform, header: str, offer: str
) -> None:
    answer = connect(platform, {header: offer})
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "anc.v1"}}


@pytest.mark.parametrize("offer", [TOKEN, "anc.v2", f"anc.v10, {TOKEN}", ""])
def test_a_client_that_does_not_offer_the_subprotocol_gets_none(platform: FakePlatform, offer: str) -> None:
    assert connect(platform, {"Sec-WebSocket-Protocol": offer}) == {"statusCode": 200}


def test_a_client_without_subprotocols_is_accepted(platform: FakePlatform) -> None:
    assert connect(platform) == {"statusCode": 200}


def test_an_open_socket_is_stored_with_its_user_and_role(platform: FakePlatform) -> None:
    connect(platform)
    (known,) = platform.deps.connections.list("alice")
    assert (known.key, known.group, known.role) == ("socket-1", "alice", "operator")


@pytest.mark.parametrize(("scopes", "notified"), [("", True), ("audio:read", True), ("sessions", False)])
def test_a_socket_is_notified_of_recordings_within_the_scopes_of_its_key(
    platform: FakePlatform, scopes: str, notified: bool
) -> None:
    event = socket_event("CONNECT", "$connect", "socket-1", 0.0, {**WHO, "scopes": scopes}, {})
    ws_connect(event, LocalContext("ws_connect"), platform.deps)
    job = uploaded(platform.deps, b"no recording")
    job_processing.process(job, platform.deps, lambda: 100.0)
    jobs.notify_owner(job, platform.deps)
    assert bool(platform.sockets.posted) == notified


def test_the_record_of_a_socket_expires_after_the_maximum_lifetime_of_sockets(
    platform: FakePlatform,
) -> None:
    connect(platform)
    platform.clock.now += 2 * 3600
    assert platform.deps.connections.get("socket-1"), "API Gateway keeps a socket for two hours"
    platform.clock.now += RECORD_LIFETIME_S - 2 * 3600
    assert platform.deps.connections.get("socket-1") is None


def test_a_closed_socket_is_deleted_with_its_watches(platform: FakePlatform, say: Say) -> None:
    own(platform, "left", "right")
    for connection in ("socket-1", "socket-2"):
        connect(platform, connection=connection)
        for device in ("left", "right"):
            assert say({"action": "watch", "device": device}, connection=connection)["type"] == "watching"

    assert disconnect(platform, "socket-1") == {"statusCode": 200}

    assert platform.deps.connections.get("socket-1") is None
    for device in ("left", "right"):
        assert [watch.connection for watch in platform.deps.watches.list(device)] == ["socket-2"]


def test_closing_a_socket_twice_or_an_unknown_one_succeeds(platform: FakePlatform) -> None:
    connect(platform)
    for _ in range(2):
        assert disconnect(platform) == {"statusCode": 200}


def test_watching_a_device_twice_creates_one_watch(platform: FakePlatform, say: Say) -> None:
    own(platform, "left")
    connect(platform)
    for _ in range(2):
        assert say({"action": "watch", "device": "left"}) == {"type": "watching", "device": "left"}
    assert len(platform.deps.watches.list("left")) == 1


def test_a_device_of_another_user_cannot_be_watched_and_is_unknown(platform: FakePlatform, say: Say) -> None:
    own(platform, "left")
    connect(platform)
    foreign = say({"action": "watch", "device": "left"}, user="bob")
    absent = say({"action": "watch", "device": "none"}, user="bob")
    assert foreign["code"] == absent["code"] == "unknown_device"
    assert json.dumps(foreign).replace("left", "none") == json.dumps(absent)
    assert platform.deps.watches.list("left") == []


def test_the_number_of_devices_that_a_socket_watches_is_limited(platform: FakePlatform, say: Say) -> None:
    names = [f"device-{n}" for n in range(MAX_WATCHES_PER_CONNECTION + 1)]
    own(platform, *names)
    connect(platform)
    answers = [say({"action": "watch", "device": name}) for name in names]
    assert {answer["type"] for answer in answers[:-1]} == {"watching"}
    assert answers[-1]["code"] == "too_many"
    assert str(MAX_WATCHES_PER_CONNECTION) in answers[-1]["message"]
    assert platform.deps.watches.list(names[-1]) == []


def test_a_closed_socket_cannot_watch_a_device(platform: FakePlatform, say: Say) -> None:
    own(platform, "left")
    connect(platform)
    disconnect(platform)
    assert say({"action": "watch", "device": "left"})["code"] == "unknown_connection"
    assert platform.deps.watches.list("left") == []

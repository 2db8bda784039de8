"""Revoked rights take effect on REST, WebSockets, presigned links and login links."""

import importlib
import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from anc.access_records import Account
from anc.services.sound import jobs
from functions.routes import FUNCTIONS, REST
from local.auth.login_links import LoginLinks
from local.http.gateway import Gateway, LocalSockets
from local.http.transfers import Transfers
from local.lambda_context import LocalContext
from tests.fakes import Clock, FakePlatform, make_dependencies

PASSWORD = "correct horse battery"
HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}


class Platform:
    """The platform behind its gateway, and a client of it."""

    def __init__(self, folder: Path) -> None:
        made = make_dependencies(folder, Clock(time.time()), rate_limit_scale=1e6)
        self.parts: FakePlatform = made
        # Clocks of tokens and of the platform must agree: here time passes by itself.
        self.deps = replace(made.deps, sockets=LocalSockets(), clock=time.time)
        handlers = {name: importlib.import_module(f"functions.{name}.handler").handler for name in FUNCTIONS}

        def invoke(function: str, event: dict[str, Any]) -> Any:
            return handlers[function](event, LocalContext(function), self.deps)

        self.login_links = LoginLinks(folder, made.issuer)
        objects = self.deps.objects
        extra = [
            *Transfers(objects, objects._links, partial(jobs.may_transfer, deps=self.deps)).routes(),  # type: ignore[attr-defined]
            *self.login_links.routes(),
        ]
        self.client = TestClient(Gateway(invoke, self.deps.sockets, extra).app)  # type: ignore[arg-type]
        self.root = made.issuer.issue("root", "admin")

    def call(self, method: str, path: str, token: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.request(method, path, headers=headers, json=body)

    def add(self, name: str, role: str) -> str:
        """Create a user and return its id."""
        body = {"username": name, "password": PASSWORD, "role": role}
        made = self.call("POST", "/api/users", self.root, body)
        assert made.status_code == 201
        return str(made.json()["user"])

    def sign_in(self, name: str) -> str:
        body = {"username": name, "password": PASSWORD}
        answer = self.call("POST", "/api/auth/token", "", body)
        assert answer.status_code == 200
        return str(answer.json()["token"])

    def key(self, token: str, role: str) -> dict[str, Any]:
        made = self.call("POST", "/api/users/me/keys", token, {"name": "robot", "role": role, "days": 365})
        assert made.status_code == 201
        return dict(made.json())

    def connect(self, token: str) -> Any:
        return self.client.websocket_connect("/ws", subprotocols=["anc.v1", token])

    def lower(self, user: str, role: str = "listener") -> None:
        assert self.call("PATCH", f"/api/users/{user}", self.root, {"role": role}).status_code == 200

    def remove(self, user: str) -> None:
        assert self.call("DELETE", f"/api/users/{user}", self.root).status_code == 204


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    here = Platform(tmp_path)
    with here.client:
        yield here


Loss = Callable[[Platform, str], None]
LOSSES = {"demoted": Platform.lower, "removed": Platform.remove}


@pytest.fixture(params=LOSSES)
def lose(request: pytest.FixtureRequest) -> Loss:
    """Return `lose(platform, user)`, which revokes the rights of an admin."""
    return LOSSES[request.param]


@pytest.mark.parametrize("kind", ["token", "admin's key"])
def test_a_demoted_admin_cannot_call_admin_endpoints(platform: Platform, lose: Loss, kind: str) -> None:
    user = platform.add("ada", "admin")
    token = platform.sign_in("ada")
    secret = token if kind == "token" else platform.key(token, "admin")["key"]
    assert platform.call("GET", "/api/models", secret).status_code == 200

    lose(platform, user)

    for route in REST:
        if route.role == "admin":
            path = route.path.replace("{id}", user)
            assert platform.call(route.method, path, secret, {}).status_code == 401, route


def test_a_demoted_admin_cannot_promote_themselves(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    old = platform.sign_in("ada")
    platform.lower(user)
    new = platform.sign_in("ada")
    for token, status in ((old, 401), (new, 403)):
        answer = platform.call("PATCH", f"/api/users/{user}", token, {"role": "admin"})
        assert answer.status_code == status
    assert platform.call("GET", "/api/users/me", new).json()["role"] == "listener"


def test_a_demoted_user_can_sign_in_with_the_new_role(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    platform.lower(user, "operator")
    me = platform.call("GET", "/api/users/me", platform.sign_in("ada")).json()
    assert (me["user"], me["name"], me["role"]) == (user, "ada", "operator")


def test_a_key_within_the_new_role_keeps_working(platform: Platform) -> None:
    user = platform.add("ada", "operator")
    key = platform.key(platform.sign_in("ada"), "listener")["key"]
    platform.lower(user)
    assert platform.call("GET", "/api/sessions", key).status_code == 200


def test_a_key_is_limited_to_the_current_role_of_its_owner(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    key = platform.key(platform.sign_in("ada"), "admin")["key"]
    account = platform.deps.accounts.get(user)
    assert account
    platform.deps.accounts.put(account.replace(role="listener"))  # as if keys had not been revoked yet
    platform.deps.read_cache.invalidate("accounts", user)
    assert platform.call("GET", "/api/models", key).status_code == 403
    assert platform.call("GET", "/api/users/me", key).json()["role"] == "listener"


def test_a_promotion_applies_with_the_next_token(platform: Platform) -> None:
    user = platform.add("ada", "listener")
    old = platform.sign_in("ada")
    assert platform.call("PATCH", f"/api/users/{user}", platform.root, {"role": "admin"}).status_code == 200
    assert platform.call("GET", "/api/models", old).status_code == 403
    assert platform.call("GET", "/api/models", platform.sign_in("ada")).status_code == 200


def test_old_tokens_of_a_demoted_user_cannot_create_keys(platform: Platform, lose: Loss) -> None:
    user = platform.add("ada", "admin")
    token = platform.sign_in("ada")
    lose(platform, user)
    for role in ("listener", "admin"):
        answer = platform.call("POST", "/api/users/me/keys", token, {"name": "heir", "role": role})
        assert answer.status_code == 401
    assert platform.deps.api_keys.list(user) == []


def test_a_new_user_of_the_same_name_inherits_nothing(platform: Platform) -> None:
    first = platform.add("ada", "listener")
    token = platform.sign_in("ada")
    assert platform.call("POST", "/api/devices", token, HEADSET).status_code == 201
    platform.parts.deps.emergencies.put(_emergency(first))
    platform.remove(first)
    assert platform.deps.devices.get("left") is None, "headsets are removed, not handed on"

    assert platform.add("ada", "listener") != first
    new = platform.sign_in("ada")
    assert platform.call("GET", "/api/devices", new).json()["devices"] == []
    assert platform.call("GET", "/api/emergency/events", new).json()["events"] == []
    assert platform.call("GET", "/api/users/me", token).status_code == 401


def _emergency(owner: str) -> Any:
    from anc.records import Emergency  # noqa: PLC0415

    return Emergency(key="1", group=owner, source="left", kind="siren", score=1.0, at=1.0)


def test_tokens_of_the_machine_owner_need_no_account(platform: Platform) -> None:
    token = platform.parts.issuer.issue("demo", "operator")
    me = platform.call("GET", "/api/users/me", token).json()
    assert (me["user"], me["name"], me["role"]) == ("demo", "demo", "operator")


def test_a_token_for_a_user_id_has_only_the_rights_of_that_user(platform: Platform) -> None:
    user = platform.add("ada", "listener")
    token = platform.parts.issuer.issue(user, "admin")
    assert platform.call("GET", "/api/models", token).status_code == 403
    platform.remove(user)
    assert (
        platform.call("GET", "/api/sessions", platform.parts.issuer.issue(user, "admin")).status_code == 401
    )


# Sockets


@pytest.mark.parametrize("kind", ["token", "key"])
def test_a_demoted_admin_cannot_open_websockets_with_an_old_token(
    platform: Platform, lose: Loss, kind: str
) -> None:
    user = platform.add("ada", "admin")
    token = platform.sign_in("ada")
    secret = token if kind == "token" else platform.key(token, "admin")["key"]
    with platform.connect(secret) as socket:
        socket.send_json({"action": "ping"})
        assert socket.receive_json() == {"type": "pong"}
    lose(platform, user)
    with pytest.raises(WebSocketDisconnect), platform.connect(secret):
        pass


def test_websockets_of_demoted_users_are_closed(platform: Platform, lose: Loss) -> None:
    user = platform.add("ada", "admin")
    with platform.connect(platform.sign_in("ada")) as socket:
        socket.send_json({"action": "ping"})
        assert socket.receive_json() == {"type": "pong"}
        lose(platform, user)
        with pytest.raises(WebSocketDisconnect) as cut:
            socket.receive_json()
    assert cut.value.code == 1008
    assert platform.deps.connections.list(user) == []


def test_revoking_a_key_closes_only_its_websockets(platform: Platform) -> None:
    platform.add("ada", "listener")
    token = platform.sign_in("ada")
    key = platform.key(token, "listener")
    with platform.connect(token) as own, platform.connect(key["key"]) as robot:
        robot.send_json({"action": "ping"})
        assert robot.receive_json() == {"type": "pong"}
        assert platform.call("DELETE", f"/api/users/me/keys/{key['id']}", token).status_code == 204
        with pytest.raises(WebSocketDisconnect):
            robot.receive_json()
        own.send_json({"action": "ping"})
        assert own.receive_json() == {"type": "pong"}


def test_frames_on_a_websocket_left_open_are_rejected(platform: Platform) -> None:
    user = platform.add("ada", "listener")
    key = platform.key(platform.sign_in("ada"), "listener")
    with platform.connect(platform.sign_in("ada")) as own, platform.connect(key["key"]) as robot:
        for socket in (own, robot):
            socket.send_json({"action": "start", "rate": 16_000})
            assert socket.receive_json()["type"] == "started"
        known = platform.deps.accounts.get(user)
        assert known
        platform.deps.accounts.put(known.replace(removed=True))  # as if cut short right after the first step
        platform.deps.read_cache.invalidate("accounts", user)
        for socket in (own, robot):
            for frame in ({"action": "ping"}, {"action": "start"}, {"action": "watch", "device": "left"}):
                socket.send_json(frame)
                assert socket.receive_json()["code"] == "unauthorized"


def test_watches_end_with_the_registration_of_the_headset(platform: Platform) -> None:
    platform.add("ada", "listener")
    token = platform.sign_in("ada")
    platform.call("POST", "/api/devices", token, HEADSET)
    with platform.connect(token) as socket:
        socket.send_json({"action": "watch", "device": "left"})
        assert socket.receive_json()["type"] == "watching"
        assert platform.call("DELETE", "/api/devices/left", token).status_code == 204
        bob = platform.parts.issuer.issue("bob", "listener")
        assert platform.call("POST", "/api/devices", bob, HEADSET).status_code == 201
        assert platform.deps.watches.list("left") == [], "the next owner's headset has no watches"
        socket.send_json({"action": "watch", "device": "left"})
        assert socket.receive_json()["code"] == "unknown_device"


def test_a_headset_that_is_registered_again_can_be_watched_again(platform: Platform) -> None:
    token = platform.parts.issuer.issue("ada", "listener")
    with platform.connect(token) as socket:
        for _ in range(2):
            platform.call("POST", "/api/devices", token, HEADSET)
            socket.send_json({"action": "watch", "device": "left"})
            assert socket.receive_json()["type"] == "watching"
            assert len(platform.deps.watches.list("left")) == 1
            platform.call("DELETE", "/api/devices/left", token)


# Links


def announced(platform: Platform, token: str) -> tuple[str, str]:
    """Create an upload of five bytes; return the job and the path of its link."""
    made = platform.call("POST", "/api/audio/uploads", token, {"size": 5}).json()
    return made["job"], made["links"][0].removeprefix("http://testserver")


def test_presigned_links_are_invalid_after_deleting_their_owner(platform: Platform) -> None:
    user = platform.add("ada", "listener")
    token = platform.sign_in("ada")
    _, upload = announced(platform, token)
    job, _ = announced(platform, token)
    objects = platform.deps.objects
    objects.put(f"results/{job}/report.json", b"{}")
    download = objects.download_link(f"results/{job}/report.json", 3600, "report.json")
    download = download.removeprefix("http://testserver")
    assert platform.client.get(download).status_code == 200
    # As if cut short right after the first step, with every file still there.
    platform.deps.accounts.put(_closed(platform, user))
    platform.deps.read_cache.invalidate("accounts", user)

    assert platform.client.get(download).status_code == 404
    assert platform.client.put(upload, content=b"sound").status_code == 404

    platform.remove(user)
    assert platform.client.get(download).status_code == 404
    assert platform.client.put(upload, content=io.BytesIO(b"sound").read()).status_code == 404
    assert objects.get(f"results/{job}/report.json") is None


def _closed(platform: Platform, user: str) -> Account:
    known = platform.deps.accounts.get(user)
    assert known
    return known.replace(removed=True)


def test_presigned_links_are_invalid_after_deleting_their_recording(platform: Platform) -> None:
    token = platform.parts.issuer.issue("ada", "listener")
    job, upload = announced(platform, token)
    assert platform.call("DELETE", f"/api/audio/jobs/{job}", token).status_code == 204
    assert platform.client.put(upload, content=b"sound").status_code == 404


def test_login_links_of_deleted_users_are_invalid(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    code = platform.login_links.make(user, "admin")
    platform.remove(user)
    token = platform.client.post("/sign-in", json={"code": code}).json()["token"]
    assert platform.call("GET", "/api/users/me", token).status_code == 401


def test_login_links_are_limited_to_the_current_role(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    code = platform.login_links.make(user, "admin")
    platform.lower(user)
    token = platform.client.post("/sign-in", json={"code": code}).json()["token"]
    assert platform.call("GET", "/api/models", token).status_code == 403


# Keys


def test_api_keys_cannot_manage_users_or_keys(platform: Platform) -> None:
    user = platform.add("ada", "admin")
    key = platform.key(platform.sign_in("ada"), "admin")["key"]
    before = platform.call("GET", "/api/users", platform.root).json()
    for route in REST:
        if route.path.startswith("/api/users") and route.path != "/api/users/me":
            answer = platform.call(route.method, route.path.replace("{id}", user), key, {})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), route
            assert "sign in" in answer.json()["detail"]
    assert platform.call("GET", "/api/users", platform.root).json() == before
    assert platform.call("GET", "/api/users/me", key).json()["user"] == user

"""The rights of every kind of caller on every endpoint."""

import importlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from starlette.testclient import TestClient

from anc.records import Alarm, Role
from anc.schemas.rest import requests
from anc.services import emergencies
from anc.services.access import api_keys
from anc.services.access.identity import ROLES, Caller
from anc.services.sound import jobs
from anc.services.sound.jobs import UploadRequest
from functions.routes import FUNCTIONS, REST, RestRoute
from local.auth.issuer import Issuer
from local.http.gateway import Gateway, LocalSockets
from local.lambda_context import LocalContext
from tests.fakes import Clock, FakePlatform, make_dependencies

HEADSET = {"thing": "left", "secondary": [0.0, 0.5, 0.2]}
OTHER_NAMES = {"keys": "0" * 16, "events": f"{'0' * 14}-{'0' * 8}"}  # of others, "never-was"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> FakePlatform:
    return make_dependencies(tmp_path_factory.mktemp("roles"), Clock(time.time()), rate_limit_scale=1e6)


@pytest.fixture(scope="module")
def client(platform: FakePlatform) -> Iterator[TestClient]:
    handlers = {name: importlib.import_module(f"functions.{name}.handler").handler for name in FUNCTIONS}

    def invoke(function: str, event: dict[str, Any]) -> Any:
        return handlers[function](event, LocalContext(function), platform.deps)

    with TestClient(Gateway(invoke, LocalSockets(), []).app) as client:
        yield client


@pytest.fixture(scope="module")
def call(client: TestClient) -> Callable[..., Any]:
    def request(method: str, path: str, token: str = "", body: Any = None, header: str = "") -> Any:
        headers = {header: token} if header else {"Authorization": f"Bearer {token}"} if token else {}
        if method in {"POST", "PUT", "PATCH"}:
            return client.request(method, path, headers=headers, json={} if body is None else body)
        return client.request(method, path, headers=headers)

    return request


def signed(issuer: Issuer, **claims: Any) -> str:
    now = int(time.time())
    standard = {
        "sub": "alice",
        "role": "admin",
        "iss": "anc-local",
        "aud": "anc",
        "iat": now,
        "exp": now + 60,
    }
    return jwt.encode(
        {**standard, **claims}, issuer._keys().private, "RS256", headers={"kid": issuer._keys().kid}
    )


@pytest.fixture(scope="module")
def useless(platform: FakePlatform, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return invalid tokens, by the kind of defect."""
    issuer = platform.issuer
    stranger = Issuer(tmp_path_factory.mktemp("stranger"), platform.deps.settings)
    good = issuer.issue("alice", "admin")
    head, payload, signature = good.split(".")
    alice = Caller("alice", "admin")
    revoked, token = api_keys.create("old", "admin", 1, alice, platform.deps)
    api_keys.revoke(revoked.key, alice, platform.deps)
    kept, other = api_keys.create("new", "admin", 1, alice, platform.deps)
    now = int(time.time())
    return {
        "none": "",
        "expired": signed(issuer, iat=now - 7200, exp=now - 3600),
        "forged signature": f"{head}.{payload}.{signature[:-8]}AAAAAAAA",
        "signed by another issuer": stranger.issue("alice", "admin"),
        "of another issuer by name": signed(issuer, iss="elsewhere"),
        "for another audience": signed(issuer, aud="someone-else"),
        "no signature": jwt.encode({"sub": "alice", "role": "admin"}, None, "none"),
        "garbage": "x" * 40,
        "revoked key": token,
        "key with another's secret": f"anc_{kept.key}_{token.split('_', 2)[2]}",
        "key without secret": f"anc_{kept.key}_",
        "key cut short": other[:-1],
    }


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_without_a_valid_token_only_public_endpoints_are_accessible(
    call: Callable[..., Any], useless: dict[str, str], route: RestRoute
) -> None:
    path = route.path.replace("{id}", "never-was")
    for what, token in useless.items():
        answer = call(route.method, path, token)
        if route.public:
            assert answer.status_code not in {401, 403} or route.path == "/api/auth/token"
        else:
            assert answer.status_code == 401, what
            assert answer.json()["code"] == "unauthorized"
            assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("kind", ["token", "key", "key in a header of its own"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_each_role_has_exactly_the_rights_in_the_table(
    call: Callable[..., Any], platform: FakePlatform, route: RestRoute, role: Role, kind: str
) -> None:
    if kind == "token":
        token, header = platform.issuer.issue("walker", role), ""
    else:
        found = {key.name: key for key in api_keys.list_own("walker", platform.deps)}
        for old in found.values():
            api_keys.revoke(old.key, Caller("walker"), platform.deps)
        _, token = api_keys.create("robot", role, 1, Caller("walker", "admin"), platform.deps)
        header = "X-Api-Key" if kind != "key" else ""
    answer = call(route.method, route.path.replace("{id}", "never-was"), token, header=header)
    enough = route.public or ROLES.index(role) >= ROLES.index(route.role)  # type: ignore[arg-type]
    if route.for_users_only and kind != "token":
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "API keys cannot manage users or keys" in answer.json()["detail"]
    elif enough:
        assert answer.status_code not in {401, 403}
        assert answer.status_code < 500
    else:
        assert answer.status_code == 403
        assert answer.json()["code"] == "forbidden"
        assert route.role in answer.json()["detail"]


FAMILIES = sorted({route.family for route in REST if not route.public} - {"users"})


def test_key_scopes_are_the_families_of_endpoints(call: Callable[..., Any], platform: FakePlatform) -> None:
    assert sorted(requests.FAMILIES) == FAMILIES
    root = platform.issuer.issue("root", "admin")
    for scope in ("everything", "users", "users:read", "devices:write", "", "audio audio", "devices:read\n"):
        answer = call("POST", "/api/users/me/keys", root, {"name": "robot", "scopes": [scope]})
        assert answer.status_code == 400
        assert "scopes.0" in answer.json()["detail"]


@pytest.mark.parametrize("scope", [*FAMILIES, *(f"{family}:read" for family in FAMILIES)])
def test_a_key_is_limited_to_its_scopes(call: Callable[..., Any], platform: FakePlatform, scope: str) -> None:
    root = platform.issuer.issue("bound", "admin")
    made = call("POST", "/api/users/me/keys", root, {"name": "robot", "role": "admin", "scopes": [scope]})
    assert made.json()["scopes"] == [scope]
    family, _, only = scope.partition(":")
    assert call("GET", "/api/users/me", made.json()["key"]).json()["scopes"] == [scope]
    for route in REST:
        answer = call(route.method, route.path.replace("{id}", "never-was"), made.json()["key"])
        inside = route.family == family and (not only or route.method == "GET")
        if route.public or route.path == "/api/users/me" or inside:
            assert answer.status_code != 403
            continue
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), route
        if not route.for_users_only:
            assert route.family in answer.json()["detail"]
            assert scope in answer.json()["detail"]
    api_keys.revoke(made.json()["id"], Caller("bound"), platform.deps)


@pytest.fixture(scope="module")
def belongings(call: Callable[..., Any], platform: FakePlatform) -> dict[str, str]:
    """Return the resources of Alice, by family of endpoints."""
    alice = platform.issuer.issue("alice", "listener")
    assert call("POST", "/api/devices", alice, HEADSET).status_code == 201
    emergencies.publish("alice", "left", Alarm("siren", 0.9, platform.clock.now), platform.deps)
    (emergency,) = platform.deps.emergencies.list("alice")
    return {
        "events": emergency.key,
        "sessions": call("POST", "/api/sessions", alice).json()["session"],
        "devices": "left",
        "keys": call("POST", "/api/users/me/keys", alice, {"name": "robot"}).json()["id"],
        "jobs": jobs.create(UploadRequest(100), Caller("alice"), platform.deps).job,
        "uploads": jobs.create(UploadRequest(100), Caller("alice"), platform.deps).job,
    }


SHARED = ("/api/users/{id}", "/api/device-models/{id}", "/api/rollouts/{id}")
OWNED = [route for route in REST if "{id}" in route.path and not route.path.startswith(SHARED)]
BODIES = {
    "/api/devices/{id}/paths": {"secondary": [0.5]},
    "/api/devices/{id}": {"name": "left ear"},
    "/api/emergency/events/{id}": {"acknowledged": True, "comment": "a drill"},
}


@pytest.mark.parametrize("route", OWNED, ids=lambda route: f"{route.method} {route.path}")
def test_resources_of_others_look_like_missing_ones(
    call: Callable[..., Any], platform: FakePlatform, belongings: dict[str, str], route: RestRoute
) -> None:
    family = route.path.split("/{id}")[0].rsplit("/", 1)[1]
    hers, nothing = belongings[family], OTHER_NAMES.get(family, "never-was")
    mallory = platform.issuer.issue("mallory", "listener")
    before = belongings_rows(platform)

    foreign = call(route.method, route.path.replace("{id}", hers), mallory, BODIES.get(route.path))
    absent = call(route.method, route.path.replace("{id}", nothing), mallory, BODIES.get(route.path))

    assert foreign.status_code == absent.status_code == 404
    assert foreign.text.replace(hers, "it") == absent.text.replace(nothing, "it")
    assert json.dumps(dict(foreign.headers), sort_keys=True).replace(
        str(len(foreign.content)), "n"
    ) == json.dumps(dict(absent.headers), sort_keys=True).replace(str(len(absent.content)), "n")
    assert belongings_rows(platform) == before, "nothing changed"


def belongings_rows(platform: FakePlatform) -> list[Any]:
    deps = platform.deps
    tables = (deps.streams, deps.devices, deps.api_keys, deps.jobs, deps.emergencies)
    return [table.list("alice") for table in tables]


def test_an_operator_sees_all_devices_but_no_foreign_sessions(
    call: Callable[..., Any], platform: FakePlatform, belongings: dict[str, str]
) -> None:
    olga = platform.issuer.issue("olga", "operator")
    assert call("GET", "/api/devices/left", olga).status_code == 200
    assert [
        device["thing"] for device in call("GET", "/api/devices?owner=alice", olga).json()["devices"]
    ] == ["left"]
    mallory = platform.issuer.issue("mallory", "listener")
    assert call("GET", "/api/devices?owner=alice", mallory).json() == {"devices": [], "next": None}
    for who in (olga, platform.issuer.issue("root", "admin")):
        assert call("GET", f"/api/sessions/{belongings['sessions']}", who).status_code == 404

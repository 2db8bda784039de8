"""Rate limits and body sizes, as the functions enforce them."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from functions.routes import JSON_BYTES, REST, RestRoute
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import Clock, FakePlatform, make_dependencies
from tests.recordings import sound_file


@pytest.fixture
def platform(tmp_path: Any, clock: Clock) -> FakePlatform:
    """Give a platform with two reads a minute, and one of any other request."""
    return make_dependencies(tmp_path, clock, rate_limit_scale=2 / 1200)


def ask(platform: FakePlatform, method: str, path: str, user: str = "", address: str = "192.0.2.1") -> Any:
    who = {"principalId": user, "user": user, "role": "listener"} if user else {}
    body = "{}" if method == "POST" else None
    event = rest_event(method, path, path, {}, {}, {}, body, False, who, address)
    handler = classifier if path.endswith("classify") else rest_api
    return handler(event, LocalContext("f"), platform.deps)


def test_excess_calls_get_429_with_retry_after(platform: FakePlatform) -> None:
    answers = [ask(platform, "GET", "/api/sessions", "ann") for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [200, 200, 429]
    assert "at most 2 per minute" in answers[-1]["body"]
    (wait,) = answers[-1]["multiValueHeaders"]["Retry-After"]
    assert 1 <= int(wait) <= 60
    assert ask(platform, "GET", "/api/sessions", "bob")["statusCode"] == 200
    assert ask(platform, "GET", "/api/devices", "ann")["statusCode"] == 200


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_every_endpoint_enforces_the_rate_limit_of_the_table(
    platform: FakePlatform, route: RestRoute
) -> None:
    user = "" if route.public else "ann"
    most = max(1, round(route.per_minute * platform.deps.settings.rate_limit_scale))
    answers = [ask(platform, route.method, route.path, user) for _ in range(most + 1)]
    assert [answer["statusCode"] == 429 for answer in answers] == most * [False] + [True]
    assert json.loads(answers[-1]["body"])["code"] == "too_many"
    assert answers[-1]["multiValueHeaders"]["Retry-After"]


def test_password_guessing_is_limited_by_address(platform: FakePlatform) -> None:
    codes = [ask(platform, "POST", "/api/auth/token")["statusCode"] for _ in range(3)]
    assert codes == [400, 429, 429]
    assert ask(platform, "POST", "/api/auth/token", address="192.0.2.2")["statusCode"] == 400


def sign_in(platform: FakePlatform, name: str, address: str, code: str = "", **headers: str) -> int:
    body = json.dumps({"username": name, "password": "wrong", **({"code": code} if code else {})})
    path = "/api/auth/token"
    event = rest_event("POST", path, path, {}, {}, headers, body, False, {}, address)
    return int(rest_api(event, LocalContext("f"), platform.deps)["statusCode"])


@pytest.fixture
def twice(tmp_path: Any, clock: Clock) -> FakePlatform:
    """Give a platform with two sign-ins a minute for each address and for each name."""
    return make_dependencies(tmp_path, clock, rate_limit_scale=2 / 20, origin_secret="shared")


def test_codes_are_limited_more_than_passwords(tmp_path: Any, clock: Clock) -> None:
    platform = make_dependencies(tmp_path, clock)
    codes = [sign_in(platform, "ada@example.org", f"192.0.2.{n}", code="000000") for n in range(6)]
    assert codes == [*(5 * [401]), 429]
    assert sign_in(platform, "ada@example.org", "192.0.2.9") == 401


def test_password_guessing_is_limited_by_name_from_however_many_addresses(twice: FakePlatform) -> None:
    codes = [sign_in(twice, "ada@example.org", f"192.0.2.{n}") for n in range(4)]
    assert codes == [401, 401, 429, 429]
    assert sign_in(twice, " ADA@example.org".strip(), "192.0.2.9") == 429, "the same name to Cognito"
    assert sign_in(twice, "bob@example.org", "192.0.2.9") == 401, "others can sign in"


def test_behind_cloudfront_a_client_cannot_lock_out_others(twice: FakePlatform) -> None:
    edge, proof = "130.176.0.1", {"x-anc-origin": "shared"}
    attacker = {"x-anc-viewer": "192.0.2.66", **proof}
    assert [sign_in(twice, f"u{n}", edge, **attacker) for n in range(4)] == [401, 401, 429, 429]
    assert sign_in(twice, "ada", edge, **{"x-anc-viewer": "192.0.2.7", **proof}) == 401


def test_a_client_cannot_choose_the_address_that_its_attempts_count_for(twice: FakePlatform) -> None:
    spoofed = [{"x-anc-viewer": f"192.0.2.{n}", "x-anc-origin": "guess"} for n in range(4)]
    codes = [sign_in(twice, f"u{n}", "198.51.100.1", **headers) for n, headers in enumerate(spoofed)]
    assert codes == [401, 401, 429, 429]


SOUNDS = [route for route in REST if route.body_bytes > JSON_BYTES]


def send(platform: FakePlatform, route: RestRoute, body: bytes, user: str = "ann") -> Any:
    who = {"principalId": user, "user": user, "role": "listener"}
    text = base64.b64encode(body).decode()
    event = rest_event(route.method, route.path, route.path, {}, {}, {}, text, True, who, "192.0.2.1")
    handler = classifier if route.function == "classifier" else rest_api
    return handler(event, LocalContext("f"), platform.deps)


@pytest.mark.parametrize("route", SOUNDS, ids=lambda route: route.path)
def test_every_sound_endpoint_charges_cpu_time_to_the_caller(
    tmp_path: Any, clock: Clock, route: RestRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anc.services.sound.cpu_budget.MEASURE_S", 1.2e-5)
    platform = make_dependencies(tmp_path, clock, sound_seconds_per_minute=1.0)
    silence = sound_file(np.zeros((16_000, 2)), "FLAC")
    answers = [send(platform, route, silence) for _ in range(4)]
    assert [answer["statusCode"] for answer in answers] == [200, 200, 429, 429]
    assert "core-seconds per minute" in answers[-1]["body"]
    assert answers[-1]["multiValueHeaders"]["Retry-After"]
    assert send(platform, route, silence, "bob")["statusCode"] == 200


@pytest.mark.parametrize("route", SOUNDS, ids=lambda route: route.path)
def test_every_sound_endpoint_limits_bytes_per_minute(tmp_path: Any, clock: Clock, route: RestRoute) -> None:
    platform = make_dependencies(tmp_path, clock, sound_bytes_per_minute=1_000_000)
    assert [send(platform, route, bytes(600_000))["statusCode"] for _ in range(2)] == [400, 429]
    assert send(platform, route, bytes(600_000), "bob")["statusCode"] == 400


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_a_body_over_the_limit_of_its_endpoint_is_refused_before_it_is_parsed(
    tmp_path: Any, clock: Clock, route: RestRoute, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = make_dependencies(tmp_path, clock, rate_limit_scale=1e3)
    who = {"principalId": "ann", "user": "ann", "role": "admin"}
    monkeypatch.setattr(
        "functions.rest_api.request_context.parse_body", lambda text: pytest.fail("it was parsed")
    )
    for text, is_base64 in (
        ("[" * (route.body_bytes + 1), False),
        ("é" * (route.body_bytes // 2 + 1), False),
    ):
        event = rest_event(
            route.method, route.path, route.path, {}, {}, {}, text, is_base64, who, "192.0.2.1"
        )
        handler = classifier if route.function == "classifier" else rest_api
        answer = handler(event, LocalContext("f"), platform.deps)
        assert answer["statusCode"] == 413
        assert f"at most {route.body_bytes:,} bytes" in answer["body"]
    assert send(platform, route, bytes(route.body_bytes + 1))["statusCode"] in (413, 403)

"""Security headers of the REST API: those of the console, with a stricter policy."""

import json
from pathlib import Path
from typing import Any

import pytest

from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from functions.routes import REST, RestRoute
from functions.security_headers import SECURITY_HEADERS
from local.lambda_context import LocalContext
from local.lambda_events import rest_event
from tests.fakes import FakePlatform

CONSOLE = json.loads((Path(__file__).parents[3] / "web" / "headers.json").read_text())
OWN = {"Content-Security-Policy", "Permissions-Policy"}  # the console runs scripts and uses the microphone


def answer(platform: FakePlatform, route: RestRoute, body: str | None = None) -> dict[str, Any]:
    who = {"principalId": "ann", "user": "ann", "role": "admin"}
    path = route.path.replace("{id}", "left")
    event = rest_event(route.method, route.path, path, {}, {}, {}, body, False, who, "192.0.2.1")
    handler = classifier if route.function == "classifier" else rest_api
    answered: dict[str, Any] = handler(event, LocalContext("f"), platform.deps)
    return answered


def test_the_api_sends_the_headers_that_the_console_sends() -> None:
    assert set(CONSOLE) <= set(SECURITY_HEADERS)
    for name in set(CONSOLE) - OWN:
        assert SECURITY_HEADERS[name] == CONSOLE[name]


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_every_response_has_each_security_header_once(platform: FakePlatform, route: RestRoute) -> None:
    for body in (None, "{", "[]"):
        headers = answer(platform, route, body)["multiValueHeaders"]
        lower = [name.lower() for name in headers]
        assert len(lower) == len(set(lower))
        for name, value in SECURITY_HEADERS.items():
            if (route.path, name) != ("/docs", "Content-Security-Policy"):
                assert headers[name] == [value]


def test_the_docs_page_runs_only_its_own_scripts_and_cannot_be_framed(
    platform: FakePlatform,
) -> None:
    docs = next(route for route in REST if route.path == "/docs")
    headers = answer(platform, docs)["multiValueHeaders"]
    (policy,) = headers["Content-Security-Policy"]
    assert "script-src 'sha256-" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Frame-Options"] == ["DENY"]


def test_a_response_without_a_body_has_the_security_headers(platform: FakePlatform) -> None:
    made = answer(
        platform, next(route for route in REST if route.path == "/api/users/me/keys"), '{"name": "k"}'
    )
    route = RestRoute("DELETE", "/api/users/me/keys/{id}", "listener", 1)
    who = {"principalId": "ann", "user": "ann", "role": "admin"}
    key = json.loads(made["body"])["id"]
    path = route.path.replace("{id}", key)
    event = rest_event("DELETE", route.path, path, {"id": key}, {}, {}, None, False, who, "192.0.2.1")
    answered = rest_api(event, LocalContext("f"), platform.deps)
    assert answered["statusCode"] == 204
    assert set(SECURITY_HEADERS) <= set(answered["multiValueHeaders"])

"""How often one may call, as the functions themselves see to it."""

import json
from typing import Any

import pytest

from functions.classifier.handler import handler as classifier
from functions.rest_api.handler import handler as rest_api
from functions.routes import REST, RestRoute
from local.context import LocalContext
from local.events import rest_event
from tests.worlds import Clock, TestWorld, make_world


@pytest.fixture
def platform(tmp_path: Any, clock: Clock) -> TestWorld:
    """Give a platform on which reading is allowed twice a minute, and everything else once."""
    return make_world(tmp_path, clock, rate_limit_scale=2 / 1200)


def ask(platform: TestWorld, method: str, path: str, user: str = "", address: str = "192.0.2.1") -> Any:
    who = {"principalId": user, "user": user, "role": "listener"} if user else {}
    body = "{}" if method == "POST" else None
    event = rest_event(method, path, path, {}, {}, {}, body, False, who, address)
    handler = classifier if path.endswith("classify") else rest_api
    return handler(event, LocalContext("f"), platform.world)


def test_who_calls_too_often_is_refused_and_told_when_to_come_again(platform: TestWorld) -> None:
    answers = [ask(platform, "GET", "/api/sessions", "ann") for _ in range(3)]
    assert [answer["statusCode"] for answer in answers] == [200, 200, 429]
    assert "at most 2 a minute" in answers[-1]["body"]
    (wait,) = answers[-1]["multiValueHeaders"]["Retry-After"]
    assert 1 <= int(wait) <= 60
    assert ask(platform, "GET", "/api/sessions", "bob")["statusCode"] == 200
    assert ask(platform, "GET", "/api/devices", "ann")["statusCode"] == 200


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_every_endpoint_refuses_who_calls_it_more_often_than_the_table_says(
    platform: TestWorld, route: RestRoute
) -> None:
    user = "" if route.public else "ann"
    most = max(1, round(route.per_minute * platform.world.settings.rate_limit_scale))
    answers = [ask(platform, route.method, route.path, user) for _ in range(most + 1)]
    assert [answer["statusCode"] == 429 for answer in answers] == most * [False] + [True]
    assert json.loads(answers[-1]["body"])["code"] == "too_many"
    assert answers[-1]["multiValueHeaders"]["Retry-After"]


def test_who_guesses_passwords_is_stopped_by_address(platform: TestWorld) -> None:
    codes = [ask(platform, "POST", "/api/auth/token")["statusCode"] for _ in range(3)]
    assert codes == [400, 429, 429]
    assert ask(platform, "POST", "/api/auth/token", address="192.0.2.2")["statusCode"] == 400

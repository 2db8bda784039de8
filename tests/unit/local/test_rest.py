"""The REST side of the gateway: how long a token is remembered."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from local import rest
from local.gateway import Gateway, LocalSockets


class Functions:
    """An authorizer that takes every token for a name, and functions that answer nothing."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self, function: str, event: dict[str, Any]) -> Any:
        self.calls[function] += 1
        if function == "authorizer":
            headers = event["headers"]
            user = headers.get("authorization", headers.get("x-api-key", "")).removeprefix("Bearer ")
            if not user:
                raise Exception("Unauthorized")
            return {"principalId": user, "context": {"user": user, "role": "listener"}}
        return {"statusCode": 200, "body": "{}"}


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def client(functions: Functions) -> TestClient:
    return TestClient(Gateway(functions, LocalSockets(), []).app)


@pytest.fixture
def get(client: TestClient) -> Callable[..., Any]:
    """Give `get(path, user)`, in which `header` says where the token is."""

    def call(path: str, user: str = "", header: str = "Authorization") -> Any:
        return client.get(path, headers={header: f"Bearer {user}" if header == "Authorization" else user})

    return call


def test_a_token_is_checked_once_a_minute(
    get: Callable[..., Any], functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    get("/api/sessions", "ann")
    get("/api/devices", "ann")
    assert functions.calls["authorizer"] == 1
    monkeypatch.setattr(rest, "REMEMBERED_S", -1.0)
    get("/api/emergency/status", "bob")
    get("/api/emergency/events", "bob")
    assert functions.calls["authorizer"] == 3, "what is older is not believed"


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_an_api_key_is_checked_every_time(get: Callable[..., Any], functions: Functions, header: str) -> None:
    for path in ("/api/sessions", "/api/devices"):
        assert get(path, "anc_0123456789abcdef_secret", header).status_code == 200
    assert functions.calls["authorizer"] == 2


def test_a_refused_token_is_not_remembered(get: Callable[..., Any], functions: Functions) -> None:
    assert [get("/api/sessions").status_code for _ in range(2)] == [401, 401]
    assert functions.calls["authorizer"] == 2


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_a_path_that_takes_other_methods_says_which(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/sessions")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_path_is_taken_as_it_stands(client: TestClient) -> None:
    answer = client.get("/api/sessions/", follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

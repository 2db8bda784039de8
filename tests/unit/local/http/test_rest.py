"""The REST side of the gateway: authorization, paths and methods."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from local.http.gateway import Gateway, LocalSockets


class Functions:
    """An authorizer that accepts every token as a user name, and functions with empty responses."""

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
    """Return `get(path, user)`; `header` selects the header of the token."""

    def call(path: str, user: str = "", header: str = "Authorization") -> Any:
        return client.get(path, headers={header: f"Bearer {user}" if header == "Authorization" else user})

    return call


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_a_token_is_checked_for_every_request(
    get: Callable[..., Any], functions: Functions, header: str
) -> None:
    for path in ("/api/sessions", "/api/devices"):
        assert get(path, "ann", header).status_code == 200
    assert functions.calls["authorizer"] == 2


def test_a_request_without_a_token_is_refused_after_one_with_a_token(get: Callable[..., Any]) -> None:
    for header in ("Authorization", "X-Api-Key"):
        assert get("/api/sessions", "ann", header).status_code == 200
        assert get("/api/sessions").status_code == 401


@pytest.mark.parametrize("method", ["PUT", "HEAD"])
def test_a_wrong_method_is_refused_with_the_allowed_ones(client: TestClient, method: str) -> None:
    answer = client.request(method, "/api/sessions")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


def test_a_path_is_passed_on_unchanged(client: TestClient) -> None:
    answer = client.get("/api/sessions/", follow_redirects=False)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

"""The functions on fake dependencies, called with the events of API Gateway and SQS."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from functions.audio_receiver.handler import handler as audio_receiver
from functions.rest_api.handler import handler as rest_api
from functions.routes import REST
from local.lambda_context import LocalContext
from local.lambda_events import rest_event, socket_event
from tests.fakes import Clock, FakePlatform, make_dependencies, signing_key


def resource_of(method: str, path: str) -> str:
    """Return the route path that API Gateway selects for a request; literal parts have precedence."""
    found = (
        route.path
        for route in REST
        if route.method == method and re.fullmatch(re.sub(r"\\{id\\}", "[^/]+", re.escape(route.path)), path)
    )
    return next(found, path)


@pytest.fixture(scope="session")
def key() -> rsa.RSAPrivateKey:
    """Give the key that signs tokens."""
    return signing_key()


@pytest.fixture
def platform(tmp_path: Path, clock: Clock) -> FakePlatform:
    return make_dependencies(tmp_path, clock, emergency_detection_enabled=False, rate_limit_scale=1e3)


@pytest.fixture
def say(platform: FakePlatform) -> Callable[..., Any]:
    """Give `say(frame, user=...)`: send a frame over a socket of that user, and return the response."""

    def send(
        frame: Any,
        user: str = "alice",
        connection: str = "socket-1",
        route: str = "$default",
        scopes: str = "",
    ) -> Any:
        body = frame if isinstance(frame, str) or frame is None else json.dumps(frame)
        who = {"principalId": user, "user": user, "role": "listener", "scopes": scopes}
        who["since"] = str(platform.clock.now)
        event = socket_event("MESSAGE", route, connection, platform.clock.now, who, body=body)
        answer = audio_receiver(event, LocalContext("audio_receiver"), platform.deps)
        assert answer["statusCode"] == 200
        return json.loads(answer["body"])

    return send


@pytest.fixture
def call(platform: FakePlatform) -> Callable[..., Any]:
    """Give `call(method, path, ...)`: call the REST API, and return status, body and content type."""

    def request(
        method: str,
        path: str,
        body: Any = None,
        user: str = "alice",
        role: str = "listener",
        is_base64: bool = False,
        key: str = "",
        **query: str,
    ) -> tuple[int, Any, str]:
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        # As with a token issued now by the platform's clock.
        who = {"principalId": user, "user": user, "role": role, "key": key, "since": str(platform.clock.now)}
        event = rest_event(
            method, resource_of(method, path), path, {}, query, {}, text, is_base64, who, "127.0.0.1"
        )
        answer = rest_api(event, LocalContext("rest_api"), platform.deps)
        if answer["statusCode"] == 204:
            return 204, None, ""
        (kind,) = answer["multiValueHeaders"]["Content-Type"]
        return answer["statusCode"], json.loads(answer["body"]), kind

    return request


@pytest.fixture
def stored(platform: FakePlatform, tmp_path: Path) -> Callable[[], list[tuple[Any, ...]]]:
    """Give `stored()`: every row of every table, to detect changes."""

    def rows() -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(tmp_path / "anc.db")) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return [(name, *row) for (name,) in tables for row in database.execute(f"SELECT * FROM {name}")]

    return rows

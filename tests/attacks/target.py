"""The platform under attack, accessed with plain HTTP."""

import http.client
import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from anc.services.access.identity import Role
from anc.settings import Settings
from functions.routes import REST, SOUND_BYTES
from local.auth.issuer import Issuer
from local.auth.login_links import LoginLinks
from tests.processes import PATIENCE_S, Platform, read_to_end

JSON = {"Content-Type": "application/json"}
WITH_BODY = {"POST", "PUT", "PATCH"}
JSON_ROUTES = [route for route in REST if route.method in WITH_BODY and route.body_bytes < SOUND_BYTES]
NAMED = [route for route in REST if "{id}" in route.path]


def label(route: Any) -> str:
    return f"{route.method} {route.path}"


class Answer(NamedTuple):
    """Status, headers by lower-case name, and body of an answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


class Target:
    """A running platform, with tokens and console links of its owner."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.platform = Platform(folder, **environ)
        self.issuer = Issuer(self.platform.data, Settings())
        self.links = LoginLinks(self.platform.data, self.issuer)
        self._line = self._connection()

    def token(self, user: str, role: Role = "listener") -> str:
        return self.issuer.issue(user, role)

    def call(
        self,
        method: str,
        path: str,
        token: str = "",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request with a path as it stands; a `body` that is not bytes is sent as JSON."""
        sent = {} if body is None else dict(JSON)
        sent |= {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        for attempt in range(2):
            try:
                self._line.request(method, path, data, {**sent, **(headers or {})})
                answer = self._line.getresponse()
                found = Answer(
                    answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
                )
            except (ConnectionError, http.client.HTTPException):
                if attempt:
                    raise
                self._line.close()  # closed by the other side after its last answer
                continue
            break
        if found.headers.get("connection") == "close":
            self._line.close()
        return found

    def open_line(self) -> socket.socket:
        """Return a socket for requests that HTTP libraries do not send."""
        return socket.create_connection(("127.0.0.1", self.platform.port), PATIENCE_S)

    def send_raw(self, request: bytes) -> bytes:
        """Send bytes, which must ask for `Connection: close`; return all that comes back."""
        with self.open_line() as line:
            line.sendall(request)
            return read_to_end(line)

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.platform.port, timeout=PATIENCE_S)


def assert_refused(answer: Answer, *statuses: int) -> dict[str, Any]:
    """Check that an answer is a refusal with one of the statuses, as a problem document, and return it."""
    assert answer.status in statuses, (answer.status, answer.body[:300])
    assert answer.headers["content-type"] == "application/problem+json"
    assert b"Traceback" not in answer.body
    document = answer.document()
    assert document["status"] == answer.status
    return document


def now() -> int:
    return int(time.time())

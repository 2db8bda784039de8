"""Security headers of the responses of the single-machine platform."""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from functions.security_headers import SECURITY_HEADERS
from local.http import console
from local.http.gateway import Gateway, LocalSockets
from local.http.signed_urls import SignedUrls
from local.http.transfers import Transfers
from local.storage.objects import FileObjects


def functions(function: str, event: dict[str, Any]) -> Any:
    """Reject tokens, and answer every other event with an empty document."""
    if function == "authorizer":
        raise Exception("Unauthorized")
    return {"statusCode": 200, "body": "{}", "headers": {"Content-Type": "application/json"}}


async def fault(request: Request) -> Response:
    raise RuntimeError("a fault in a route")


def test_every_response_has_the_security_headers(tmp_path: Path) -> None:
    links = SignedUrls(b"secret", "")
    objects = FileObjects(tmp_path, links)
    objects.put("results/a", b"sound")
    routes = [
        Route("/fault", fault),
        *Transfers(objects, links, lambda key: True).routes(),
        *console.routes(),
    ]
    client = TestClient(Gateway(functions, LocalSockets(), routes).app, raise_server_exceptions=False)
    paths = ("/", "/app.js", "/lib/html.js", "/nowhere", "/fault", "/health", "/api/sessions", "/objects/x")
    for path in (*paths, links.get("results/a", 60, "a.wav")):
        headers = client.get(path, follow_redirects=False).headers
        for name in set(SECURITY_HEADERS) - {
            "Content-Security-Policy",
            "Permissions-Policy",
            "Cache-Control",
        }:
            assert headers[name] == SECURITY_HEADERS[name], (path, name)
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] in ("no-store", "no-cache")

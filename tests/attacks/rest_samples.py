"""Valid REST requests in parts: the examples of `docs/openapi.json`, so that new endpoints are attacked too.

Most changes would end at a path without an endpoint. What does not begin with a known one is therefore used
in one that depends on its length.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from functions.routes import REST

SPECIFICATION = Path(__file__).parents[2] / "docs" / "openapi.json"
ORIGIN_SECRET = "shared with CloudFront"
ID = "left-1"  # of the headset in the examples
IDS = (ID, "ada", "0123456789abcdef", "1800000000000-left-1", "..", "%2e%2e%2f", "a%0a", "é")
# Public, so that the client's address is read too.
SIGN_IN = b"POST /api/auth/token", b'{"username":"ada","password":"correct horse battery staple"}'
HEADERS_TOGETHER = 9  # of `header_lines`; the others describe other bodies


def _operations() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    document = json.loads(SPECIFICATION.read_text())
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield method.upper(), path.replace("{id}", ID), operation, document["components"]["schemas"]


def _queries() -> Iterator[tuple[bytes, bytes]]:
    for method, path, operation, _ in _operations():
        named = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
        if method == "GET" and named:
            yield path.encode(), urlencode({each["name"]: _example(each) for each in named}).encode()


def _example(parameter: dict[str, Any]) -> str:
    known = parameter.get("examples") or parameter["schema"].get("examples") or [1]
    first = next(iter(known.values()))["value"] if isinstance(known, dict) else known[0]
    return str(first)


def _bodies() -> Iterator[tuple[bytes, bytes]]:
    for method, path, operation, schemas in _operations():
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content:
            schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
            yield f"{method} {path}".encode(), json.dumps(schema["examples"][0]).encode()


QUERIES = dict(_queries())  # by path
BODIES = dict(_bodies())  # by method and path
ROUTES_OF_IDS = [route for route in REST if "{id}" in route.path]


def paths() -> list[bytes]:
    """Return a method and path of each kind, and ids alone."""
    known = [f"{route.method} {route.path.replace('{id}', ID)}".encode() for route in ROUTES_OF_IDS]
    return [b"GET /api/sessions", *known, *(each.encode() for each in IDS)]


def queries() -> list[bytes]:
    """Return a path with its query for each endpoint that has one."""
    return [b"%s?%s" % pair for pair in QUERIES.items()]


def bodies() -> list[bytes]:
    """Return a method, path and body for each endpoint that has one; the first is accepted."""
    known = [b"%s\n%s" % pair for pair in BODIES.items()]
    return sorted(known, key=lambda body: not body.startswith(b"PATCH /api/devices/left-1\n"))


def header_lines(token: str) -> list[bytes]:
    """Return headers that are read somewhere, first together and then each alone."""
    headers = {
        "Authorization": f"Bearer {token}",
        "X-Api-Key": "anc_0123456789abcdef_secret",
        "Content-Type": "application/json; charset=utf-8",
        "X-Anc-Origin": ORIGIN_SECRET,
        "X-Anc-Viewer": "2001:db8::1",
        "Sec-WebSocket-Protocol": f"anc.v1, {token}",
        "Content-Length": str(len(SIGN_IN[1])),
        "Range": "bytes=0-1,5-",
        "If-Modified-Since": "Tue, 01 Dec 2026 00:00:00 GMT",
        "Transfer-Encoding": "chunked",
        "Expect": "100-continue",
        "Connection": "close",
    }
    lines = [f"{name}: {value}\n".encode() for name, value in headers.items()]
    return [b"".join(lines[:HEADERS_TOGETHER]), *lines]


def method_and_path(data: bytes) -> tuple[bytes, bytes]:
    """Return the method and path in an input, or those of an endpoint for which it is the id."""
    method, space, path = data.partition(b" ")
    if space and path.startswith(b"/"):
        return method, path
    route = ROUTES_OF_IDS[len(data) % len(ROUTES_OF_IDS)]
    return route.method.encode(), route.path.encode().replace(b"{id}", data)


def start_and_rest(data: bytes, separator: bytes, known: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return a known start and what follows, which is everything after an unknown start."""
    start, _, rest = data.partition(separator)
    if start in known:
        return start, rest
    return list(known)[len(data) % len(known)], rest or data

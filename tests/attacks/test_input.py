"""Paths, headers and documents that no honest client sends."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import product
from urllib.parse import quote

import pytest

from functions.routes import REST, SECRETS, SOCKET, RestRoute
from tests.attacks.target import JSON, JSON_ROUTES, NAMED, WITH_BODY, Target, assert_refused, label

TRAVERSALS = (
    "..",
    "../issuer.pem",
    "../../../../etc/passwd",
    "..\\..\\issuer.pem",
    "/etc/passwd",
    "file:///etc/passwd",
    "%2e%2e%2fissuer.pem",
    "issuer.pem\0.png",
    "....//issuer.pem",
    "~/issuer.pem",
)
FOLDERS = (
    "/",
    "/objects/",
    "/objects/uploads/",
    "/lib/",
    "/pages/",
    "/ui/",
    "/live/",
    "/vendor/",
    "/docs/",
    "/.well-known/",
)
LEAKS = (b"PRIVATE KEY", b"root:", b"SQLite format")
AUTHOR = "attacker"


@pytest.fixture(scope="module")
def admin(target: Target) -> str:
    return target.token(AUTHOR, "admin")


@pytest.mark.parametrize("route", NAMED, ids=label)
def test_path_parameters_do_not_allow_traversal(target: Target, route: RestRoute, admin: str) -> None:
    for name in TRAVERSALS:
        path = route.path.replace("{id}", quote(name, safe=""))
        answer = target.call(route.method, path, admin, {} if route.method in WITH_BODY else None)
        assert_refused(answer, 400, 403, 404, 405)


@pytest.mark.parametrize("folder", FOLDERS)
def test_static_files_do_not_allow_traversal(target: Target, admin: str, folder: str) -> None:
    for name in TRAVERSALS:
        for written in (quote(name), quote(name, safe=""), quote(name).replace(".", "%2e")):
            answer = target.call("GET", folder + written, admin)
            assert not any(secret in answer.body for secret in LEAKS), (folder, written)
            assert answer.status in {400, 401, 403, 404, 405} or folder + written == "/..", answer


def documents(limit: int) -> dict[str, bytes]:
    """Return bodies of JSON that exhaust, by what they exhaust; all within `limit` but the first."""
    depth = min(limit, 60_000) // 8
    return {
        "one byte too large": b" " * limit + b"1",
        "deep arrays": b"[" * depth,
        "closed deep arrays": b"[" * depth + b"]" * depth,
        "deep objects": b'{"a":' * depth,
        "closed deep objects": b'{"a":' * depth + b"1" + b"}" * depth,
        "a number of many digits": b'{"size":' + b"9" * (limit - 100) + b"}",
        "an exponent": b'{"size":1e999999999}',
        "no UTF-8": b'{"name":"\xff\xfe"}',
        "half a surrogate": b'{"name":"\\ud800"}',
        "many names": b"{" + b",".join(b'"k%d":0' % k for k in range(limit // 20)) + b"}",
        "cut short": b'{"name":"',
        "no object": b'"text"',
        "not a number": b'{"size":NaN}',
        "a null byte": b"\0",
        "a prototype": b'{"__proto__":{"role":"admin"},"constructor":1}',
    }


@pytest.mark.parametrize("route", JSON_ROUTES, ids=label)
def test_json_endpoints_reject_exhausting_documents(target: Target, route: RestRoute, admin: str) -> None:
    path = route.path.replace("{id}", "someone")
    for what, document in documents(route.body_bytes).items():
        answer = target.call(route.method, path, admin, document, JSON)
        refused = assert_refused(answer, 400, 404, 413, 422, 429)
        if what == "one byte too large":
            assert refused["code"] == "too_large"


SENDING = [route for route in REST if route.method in WITH_BODY]


@pytest.fixture(scope="module")
def announced(target: Target, admin: str) -> Iterator[dict[tuple[str, bool], socket.socket]]:
    """Give connections on which each endpoint was announced a byte too much, signed in or not.

    All at once: a refusal waits for some seconds whether the body comes nevertheless.
    """
    with ExitStack() as stack:
        lines = {}
        for route, signed_in in product(SENDING, (True, False)):
            line = lines[label(route), signed_in] = stack.enter_context(target.open_line())
            bearer = f"Authorization: Bearer {admin}\r\n" if signed_in else ""
            path = route.path.replace("{id}", "someone")
            head = f"{route.method} {path} HTTP/1.1\r\nHost: x\r\n{bearer}"
            line.sendall(f"{head}Content-Length: {route.body_bytes + 1}\r\n\r\n".encode())
        yield lines


@pytest.mark.parametrize("route", SENDING, ids=label)
def test_an_oversized_content_length_is_rejected_before_the_body(
    announced: dict[tuple[str, bool], socket.socket], route: RestRoute
) -> None:
    for signed_in in (True, False):
        status = 413 if signed_in or route.public else 401
        answer = announced[label(route), signed_in].recv(4096)
        assert answer.startswith(f"HTTP/1.1 {status} ".encode())


FRAMES = (
    "{",
    "[]",
    '"ping"',
    "null",
    "",
    "\0",
    "[" * 16_000,
    '{"action":' * 3_000,
    '{"action":"' + "x" * 30_000 + '"}',
)


@pytest.mark.parametrize("action", [action for action in SOCKET if not action.startswith("$")])
def test_websocket_actions_reject_exhausting_frames(target: Target, action: str) -> None:
    target.platform.tokens["framer"] = target.token("framer")
    deep = [b'{"action":"%s","session":' % action.encode() + opening * 2_000 for opening in (b"[", b'{"a":')]
    wrong = [
        json.dumps(
            {"action": action, "session": value, "device": value, "seq": value, "rate": value, "pcm": value}
        )
        for value in (None, -1, 2**64, [], {}, "x" * 5_000, "../..", "\0")
    ]
    with target.platform.connect("framer") as line:
        for frame in [*FRAMES, *(text.decode() for text in deep), *wrong]:
            line.plain.send(frame)
            answer = line.receive()
            assert answer["type"] in {"error", "pong"}, frame[:80]
        assert line.ask(action="ping") == {"type": "pong"}


def test_a_client_cannot_spoof_its_address(target: Target) -> None:
    def guess(n: int) -> int:
        address = f"198.51.100.{n}"
        forwarded = {
            "X-Forwarded-For": address,
            "Forwarded": f"for={address}",
            "X-Real-IP": address,
            "CF-Connecting-IP": address,
        }
        document = {"username": "unknown-user", "password": "guess"}
        return target.call("POST", "/api/auth/token", body=document, headers=forwarded).status

    assert any(guess(n) == 429 for n in range(10 * SECRETS))


INJECTIONS = (
    "%0d%0aX-Injected:%20yes",
    "%0aX-Injected:%20yes",
    "\u560d\u560aX-Injected: yes",
    "%E5%98%8A%E5%98%8DX-Injected",
)


@pytest.mark.parametrize("injection", INJECTIONS)
def test_urls_cannot_inject_headers(target: Target, admin: str, injection: str) -> None:
    written = quote(injection, safe="%:")
    for path in (
        f"/{written}",
        f"/api/sessions/{written}",
        f"/api/sessions?after={written}",
        f"/docs?x={written}",
    ):
        answer = target.call("GET", path, admin)
        assert "x-injected" not in answer.headers
        assert answer.status < 500


def test_recording_names_cannot_inject_headers(target: Target) -> None:
    token = target.token("namer")
    for name in (
        "a\r\nX-Injected: yes",
        'a"; filename="b',
        "a\0b",
        "../../etc/passwd",
        "\N{RIGHT-TO-LEFT OVERRIDE}gpj",
    ):
        made = target.call("POST", "/api/audio/uploads", token, {"size": 4, "name": name})
        assert "x-injected" not in made.headers
        if made.status != 400:
            assert made.status == 202 or made.status == 201, made
            target.call("DELETE", f"/api/audio/jobs/{made.document()['job']}", token)


AMBIGUOUS = {
    "two lengths": b"Content-Length: 4\r\nContent-Length: 40\r\n",
    "a length and chunks": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "chunks under another name": b"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n",
    "a length below nought": b"Content-Length: -4\r\n",
    "a length with a sign": b"Content-Length: +4\r\n",
    "a space before the colon": b"Content-Length : 4\r\n",
    "a folded line": b"X-Folded: a\r\n b\r\n\tContent-Length: 4\r\n",
    "a bare line feed": b"X-Bare: a\nContent-Length: 4\r\n",
    "a null byte": b"X-Null: a\0b\r\n",
}


@pytest.mark.parametrize("what", AMBIGUOUS)
def test_ambiguous_requests_cannot_smuggle_another(target: Target, what: str) -> None:
    hidden = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    head = b"POST /api/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + AMBIGUOUS[what] + b"\r\n"
    answer = target.send_raw(head + b"0\r\n\r\n" + hidden)
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 ")), answer[:200]
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"openapi"' not in answer

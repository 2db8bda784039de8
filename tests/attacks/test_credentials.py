"""Access with invalid credentials is rejected."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from functions.routes import REST, RestRoute
from tests.attacks import forged
from tests.attacks.target import WITH_BODY, Target, assert_refused, label
from tests.processes import PATIENCE_S

PROTECTED = [route for route in REST if not route.public]


@pytest.fixture(scope="module")
def worthless(target: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return invalid tokens and keys, by the kind of defect."""
    return {**forged.tokens(target, tmp_path_factory.mktemp("stranger")), **forged.keys(target)}


def body_of(route: RestRoute) -> dict[str, Any] | None:
    return {} if route.method in WITH_BODY else None


@pytest.mark.parametrize("route", PROTECTED, ids=label)
def test_no_endpoint_accepts_an_invalid_credential(
    target: Target, worthless: Mapping[str, str], route: RestRoute
) -> None:
    path = route.path.replace("{id}", "someone")
    for what, secret in {"none": "", **worthless}.items():
        answer = target.call(route.method, path, secret, body_of(route))
        assert assert_refused(answer, 401)["code"] == "unauthorized", what
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
def test_no_header_accepts_an_invalid_credential(
    target: Target, worthless: Mapping[str, str], header: str
) -> None:
    prefix = "Bearer " if header == "Authorization" else ""
    for secret in worthless.values():
        answer = target.call("GET", "/api/users/me", headers={header: prefix + secret})
        assert_refused(answer, 401)


@pytest.mark.parametrize("place", ["Sec-WebSocket-Protocol", "Authorization", "X-Api-Key", "address"])
def test_no_websocket_opens_with_an_invalid_credential(
    target: Target, worthless: Mapping[str, str], place: str
) -> None:
    for what, secret in {"none": "", **worthless}.items():
        prefix = {"Authorization": "Bearer ", "Sec-WebSocket-Protocol": "anc.v1, "}.get(place, "")
        headers = {} if place == "address" else {place: f"{prefix}{secret}".rstrip(", ")}
        query = f"?{urlencode({'token': secret})}" if place == "address" else ""
        url = f"ws://127.0.0.1:{target.platform.port}/ws{query}"
        with (
            pytest.raises(InvalidStatus) as refusal,
            connect(url, additional_headers=headers, open_timeout=PATIENCE_S, proxy=None),
        ):
            pytest.fail(f"opened with {what}")
        assert refusal.value.response.status_code in {400, 403}, what


WRONG_PLACES = {
    "a subprotocol": lambda token: {"Sec-WebSocket-Protocol": f"anc.v1, {token}"},
    "a subprotocol of an upgrade": lambda token: {
        "Sec-WebSocket-Protocol": token,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
    },
    "basic authorization": lambda token: {"Authorization": f"Basic {token}"},
    "authorization without a scheme": lambda token: {"Authorization": token},
    "a cookie": lambda token: {"Cookie": f"token={token}; Authorization=Bearer {token}"},
    "proxy authorization": lambda token: {"Proxy-Authorization": f"Bearer {token}"},
    "the authorizer's context": lambda token: {
        "X-Amzn-Principal": "root",
        "X-User": "root",
        "X-Role": "admin",
    },
    "a former header": lambda token: {"X-Authorization": f"Bearer {token}", "X-Amz-Security-Token": token},
}


@pytest.mark.parametrize("place", WRONG_PLACES)
def test_a_misplaced_token_is_rejected_even_after_a_valid_request(target: Target, place: str) -> None:
    token = target.token("mixed", "admin")
    headers = WRONG_PLACES[place](token)
    for _ in range(2):
        assert target.call("GET", "/api/models", token).status == 200
        refused = target.call("GET", "/api/models", headers=headers)
        assert refused.status == (400 if "Upgrade" in headers else 401), refused.body


def test_a_token_in_the_query_string_is_rejected(target: Target) -> None:
    token = target.token("mixed", "admin")
    for name in ("token", "access_token", "authorization", "Authorization", "api_key"):
        assert_refused(target.call("GET", f"/api/models?{name}={token}"), 401)


def test_an_invalid_first_credential_is_not_replaced_by_a_second(
    target: Target, worthless: Mapping[str, str]
) -> None:
    good = target.token("mixed", "admin")
    for secret in worthless.values():
        headers = {"X-Api-Key": good, "Sec-WebSocket-Protocol": f"anc.v1, {good}"}
        assert_refused(target.call("GET", "/api/models", secret, headers=headers), 401)


def test_a_login_link_signs_in_once_under_concurrency(target: Target) -> None:
    code = target.links.make("console-user", "listener")
    request = f'{{"code": "{code}"}}'.encode()
    head = f"POST /sign-in HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(request)}\r\n\r\n"
    with ThreadPoolExecutor(8) as attackers:
        answers = list(attackers.map(lambda _: target.send_raw(head.encode() + request), range(8)))
    assert sorted(answer.split()[1] for answer in answers) == [b"200", *[b"401"] * 7]
    assert_refused(target.call("POST", "/sign-in", body={"code": code}), 401)


@pytest.mark.parametrize(
    "code", ["", "x", "../issuer.pem", "\0", "x" * 200, None, 1, {}, [], True, "\N{SNOWMAN}" * 20]
)
def test_invalid_login_codes_are_rejected(target: Target, code: Any) -> None:
    assert_refused(target.call("POST", "/sign-in", body={"code": code}), 400, 401, 413, 429)


def test_a_presigned_link_grants_nothing_else(target: Target) -> None:
    made = target.call("POST", "/api/audio/uploads", target.token("sender"), {"size": 4}).document()
    other = target.call("POST", "/api/audio/uploads", target.token("sender"), {"size": 4}).document()
    link = urlsplit(made["links"][0])
    query = dict(parse_qsl(link.query, keep_blank_values=True))
    changed = [{**query, name: value} for name in query for value in ("", "0", f"{query[name]}0", "9" * 30)]
    missing = [{name: text for name, text in query.items() if name != left_out} for left_out in query]
    for forgery in [*changed, *missing, {}]:
        if forgery != query:
            answer = target.call("PUT", f"{link.path}?{urlencode(forgery)}", body=b"abcd")
            assert_refused(answer, 400, 401, 403, 404, 413)
    for method, path in (
        ("GET", link.path),
        ("PUT", urlsplit(other["links"][0]).path),
        ("PUT", f"{link.path}/../../anc.db"),
        ("PUT", f"/objects/{quote('../issuer.pem', safe='')}"),
    ):
        answer = target.call(method, f"{path}?{link.query}", body=b"abcd" if method == "PUT" else None)
        assert_refused(answer, 400, 401, 403, 404)
    assert_refused(target.call("PUT", made["links"][0].partition(link.netloc)[2], body=b"too long"), 400, 413)
    for upload in (made, other):
        job = target.call("GET", f"/api/audio/jobs/{upload['job']}", target.token("sender")).document()
        assert job["state"] == "uploading"
        target.call("DELETE", f"/api/audio/jobs/{upload['job']}", target.token("sender"))


def test_a_presigned_link_is_invalid_after_deleting_the_recording(target: Target) -> None:
    made = target.call("POST", "/api/audio/uploads", target.token("sender"), {"size": 4}).document()
    path = made["links"][0].partition(urlsplit(made["links"][0]).netloc)[2]
    assert target.call("DELETE", f"/api/audio/jobs/{made['job']}", target.token("sender")).status == 204
    assert_refused(target.call("PUT", path, body=b"abcd"), 404)

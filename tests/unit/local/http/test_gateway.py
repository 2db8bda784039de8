"""The gateway: API Gateway events to the functions, and their responses to the client."""

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from anc.ports import Gone
from anc.schemas.websocket import FRAME_LIMIT
from functions.routes import REST, SOCKET, SOUND_BYTES, RestRoute
from local.http import gateway
from local.http.gateway import Gateway, LocalSockets
from local.http.request_body import RequestBody
from tests.processes import PATIENCE_S

TOKEN = "ey.good.token"
SOUND_PATHS = ("/api/audio/", "/api/emergency/detect")
BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Functions:
    """Fake Lambda functions that record their events and return what the test sets."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "ws_connect": {"statusCode": 200},
            "ws_disconnect": {"statusCode": 200},
            "audio_receiver": {"statusCode": 200, "body": '{"type":"pong"}'},
            "rest_api": {"statusCode": 200, "body": "{}", "headers": {"Content-Type": "application/json"}},
            "classifier": {"statusCode": 200, "body": "{}", "headers": {"Content-Type": "application/json"}},
        }
        self.left = threading.Event()

    def __call__(self, function: str, event: dict[str, Any]) -> Any:
        if function == "authorizer":
            if TOKEN not in str(event["headers"]):
                raise Exception("Unauthorized")
            return {"principalId": "ann", "context": {"user": "ann", "role": "listener"}}
        self.events.append((function, event))
        if function == "ws_disconnect":
            self.left.set()
        answer = self.answers[function]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def last(self, function: str) -> dict[str, Any]:
        return next(event for name, event in reversed(self.events) if name == function)


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def sockets() -> LocalSockets:
    return LocalSockets()


@pytest.fixture
def client(functions: Functions, sockets: LocalSockets) -> Iterator[TestClient]:
    with TestClient(Gateway(functions, sockets, []).app, raise_server_exceptions=False) as client:
        yield client


def problem(response: Any) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["status"] == response.status_code
    return document


# REST


def test_a_request_reaches_its_function_as_api_gateway_would_send_it(
    client: TestClient, functions: Functions
) -> None:
    client.patch("/api/sessions/s-1?limit=5", headers=BEARER, content='{"enabled": false}')
    event = functions.last("rest_api")
    assert (event["httpMethod"], event["resource"], event["path"]) == (
        "PATCH",
        "/api/sessions/{id}",
        "/api/sessions/s-1",
    )
    assert event["pathParameters"] == {"id": "s-1"}
    assert event["queryStringParameters"] == {"limit": "5"}
    assert (event["body"], event["isBase64Encoded"]) == ('{"enabled": false}', False)
    assert event["requestContext"]["authorizer"] == {"principalId": "ann", "user": "ann", "role": "listener"}


def test_a_request_without_body_and_query_has_none(client: TestClient, functions: Functions) -> None:
    client.get("/health")
    event = functions.last("rest_api")
    assert event["body"] is None
    assert event["queryStringParameters"] is None
    assert event["pathParameters"] is None


def test_a_binary_body_travels_as_base64(client: TestClient, functions: Functions) -> None:
    data = bytes(range(256))
    client.post("/api/audio/classify", headers=BEARER, content=data)
    event = functions.last("classifier")
    assert event["isBase64Encoded"]
    assert base64.b64decode(event["body"]) == data


@pytest.mark.parametrize("route", REST, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_requires_a_token_unless_it_is_public(
    client: TestClient, functions: Functions, route: Any
) -> None:
    path = route.path.replace("{id}", "x")
    answer = client.request(route.method, path)
    if route.public:
        assert answer.status_code == 200
        assert functions.last(route.function)["requestContext"]["authorizer"] == {}
    else:
        assert problem(answer)["title"] == "Unauthorized"
        assert functions.events == [], "the function is not called"
        assert client.request(route.method, path, headers=BEARER).status_code == 200


def test_a_failing_authorizer_denies_access_until_it_works_as_on_aws(sockets: LocalSockets) -> None:
    called = []

    def failing(function: str, event: dict[str, Any]) -> Any:
        called.append(function)
        raise ConnectionError("token issuer: hunter2 does not answer")

    with TestClient(Gateway(failing, sockets, []).app) as client:
        answer = client.get("/api/sessions", headers=BEARER)
        with (
            pytest.raises(WebSocketDenialResponse) as denied,
            client.websocket_connect("/ws", headers=BEARER),
        ):
            pass
    for denial in (answer, denied.value):
        assert (problem(denial)["status"], problem(denial)["code"]) == (503, "unavailable")
        assert denial.headers["retry-after"] == "5"
        assert "hunter2" not in denial.text
    assert set(called) == {"authorizer"}


def test_all_values_of_a_repeated_parameter_are_in_the_event(
    client: TestClient, functions: Functions
) -> None:
    client.get("/api/fleet?model=AX2&tag=night&model=Studio", headers=BEARER)
    event = functions.last("rest_api")
    assert event["queryStringParameters"] == {"model": "Studio", "tag": "night"}, "the last one"
    assert event["multiValueQueryStringParameters"] == {"model": ["AX2", "Studio"], "tag": ["night"]}


def test_status_headers_and_body_are_returned_unchanged(client: TestClient, functions: Functions) -> None:
    functions.answers["rest_api"] = {
        "statusCode": 418,
        "headers": {"Content-Type": "text/teapot", "X-One": "1"},
        "multiValueHeaders": {"X-Two": ["a", "b"]},
        "body": base64.b64encode(b"\x00\xff").decode(),
        "isBase64Encoded": True,
    }
    answer = client.get("/health")
    assert (answer.status_code, answer.content) == (418, b"\x00\xff")
    assert answer.headers["content-type"] == "text/teapot"
    assert answer.headers["x-one"] == "1"
    assert answer.headers.get_list("x-two") == ["a", "b"]


def test_a_function_that_crashes_is_a_bad_gateway_without_details(
    client: TestClient, functions: Functions
) -> None:
    functions.answers["rest_api"] = RuntimeError("password=hunter2")
    answer = client.get("/health")
    assert problem(answer)["status"] == 502
    assert "hunter2" not in answer.text


def in_pieces(size: int) -> Iterator[bytes]:
    """Yield a body of unknown length."""
    for at in range(0, size, 50_000):
        yield bytes(min(50_000, size - at))


def named(route: RestRoute) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", REST, ids=named)
def test_a_body_over_the_limit_of_its_endpoint_is_refused_before_the_function_is_called(
    client: TestClient, functions: Functions, route: RestRoute
) -> None:
    path, most = route.path.replace("{id}", "left-1"), route.body_bytes
    sound = route.work == "heavy" and route.path.startswith(SOUND_PATHS) and "{" not in route.path
    assert most == SOUND_BYTES if sound else most <= 64 * 1024
    for whole, over in ((bytes(most), bytes(most + 1)), (in_pieces(most), in_pieces(most + 1))):
        assert client.request(route.method, path, headers=BEARER, content=whole).status_code == 200
        functions.events.clear()
        answer = client.request(route.method, path, headers=BEARER, content=over)
        assert answer.status_code == 413
        assert problem(answer)["detail"] == f"body must have at most {most:,} bytes"
        assert functions.events == []


@pytest.mark.parametrize("route", [route for route in REST if not route.public], ids=named)
def test_the_body_of_a_request_without_a_token_is_discarded(
    client: TestClient, functions: Functions, monkeypatch: pytest.MonkeyPatch, route: RestRoute
) -> None:
    async def read(body: RequestBody) -> bytes:
        raise AssertionError("it was read before the token was checked")

    monkeypatch.setattr(RequestBody, "read", read)
    path = route.path.replace("{id}", "left-1")
    answer = client.request(route.method, path, content=bytes(8_000_000))
    assert problem(answer)["code"] == "unauthorized"
    assert functions.events == []


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/health", 405)])
def test_an_unknown_route_gets_a_problem_document(
    client: TestClient, method: str, path: str, status: int
) -> None:
    document = problem(client.request(method, path))
    assert document["status"] == status
    assert path in document["detail"]


# WebSocket


def test_a_socket_without_a_token_is_never_opened(client: TestClient, functions: Functions) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass
    assert functions.events == []


def test_a_socket_that_the_function_refuses_is_never_opened(client: TestClient, functions: Functions) -> None:
    functions.answers["ws_connect"] = {"statusCode": 403}
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws", headers=BEARER):
        pass
    assert [name for name, _ in functions.events] == ["ws_connect"]


def test_the_subprotocol_is_the_one_that_the_function_selects(
    client: TestClient, functions: Functions
) -> None:
    functions.answers["ws_connect"] = {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "anc.v1"}}
    with client.websocket_connect("/ws", subprotocols=["anc.v1", TOKEN]) as socket:
        assert socket.accepted_subprotocol == "anc.v1"


def test_a_socket_has_the_same_connection_id_in_all_events(client: TestClient, functions: Functions) -> None:
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        socket.send_text('{"action":"ping"}')
        assert socket.receive_text() == '{"type":"pong"}'
        socket.close()
        assert functions.left.wait(PATIENCE_S)
    contexts = [event["requestContext"] for _, event in functions.events]
    assert [context["eventType"] for context in contexts] == ["CONNECT", "MESSAGE", "DISCONNECT"]
    assert len({context["connectionId"] for context in contexts}) == 1
    assert all(context["authorizer"]["user"] == "ann" for context in contexts)


@pytest.mark.parametrize(
    ("frame", "route"),
    [
        *((json.dumps({"action": name}), name) for name in SOCKET if not name.startswith("$")),
        ('{"action":"dance"}', "$default"),
        ('{"action":"$connect"}', "$default"),
        ('{"action":"$disconnect"}', "$default"),
        ('{"action":7}', "$default"),
        ("{}", "$default"),
        ("[]", "$default"),
        ("hello", "$default"),
        ("", "$default"),
        ('{"a":' + "[" * 20_000, "$default"),
        ('{"x":' + "[" * 10_000 + "]" * 10_000 + ',"action":"ping"}', "$default"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_frame_takes_the_route_of_its_action_or_the_default(
    client: TestClient, functions: Functions, frame: str, route: str
) -> None:
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        socket.send_text(frame)
        socket.receive_text()
    event = functions.last("audio_receiver")
    assert (event["requestContext"]["routeKey"], event["body"]) == (route, frame)


def test_a_binary_frame_closes_the_socket_with_1003(client: TestClient, functions: Functions) -> None:
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        socket.send_bytes(b"\x00")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert functions.left.wait(PATIENCE_S)
    assert closed.value.code == 1003


def test_a_frame_of_32_kilobytes_is_accepted_and_one_byte_more_closes_with_1009(
    client: TestClient, functions: Functions
) -> None:
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        socket.send_text("x" * FRAME_LIMIT)
        socket.receive_text()
        socket.send_text("x" * (FRAME_LIMIT - 1) + "ä")
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
    assert closed.value.code == 1009
    assert len([name for name, _ in functions.events if name == "audio_receiver"]) == 1


def test_a_function_that_crashes_gets_the_response_of_api_gateway_and_the_socket_stays_open(
    client: TestClient, functions: Functions
) -> None:
    good = functions.answers["audio_receiver"]
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        functions.answers["audio_receiver"] = RuntimeError("password=hunter2")
        socket.send_text('{"action":"ping"}')
        failure = json.loads(socket.receive_text())
        assert failure["message"] == "Internal server error"
        assert "hunter2" not in str(failure)
        functions.answers["audio_receiver"] = good
        socket.send_text('{"action":"ping"}')
        assert socket.receive_text() == '{"type":"pong"}'


@pytest.mark.parametrize("limit", ["IDLE_S", "LIFETIME_S"])
def test_a_socket_that_is_idle_or_open_for_too_long_is_closed_with_1001(
    client: TestClient, functions: Functions, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(gateway, limit, 0.01)
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_text()
        assert functions.left.wait(PATIENCE_S)
    assert closed.value.code == 1001


def test_a_frame_is_pushed_to_an_open_socket_and_a_closed_one_is_gone(
    client: TestClient, functions: Functions, sockets: LocalSockets
) -> None:
    with client.websocket_connect("/ws", headers=BEARER) as socket:
        connection = functions.last("ws_connect")["requestContext"]["connectionId"]
        socket.send_text('{"action":"ping"}')
        socket.receive_text()  # from here on it is noted
        sockets.post(connection, '{"type":"device"}')
        assert socket.receive_text() == '{"type":"device"}'
        socket.close()
        assert functions.left.wait(PATIENCE_S)
    with pytest.raises(Gone):
        sockets.post(connection, "late")
    with pytest.raises(Gone):
        sockets.post("never-was", "lost")


def test_a_socket_that_does_not_read_does_not_block_the_sender(
    sockets: LocalSockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()

    class Stuck:
        async def send_text(self, text: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                given_up.set()

    monkeypatch.setattr(gateway, "POST_TIMEOUT_S", 0.01)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:

        async def note() -> None:
            sockets.opened("stuck", Stuck())  # type: ignore[arg-type]

        asyncio.run_coroutine_threadsafe(note(), loop).result(PATIENCE_S)
        with pytest.raises(Gone):
            sockets.post("stuck", "hello")
        assert given_up.wait(PATIENCE_S), "what was not sent in time is not sent later either"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()

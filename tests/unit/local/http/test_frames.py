"""Frames that arrive faster than they are processed."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from local.http import frames
from local.http.frames import MAX_WAITING_BLOCKS, MAX_WAITING_FRAMES, Frame
from local.http.gateway import Gateway, LocalSockets

PATIENCE_S = 20.0


class SlowFunctions:
    """Fake functions that process frames only when the test allows it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.started, self.may_respond, self.left = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, function: str, event: dict[str, Any]) -> Any:
        if function == "authorizer":
            return {"principalId": "ann", "context": {"user": "ann", "role": "listener"}}
        if function == "audio_receiver":
            self.calls.append(event["body"])
            self.started.set()
            assert self.may_respond.wait(PATIENCE_S)
        elif function == "ws_disconnect":
            self.left.set()
        return {"statusCode": 200, "body": json.dumps({"type": "done", "of": len(self.calls)})}


@pytest.fixture
def functions() -> SlowFunctions:
    return SlowFunctions()


@pytest.fixture
def socket(functions: SlowFunctions) -> Iterator[Any]:
    with (
        TestClient(Gateway(functions, LocalSockets(), []).app) as client,
        client.websocket_connect("/ws", headers={"Authorization": "Bearer x"}) as socket,
    ):
        yield socket
        functions.may_respond.set()


def block(session: str, seq: int) -> str:
    return json.dumps({"action": "audio", "session": session, "seq": seq, "pcm": "AAAA"})


def test_a_block_over_the_limit_of_a_session_is_refused_at_once(
    functions: SlowFunctions, socket: Any
) -> None:
    socket.send_text(block("s", 0))
    assert functions.started.wait(PATIENCE_S)
    for seq in range(1, MAX_WAITING_BLOCKS + 2):
        socket.send_text(block("s", seq))
    refusal = socket.receive_json()
    assert (refusal["type"], refusal["code"]) == ("error", "overloaded")
    assert refusal["seq"] == MAX_WAITING_BLOCKS + 1
    assert "send a block after the response to the previous one" in refusal["message"]
    functions.may_respond.set()
    answers = [socket.receive_json() for _ in range(MAX_WAITING_BLOCKS + 1)]
    assert {answer["type"] for answer in answers} == {"done"}
    assert functions.calls == [block("s", seq) for seq in range(MAX_WAITING_BLOCKS + 1)]


def test_each_session_of_a_socket_has_its_own_limit(functions: SlowFunctions, socket: Any) -> None:
    sent = [block(session, seq) for seq in range(MAX_WAITING_BLOCKS) for session in ("a", "b", "c")]
    for frame in sent:
        socket.send_text(frame)
    functions.may_respond.set()
    assert {socket.receive_json()["type"] for _ in sent} == {"done"}
    assert functions.calls == sent


def test_the_waiting_frames_of_a_socket_are_limited(functions: SlowFunctions, socket: Any) -> None:
    ping = '{"action": "ping"}'
    socket.send_text(ping)
    assert functions.started.wait(PATIENCE_S)
    for _ in range(MAX_WAITING_FRAMES + 1):
        socket.send_text(ping)
    refusal = socket.receive_json()
    assert refusal["code"] == "overloaded"
    assert "seq" not in refusal
    functions.may_respond.set()
    assert {socket.receive_json()["type"] for _ in range(MAX_WAITING_FRAMES + 1)} == {"done"}


def test_a_block_that_waited_too_long_is_refused_without_a_function_call(
    functions: SlowFunctions, socket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "MAX_WAIT_S", -1.0)
    socket.send_text(block("s", 7))
    refusal = socket.receive_json()
    assert (refusal["code"], refusal["seq"]) == ("overloaded", 7)
    assert functions.calls == []


def test_frames_read_before_a_close_are_processed_before_the_disconnect_event(
    functions: SlowFunctions, socket: Any
) -> None:
    for seq in range(3):
        socket.send_text(block("s", seq))
    assert functions.started.wait(PATIENCE_S)
    socket.close()
    assert not functions.left.is_set()
    functions.may_respond.set()
    assert functions.left.wait(PATIENCE_S)
    assert functions.calls == [block("s", seq) for seq in range(3)]


@pytest.mark.parametrize(
    ("text", "session", "seq"),
    [
        (block("s", 3), "s", 3),
        ('{"action": "audio", "session": 7, "seq": 3}', "", None),
        ('{"action": "audio", "session": "s", "seq": "3"}', "s", None),
        ('{"action": "audio", "session": "s", "seq": 3.5}', "s", None),
        ('{"action": "audio", "session": "s", "seq": 1e400}', "", None),
        (block("s", 10**30), "s", None),
        (block("s", True), "s", None),
        ('{"action": "set", "session": "s"}', "", None),
        ("hello", "", None),
    ],
)
def test_only_audio_blocks_count_for_their_session(text: str, session: str, seq: int | None) -> None:
    frame = Frame.read(text, 0.0)
    assert (frame.session, frame.seq) == (session, seq)

"""Frames that come faster than they are answered."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from local.http import frames
from local.http.frames import BLOCKS_WAITING, FRAMES_WAITING, Frame
from local.http.gateway import Gateway, LocalSockets

PATIENCE_S = 20.0


class SlowFunctions:
    """Functions of which the one that answers frames does so only once it may."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.begun, self.may_answer, self.left = threading.Event(), threading.Event(), threading.Event()

    def __call__(self, function: str, event: dict[str, Any]) -> Any:
        if function == "authorizer":
            return {"principalId": "ann", "context": {"user": "ann", "role": "listener"}}
        if function == "audio_receiver":
            self.asked.append(event["body"])
            self.begun.set()
            assert self.may_answer.wait(PATIENCE_S)
        elif function == "ws_disconnect":
            self.left.set()
        return {"statusCode": 200, "body": json.dumps({"type": "done", "of": len(self.asked)})}


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
        functions.may_answer.set()


def block(session: str, seq: int) -> str:
    return json.dumps({"action": "audio", "session": session, "seq": seq, "pcm": "AAAA"})


def test_a_block_too_many_of_a_session_is_refused_at_once_and_the_others_are_answered(
    functions: SlowFunctions, socket: Any
) -> None:
    socket.send_text(block("s", 0))
    assert functions.begun.wait(PATIENCE_S)
    for seq in range(1, BLOCKS_WAITING + 2):
        socket.send_text(block("s", seq))
    refusal = socket.receive_json()
    assert (refusal["type"], refusal["code"]) == ("error", "overloaded")
    assert refusal["seq"] == BLOCKS_WAITING + 1
    assert "send a block when the last one is answered" in refusal["message"]
    functions.may_answer.set()
    answers = [socket.receive_json() for _ in range(BLOCKS_WAITING + 1)]
    assert {answer["type"] for answer in answers} == {"done"}
    assert functions.asked == [block("s", seq) for seq in range(BLOCKS_WAITING + 1)]


def test_the_sessions_of_one_socket_wait_for_themselves(functions: SlowFunctions, socket: Any) -> None:
    sent = [block(session, seq) for seq in range(BLOCKS_WAITING) for session in ("a", "b", "c")]
    for frame in sent:
        socket.send_text(frame)
    functions.may_answer.set()
    assert {socket.receive_json()["type"] for _ in sent} == {"done"}
    assert functions.asked == sent


def test_a_socket_has_no_more_frames_waiting_than_it_may(functions: SlowFunctions, socket: Any) -> None:
    ping = '{"action": "ping"}'
    socket.send_text(ping)
    assert functions.begun.wait(PATIENCE_S)
    for _ in range(FRAMES_WAITING + 1):
        socket.send_text(ping)
    refusal = socket.receive_json()
    assert refusal["code"] == "overloaded"
    assert "seq" not in refusal
    functions.may_answer.set()
    assert {socket.receive_json()["type"] for _ in range(FRAMES_WAITING + 1)} == {"done"}


def test_a_block_that_waited_for_too_long_is_refused_without_asking_the_function(
    functions: SlowFunctions, socket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "WAIT_LIMIT_S", -1.0)
    socket.send_text(block("s", 7))
    refusal = socket.receive_json()
    assert (refusal["code"], refusal["seq"]) == ("overloaded", 7)
    assert functions.asked == []


def test_what_was_read_before_a_socket_closed_is_done_before_the_platform_says_goodbye(
    functions: SlowFunctions, socket: Any
) -> None:
    for seq in range(3):
        socket.send_text(block("s", seq))
    assert functions.begun.wait(PATIENCE_S)
    socket.close()
    assert not functions.left.is_set()
    functions.may_answer.set()
    assert functions.left.wait(PATIENCE_S)
    assert functions.asked == [block("s", seq) for seq in range(3)]


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
def test_only_blocks_count_for_their_session(text: str, session: str, seq: int | None) -> None:
    frame = Frame.read(text, 0.0)
    assert (frame.session, frame.seq) == (session, seq)
